"""Losses that sisters share: the sums over the rows of each unit, beside what is smooth along it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.neighbours.evidence import Cells, ClassEvidence, Overdispersed
from anomalyd.detectors.maps.neighbours.matched_filter import Doubles, Filtered, MatchedFilter, nuisance

Counts = NDArray[np.float32]

_WIDTHS = (3, 4, 6, 8, 11, 15, 20, 28)
_LENGTHS = (3, 4, 5, 6, 8, 10, 12, 14)
_POSITIONS = 24
"""Smooth dips are squared cosines, so many twenty-fourths of a row wide at half their depth."""

_LEAST_CELLS = 12  # a shorter row is its own edge

DISPERSION, _DISPERSION_WORTH = 1.6, 60.0
"""Variance over Poisson's of sums over four sister layers, and how many cells this guess is worth."""

_CALMEST, _WILDEST = 0.8, 6.0

_CORRELATIONS = ((1.25, 0.0), (1.6, 0.1), (np.inf, 0.2))
"""Correlation of neighbouring sums up to a dispersion: both come from tracks, some of them slanted."""

_UNIT_GAIN = 1.5
"""How the noise of a whole unit goes with that of the sums over its columns."""

_IQR_TO_SIGMA = 1.349

STRANGE_RATIO = 0.15
"""How far the ratio of units differs between healthy elements where nothing is known of their kind."""

_ALIKE = 3  # cells by which the rows of elements of one kind may differ in length


@dataclass(frozen=True, slots=True)
class _Templates:
    """Templates along a row of `columns` cells: `runs` with their (first, stop), and smooth `dips`."""

    shapes: Doubles
    runs: tuple[tuple[int, int], ...]

    def inside(self, k: int) -> NDArray[np.bool_]:
        """Say which cells lose at least half of what the deepest does."""
        return np.asarray(self.shapes[k] >= 0.5)


