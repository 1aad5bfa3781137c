"""The places of a map that could be broken: runs and boxes of cells, and hardware units."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.float32]
Cells = NDArray[np.bool_]
Index = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Runs:
    """A class of places: some columns in a row, in each of the row groups `rows`.

    `widths`: how many columns, 0 for the whole row. `against`: for each row group the rows that its places
    are compared with, column by column (sister layers); None: all the rest of the map. `nats`: how much more
    likely such a place is to break than one of another class (logarithm of the odds). `lost`: probability
    that a broken one counts too little, not too much. `gain`: how the noise of its places goes with that of
    the element, where training cannot tell.
    """

    name: str
    rows: tuple[tuple[int, ...], ...]
    widths: tuple[int, ...]
    against: tuple[tuple[int, ...], ...] | None = None
    nats: float = 0.0
    lost: float = 0.5
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Units:
    """A class of places that are listed: `cells` (U, R, C) says which cells each holds, `names` what it is.

    `against` (U, R, C): the cells that each is compared with; None: all the rest of the map. `cells` may be
    shares from 0 to 1 of what the worst cell loses: a loss without edges. Such places are compared with the
    rest only.
    """

    name: str
    names: tuple[str, ...]
    cells: Cells | Counts
    against: Cells | None = None
    nats: float = 0.0
    lost: float = 0.5
    gain: float = 1.0


@dataclass(frozen=True, slots=True)
class Family:
    """Places of one size and class: one at every first column in each of the row groups `groups`.

    `group`, `against`: indices into `Places.groups`; `width`: columns, 0 for whole rows; `kind`: index of the
    class; `prior`: logarithm of the prior odds of each single place.
    """

    kind: int
    group: Index
    against: Index | None
    width: int
    prior: float


@dataclass(frozen=True, slots=True)
class Listed:
    """The listed places of one class, as matrices (R * C, U) that sum their cells up.

    `squares`: those of the shares in `cells`, where these are not only 0 and 1.
    """

    kind: int
    names: tuple[str, ...]
    cells: Counts
    against: Counts | None
    prior: float
    squares: Counts | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Everything that the scan looks at in maps of one shape (R, C); compared by identity.

    `groups` (G, R): which rows each row group sums. `wrap`: the last column lies beside the first. `benign`:
    probability that a cell is dead without that being a fault; 0 where every dead cell is one. `tall`: cells
    above and below one another are neighbours, too. `names` (K,): the class of each kind of place; the same
    class twice where its places are compared in two ways. `lost`, `gains` (K,): as of the classes.
    """

    shape: tuple[int, int]
    groups: Counts
    families: tuple[Family, ...]
    listed: tuple[Listed, ...]
    names: tuple[str, ...]
    lost: tuple[float, ...]
    gains: tuple[float, ...]
    wrap: bool
    tall: bool
    benign: float

    def starts(self, family: Family) -> int:
        """Say at how many first columns a family's places begin."""
        columns = self.shape[1]
        if family.width == 0:
            return 1
        return columns if self.wrap else columns - family.width + 1

    def sizes(self) -> NDArray[np.float64]:
        """Give the mean number of cells of each kind of places (K,)."""
        cells, places = np.zeros(len(self.names)), np.zeros(len(self.names))
        heights = self.groups.sum(1)
        for family in self.families:
            starts = self.starts(family)
            cells[family.kind] += heights[family.group].sum() * (family.width or self.shape[1]) * starts
            places[family.kind] += len(family.group) * starts
        for listed in self.listed:
            cells[listed.kind] += listed.cells.sum()
            places[listed.kind] += len(listed.names)
        sizes: NDArray[np.float64] = cells / places
        return sizes

    def cells_of(self, number: int, place: int) -> Cells:
        """Give the cells (R, C) of one place: `place` counts within family or list `number`."""
        if number >= len(self.families):
            listed: Cells = self.listed[number - len(self.families)].cells[:, place] >= 0.5
            return listed.reshape(self.shape)
        family = self.families[number]
        group, first = divmod(place, self.starts(family))
        rows = self.groups[family.group[group]] > 0
        columns = np.zeros(self.shape[1], dtype=np.bool_)
        width = family.width or self.shape[1]
        columns[np.arange(first, first + width) % self.shape[1]] = True
        crossed: Cells = rows[:, None] & columns[None, :]
        return crossed


