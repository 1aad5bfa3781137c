"""Faults that lie in no one place: weak and wide, scattered, alternating, waves along a unit, exchanges.

Each class gives the logarithm of a likelihood ratio averaged over the sizes that the fault may have (a Bayes
factor), of a map beside the history of its element. Its mean over normal maps is 1, so that no class needs a
price, and all may stand behind one alarm.

Source: R. E. Kass and A. E. Raftery, "Bayes factors", J. Am. Stat. Assoc. 90 (1995) 773.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.history.memory import CellScatter
from anomalyd.detectors.maps.places.places import Cells, Counts

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

_PRIORS = {
    "units": 0.5,
    "halves": 0.035,
    "alternate": 0.0125,
    "waves": 0.0025,
    "scattered": 0.1,
    "uneven": 0.02,
}
"""Prior odds of each class, beside those of the places of the scan, which add up to 1.

A whole unit that is a few percent low is worth a few nats at most: behind one alarm it is seen only if it is
likely before. How halves of an element without units move is not remembered. A wave has the most forms, and
is seen with little.
"""

_UNEVEN = (0.04, 0.1, 0.25)
"""Relative spreads over cells of what is uneven without a pattern: exchanged cables, many damaged cells."""

_PATTERN = (0.03, 0.1, 0.3)
"""Relative sizes of a pattern: of what a unit loses, or a wave goes up and down."""

_WIDER = (0.02, 0.05, 0.1, 0.2, 0.4)
"""Logarithms by which the noise of all cells may be wider in a map than is usual of its element."""

_BROKEN, _EFFICIENCIES = (0.004, 0.02), (0.02, 0.5, 2.0)
"""Shares of the cells of a map with scattered broken ones, and what these count of what they should."""

_MOST_A_CELL = 1.5
"""Nats that a single cell may bring: one that is dead or hot is no fault by itself."""

_WAVES = (1, 2, 3, 4, 5, 6, 8)
"""Half periods of a wave along a unit."""

_FARTHEST = 4.0
"""Pulls beyond which a cell counts no further to a pattern: a single one is no pattern."""

_BLAMED = 4.0  # pull from which a cell of an uneven map is blamed as far as any

_STEADY = 0.003
"""How far a pattern from cell to cell moves without a fault (relative)."""

_LEAST = 1e-3


_CHUNK = 40_000
"""Cells that are worked on together, so that they stay in the processor's cache."""


@dataclass(frozen=True, slots=True)
class Patterns:
    """Patterns over the cells: `shapes` (P, R * C) from -1 to 1, and the logarithm of each one's prior (P,).

    Each pattern of a class is as likely as any other. `smooth` (P,): it goes along with
    what moves a whole unit; one from cell to cell does not.
    """

    shapes: Floats
    log_prior: Doubles
    smooth: Cells


@dataclass(frozen=True, slots=True)
class _Few:
    """A few maps (N, R * C): what each class says of them, and who is to blame by each.

    By patterns the `pattern`-th of the `shapes` (P, R * C), up or down by its `sign` (N,).
    """

    odds: Doubles
    leading: NDArray[np.int64]
    pull: Floats
    broken: Floats
    pattern: NDArray[np.int64]
    sign: Doubles
    shapes: Floats

    def cells(self, k: int) -> Floats:
        """Give the blame (R * C,) of map k by the likeliest class."""
        if self.leading[k] == 0:
            return np.asarray(np.clip(self.pull[k] / np.float32(_BLAMED), -1, 1))
        if self.leading[k] == 1:
            return np.asarray(self.broken[k] / (1 + self.broken[k]) * np.sign(self.pull[k]))
        return np.asarray(np.float32(self.sign[k]) * self.shapes[self.pattern[k]])


