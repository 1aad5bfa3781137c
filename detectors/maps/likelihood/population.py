"""What an element's map looks like before it has a history: what others of its shape look like."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import TrainingSet
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.likelihood.layouts import layout_of
from anomalyd.detectors.maps.likelihood.overdispersion import FAR_OUT, measure_spread
from anomalyd.detectors.maps.likelihood.places import Counts, Places
from anomalyd.errors import ModelDamaged

Shape = tuple[int, int]

_STRANGER_SPREAD = 0.25
"""How far an element strays from a profile that was never measured on its like: a cautious guess."""

_LEAST_SPREAD = 0.003  # nothing was ever measured to move less

_BLOCK = 20.0
"""Cells of a block on whose scale a profile's error is turned into counts that it is worth."""

_MOST_MAPS = 400  # maps of a shape on which the spreads are measured


@dataclass(frozen=True, slots=True)
class Population:
    """Elements of one shape (R, C).

    `profile` (R, C): their mean rates, in counts that they are worth where a single cell is looked at.
    `stray` (K,): relative spread of the elements about it for each kind of place; `drift` (K,): spread of an
    element's maps about its own history.
    """

    profile: Counts
    stray: NDArray[np.float32]
    drift: NDArray[np.float32]


def learn_populations(training: TrainingSet) -> dict[Shape, Population]:
    """Learn the population of every shape in the training set."""
    by_shape: dict[Shape, list[str]] = {}
    for entity, series in training.series.items():
        if series.values.ndim == 3 and len(series.values):
            by_shape.setdefault((series.values.shape[1], series.values.shape[2]), []).append(entity)
    return {shape: _learn(training, names, shape) for shape, names in by_shape.items()}


def stranger(entity: str, shape: Shape, geometries: tuple[Geometry, ...] = ()) -> Population:
    """Give the population of a shape that nothing is known of: flat, and not worth much."""
    kinds = len(layout_of(entity, shape, geometries).names)
    return Population(
        np.full(shape, _worth(_STRANGER_SPREAD), dtype=np.float32),
        np.full(kinds, _STRANGER_SPREAD, dtype=np.float32),
        np.full(kinds, _LEAST_SPREAD, dtype=np.float32),
    )


def _learn(training: TrainingSet, names: list[str], shape: Shape) -> Population:
    maps = [np.nan_to_num(training.series[n].values) for n in names]
    rates = np.stack([_rate(m) for m in maps])
    places = layout_of(names[0], shape, training.geometries)
    # The last map of each element against all its others: those are its history.
    each = max(1, _MOST_MAPS // len(names))
    tested = [(k, m[t]) for k, m in enumerate(maps) for t in range(max(0, len(m) - each), len(m))]
    counts = np.stack([m for _, m in tested]).astype(np.float32)
    sums = np.stack([m.sum(0) for m in maps]).astype(np.float32)
    owner = np.array([k for k, _ in tested])
    drift = measure_spread(counts, sums[owner] - counts, places)
    if len(names) > 1:
        # Worth a million counts: only the stray is left of its error.
        others = (rates.sum(0) - rates)[owner] / (len(names) - 1) * 1e6
        stray = measure_spread(counts, others.astype(np.float32), places, FAR_OUT)
    else:
        stray = np.full(len(places.names), _STRANGER_SPREAD, dtype=np.float32)
    drift = np.maximum(drift, _LEAST_SPREAD)
    stray = np.maximum(_nested(stray, places), drift)
    profile = rates.mean(0) * _worth(float(np.median(stray)))
    return Population(profile.astype(np.float32), stray, drift.astype(np.float32))


def restrayed(population: Population, pairs: list[tuple[Counts, Counts]], places: Places) -> Population:
    """Measure the stray anew, about another expectation: `pairs` of maps (N, R, C) and what was expected."""
    counts, expected = (np.concatenate(x) for x in zip(*pairs, strict=True))
    some = slice(None, None, -(-len(counts) // _MOST_MAPS))
    counts, expected = counts[some], expected[some]
    certain = (expected * np.float32(1e4)).astype(np.float32)
    stray = measure_spread(counts.astype(np.float32), certain, places, FAR_OUT)
    stray = np.maximum(_nested(stray, places), population.drift)
    profile = population.profile / population.profile.mean() * _worth(float(np.median(stray)))
    return Population(profile.astype(np.float32), stray, population.drift)


def _nested(stray: NDArray[np.float32], places: Places) -> NDArray[np.float32]:
    """Let no kind of places stray less than the larger ones: what moves a whole moves its parts."""
    order = np.argsort(-places.sizes(), kind="stable")
    found = stray.copy()
    found[order] = np.maximum.accumulate(stray[order])
    return found


def _worth(stray: float) -> float:
    """Say how many counts of a cell tell as much as a profile that strays so far over a block of cells."""
    return 1 / (_BLOCK * stray**2)


def _rate(maps: Counts) -> NDArray[np.float64]:
    """Relative rate (R, C) of each cell in maps (T, R, C), mean 1 over the cells that ever counted."""
    total = maps.sum(0, dtype=np.float64)
    living = total > 0
    rate: NDArray[np.float64] = total / total[living].mean() if living.any() else total
    return rate


def tensors_of(populations: Mapping[Shape, Population]) -> dict[str, Tensor]:
    """Write populations as tensors."""
    found: dict[str, Tensor] = {}
    for (rows, columns), p in populations.items():
        name = f"population.{rows}x{columns}"
        for part, array in (("profile", p.profile), ("stray", p.stray), ("drift", p.drift)):
            found[f"{name}.{part}"] = torch.from_numpy(array.astype(np.float32))
    return found


def populations_from(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[Shape, Population]:
    """Read populations from tensors; `config["shapes"]` lists their shapes.

    Raises:
        ModelDamaged: they do not fit together.

    """
    found: dict[Shape, Population] = {}
    try:
        for rows, columns in config["shapes"]:
            name = f"population.{rows}x{columns}"
            profile, stray, drift = (
                tensors[f"{name}.{part}"].numpy() for part in ("profile", "stray", "drift")
            )
            if profile.shape != (rows, columns) or stray.shape != drift.shape:
                raise ModelDamaged(f"{name}: a profile {profile.shape}; train again")
            found[rows, columns] = Population(profile, stray, drift)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ModelDamaged(f"populations: {error!r}; train again") from error
    return found