@lru_cache(maxsize=64)
def smallest_and_largest(places: Places) -> tuple[int, int]:
    """Give the kinds of places that hold the fewest cells and the most, by `Places.sizes`."""
    sizes = places.sizes()
    return int(sizes.argmin()), int(sizes.argmax())


def compile_places(
    shape: tuple[int, int],
    classes: Sequence[Runs | Units],
    *,
    wrap: bool = False,
    tall: bool = True,
    benign: float = 0.0,
) -> Places:
    """Lay out the classes of places of maps of one shape for the scan.

    Every class is as likely to break as any other, but for its `nats`. Within a class every octave of widths
    is as likely as any other, and so is the whole row; and every place of one width is as likely as the
    others. The prior odds of all places add up to 1.
    """
    groups: dict[tuple[int, ...], int] = {}
    # A chamber of two layers has no block of three.
    classes = [c for c in classes if len(c.rows if isinstance(c, Runs) else c.cells)]
    names = tuple(dict.fromkeys(c.name for c in classes))
    nats = {c.name: c.nats for c in classes}
    together = float(np.log(sum(np.exp(n) for n in nats.values())))
    families: list[Family] = []
    listed: list[Listed] = []
    # Classes of one name share its weight: a class compared in two ways counts once.
    shares = {name: sum(c.name == name for c in classes) for name in names}
    for kind, c in enumerate(classes):
        prior = c.nats - together - float(np.log(shares[c.name]))
        if isinstance(c, Units):
            cells = _matrix(c.cells)
            squares = None if c.cells.dtype == np.bool_ else cells**2
            against = None if c.against is None else _matrix(c.against)
            each = prior - float(np.log(len(c.cells)))
            listed.append(Listed(kind, c.names, cells, against, each, squares))
            continue
        families += _families(kind, c, prior, shape[1], groups, wrap=wrap)
    # The same places compared in two ways one after the other: their sums are made once.
    families.sort(key=lambda f: (tuple(f.group), f.width))
    matrix = np.zeros((len(groups), shape[0]), dtype=np.float32)
    for rows, index in groups.items():
        matrix[index, list(rows)] = 1
    return Places(
        shape,
        matrix,
        tuple(families),
        tuple(listed),
        tuple(c.name for c in classes),
        tuple(c.lost for c in classes),
        tuple(c.gain for c in classes),
        wrap,
        tall,
        benign,
    )


def _families(
    kind: int, runs: Runs, prior: float, columns: int, groups: dict[tuple[int, ...], int], *, wrap: bool
) -> list[Family]:
    """Lay out runs of one class, a family for each width; new groups of rows get the next numbers."""
    # What does not fit is a whole row.
    widths = tuple(dict.fromkeys(w if w < columns else 0 for w in runs.widths))
    starts = {w: 1 if w == 0 else columns if wrap else columns - w + 1 for w in widths}
    share = _octaves(widths)
    group = np.array([groups.setdefault(r, len(groups)) for r in runs.rows])
    others = None
    if runs.against is not None:
        others = np.array([groups.setdefault(r, len(groups)) for r in runs.against])
    return [
        Family(kind, group, others, w, prior + float(np.log(share[w] / (len(runs.rows) * starts[w]))))
        for w in widths
    ]


def _octaves(widths: tuple[int, ...]) -> dict[int, float]:
    """Give each width its share: as much of the logarithmic scale as lies nearest to it.

    The whole row, 0, is a unit of the hardware and counts like an octave.
    """
    logs = np.log2(sorted(w for w in widths if w))
    between = (logs[1:] + logs[:-1]) / 2
    edges = np.concatenate([logs[:1] - 0.5, between, logs[-1:] + 0.5])
    shares = dict(zip(sorted(w for w in widths if w), np.diff(edges).tolist(), strict=True))
    if 0 in widths:
        shares[0] = 1.0
    total = sum(shares.values())
    return {w: share / total for w, share in shares.items()}


def _matrix(cells: Cells | Counts) -> Counts:
    """Lay cells (U, R, C) out as a matrix (R * C, U)."""
    return np.ascontiguousarray(cells.reshape(len(cells), -1).T, dtype=np.float32)