@lru_cache(maxsize=64)
def _templates(columns: int) -> _Templates:
    runs: list[tuple[int, int]] = []
    for width in (w for w in _WIDTHS if w <= columns // 2):
        starts = sorted({*range(0, columns - width + 1, max(1, width // 4)), columns - width})
        runs += [(s, s + width) for s in starts]
    shapes = [np.where((np.arange(columns) >= a) & (np.arange(columns) < b), 1.0, 0.0) for a, b in runs]
    at = (np.arange(columns) + 0.5) * _POSITIONS / columns
    for length in _LENGTHS:
        for centre in np.arange(0, _POSITIONS + 0.5, max(0.5, length / 6)):
            away = np.abs(at - centre) / length
            shapes.append(np.where(away < 1, np.cos(away * np.pi / 2) ** 2, 0.0))
    return _Templates(np.stack(shapes), tuple(runs))


@lru_cache(maxsize=256)
def _filter(
    profile: tuple[float, ...], spread: tuple[float, ...] | None, correlation: float
) -> MatchedFilter:
    columns = len(profile)
    shapes = nuisance(columns, None if spread is None else np.array(spread))
    return MatchedFilter(np.array(profile), shapes, _templates(columns).shapes, correlation)


@dataclass(frozen=True, slots=True)
class UnitProfiles:
    """What the sums over each unit of healthy elements look like along it.

    `profiles`: of each unit (columns,), mean 1; `spreads`: how far elements differ from it in each Legendre
    polynomial, None: as `LEAST_SPREAD`; `ratios`, `ratio_spread`: median logarithm of each unit's mean over
    that of the others, and its spread between elements.
    """

    profiles: tuple[tuple[float, ...], ...]
    spreads: tuple[tuple[float, ...] | None, ...]
    ratios: tuple[float, ...]
    ratio_spread: float

    @classmethod
    def flat(cls, geometry: Geometry, ratio_spread: float) -> UnitProfiles:
        """Give those of elements that nothing is known of."""
        widths = [max(geometry.widths[u.start : u.stop]) for u in geometry.units]
        return cls(
            tuple((1.0,) * w for w in widths),
            (None,) * len(widths),
            (0.0,) * len(widths),
            ratio_spread,
        )

    def fitted(self, geometry: Geometry) -> UnitProfiles:
        """Give them for an element whose rows are longer or shorter than those they were learnt of.

        A few cells more or less are stretched; of another kind of element nothing is known.
        """
        widths = [max(geometry.widths[u.start : u.stop]) for u in geometry.units]
        if [len(p) for p in self.profiles] == widths:
            return self
        if len(self.profiles) != len(widths) or any(
            abs(len(p) - w) > _ALIKE for p, w in zip(self.profiles, widths, strict=True)
        ):
            return UnitProfiles.flat(geometry, STRANGE_RATIO)
        return replace(self, profiles=tuple(map(_stretched, self.profiles, widths)))


@lru_cache(maxsize=256)
def _stretched(profile: tuple[float, ...], width: int) -> tuple[float, ...]:
    at = (np.arange(width) + 0.5) / width
    found = np.interp(at, (np.arange(len(profile)) + 0.5) / len(profile), profile)
    return tuple((found / found.mean()).tolist())


def unit_sums(counts: Counts, geometry: Geometry) -> list[Doubles]:
    """Sum cleaned maps (N, R, C) over the rows of each unit: (N, columns) each, as if no row were ragged."""
    mask = geometry.mask()
    found = []
    for unit in geometry.units:
        rows = slice(unit.start, unit.stop)
        columns = max(geometry.widths[rows])
        cells = mask[rows, :columns].sum(0)
        sums = counts[:, rows, :columns].sum(1, dtype=np.float64)
        found.append(sums * (len(mask[rows]) / np.maximum(cells, 1)))
    return found


def unit_noise(
    sums: Sequence[Doubles], usual: UnitProfiles, known: Overdispersed | None = None
) -> tuple[Overdispersed, Doubles]:
    """Measure how wide the `sums` along the units of maps scatter.

    Gives what these maps say, and their overdispersion (N,) together with what is usual and what is `known`
    from the element's earlier maps.
    """
    long = [k for k, s in enumerate(sums) if s.shape[1] >= _LEAST_CELLS]
    n = len(sums[0])
    noise = Overdispersed(np.ones(n), np.zeros(n))
    if long:
        noise = _overdispersion([(sums[k], _level(sums[k], usual, k), usual, k) for k in long])
    worth = noise.worth + _DISPERSION_WORTH
    value = noise.value * noise.worth + DISPERSION * _DISPERSION_WORTH
    if known is not None:
        worth, value = worth + known.worth, value + known.value * known.worth
    return noise, np.clip(value / worth, _CALMEST, _WILDEST)


def wide_evidence(
    sums: Sequence[Doubles], geometry: Geometry, usual: UnitProfiles, dispersion: Doubles
) -> list[ClassEvidence]:
    """Look for losses and excesses along the units of maps, given their `sums` and overdispersion (N,).

    Classes: "wide" and "wide hot" (runs in one unit, or in all of one view), "bump" (smooth losses in a
    unit), "bump all" and "bump all hot" (in all units).
    """
    filtered = {
        k: _filtered(s, _level(s, usual, k), dispersion, usual, k)
        for k, s in enumerate(sums)
        if s.shape[1] >= _LEAST_CELLS
    }
    return _classes(filtered, geometry) if filtered else []


def _level(sums: Doubles, usual: UnitProfiles, k: int) -> Doubles:
    return np.asarray(np.median(sums / np.array(usual.profiles[k]), axis=1))


def _overdispersion(units: list[tuple[Doubles, Doubles, UnitProfiles, int]]) -> Overdispersed:
    """Measure it by the middle half of the residuals: a fault in the outer ones does not count."""
    total, worth = np.zeros(len(units[0][0])), np.zeros(len(units[0][0]))
    for sums, level, usual, k in units:
        found = _filter(usual.profiles[k], usual.spreads[k], 0.0)(sums, level, np.full(len(sums), DISPERSION))
        low, high = np.quantile(found.residual, (0.25, 0.75), axis=1)
        value = ((high - low) / _IQR_TO_SIGMA) ** 2 * found.residual.shape[1] / found.freedom
        total += value * found.freedom
        worth += found.freedom
    # The quartiles tell as much as a third of the cells would.
    return Overdispersed(total / worth, worth / 3)


def _filtered(sums: Doubles, level: Doubles, dispersion: Doubles, usual: UnitProfiles, k: int) -> Filtered:
    """Filter each map with the correlation that goes with its dispersion."""
    parts: list[tuple[NDArray[np.int64], Filtered]] = []
    below = 0.0
    for most, correlation in _CORRELATIONS:
        some = np.flatnonzero((dispersion >= below) & (dispersion < most))
        below = most
        if len(some):
            run = _filter(usual.profiles[k], usual.spreads[k], correlation)
            parts.append((some, run(sums[some], level[some], dispersion[some])))
    if len(parts) == 1:
        return parts[0][1]
    order = np.argsort(np.concatenate([some for some, _ in parts]), kind="stable")
    pull, worth, residual, freedom = (
        np.concatenate([getattr(f, name) for _, f in parts])[order]
        for name in ("pull", "worth", "residual", "freedom")
    )
    return Filtered(pull, worth, residual, freedom)


@dataclass(frozen=True, slots=True)
class _Group:
    """Templates at the same place in `units`: `pull`, `worth` (N, K); `first`: the number of the first one.

    `first` below 0: those of each unit that come after its runs.
    """

    units: tuple[int, ...]
    pull: Doubles
    worth: Doubles
    first: int = 0


def _summed(parts: Sequence[_Group], units: tuple[int, ...], first: int) -> _Group:
    pull, worth = parts[0].pull, parts[0].worth
    for part in parts[1:]:
        pull, worth = pull + part.pull, worth + part.worth
    return _Group(units, pull, worth, first)


def _classes(filtered: dict[int, Filtered], geometry: Geometry) -> list[ClassEvidence]:
    """Take the likeliest template of each class."""
    units = {k: _templates(f.residual.shape[1]) for k, f in filtered.items()}
    split = {k: len(t.runs) for k, t in units.items()}
    runs = {k: _Group((k,), f.pull[:, : split[k]], f.worth[:, : split[k]]) for k, f in filtered.items()}
    dips = [
        _Group((k,), f.pull[:, split[k] :], f.worth[:, split[k] :], split[k]) for k, f in filtered.items()
    ]
    places = list(runs.values())
    for view in dict.fromkeys(u.view for u in geometry.units):
        alike = tuple(k for k in filtered if geometry.units[k].view == view)
        if view and len(alike) > 1 and len({units[k].shapes.shape for k in alike}) == 1:
            places.append(_summed([runs[k] for k in alike], alike, 0))
    found = [_best("wide", places, units, geometry, lost=True), _best("wide hot", places, units, geometry)]
    found.append(_best("bump", dips, units, geometry, lost=True))
    if len(dips) > 1:
        every = [_summed(dips, tuple(filtered), -1)]
        found += [
            _best("bump all", every, units, geometry, lost=True),
            _best("bump all hot", every, units, geometry),
        ]
    return found


def _best(
    name: str,
    places: Sequence[_Group],
    units: dict[int, _Templates],
    geometry: Geometry,
    *,
    lost: bool = False,
) -> ClassEvidence:
    nats = np.concatenate(
        [np.where((p.pull < 0) == lost, p.pull**2 / (2 * p.worth), 0.0) for p in places], axis=1
    ) - np.log(sum(p.pull.shape[1] for p in places))
    best = nats.argmax(1)
    starts = np.concatenate([[0], np.cumsum([p.pull.shape[1] for p in places])])

    def cells(i: int) -> Cells:
        which = int(np.searchsorted(starts, best[i], side="right")) - 1
        group, first = places[which].units, places[which].first
        k = int(best[i] - starts[which])
        found = np.zeros(geometry.shape, dtype=np.bool_)
        for unit in group:
            rows = geometry.units[unit]
            template = k + (len(units[unit].runs) if first < 0 else first)
            inside = units[unit].inside(template)
            found[rows.start : rows.stop, : len(inside)] = inside
        return found & geometry.mask()

    return ClassEvidence(name, nats[np.arange(len(nats)), best], np.full(len(nats), lost), cells)


def ratio_evidence(
    sums: Sequence[Doubles], geometry: Geometry, usual: UnitProfiles, dispersion: Doubles
) -> list[ClassEvidence]:
    """Compare each unit of maps with the other units of its element: the class "ratio" and "ratio hot"."""
    if len(sums) < 2:
        return []
    totals = np.stack([np.maximum(s.sum(1), 0.5) for s in sums], axis=1)
    logs = unit_ratios(totals / np.array([s.shape[1] for s in sums])) - np.array(usual.ratios)
    rest = totals.sum(1, keepdims=True) - totals
    # The tracks of neighbouring cells add to what the sum of one column shows.
    wider = 1 + _UNIT_GAIN * np.maximum(dispersion - 1, 0)
    noise = wider[:, None] * (1 / totals + 1 / rest)
    pull = logs / np.sqrt(noise + usual.ratio_spread**2)
    found = []
    for name, lost in (("ratio", True), ("ratio hot", False)):
        nats = np.where((pull < 0) == lost, pull**2 / 2, 0.0) - np.log(len(sums))
        best = nats.argmax(1)

        def cells(i: int, best: NDArray[np.int64] = best) -> Cells:
            inside = np.zeros(geometry.shape, dtype=np.bool_)
            unit = geometry.units[int(best[i])]
            inside[unit.start : unit.stop] = True
            return inside & geometry.mask()

        found.append(ClassEvidence(name, nats[np.arange(len(nats)), best], np.full(len(nats), lost), cells))
    return found


def unit_ratios(means: Doubles) -> Doubles:
    """Give the logarithm (N, U) of each unit's mean over the mean of the other units, of means (N, U)."""
    if means.shape[1] < 2:
        return np.zeros_like(means)
    others = (means.sum(1, keepdims=True) - means) / (means.shape[1] - 1)
    return np.asarray(np.log(np.maximum(means, 1e-6) / np.maximum(others, 1e-6)))
