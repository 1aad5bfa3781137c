"""Measure map detectors on anybody's labelled maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import Progress, Series, SeriesWindow, TrainingSet, silent
from anomalyd.detectors.evaluation.maps.faults import ANY, MapRow
from anomalyd.detectors.evaluation.maps.figures import auc, fdr_at_99
from anomalyd.detectors.evaluation.tables import markdown
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.maps.classical.statistics import TESTS, Beside, tests_of
from anomalyd.detectors.maps.geometries.known import load_type
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.likelihood.detector import MapScan
from anomalyd.detectors.maps.shipped import KIND, shipped_model
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S
from anomalyd.detectors.maps.units import UnitScores, unit_scores
from anomalyd.detectors.model import Model, Scores
from anomalyd.detectors.training import train_model
from anomalyd.errors import TrainingError

Maps = NDArray[np.float32]
Values = NDArray[np.float64]

_WHOLE = 1e-3
"""How far a count may lie from a whole number, relative to itself: it may have been through float32."""

_REFERENCE = 20  # maps that a classical test's reference sums, as in the simulation


@dataclass(frozen=True, slots=True)
class LabelledMaps:
    """Maps (N, R, C), NaN where there is no cell, with labels (N,), 1 for a faulty one.

    `element` (N,): which element each is of; `train` (T, R, C): normal maps, of the elements `trained` (T,);
    `shipped`: the name of the geometry, if it comes with anomalyd; `run` (N,): maps of one run were taken
    at the same time, so that elements are judged beside their sisters.
    """

    name: str
    maps: Maps
    labels: NDArray[np.int64]
    element: tuple[str, ...]
    train: Maps
    trained: tuple[str, ...]
    geometry: Geometry
    shipped: str = ""
    run: tuple[int, ...] = ()

    @property
    def times(self) -> Values:
        """Give an event time to each map (N,): runs in order, in them an element's maps in order.

        Where no run is told no two maps are of the same time.
        """
        if not self.run:
            return np.asarray(1e9 + np.arange(len(self.maps)) * LUMISECTION_S, dtype=np.float64)
        runs = self.run
        rank = {r: k for k, r in enumerate(sorted(set(runs)))}
        seen: dict[tuple[str, int], int] = {}
        found = np.empty(len(self.maps))
        for k, key in enumerate(zip(self.element, runs, strict=True)):
            found[k] = 1e9 + rank[key[1]] * 1e6 + seen.setdefault(key, 0) * LUMISECTION_S
            seen[key] += 1
        return found


@dataclass(frozen=True, slots=True)
class Judged:
    """What a detector says of all maps: scores (N,), signed cells (N, R, C), and its hardware units."""

    score: Values
    cells: NDArray[np.float32]
    units: UnitScores


def read_maps(file: Path) -> LabelledMaps:
    """Read `maps` (N, R, C), `labels` (N,), and what else is given: `train`, `mask`, `element`, `geometry`.

    Histograms of one row may be (N, B). `train` (T, R, C); `mask` (R, C) or (N, R, C) is true where there
    is a cell; `element` is one name, or (N,), or (T + N,) with those of `train` first; `train_element` (T,)
    is an alternative to that; `geometry` is a name or a file.

    Raises:
        TrainingError: it cannot be read, or its arrays do not fit together; names the file and the array.
        ConfigError: an unknown geometry.

    """

    def refuse(what: str) -> TrainingError:
        return TrainingError(f"{file}: {what}")

    arrays = _arrays(file, refuse)
    maps, labels = arrays["maps"], arrays["labels"]
    if maps.ndim != 3 or not maps.size:
        raise refuse(f"maps {maps.shape} must be (N, R, C), at least one")
    n, *shape = maps.shape
    if labels.shape != (n,) or not np.isin(labels, (0, 1)).all():
        raise refuse(f"labels {labels.shape} must be 0 (normal) or 1 (faulty) for each of the {n} maps")
    train = arrays.get("train", np.zeros((0, *shape))).astype(np.float32)
    if train.ndim != 3 or list(train.shape[1:]) != shape:
        raise refuse(f"train {train.shape} must be (T, {shape[0]}, {shape[1]}), as maps")
    geometry = _geometry(arrays, (shape[0], shape[1]), refuse)
    trained, element = _elements(arrays, n, len(train), refuse)
    maps, train = _masked(maps, train, arrays.get("mask"), geometry, refuse)
    shipped = str(arrays["geometry"]) if "geometry" in arrays else ""
    run = np.atleast_1d(arrays.get("run", np.zeros(0, dtype=np.int64)))
    if run.shape not in ((n,), (0,)) or not np.issubdtype(run.dtype, np.integer):
        raise refuse(f"run {run.shape} of type {run.dtype} must be a whole number for each of the {n} maps")
    return LabelledMaps(
        file.stem,
        maps,
        labels.astype(np.int64),
        element,
        train,
        trained,
        geometry,
        shipped,
        tuple(run.tolist()),
    )


def _arrays(file: Path, refuse: Callable[[str], TrainingError]) -> dict[str, NDArray[Any]]:
    """Read the arrays of a file by name; maps and labels are there, and what must be numbers is."""
    try:
        with file.open("rb") as content:
            held = np.load(content, allow_pickle=False)
            if isinstance(held, np.ndarray):
                raise refuse("is one array; maps and labels are needed: np.savez(file, maps=..., labels=...)")
            arrays = {name: held[name] for name in held.files}
    except (OSError, ValueError, EOFError, TypeError, BadZipFile) as error:
        hint = "; pad maps of several shapes with NaN to one" if "Object arrays" in str(error) else ""
        raise refuse(f"cannot be read as an .npz of plain arrays ({error}){hint}") from error
    for name in ("maps", "labels"):
        if name not in arrays:
            raise refuse(f"has no array {name!r}; it needs maps (N, R, C) and labels (N,)")
    for name in ("maps", "labels", "train", "mask"):
        kind = arrays[name].dtype if name in arrays else np.dtype(np.float32)
        if not np.issubdtype(kind, np.number) and kind != np.bool_:
            raise refuse(f"{name} is of type {kind}; numbers are needed")
    for name in ("maps", "train"):
        if name in arrays:
            arrays[name] = _counts(name, arrays[name], refuse)
    return arrays


def _counts(
    name: str, values: NDArray[np.generic], refuse: Callable[[str], TrainingError]
) -> NDArray[np.float32]:
    """Take counts (N, R, C), or (N, B) of one row; NaN where there is no cell."""
    counts = values.astype(np.float32)
    if counts.ndim == 2:
        counts = counts[:, None, :]
    if np.isinf(counts).any() or (counts < 0).any():
        raise refuse(
            f"{name} holds values below 0 or without end; counts are needed, NaN where there is no cell"
        )
    with np.errstate(invalid="ignore"):
        off = np.abs(counts - np.rint(counts)) > _WHOLE * np.maximum(1, counts)
    if off.any():
        raise refuse(
            f"{name} holds {float(counts[off][0]):g}, and counts are whole numbers; of normalised "
            "maps nobody knows the noise: give them as they were counted"
        )
    return counts


def _geometry(
    arrays: dict[str, NDArray[np.generic]], shape: tuple[int, int], refuse: Callable[[str], TrainingError]
) -> Geometry:
    if "geometry" not in arrays:
        return replace(Geometry.of("map", shape), entity="*")
    name = str(arrays["geometry"])
    elements = [e for e in load_type(name).elements if e.shape == shape]
    if not elements:
        raise refuse(f"geometry {name!r} has no element of shape {shape}; name another, or none")
    return replace(elements[0], entity="*")


def _elements(
    arrays: dict[str, NDArray[np.generic]], n: int, t: int, refuse: Callable[[str], TrainingError]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    named = np.atleast_1d(arrays.get("element", np.array("element"))).astype(str)
    if len(named) not in (1, n, n + t):
        raise refuse(f"element has {len(named)} entries; it needs one for each of {n} maps, or one for all")
    own = np.repeat(named, n) if len(named) == 1 else named[-n:]
    if "train_element" in arrays:
        trained = np.atleast_1d(arrays["train_element"]).astype(str)
        if len(trained) != t:
            raise refuse(f"train_element has {len(trained)} entries; it needs one for each of the {t} maps")
    elif len(named) == n + t:
        trained = named[:t]
    else:
        trained = np.repeat(own[:1] if len(set(own.tolist())) == 1 else np.array("train"), t)
    return tuple(trained.tolist()), tuple(own.tolist())


def _masked(
    maps: Maps,
    train: Maps,
    mask: NDArray[np.generic] | None,
    geometry: Geometry,
    refuse: Callable[[str], TrainingError],
) -> tuple[Maps, Maps]:
    cells = geometry.mask()
    if mask is None:
        return np.where(cells, maps, np.nan), np.where(cells, train, np.nan)
    if mask.shape not in (maps.shape, maps.shape[1:]):
        raise refuse(f"mask {mask.shape} must be {maps.shape[1:]} or {maps.shape}, true for a cell")
    there = mask.astype(np.bool_) & cells
    always = there.any(0) if there.ndim == 3 else there
    return np.where(there, maps, np.nan), np.where(always, train, np.nan)


def judge_maps(
    data: LabelledMaps,
    kinds: tuple[str, ...],
    *,
    false_alarm_rate: float = 0.001,
    seed: int = 0,
    progress: Progress = silent,
) -> dict[str, Judged]:
    """Train detectors and let them judge every map; without `train` on the maps themselves, labels unseen.

    Where there is no `train`, and a model ships for the geometry, the map scan is that one.

    A map of an element that was trained on is judged by itself, with the history that training left; the
    maps of other elements are streamed in their order, and the history builds up on the way.

    Raises:
        TrainingError: too few maps.

    """
    source = (data.train, data.trained) if len(data.train) else (data.maps, data.element)
    series = {}
    for name in dict.fromkeys(source[1]):
        values = source[0][[e == name for e in source[1]]]
        series[name] = Series(np.arange(len(values), dtype=np.float64) * LUMISECTION_S, values)
    training = TrainingSet(series, geometries=(data.geometry,))
    found = {}
    for kind in kinds:
        ready = shipped_model(data.shipped) if kind == KIND and not len(data.train) else None
        model = ready or train_model(
            training,
            kind=kind,
            parameters={},
            false_alarms=AlertRate(false_alarm_rate),
            seed=seed,
            code_version="",
            created=0.0,
            progress=progress,
        )
        if ready is not None and isinstance(model.detector, MapScan):
            # What the file says of its cells is used, whatever its elements are called.
            model.detector.geometries = (data.geometry,)
        found[kind] = _judge(model, data)
    return found


def _judge(model: Model, data: LabelledMaps) -> Judged:
    score = np.zeros(len(data.maps))
    cells = np.zeros(data.maps.shape, dtype=np.float32)
    expectation = np.full(data.maps.shape, np.nan, dtype=np.float32)
    known = set(data.trained)
    windows: list[tuple[NDArray[np.int64], SeriesWindow]] = []
    at = data.times
    for name in dict.fromkeys(data.element):
        places = np.flatnonzero([e == name for e in data.element])
        parts = places[:, None] if name in known else [places]
        windows += [(part, SeriesWindow(name, at[part], data.maps[part])) for part in parts]
    # All at once: elements are judged beside those of the same time.
    result: Scores
    for (places, _), result in zip(windows, model.score([s for _, s in windows]), strict=True):
        score[places] = np.nan_to_num(result.score)
        cells[places] = np.nan_to_num(result.signed)
        expectation[places] = result.expectation
    return Judged(score, cells, unit_scores(data.maps, expectation, data.geometry))


def classical_scores(data: LabelledMaps) -> dict[str, Values]:
    """Score all maps by each classical test, and by the rarest of them among the training maps.

    The reference is the sum of the element's newest training maps, or of all elements' where it has none;
    without `train` that of the maps themselves but for the one under test, and where an element has no other
    that of the other elements.
    """
    everything = np.nan_to_num(data.train if len(data.train) else data.maps).astype(np.float64)
    names = np.array(data.trained if len(data.train) else data.element)
    own = {name: everything[names == name][-_REFERENCE:].sum(0) for name in set(names.tolist())}
    mean = everything.sum(0)
    mask = np.broadcast_to(np.isfinite(data.maps), data.maps.shape)
    maps = Beside(
        np.nan_to_num(data.maps).astype(np.float64),
        _references(data, own, mean),
        mask,
        data.geometry,
    )
    trained = Beside(
        everything,
        # A map helped to make its own reference; the sum less it is what a new map is held against.
        np.stack([np.maximum(own[e] - m, 0) for e, m in zip(names.tolist(), everything, strict=True)]),
        np.broadcast_to(mask[0], everything.shape),
        data.geometry,
    )
    found: dict[str, Values] = {}
    rarest = np.full(len(data.maps), -np.inf)
    for test in tests_of(data.geometry):
        found[test] = TESTS[test](maps).value
        usual = np.sort(TESTS[test](trained).value)
        width = max(float(usual[-1] - np.median(usual)), 1e-9)
        above = len(usual) - np.searchsorted(usual, found[test])
        rarity = -np.log((above + 0.5) / len(usual)) + np.maximum(found[test] - usual[-1], 0) / width
        rarest = np.maximum(rarest, rarity)
    return found | {ANY: rarest}


def _references(data: LabelledMaps, own: dict[str, Values], mean: Values) -> Values:
    """Give the reference (N, R, C) of each map: never the map itself."""
    if len(data.train):
        return np.stack([own.get(e, mean) for e in data.element])
    maps = np.nan_to_num(data.maps).astype(np.float64)
    others = [np.maximum(own[e] - m, 0) for e, m in zip(data.element, maps, strict=True)]
    return np.stack([o if o.any() else mean - m for o, m in zip(others, maps, strict=True)])


def flagged_table(data: LabelledMaps, judged: dict[str, Judged]) -> str:
    """Say how many normal maps each detector puts above 1, and how many faulty ones."""
    normal, faulty = data.labels == 0, data.labels == 1
    return markdown(
        ["detector", "normal maps above 1", "faulty maps found at 1"],
        [
            [
                kind,
                f"{int((j.score[normal] > ALERT).sum())} of {int(normal.sum())}",
                f"{int((j.score[faulty] > ALERT).sum())} of {int(faulty.sum())}",
            ]
            for kind, j in judged.items()
        ],
    )


def data_rows(data: LabelledMaps, scores: dict[str, Values], seed: int) -> list[MapRow]:
    """Give the figures of every detector and test; nothing is known of the fault, its cells and the limit."""
    normal, faulty = data.labels == 0, data.labels == 1
    nan = float("nan")
    counts = float(np.nanmean(data.maps))
    return [
        MapRow(
            geometry=data.geometry.cell if data.geometry.segments or data.geometry.units else "plain",
            fault="labelled",
            strength=nan,
            mean_counts=counts,
            n_maps=len(data.maps),
            detector=name,
            seed=seed,
            auc=auc(values[normal], values[faulty]) if normal.any() and faulty.any() else nan,
            fdr_at_99=fdr_at_99(values[normal], values[faulty]) if normal.any() and faulty.any() else nan,
            true_cells_highlighted=nan,
            iou=nan,
            limit_auc=nan,
            history=len(data.train),
            drift=nan,
        )
        for name, values in scores.items()
    ]
