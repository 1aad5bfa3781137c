"""The odds that some place of a map is broken, and where: a Bayesian likelihood scan.

A place holds a counts where e are expected from a reference worth w counts. If its efficiency is f, the
likelihood ratio against "nothing is wrong" is that of a binomial: a ln f + (a + w) ln((e + w) / (f e + w)).
Averaged over efficiencies, places and classes of places, each with its prior, this is the ratio of the two
probabilities of the whole map. Its mean over normal maps is 1 whatever the counts, so its logarithm, the raw
score, means the same at every count level, and the price of looking in many places is in it.

What is expected comes from the rest of the map (or from sister rows) times the ratio in the reference, so
nothing is divided by a luminosity. Its error, 1/w, adds up the Poisson errors of the sums behind it and the
extra variance of the shape.

Sources: M. Kulldorff, "A spatial scan statistic", Commun. Stat. Theory Methods 26 (1997) 1481, for the scan;
D. B. Neill, A. W. Moore, G. F. Cooper, "A Bayesian spatial scan statistic", NIPS 2005, for the averaging.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.likelihood.places import Cells, Counts, Family, Index, Listed, Places

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

DEAD_SHARE = 0.2
"""Probability that a broken place is dead, the commonest fault; the others are as likely as one another."""

LOSSES = (0.02, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
EXCESSES = (1.02, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
"""What a broken place is taken to count of what it should: losses are as likely as excesses."""

_NEGLIGIBLE = float(np.log(5e-4))
"""Places whose pull cannot make more of the odds than this are not looked at closer."""

_SMALLEST_PULL = 1.2

_UNSEEN = 0.5
"""What the places that are not looked at closer are worth together, by priors that add up to 1."""

_LIKELY = 8.0
"""Places that are this many nats less likely than all together are not blamed."""

_CHUNK = 40_000  # cells that are worked on together: they and their sums stay in the processor's cache

_MOST_NATS = 600.0  # exp() of it is still finite


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the scan says of maps (N, R, C).

    `score` (N,): ln of the odds, normal maps stay below t but for a share of e^-t. `family`, `place` (N,):
    the likeliest place, for `Places.cells_of`, -1 where none stands out; `observed`, `expected` (N,): its
    counts.
    `blame` (N, R, C): probability that a cell lies in the broken place, below 0 where counts are lost.
    """

    score: Doubles
    family: Index
    place: Index
    observed: Doubles
    expected: Doubles
    blame: Floats

    def efficiency(self) -> Doubles:
        """Say what the likeliest place (N,) counts of what it should, NaN where there is none."""
        return np.where(self.place >= 0, self.observed / np.maximum(self.expected, 1e-9), np.nan)


@dataclass(frozen=True, slots=True)
class Compared:
    """All places of one family or list, (N, ...) each: `observed` counts beside the `expected` ones.

    `known`: their counts in the reference; `rest`, `rest_known`: counts of what they are compared with, in
    the map and in the reference; `noise`: Poisson variance of observed less expected. `number` counts
    families and lists, `kind` is its index into the names of the places.
    """

    number: int
    kind: int
    prior: float
    observed: Floats
    expected: Floats
    known: Floats
    rest: Floats
    rest_known: Floats
    noise: Floats


@dataclass(frozen=True, slots=True)
class _Close:
    """Places that are looked at closer: arrays (m,) of their map, place, log odds, counts and expectation."""

    number: int
    map: Index
    place: Index
    nats: Floats
    observed: Floats
    expected: Floats


