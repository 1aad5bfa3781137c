"""Measure map detectors, classical tests and the statistical limit side by side on simulated faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import Progress, SeriesWindow, State, silent
from anomalyd.detectors.evaluation.jobs import spread
from anomalyd.detectors.evaluation.maps.figures import auc, fdr_at_99, localisation
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.maps.classical.statistics import TESTS, Beside, tests_of
from anomalyd.detectors.maps.geometries.known import load_type
from anomalyd.detectors.maps.regions import highlighted
from anomalyd.detectors.maps.simulate.elements import (
    Elements,
    Faulty,
    elements_of,
    faulty_maps,
    name_of,
    training_set,
)
from anomalyd.detectors.maps.simulate.noise import Noise, correlation
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S
from anomalyd.detectors.model import Model
from anomalyd.detectors.training import train_model

Values = NDArray[np.float64]
Cells = NDArray[np.bool_]

ANY = "any classical test"
LIMIT = "limit"

_CHUNK = 100  # elements whose maps are scored together
_APART_S = 1e5  # between the elements, which are not lit alike
_PRICED = 400
"""Normal maps on which each classical test's values are ranked, so that "any" can put them side by side."""


@dataclass(frozen=True, slots=True)
class MapTask:
    """What is measured at one count level with one seed; `faults`: kinds of fault, all if empty.

    `noise`: variance over Poisson's of the sum of four sister rows, of the elements that are measured on.
    """

    geometry: str
    mean_counts: float
    seed: int
    maps: int
    history: int
    drift: float
    kinds: tuple[str, ...]
    faults: tuple[str, ...]
    noise: float = 1.0


@dataclass(frozen=True, slots=True)
class MapRow:
    """One detector's figures on one fault."""

    geometry: str
    fault: str
    strength: float
    mean_counts: float
    n_maps: int
    detector: str
    seed: int
    auc: float
    fdr_at_99: float
    true_cells_highlighted: float
    iou: float
    limit_auc: float
    history: int
    drift: float
    noise: float = 1.0


@dataclass(frozen=True, slots=True)
class Alarms:
    """How often a detector's score lies above 1 on normal maps, where `wanted` was asked for."""

    geometry: str
    mean_counts: float
    detector: str
    seed: int
    wanted: float
    realised: float
    noise: float = 1.0


@dataclass(frozen=True, slots=True)
class MapResult:
    """What came of one task."""

    rows: list[MapRow]
    alarms: list[Alarms]


Judge = Callable[[NDArray[np.float32]], tuple[Values, Cells]]
"""Scores (N,) one map of each element, and gives the cells (N, R, C) it would show."""


def measure_maps(
    tasks: list[MapTask], *, false_alarm_rate: float = 0.001, jobs: int = 1, progress: Progress = silent
) -> MapResult:
    """Measure every task, `jobs` at a time.

    Raises:
        ConfigError: an unknown geometry. TrainingError: an unknown kind of detector.

    """
    rows: list[MapRow] = []
    alarms: list[Alarms] = []
    work = partial(measure, false_alarm_rate=false_alarm_rate)
    for done, (_, result) in enumerate(spread(work, tasks, jobs), 1):
        rows += result.rows
        alarms += result.alarms
        progress("measuring map detectors", done, len(tasks))
    return MapResult(rows, alarms)


def measure(task: MapTask, false_alarm_rate: float = 0.001) -> MapResult:
    """Measure detectors at one count level: on elements that none of them was trained on."""
    kind_of = load_type(task.geometry)
    trained = {kind: train_on_simulation(kind, task, false_alarm_rate) for kind in task.kinds}
    noise = Noise(rows=task.noise)
    elements = elements_of(kind_of, task.maps, task.seed, drift=task.drift, noise=noise)
    rng = np.random.default_rng((task.seed, 2, round(100 * task.mean_counts)))
    earlier = elements.maps(task.mean_counts, task.history, rng)
    judges: dict[str, Judge] = {
        kind: partial(_scored, model, elements, _states(model, elements, earlier))
        for kind, model in trained.items()
    }
    judges |= _classical(task, elements, earlier, rng)
    expected = elements.expected(task.mean_counts, rng)
    normal = elements.drawn(expected, rng)
    usual = {name: judge(normal)[0] for name, judge in judges.items()}
    alarms = [
        Alarms(
            task.geometry,
            task.mean_counts,
            kind,
            task.seed,
            false_alarm_rate,
            float((usual[kind] > ALERT).mean()),
            task.noise,
        )
        for kind in trained
    ]
    rows: list[MapRow] = []
    precision = np.linalg.inv(correlation(elements.geometry, task.noise)) if task.noise > 1 else None
    for faulty in faulty_maps(kind_of, elements, task.mean_counts, rng, task.faults):
        places = faulty.places
        known, _ = places.log_ratio(normal, expected)
        seen, best = places.log_ratio(faulty.maps, faulty.expected)
        limit = auc(known, seen)
        if precision is not None:
            ratios = (
                places.correlated_ratio(m, e, precision)
                for m, e in ((normal, expected), (faulty.maps, faulty.expected))
            )
            limit = max(limit, auc(*ratios))
        for name, judge in judges.items():
            score, shown = judge(faulty.maps)
            rows.append(_row(task, faulty, name, (usual[name], score), shown, limit))
        rows.append(_row(task, faulty, LIMIT, (known, seen), places.cells_at(best), limit))
    return MapResult(rows, alarms)


