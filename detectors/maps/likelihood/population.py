"""What elements of one shape look like and how far they move, whatever element it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.polynomial import legendre
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import TrainingSet
from anomalyd.detectors.maps.geometries.known import geometry_like, widths_of
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.likelihood.nearest_maps import NearestMaps, WrittenNearest
from anomalyd.detectors.maps.likelihood.overdispersion import (
    FAR_OUT,
    measure_gain,
    measure_noise,
    measure_spread,
)
from anomalyd.detectors.maps.neighbours.cleaning import clean
from anomalyd.detectors.maps.neighbours.evidence import FREE, Price, price_of
from anomalyd.detectors.maps.neighbours.local import judges_alone, local_evidence
from anomalyd.detectors.maps.neighbours.matched_filter import ORDERS
from anomalyd.detectors.maps.neighbours.wide import STRANGE_RATIO, UnitProfiles, unit_ratios, unit_sums
from anomalyd.detectors.maps.places.layouts import places_of
from anomalyd.detectors.maps.places.places import Counts, Places
from anomalyd.errors import ModelDamaged

Shape = tuple[int, int]

STRANGER_SPREAD = 0.25
"""How far an element strays from a profile that was never measured on its like: a cautious guess."""

_LEAST_SPREAD = 0.003  # nothing was ever measured to move less

_BLOCK = 20.0
"""Cells of a block on whose scale a profile's error is turned into counts that it is worth."""

_MOST_MAPS = 400  # maps of a shape on which the spreads are measured

_RATIO_SPREAD = 0.015
"""How far the ratio of units differs between healthy elements at least."""

_MAD_TO_SIGMA = 1.4826

_USUAL_MAPS = 100.0
"""Maps that the usual prices are worth beside those that were measured."""

_CALM = 1.0


@dataclass(frozen=True, slots=True)
class Population:
    """Elements of one shape (R, C).

    `profile` (R, C): their mean rates, in counts that they are worth where a single cell is looked at.
    `stray` (K,): relative spread of the elements about it for each kind of place; `drift` (K,): spread of an
    element's maps about its own history; `gain` (K,): how the noise of a kind goes with the element's;
    `dispersion`: the usual noise of an element. `units`: what the sums along the units look like, of rows
    with sisters; `prices`: what normal maps reach in each class of local evidence. `known`: whether it was
    trained. `nearest`: training maps to compare with, of plain histograms that have many.
    """

    profile: Counts
    stray: NDArray[np.float32]
    drift: NDArray[np.float32]
    gain: NDArray[np.float32]
    dispersion: float
    units: UnitProfiles | None
    prices: Mapping[str, Price]
    known: bool = True
    nearest: tuple[NearestMaps, ...] = ()

    def nearest_of(self, entity: str) -> NearestMaps | None:
        """Give the training maps that an element's maps are compared with, None if there are not enough."""
        return next((n for n in self.nearest if n.knows(entity)), None)


class _Written(msgspec.Struct, forbid_unknown_fields=True):
    """What stands of a population in a model's configuration."""

    shape: tuple[int, int]
    dispersion: float
    units: UnitProfiles | None
    prices: dict[str, Price]
    nearest: list[WrittenNearest] = []


def learn_populations(training: TrainingSet) -> dict[Shape, Population]:
    """Learn the population of every shape in the training set."""
    return {shape: _learn(training, names, shape) for shape, names in _by_shape(training).items()}


def _by_shape(training: TrainingSet) -> dict[Shape, list[str]]:
    by_shape: dict[Shape, list[str]] = {}
    for entity, series in training.series.items():
        if series.values.ndim == 3 and len(series.values):
            by_shape.setdefault((series.values.shape[1], series.values.shape[2]), []).append(entity)
    return by_shape


def stranger(geometry: Geometry) -> Population:
    """Give the population of a shape that nothing is known of: flat, and not worth much."""
    places = places_of(geometry)
    kinds = len(places.names)
    return Population(
        np.full(geometry.shape, _worth(STRANGER_SPREAD), dtype=np.float32),
        np.full(kinds, STRANGER_SPREAD, dtype=np.float32),
        np.full(kinds, _LEAST_SPREAD, dtype=np.float32),
        np.array(places.gains, dtype=np.float32),
        _CALM,
        UnitProfiles.flat(geometry, STRANGE_RATIO) if geometry.units else None,
        {},
        known=False,
    )


