"""Rows beside their sisters: a layer, or an interval of it, against the other layers of its superlayer.

A track crosses all layers of a superlayer, so that they count alike, whatever the beam, the shape of the
chamber and the luminosity. What is compared is a share of the same counts: a conditional binomial.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.neighbours.evidence import Cells, ClassEvidence, Doubles

Counts = NDArray[np.float32]

_WIDTHS = (2, 3, 4, 6, 8, 12, 16, 24, 32)
_SHORT = 3
_MOST_A_CELL = 5.3
"""Nats that a cell of a short interval may bring: one cell in 200 is dead without a fault."""

LAYER_SPREAD = 0.02
"""How far sister layers differ without a fault (relative): .012 to .03 were measured on real chambers."""

_CALMER, _WHOLE_CALMER, _CALMEST = 0.27, 0.45, 0.5
"""Tracks hit all sisters, and do not scatter a row's share: by so much its variance falls below the binomial
one, an interval's and a whole row's, with each unit of overdispersion; and never below a half."""

_WEAK_NATS = 2.0  # a layer that is known to fail

_STRIKING = 1.5  # half a squared pull from which a likelihood ratio is worked out


@dataclass(frozen=True, slots=True)
class _Rows:
    """All rows with sisters: `sisters` (R, R) 1 where two rows are of one unit, the diagonal included."""

    rows: NDArray[np.int64]
    unit: NDArray[np.float32]
    cells: NDArray[np.float32]
    weak: Doubles


@lru_cache(maxsize=64)
def _rows_of(geometry: Geometry) -> _Rows:
    unit = np.zeros((geometry.shape[0],) * 2, dtype=np.float32)
    for u in geometry.units:
        if u.stop - u.start > 1:
            unit[u.start : u.stop, u.start : u.stop] = 1
    weak = np.array([_WEAK_NATS * (n in geometry.weak) for n in geometry.numbers])
    rows = np.flatnonzero(unit.any(1))
    return _Rows(rows, unit, geometry.mask().astype(np.float32), weak)


def sister_evidence(counts: Counts, geometry: Geometry, dispersion: Doubles) -> list[ClassEvidence]:
    """Compare every interval of every row of cleaned maps (N, R, C) with its sisters.

    `dispersion` (N,): variance over Poisson's of the sums over sister rows.

    Classes: "layer" and "layer hot" (whole rows), "interval", "interval hot", "short", "short hot".
    """
    layout = _rows_of(geometry)
    if not len(layout.rows):
        return []
    best: dict[str, _Best] = {}
    calm, whole = (
        np.clip(1 - share * (dispersion - 1), _CALMEST, 1).astype(np.float32)
        for share in (_CALMER, _WHOLE_CALMER)
    )
    sums, cells = _summed(counts), _summed(layout.cells[None])
    columns = counts.shape[2]
    for width in (*(w for w in _WIDTHS if w < columns), 0):
        inside, there = (_windows(x, width) for x in (sums, cells))
        nats, low = _log_ratio(inside, there[0], layout.unit, width)
        nats /= (whole if width == 0 else calm)[:, None, None]
        places = np.log(len(layout.rows) * nats.shape[2]) if width else np.log(len(layout.rows))
        name = "layer" if not width else "short" if width <= _SHORT else "interval"
        if width and width <= _SHORT:
            np.minimum(nats, _MOST_A_CELL * width, out=nats)
        nats -= np.float32(places)
        if not width:
            nats += layout.weak[:, None].astype(np.float32)
        for kind, chosen in ((name, low), (f"{name} hot", ~low)):
            found = np.where(chosen, nats, -np.inf).reshape(len(counts), -1)
            best.setdefault(kind, _Best(len(counts))).offer(found, width, nats.shape[2])
    return [b.evidence(name, geometry) for name, b in best.items()]


def _log_ratio(
    inside: Counts, there: Counts, unit: NDArray[np.float32], width: int
) -> tuple[NDArray[np.float32], Cells]:
    """Give the log likelihood ratio (N, R, S) of sums against those of their sisters, and which are low.

    `there` (R, S): cells in each place; 0 nats where a row has not all of them, or no sister.
    """
    total = np.matmul(unit, inside)
    cells = unit @ there
    share = np.divide(there, cells, out=np.zeros_like(there), where=cells > 0)
    usable = (there >= (width or 1)) & (cells > there)
    expected = share * total
    low = inside < expected
    variance = expected * (1 - share)
    half_pull = (inside - expected) ** 2
    half_pull /= np.maximum(2 * variance, 1e-6)
    nats = np.where(usable, half_pull, 0).astype(np.float32)
    at = np.nonzero(nats > _STRIKING)
    a, n, p = inside[at], total[at], np.broadcast_to(share, inside.shape)[at]
    b = n - a
    nats[at] = _a_log(a, p * n) + _a_log(b, (1 - p) * n)
    # The share itself strays between sisters that are whole.
    nats /= 1 + np.float32(LAYER_SPREAD**2) * expected / np.maximum(1 - share, 0.25)
    return nats, low


def _a_log(a: Counts, usual: Counts) -> Counts:
    return np.asarray(a * np.log(np.maximum(a, 1e-6) / np.maximum(usual, 1e-6)), dtype=np.float32)


class _Best:
    """The likeliest place of a class so far, in each map."""

    def __init__(self, maps: int) -> None:
        self.nats = np.full(maps, -np.inf)
        self.row = np.zeros(maps, dtype=np.int64)
        self.first = np.zeros(maps, dtype=np.int64)
        self.width = np.zeros(maps, dtype=np.int64)

    def offer(self, found: Counts, width: int, starts: int) -> None:
        """Take over what is likelier: `found` (N, R * starts)."""
        place = found.argmax(1)
        nats = found[np.arange(len(found)), place]
        better = nats > self.nats
        self.nats[better] = nats[better]
        self.row[better], self.first[better] = np.divmod(place[better], starts)
        self.width[better] = width

    def evidence(self, name: str, geometry: Geometry) -> ClassEvidence:
        """Give it as evidence of a class."""

        def cells(i: int) -> Cells:
            found = np.zeros(geometry.shape, dtype=np.bool_)
            first, width = int(self.first[i]), int(self.width[i])
            found[int(self.row[i]), first : first + width if width else None] = True
            return found & geometry.mask()

        # Where nothing counts more (or less) than it should there is no evidence at all.
        nats = np.maximum(self.nats, -30.0)
        return ClassEvidence(name, nats, np.full(len(nats), "hot" not in name), cells)


def _summed(cells: Counts) -> Counts:
    sums = np.zeros((*cells.shape[:2], cells.shape[2] + 1), dtype=np.float32)
    np.cumsum(cells, axis=2, out=sums[:, :, 1:])
    return sums


def _windows(sums: Counts, width: int) -> Counts:
    if width == 0:
        return sums[:, :, -1:] - sums[:, :, :1]
    return sums[:, :, width:] - sums[:, :, :-width]