def _row(
    task: MapTask, faulty: Faulty, detector: str, scores: tuple[Values, Values], shown: Cells, limit: float
) -> MapRow:
    found, iou = localisation(shown, faulty.cells)
    return MapRow(
        geometry=task.geometry,
        fault=faulty.places.recipe.kind,
        strength=faulty.places.strength,
        mean_counts=task.mean_counts,
        n_maps=task.maps,
        detector=detector,
        seed=task.seed,
        auc=auc(*scores),
        fdr_at_99=fdr_at_99(*scores),
        true_cells_highlighted=found,
        iou=iou,
        limit_auc=limit,
        history=task.history,
        drift=task.drift,
        noise=task.noise,
    )


def train_on_simulation(kind: str, task: MapTask, false_alarm_rate: float) -> Model:
    """Train a detector on the simulated training elements of a task: none of those it is measured on."""
    training = training_set(load_type(task.geometry), task.seed, drift=task.drift)
    return train_model(
        training,
        kind=kind,
        parameters={},
        false_alarms=AlertRate(false_alarm_rate),
        seed=task.seed,
        code_version="",
        created=0.0,
    )


def _states(model: Model, elements: Elements, earlier: NDArray[np.float32]) -> list[State]:
    """Stream each element's earlier maps: what the detector then remembers of it."""
    states: list[State] = []
    if not earlier.shape[1]:
        return [{} for _ in earlier]
    times = np.arange(earlier.shape[1], dtype=np.float64) * LUMISECTION_S
    for chunk in _chunks(len(earlier)):
        # Each has a luminosity of its own, so that no two are of the same time.
        windows = [
            SeriesWindow(name_of(elements.geometry, k), times + k * _APART_S, earlier[k]) for k in chunk
        ]
        states += [scores.state for scores in model.score(windows)]
    return states


def _scored(
    model: Model, elements: Elements, states: list[State], maps: NDArray[np.float32]
) -> tuple[Values, Cells]:
    scores = np.empty(len(maps))
    shown = np.zeros(maps.shape, dtype=np.bool_)
    time = np.array([1e9])
    for chunk in _chunks(len(maps)):
        windows = [
            SeriesWindow(name_of(elements.geometry, k), time + k * _APART_S, maps[k : k + 1], states[k])
            for k in chunk
        ]
        for k, result in zip(chunk, model.score(windows), strict=True):
            scores[k] = result.score[0]
            shown[k] = highlighted(result.contribution[0])
    return scores, shown


def _classical(
    task: MapTask, elements: Elements, earlier: NDArray[np.float32], rng: np.random.Generator
) -> dict[str, Judge]:
    """Each classical test alone, and all behind one alarm, against the sum of the element's earlier maps.

    Without any the reference is the mean of the training elements. "any" takes the test whose value is the
    rarest among normal maps of other elements at the same counts: it pays for all of them.
    """
    kind_of = load_type(task.geometry)
    others = elements_of(
        kind_of, _PRICED, task.seed, drift=task.drift, held_out=False, noise=Noise(rows=task.noise)
    )
    names = tests_of(elements.geometry)
    if earlier.shape[1]:
        reference = np.nan_to_num(earlier).sum(1, dtype=np.float64)
        theirs = np.nan_to_num(others.maps(task.mean_counts, task.history, rng)).sum(1, dtype=np.float64)
    else:
        mean = others.shapes.mean(0) * 1e6
        reference = np.broadcast_to(mean, (task.maps, *mean.shape))
        theirs = np.broadcast_to(mean, (_PRICED, *mean.shape))
    normal = others.drawn(others.expected(task.mean_counts, rng), rng)
    ranked = {name: np.sort(TESTS[name](_beside(elements, normal, theirs)).value) for name in names}

    def alone(name: str, maps: NDArray[np.float32]) -> tuple[Values, Cells]:
        found = TESTS[name](_beside(elements, maps, reference))
        return found.value, _highlighted(found.cells)

    def together(maps: NDArray[np.float32]) -> tuple[Values, Cells]:
        found = {name: TESTS[name](_beside(elements, maps, reference)) for name in names}
        rarity = np.stack([_rarity(found[name].value, ranked[name]) for name in names])
        leading = rarity.argmax(0)
        cells = np.stack([found[name].cells for name in names])[leading, np.arange(len(maps))]
        return rarity.max(0), _highlighted(cells)

    return {name: partial(alone, name) for name in names} | {ANY: together}


def _rarity(values: Values, ranked: Values) -> Values:
    """Say how rare values are among `ranked` normal ones; beyond the largest by how far they lie beyond."""
    above = len(ranked) - np.searchsorted(ranked, values, side="left")
    width = max(float(ranked[-1] - np.median(ranked)), 1e-9)
    beyond = np.maximum(values - ranked[-1], 0) / width
    return np.asarray(-np.log((above + 0.5) / len(ranked)) + beyond)


def _beside(elements: Elements, maps: NDArray[np.float32], reference: Values) -> Beside:
    mask = np.broadcast_to(elements.geometry.mask(), maps.shape)
    return Beside(np.nan_to_num(maps).astype(np.float64), reference, mask, elements.geometry)


def _highlighted(cells: Values) -> Cells:
    top = cells.max((1, 2), keepdims=True)
    shown: Cells = (cells >= 0.5 * top) & (cells > 0)
    return shown


def _chunks(n: int) -> Iterator[range]:
    for start in range(0, n, _CHUNK):
        yield range(start, min(start + _CHUNK, n))