def _learn(training: TrainingSet, names: list[str], shape: Shape) -> Population:
    raw = [training.series[n].values for n in names]
    geometry = geometry_like(names[0], widths_of(raw[0]), shape[1], training.geometries)
    places = places_of(geometry)
    maps = [np.nan_to_num(m) for m in raw]
    owner, counts = _some_maps(maps)
    sums = np.stack([m.sum(0) for m in maps]).astype(np.float32)[owner] - counts
    dispersion = np.ones(len(maps))
    if judges_alone(geometry):  # of a plain histogram noise and a shape that moves cannot be told apart
        dispersion = _dispersion_of(counts, sums, owner, len(maps), geometry)
    gain = measure_gain(counts, sums, places, dispersion[owner])
    noise = (1 + gain * np.maximum(dispersion[owner, None] - 1, 0)).astype(np.float32)
    drift = np.maximum(measure_spread(counts, sums, places, noise=noise), _LEAST_SPREAD)
    rates = np.stack([_rate(m) for m in maps])
    stray = np.full(len(places.names), STRANGER_SPREAD, dtype=np.float32)
    if len(names) > 1:
        # Worth a million counts: only the stray is left of its error.
        others = (rates.sum(0) - rates)[owner] / (len(names) - 1) * 1e6
        stray = measure_spread(counts, others.astype(np.float32), places, FAR_OUT, noise)
    stray = np.maximum(_nested(stray, places), drift)
    found = Population(
        profile=(rates.mean(0) * _worth(float(np.median(stray)))).astype(np.float32),
        stray=stray,
        drift=drift.astype(np.float32),
        gain=gain,
        dispersion=float(np.median(dispersion)),
        units=_unit_profiles(raw, geometry) if geometry.units else None,
        prices={},
    )
    found = replace(found, nearest=() if judges_alone(geometry) else _nearest_of(training, names, shape))
    return replace(found, prices=_prices(raw, owner, geometry, found))


def _nearest_of(training: TrainingSet, names: list[str], shape: Shape) -> tuple[NearestMaps, ...]:
    return NearestMaps.learn({n: training.series[n] for n in names}, shape)


def with_all_maps(populations: Mapping[Shape, Population], training: TrainingSet) -> dict[Shape, Population]:
    """Let populations compare with all training maps (`Population.nearest`), nothing else being changed."""
    found = dict(populations)
    for shape, names in _by_shape(training).items():
        if shape in found and found[shape].nearest:
            found[shape] = replace(found[shape], nearest=_nearest_of(training, names, shape))
    return found