def scan(counts: Counts, reference: Counts, places: Places, spread: Floats) -> Evidence:
    """Scan maps (N, R, C) against references (N, R, C), in counts as well; 0 in cells that do not count.

    `spread` (N, K): relative error of the expectation of each kind of places beyond Poisson's.
    """
    size = len(counts)
    result = Evidence(
        np.full(size, np.log(_UNSEEN)),
        np.full(size, -1),
        np.full(size, -1),
        np.zeros(size),
        np.zeros(size),
        np.zeros(counts.shape, dtype=np.float32),
    )
    step = max(1, _CHUNK // (places.shape[0] * places.shape[1]))
    for start in range(0, size, step):
        part = slice(start, start + step)
        seen, known, zeros = _lay_out(counts[part], reference[part], places)
        close = [
            found
            for compared in _compare(seen, known, places)
            if (found := _look_closer(compared, spread[part], zeros, places)) is not None
        ]
        if close:
            _sum_up(close, part, result, places)
    return result


def comparisons(counts: Counts, reference: Counts, places: Places) -> Iterator[Compared]:
    """Give all the places of maps (N, R, C), family by family, as the scan sees them."""
    step = max(1, _CHUNK // (places.shape[0] * places.shape[1]))
    for start in range(0, len(counts), step):
        part = slice(start, start + step)
        seen, known, _ = _lay_out(counts[part], reference[part], places)
        yield from _compare(seen, known, places)


def _lay_out(counts: Counts, reference: Counts, places: Places) -> tuple[Floats, Floats, Floats | None]:
    """Take isolated dead cells out of both, and say what an empty cell is worth, where one may be benign."""
    if not places.benign:
        return counts, reference, None
    total, behind = (x.sum((1, 2), dtype=np.float64) for x in (counts, reference))
    ratio = np.divide(total, behind, out=np.zeros_like(total), where=behind > 0)
    alone = isolated_zeros(counts, reference, ratio, places)
    reference = np.where(alone, 0, reference)
    return counts, reference, _sums(_empty_nats(reference, ratio, places.benign), places)


def _compare(counts: Floats, reference: Floats, places: Places) -> Iterator[Compared]:
    seen, known = _sums(counts, places), _sums(reference, places)
    total, behind = (x.sum((1, 2), dtype=np.float64).astype(np.float32) for x in (counts, reference))

    def compared(number: int, kind: Family | Listed, a: Floats, b: Floats, *rest: Floats) -> Compared:
        if rest:
            rest_a, rest_b = rest
        else:
            wide = (-1, *[1] * (a.ndim - 1))
            rest_a, rest_b = total.reshape(wide) - a, behind.reshape(wide) - b
        rest_b = np.maximum(rest_b, np.float32(1e-3))
        scale = rest_a / rest_b
        expected = b * scale
        # Of the counts, of the reference, and of the scale that joins them: e (1 + scale) (1 + e / rest).
        noise = expected / np.maximum(rest_a, np.float32(1e-3))
        noise += 1
        scale += 1
        noise *= scale
        noise *= expected
        return Compared(
            number,
            kind.kind,
            kind.prior,
            a,
            expected,
            b,
            rest_a,
            rest_b,
            noise.astype(np.float32, copy=False),
        )

    for number, family in enumerate(places.families):
        sums = [
            _windows(x, group, family, places)
            for group in (family.group, family.against)
            if group is not None
            for x in (seen, known)
        ]
        yield compared(number, family, *sums)
    flat, flat_known = counts.reshape(len(counts), -1), reference.reshape(len(counts), -1)
    for number, listed in enumerate(places.listed, len(places.families)):
        cells = (listed.cells,) if listed.against is None else (listed.cells, listed.against)
        yield compared(number, listed, *(x @ matrix for matrix in cells for x in (flat, flat_known)))


def _look_closer(compared: Compared, spread: Floats, zeros: Floats | None, places: Places) -> _Close | None:
    """Weigh the places that pull far enough to matter."""
    error = spread[:, compared.kind] ** 2
    observed, expected = compared.observed, compared.expected
    pull = observed - expected
    pull *= pull
    limit = expected * error.reshape(-1, *[1] * (expected.ndim - 1))
    limit *= expected
    limit += compared.noise
    limit *= max(_SMALLEST_PULL**2, 2 * (_NEGLIGIBLE - compared.prior))
    chosen = np.flatnonzero((pull > limit) & (expected > 0))
    if not len(chosen):
        return None
    maps, place = np.divmod(chosen, expected[0].size)
    a, e, b, rest, rest_known = (
        x.ravel()[chosen] for x in (observed, expected, compared.known, compared.rest, compared.rest_known)
    )
    least = np.float32(1e-3)
    doubt = 1 / np.maximum(b, least) + 1 / np.maximum(rest, least) + 1 / rest_known + error[maps]
    nats = log_odds(a, e, (1 / doubt).astype(np.float32))
    if zeros is not None and compared.number < len(places.families):
        none = np.flatnonzero(a == 0)
        family = places.families[compared.number]
        nats[none] = _at(zeros, family, places, maps[none], place[none])
    return _Close(compared.number, maps, place, nats + np.float32(compared.prior), a, e)


def _sum_up(close: list[_Close], part: slice, result: Evidence, places: Places) -> None:
    """Add the odds of all places up, and find the likeliest one of each map."""
    maps = np.concatenate([c.map for c in close])
    nats = np.minimum(np.concatenate([c.nats for c in close]), 1e30)
    size = len(result.score[part])
    highest = np.full(size, -np.inf)
    np.maximum.at(highest, maps, nats)
    shift = np.maximum(highest, 0.0)
    odds = np.bincount(maps, np.exp(nats - shift[maps]), size)
    result.score[part] = np.log(odds + _UNSEEN * np.exp(-shift)) + shift
    best = np.flatnonzero(nats == highest[maps])
    at = part.start + maps[best]
    result.family[at] = np.repeat([c.number for c in close], [len(c.map) for c in close])[best]
    result.place[at] = np.concatenate([c.place for c in close])[best]
    result.observed[at] = np.concatenate([c.observed for c in close])[best]
    result.expected[at] = np.concatenate([c.expected for c in close])[best]
    result.blame[part] = _blame(close, result.score[part], places)


def _blame(close: list[_Close], score: Doubles, places: Places) -> Floats:
    """Spread the probability of every place over its cells (n, R, C): `_sums` and `_windows` backwards."""
    size, (_, columns) = len(score), places.shape
    most = max((f.width for f in places.families), default=1) if places.wrap else 0
    shape = (size, len(places.groups), columns + most + 1)
    begins: list[Index] = []
    ends: list[Index] = []
    weights: list[Doubles] = []
    listed = np.zeros((size, columns * places.shape[0]), dtype=np.float32)
    for c in close:
        likely = np.flatnonzero(c.nats > score[c.map] - _LIKELY)
        if not len(likely):
            continue
        maps, place = c.map[likely], c.place[likely]
        odds = np.exp(c.nats[likely] - score[maps])
        odds *= np.where(c.observed[likely] < c.expected[likely], -1.0, 1.0)
        if c.number >= len(places.families):
            cells = places.listed[c.number - len(places.families)].cells
            each = np.zeros((size, cells.shape[1]), dtype=np.float32)
            each[maps, place] = odds
            listed += each @ cells.T
            continue
        family = places.families[c.number]
        group, first = np.divmod(place, places.starts(family))
        at = (maps * shape[1] + family.group[group]) * shape[2] + first
        begins.append(at)
        ends.append(at + (family.width or columns))
        weights.append(odds)
    inside = np.zeros(shape, dtype=np.float32)
    if begins:
        at, odds = np.concatenate([*begins, *ends]), np.concatenate(weights)
        edges = np.bincount(at, np.concatenate([odds, -odds]), inside.size).astype(np.float32)
        np.cumsum(edges.reshape(shape), axis=2, out=inside)
    if most:
        inside[:, :, :most] += inside[:, :, columns : columns + most]
    blame: Floats = np.matmul(places.groups.T, inside[:, :, :columns])
    blame += listed.reshape(blame.shape)
    return blame


def log_odds(observed: Floats, expected: Floats, worth: Floats) -> Floats:
    """Give the ln of the likelihood ratio (m,), averaged over the losses, or the excesses where more came."""
    nats = np.empty_like(observed)
    other = (1 - DEAD_SHARE) / (len(LOSSES) + len(EXCESSES) - 1)
    lost = observed < expected
    for chosen, efficiencies in ((lost, LOSSES), (~lost, EXCESSES)):
        a, e, w = observed[chosen], expected[chosen], worth[chosen]
        f = np.array(efficiencies, dtype=np.float32)[:, None]
        each = a * np.log(f) - (a + w) * np.log(1 + (f - 1) * (e / (e + w)))
        each += np.log(np.where(f <= LOSSES[0], DEAD_SHARE, other)).astype(np.float32)
        highest = each.max(0, initial=-np.inf)
        each -= highest
        nats[chosen] = highest + np.log(np.exp(each).sum(0))
    return nats


def isolated_zeros(counts: Counts, reference: Counts, ratio: Doubles, places: Places) -> Cells:
    """Find the empty cells (N, R, C) that should count but stand alone: dead ones, which experts ignore."""
    alone: Cells = (counts == 0) & (reference > 0)
    empty = alone.copy()
    alone &= reference * ratio.astype(np.float32)[:, None, None] > 2.5  # below, it is too common to be dead
    alone[:, :, 1:] &= ~empty[:, :, :-1]
    alone[:, :, :-1] &= ~empty[:, :, 1:]
    if places.wrap:
        alone[:, :, 0] &= ~empty[:, :, -1]
        alone[:, :, -1] &= ~empty[:, :, 0]
    if places.tall:
        alone[:, 1:] &= ~empty[:, :-1]
        alone[:, :-1] &= ~empty[:, 1:]
    return alone


def _empty_nats(reference: Counts, ratio: Doubles, benign: float) -> Floats:
    """Give what an empty cell (N, R, C) is worth, where one may be dead without a fault."""
    # (1 - q)^b with q = ratio / (1 + ratio): that it counts nothing by chance.
    chance = np.exp(-reference * np.log1p(ratio).astype(np.float32)[:, None, None])
    nats: Floats = -np.log(benign + (1 - benign) * chance)
    return nats


def _sums(cells: Floats, places: Places) -> Floats:
    """Sum cells (N, R, C) over row groups and from the left: (N, G, C + 1), longer where columns wrap."""
    grouped = np.matmul(places.groups, cells)
    if places.wrap:
        most = max((f.width for f in places.families), default=1)
        grouped = np.concatenate([grouped, grouped[:, :, :most]], axis=2)
    sums = np.zeros((*grouped.shape[:2], grouped.shape[2] + 1), dtype=np.float32)
    np.cumsum(grouped, axis=2, out=sums[:, :, 1:])
    return sums


def _windows(sums: Floats, group: Index, family: Family, places: Places) -> Floats:
    """Give the sums (N, g, starts) of a family's columns in row groups."""
    first = int(group[0])
    together = np.array_equal(group, np.arange(first, first + len(group)))
    part = sums[:, first : first + len(group)] if together else sums[:, group]
    if family.width == 0:
        columns = places.shape[1]
        return part[:, :, columns : columns + 1] - part[:, :, :1]
    starts = places.starts(family)
    return part[:, :, family.width : family.width + starts] - part[:, :, :starts]


def _at(sums: Floats, family: Family, places: Places, maps: Index, place: Index) -> Floats:
    """Give the sums (m,) of single places."""
    group, first = np.divmod(place, places.starts(family))
    rows = family.group[group]
    last = first + (family.width or places.shape[1])
    found: Floats = sums[maps, rows, last] - sums[maps, rows, first]
    return found