@dataclass(frozen=True, slots=True)
class DiffuseEvidence:
    """Log odds (N,) of a diffuse fault in each map, and who is to blame."""

    odds: Doubles
    parts: tuple[_Few, ...]
    shape: tuple[int, int]

    def cells(self, k: int) -> Floats:
        """Give the blame (R, C) of map k, from -1 to 1, below 0 where counts are lost."""
        each = len(self.parts[0].odds)
        return self.parts[k // each].cells(k % each).reshape(self.shape)


def diffuse_evidence(
    counts: Counts,
    reference: Counts,
    geometry: Geometry,
    cell: tuple[Floats, Floats],
    whole: tuple[Floats, Floats],
    scatter: Sequence[CellScatter],
) -> DiffuseEvidence:
    """Look for diffuse faults in maps (N, R, C) beside their references (N, R, C), in counts as well.

    `cell`, `whole`: variance over Poisson's (N,) and relative spread of normal maps (N,), of single cells and
    of the largest places. `scatter` (N,): how wide the cells were seen to scatter in earlier maps of the
    element. The odds have their priors in them.
    """
    rows, columns = geometry.shape
    patterns, mask = _patterns_of(geometry), geometry.mask().ravel()
    flat = [x.reshape(len(x), -1) for x in (counts, reference)]
    known = np.array([(s.mean, s.maps, s.spread) for s in scatter]).reshape(len(counts), 3)
    step = max(1, _CHUNK // (rows * columns))
    parts = []
    for start in range(0, len(counts), step):
        part = slice(start, start + step)
        noise = [(width[part, None], spread[part, None]) for width, spread in (cell, whole)]
        parts.append(_look_at(flat[0][part], flat[1][part], mask, patterns, noise[0], noise[1], known[part]))
    odds = np.concatenate([x.odds for x in parts]) if parts else np.zeros(0)
    return DiffuseEvidence(odds, tuple(parts), (rows, columns))


def _look_at(
    counts: Floats,
    reference: Floats,
    mask: Cells,
    patterns: Patterns,
    cell: tuple[Floats, Floats],
    whole: tuple[Floats, Floats],
    scatter: Doubles,
) -> _Few:
    """Look for diffuse faults in a few maps (N, R * C); noise and spreads are (N, 1), `scatter` (N, 3)."""
    usable = (reference > 0) & mask
    seen, known = counts * usable, reference * usable
    ratio = seen.sum(1, keepdims=True) / np.maximum(known.sum(1, keepdims=True), _LEAST)
    expected = known * ratio
    noise = expected * cell[1] ** 2
    noise += (1 + ratio) * np.maximum(cell[0], 1)
    cells = usable.sum(1)
    usual = (noise * usable).sum(1) / np.maximum(cells * (1 + ratio[:, 0]), _LEAST)
    # What is modelled is worth one map of what was seen, where more was seen.
    beyond = (scatter[:, 0] - np.log(np.maximum(usual, 1))) * scatter[:, 1] / (1 + scatter[:, 1])
    noise *= np.exp(np.maximum(beyond, 0)).astype(np.float32)[:, None]
    pull = (seen - expected) / np.sqrt(np.maximum(expected * noise, _LEAST))
    clipped = np.clip(pull, -_FARTHEST, _FARTHEST)
    worth = expected / noise
    uneven = _uneven(clipped, worth, cells, scatter[:, 2])
    scattered, broken = _scattered(seen, expected, noise)
    wider = np.maximum(whole[0] / np.maximum(noise.mean(1, keepdims=True) / (1 + ratio), 1), 1)
    ordered, best, sign = _patterned(clipped, worth, patterns, wider, whole[1])
    each = np.stack([uneven + np.log(_PRIORS["uneven"]), scattered + np.log(_PRIORS["scattered"]), ordered])
    return _Few(_log_sum(each), each.argmax(0), pull, broken, best, sign, patterns.shapes)


def _uneven(pull: Floats, worth: Floats, cells: NDArray[np.int64], changes: Doubles) -> Doubles:
    """Give the nats (N,) of "every cell is off by itself", from pulls and what each cell is worth.

    Against them stands that the noise of all `cells` (N,) of the map is wider; `changes` (N,): how far its
    logarithm is known to change.
    """
    found = []
    squared = np.square(pull)
    for spread in _UNEVEN:
        grown = worth * np.float32(spread**2)
        grown += 1
        # squared * gain / (1 + gain), where `grown` is 1 + gain.
        gained = squared - squared / grown
        gained -= np.log(grown)
        found.append(0.5 * gained.sum(1, dtype=np.float64))
    total = squared.sum(1, dtype=np.float64)
    noisier = [(total * (1 - np.exp(-w)) - cells * w) / 2 - w**2 / (2 * changes**2) for w in _WIDER]
    against = np.maximum(np.max(noisier, axis=0), 0)
    return np.asarray(_log_sum(np.stack(found)) - np.log(len(found)) - against)


def _scattered(seen: Floats, expected: Floats, noise: Floats) -> tuple[Doubles, Floats]:
    """Give the nats (N,) of "some cells are broken", and the odds (N, R * C) of each of them."""
    odds = np.zeros_like(seen)
    each, missing = seen / noise, expected / noise
    for efficiency in _EFFICIENCIES:
        nats = each * np.float32(np.log(efficiency))
        nats -= missing * np.float32(efficiency - 1)
        np.minimum(nats, 20, out=nats)
        odds += np.exp(nats, out=nats)
    odds /= len(_EFFICIENCIES)
    found = []
    for share in _BROKEN:
        gain = odds * np.float32(share)
        gain += np.float32(1 - share)
        np.log(gain, out=gain)
        np.minimum(gain, _MOST_A_CELL, out=gain)
        found.append(gain.sum(1, dtype=np.float64))
    odds *= np.float32(_BROKEN[-1])
    return np.asarray(_log_sum(np.stack(found)) - np.log(len(found))), odds


def _patterned(
    pull: Floats, worth: Floats, patterns: Patterns, wider: Floats, moved: Floats
) -> tuple[Doubles, NDArray[np.int64], Doubles]:
    """Give the nats (N,) of "some pattern", the likeliest one (N,), and whether it goes up or down there.

    A pattern f pulls by sum(f z sqrt(e / v)), and is worth sum(f^2 e / v) less what its mean, the luminosity,
    takes. `wider`, `moved` (N, 1): what a unit scatters more than its cells, and how far it moves.
    """
    shapes = patterns.shapes
    amounts = pull * np.sqrt(worth)
    total = np.maximum(worth.sum(1, keepdims=True), _LEAST)
    mean = worth @ shapes.T / total
    amount = (amounts @ shapes.T - mean * amounts.sum(1, keepdims=True)).astype(np.float64)
    information = np.maximum(worth @ np.square(shapes).T - mean**2 * total, _LEAST).astype(np.float64)
    smooth = patterns.smooth
    stray = np.where(smooth, moved, _STEADY)
    width = information * np.where(smooth, wider, 1) + stray**2 * information**2
    squared = amount**2 / width
    known = information**2 / width
    gains = np.array(_PATTERN)[:, None, None] ** 2 * known
    nats = 0.5 * (squared * gains / (1 + gains) - np.log1p(gains))
    each = _log_sum(nats) - np.log(len(nats)) + patterns.log_prior
    best = each.argmax(1)
    return _log_sum(each.T), best, np.sign(amount[np.arange(len(best)), best])


def _log_sum(logs: Doubles) -> Doubles:
    """Give the logarithm of a sum over the first axis; `numpy.logaddexp` takes several times as long."""
    highest = logs.max(0)
    found: Doubles = np.log(np.exp(logs - highest).sum(0)) + highest
    return found


@lru_cache(maxsize=64)
def _patterns_of(geometry: Geometry) -> Patterns:
    """List the patterns of an element: units and halves, every second cell, waves, with their priors."""
    rows, columns = geometry.shape
    mask = geometry.mask()
    classes: list[list[Cells | Doubles]] = [_wholes(geometry)]
    spans = [(u.start, u.stop) for u in geometry.units] or [(0, rows)]
    every: list[Cells | Doubles] = []
    waves: list[Cells | Doubles] = []
    alternate = np.where(np.arange(columns) % 2, 1.0, -1.0)
    for first, stop in spans:
        inside = np.zeros((rows, columns))
        inside[first:stop] = 1
        every.append(inside * alternate)
        every += [
            inside * alternate * (np.arange(rows) == r)[:, None] for r in range(first, stop) if len(spans) > 1
        ]
        at = (np.arange(columns) + 0.5) / max(geometry.widths[first:stop]) * np.pi
        for half_periods in _WAVES:
            waves += [inside * wave(half_periods * at) for wave in (np.sin, np.cos)]
    classes += [every, waves]
    shapes = np.concatenate([np.stack(c).reshape(len(c), -1) for c in classes]) * mask.ravel()
    names = ("units" if geometry.units else "halves", "alternate", "waves")
    log_prior = np.concatenate(
        [np.full(len(c), np.log(_PRIORS[n] / len(c))) for n, c in zip(names, classes, strict=True)]
    )
    smooth = np.concatenate([np.full(len(c), c is not every) for c in classes])
    return Patterns(shapes.astype(np.float32), log_prior, smooth)


def _wholes(geometry: Geometry) -> list[Cells | Doubles]:
    """Give the units of an element, and its halves."""
    rows, columns = geometry.shape
    found: list[Cells | Doubles] = []
    for unit in geometry.units:
        cells = np.zeros((rows, columns))
        cells[unit.start : unit.stop] = 1
        found.append(cells)
    if not geometry.units:
        upper = np.broadcast_to((np.arange(rows) < rows // 2)[:, None], (rows, columns))
        left = np.broadcast_to(np.arange(columns) < columns // 2, (rows, columns))
        found += [upper.astype(np.float64), left.astype(np.float64)]
    return found