def _some_maps(maps: list[Counts]) -> tuple[NDArray[np.int64], Counts]:
    """Take the last maps of each element: (N,) whose they are, (N, R, C)."""
    each = max(1, _MOST_MAPS // len(maps))
    taken = [m[-each:] for m in maps][:_MOST_MAPS]
    owner = np.repeat(np.arange(len(taken)), [len(m) for m in taken])
    return owner, np.concatenate(taken).astype(np.float32)


def _dispersion_of(
    counts: Counts, sums: Counts, owner: NDArray[np.int64], elements: int, geometry: Geometry
) -> NDArray[np.float64]:
    """Measure the noise of each element (E,), each map beside all others of it; 1 where it has no other."""
    noise = measure_noise(counts, sums, geometry)
    worth = np.bincount(owner, noise.worth, elements)
    value = np.bincount(owner, noise.worth * noise.value, elements)
    found: NDArray[np.float64] = np.divide(value, worth, out=np.ones(elements), where=worth > 0)
    return np.maximum(found, 0.8)


def _unit_profiles(maps: list[Counts], geometry: Geometry) -> UnitProfiles:
    """Learn what the sums along each unit look like: mean, and how far elements differ from it."""
    shapes: list[list[NDArray[np.float64]]] = [[] for _ in geometry.units]
    means: list[NDArray[np.float64]] = []
    for own in maps:
        total = np.where(np.isfinite(own).any(0), np.nansum(own, axis=0), np.nan)[None].astype(np.float32)
        sums = unit_sums(clean(total, geometry).counts, geometry)
        if min(float(s.mean()) for s in sums) < 1:
            continue  # as good as empty
        means.append(np.array([float(s.mean()) for s in sums]))
        for k, s in enumerate(sums):
            shapes[k].append(s[0] / s.mean())
    if len(means) < 2:
        return UnitProfiles.flat(geometry, STRANGE_RATIO)
    ratios = unit_ratios(np.stack(means))
    middle = np.median(ratios, axis=0)
    spread = _MAD_TO_SIGMA * float(np.median(np.abs(ratios - middle)))
    profiles, spreads = zip(*(_profile(np.stack(s)) for s in shapes), strict=True)
    # Few elements tell the spread badly: it is widened by its own error.
    wide = max(spread, _RATIO_SPREAD) * float(1 + 1 / np.sqrt(len(means)))
    return UnitProfiles(profiles, spreads, tuple(middle.tolist()), wide)


def _profile(shapes: NDArray[np.float64]) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Give the median shape (C,) of elements (E, C), and the spread of each Legendre polynomial about it."""
    middle = np.maximum(np.median(shapes, axis=0), 0.05)
    middle /= middle.mean()
    x = (np.arange(len(middle)) + 0.5) / len(middle) * 2 - 1
    polynomials = legendre.legvander(x, ORDERS - 1)
    parts, *_ = np.linalg.lstsq(polynomials, (shapes / middle).T, rcond=None)
    parts[0] -= 1
    spread = _MAD_TO_SIGMA * np.median(np.abs(parts), axis=1)
    return tuple(np.round(middle, 4).tolist()), tuple(np.round(spread, 4).tolist())


def _prices(
    maps: list[Counts], owner: NDArray[np.int64], geometry: Geometry, population: Population
) -> dict[str, Price]:
    """Measure what normal maps reach in each class of local evidence, by themselves."""
    counts = np.bincount(owner, minlength=len(maps))
    some = np.concatenate([m[-n:] for m, n in zip(maps, counts, strict=False) if n]).astype(np.float32)
    found = local_evidence(some, geometry, population.units, population.profile)
    if found is None:
        return {}
    share = len(some) / (len(some) + _USUAL_MAPS)
    prices = {}
    for c in found.classes:
        own = price_of(c.nats)
        prices[c.name] = Price(
            share * own.bulk + (1 - share) * FREE.bulk,
            share * own.slope + (1 - share) * FREE.slope,
        )
    return prices


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


_ARRAYS = ("profile", "stray", "drift", "gain")


def tensors_of(populations: Mapping[Shape, Population]) -> dict[str, Tensor]:
    """Write the arrays of populations as tensors."""
    found: dict[str, NDArray[Any]] = {}
    for (rows, columns), p in populations.items():
        name = f"population.{rows}x{columns}"
        found |= {f"{name}.{part}": getattr(p, part).astype(np.float32) for part in _ARRAYS}
        for k, near in enumerate(p.nearest):
            found |= {f"{name}.nearest.{k}.{part}": array for part, array in near.arrays().items()}
    return {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in found.items()}


def config_of(populations: Mapping[Shape, Population]) -> list[dict[str, Any]]:
    """Write everything else of populations, for JSON."""
    return [
        {
            "shape": list(shape),
            "dispersion": p.dispersion,
            "units": None if p.units is None else asdict(p.units),
            "prices": {name: asdict(price) for name, price in p.prices.items()},
            **({"nearest": [n.written() for n in p.nearest]} if p.nearest else {}),
        }
        for shape, p in populations.items()
    ]


def populations_from(tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> dict[Shape, Population]:
    """Read populations from tensors and `config["populations"]`.

    Raises:
        ModelDamaged: they do not fit together.

    """
    found: dict[Shape, Population] = {}
    try:
        for written in msgspec.convert(config["populations"], list[_Written]):
            rows, columns = written.shape
            name = f"population.{rows}x{columns}"
            profile, stray, drift, gain = (tensors[f"{name}.{part}"].numpy() for part in _ARRAYS)
            if profile.shape != written.shape or not stray.shape == drift.shape == gain.shape:
                raise ModelDamaged(f"{name}: a profile {profile.shape}; train again")
            near = tuple(
                NearestMaps.restored(written.shape, tensors, f"{name}.nearest.{k}", each)
                for k, each in enumerate(written.nearest)
            )
            found[written.shape] = Population(
                profile, stray, drift, gain, written.dispersion, written.units, written.prices, nearest=near
            )
    except (KeyError, TypeError, ValueError, AttributeError, msgspec.ValidationError) as error:
        raise ModelDamaged(f"populations: {error!r}; train again") from error
    return found
