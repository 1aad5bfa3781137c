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

from anomalyd.detectors.maps.likelihood.empties import Empties, empties_of, isolated_zeros
from anomalyd.detectors.maps.likelihood.places import Cells, Counts, Family, Index, Listed, Places
from anomalyd.detectors.maps.likelihood.sums import at_places, sums_of, windows

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

DEAD_SHARE = 0.4
"""Probability that a broken place is dead, the commonest fault; the others are as likely as one another."""

LOSSES = (0.02, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
EXCESSES = (1.02, 1.05, 1.1, 1.25, 1.5, 2.0, 3.0, 5.0)
"""What a broken place is taken to count of what it should: losses are as likely as excesses."""

_NEGLIGIBLE = float(np.log(5e-4))
"""Places whose pull cannot make more of the odds than this are not looked at closer."""

_SMALLEST_PULL = 1.2

_UNSEEN = 0.5
"""What the places that are not looked at closer are worth together, by priors that add up to 1."""

_SUSPECT = -0.5
"""Score from which it is said who is to blame: below, no place stands out."""

_UNLIKE, _FEW = 4.0, 3.0
"""One element in twenty (3 nats) strays four times as far from a profile as the others: some shapes are rare.

Single cells are so many that their spread is known.
"""

_LIKELY = 8.0
"""Places that are this many nats less likely than all together are not blamed."""

_CHUNK = 120_000  # cells that are worked on together: they and their sums stay in the processor's cache

_HIGHEST = 1e30  # nats: so many are as certain as infinitely many, and can be subtracted

_LEAST = np.float32(1e-3)  # counts that nothing is divided by less than


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
class Profile:
    """What an element's maps should look like by other sources than its history.

    `rates` (N, R, C): relative rates, of any scale; `error` (N, K): relative error for each kind of places.
    """

    rates: Counts
    error: Floats


@dataclass(frozen=True, slots=True)
class Compared:
    """All places of one family or list, (N, ...) each: `observed` counts beside the `expected` ones.

    `variance`: of observed less expected, in units of `expected`: 1 is Poisson's, the rest comes from the
    error of what is expected. `number` counts families and lists, `kind` is its index into the names of the
    places.
    """

    number: int
    kind: int
    prior: float
    observed: Floats
    expected: Floats
    variance: Floats


@dataclass(frozen=True, slots=True)
class _Close:
    """Places that are looked at closer: arrays (m,) of their map, place, log odds, counts and expectation."""

    number: int
    map: Index
    place: Index
    nats: Floats
    observed: Floats
    expected: Floats


def scan(
    counts: Counts, reference: Counts, places: Places, spread: Floats, profile: Profile | None = None
) -> Evidence:
    """Scan maps (N, R, C) against references (N, R, C), in counts as well; 0 in cells that do not count.

    `spread` (N, K): how far the maps of an element stray from its reference, beyond Poisson noise, for each
    kind of places. With a `profile` what is expected is the mean of both, each as its error lets it count.
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
    for part, seen, known, usual, zeros in _laid_out(counts, reference, places, profile):
        close = [
            found
            for compared in _compare(seen, known, places, usual)
            if (found := _look_closer(compared, spread[part], zeros, places, usual)) is not None
        ]
        if close:
            _sum_up(close, part, result, places)
    return result


def comparisons(
    counts: Counts, reference: Counts, places: Places, profile: Profile | None = None
) -> Iterator[Compared]:
    """Give all the places of maps (N, R, C), family by family, as the scan sees them."""
    for _, seen, known, usual, _ in _laid_out(counts, reference, places, profile):
        yield from _compare(seen, known, places, usual)


def _laid_out(
    counts: Counts, reference: Counts, places: Places, profile: Profile | None
) -> Iterator[tuple[slice, Floats, Floats, Profile | None, Empties | None]]:
    """Go through the maps a few at a time, with isolated dead cells taken out of what is expected.

    Gives counts, reference and profile, and what an empty cell is worth, where one may be benign.
    """
    step = max(1, _CHUNK // (places.shape[0] * places.shape[1]))
    for start in range(0, len(counts), step):
        part = slice(start, start + step)
        seen, known = counts[part], reference[part]
        usual = None if profile is None else Profile(profile.rates[part], profile.error[part])
        if not places.benign and usual is None:
            yield part, seen, known, None, None
            continue
        wanted = known if usual is None else known + usual.rates
        total, behind = (x.sum((1, 2), dtype=np.float64) for x in (seen, wanted))
        ratio = np.divide(total, behind, out=np.zeros_like(total), where=behind > 0)
        alone = isolated_zeros(seen, wanted, ratio, places)
        if not places.benign:
            alone &= known == 0  # it was never seen to count: it may always have been dead
        known = np.where(alone, 0, known)
        if usual is not None:
            usual = Profile(np.where(alone, 0, usual.rates), usual.error)
        zeros = None
        if places.benign:
            zeros = empties_of(seen, np.where(alone, 0, wanted), ratio, places)
        yield part, seen, known, usual, zeros


def _compare(
    counts: Floats, reference: Floats, places: Places, profile: Profile | None
) -> Iterator[Compared]:
    maps = [counts, reference, *([] if profile is None else [profile.rates])]
    sums = [sums_of(x, places) for x in maps]
    flat = [x.reshape(len(x), -1) for x in maps]
    totals = [x.sum((1, 2), dtype=np.float64).astype(np.float32) for x in maps]

    def compared(number: int, kind: Family | Listed, inside: list[Floats], rest: list[Floats]) -> Compared:
        wide = (-1, *[1] * (inside[0].ndim - 1))
        if not rest:
            rest = [total.reshape(wide) - x for total, x in zip(totals, inside, strict=True)]
        relative = _inverse(rest[1])
        share = inside[1] * relative
        if profile is None:
            # Squared relative errors 1/known + 1/rest of the reference + 1/rest of the map, times what is
            # expected, plus 1: they are a product, and nothing is divided.
            expected = share * rest[0]
            variance = rest[0] * relative
            variance += 1
            share += 1
            variance *= share
            return Compared(number, kind.kind, kind.prior, inside[0], expected, variance)
        # An empty place is as certain as the counts that it should have had.
        other = inside[2] * _inverse(rest[2])
        known = np.maximum(inside[1], other * rest[1])
        doubt = _inverse(known)
        doubt += relative
        # The mean of both, weighted by how certain each is.
        error: Floats = np.maximum(profile.error[:, kind.kind].reshape(wide), _LEAST) ** 2
        both = doubt + error
        expected = (share * error + other * doubt) / both * rest[0]
        doubt *= error
        doubt /= both
        doubt += _inverse(rest[0])
        variance = expected * doubt
        variance += 1
        return Compared(number, kind.kind, kind.prior, inside[0], expected, variance)

    last, inside = None, list[Floats]()
    for number, family in enumerate(places.families):
        # Families of the same places, compared in two ways, follow one another.
        if last is None or family.width != last.width or not np.array_equal(family.group, last.group):
            last, inside = family, [windows(x, family.group, family, places) for x in sums]
        against = family.against
        rest = [] if against is None else [windows(x, against, family, places) for x in sums]
        yield compared(number, family, inside, rest)
    for number, listed in enumerate(places.listed, len(places.families)):
        others = listed.against
        rest = [] if others is None else [x @ others for x in flat]
        yield compared(number, listed, [x @ listed.cells for x in flat], rest)


def _look_closer(
    compared: Compared, spread: Floats, zeros: Empties | None, places: Places, usual: Profile | None
) -> _Close | None:
    """Weigh the places that pull far enough to matter."""
    observed, expected = compared.observed, compared.expected
    stray = spread[:, compared.kind] ** 2
    pull = observed - expected
    pull *= pull
    limit = expected * stray.reshape(-1, *[1] * (expected.ndim - 1))
    limit += compared.variance
    limit *= expected
    limit *= np.float32(max(_SMALLEST_PULL**2, 2 * (_NEGLIGIBLE - compared.prior)))
    chosen = np.flatnonzero(pull > limit)
    chosen = chosen[expected.ravel()[chosen] > 0]
    if not len(chosen):
        return None
    maps, place = np.divmod(chosen, expected[0].size)
    a, e, v = (x.ravel()[chosen] for x in (observed, expected, compared.variance))
    d = (v - 1) / e + stray[maps]
    nats = log_odds(a, e, (1 / d).astype(np.float32))
    if usual is not None and places.names[compared.kind] != "cell":
        # What is known but for the profile, and what an element unlike the others leaves of that.
        trusted = 1 / usual.error[maps, compared.kind] ** 2
        worth = np.maximum(1 / d - (1 - _UNLIKE**-2) * trusted, 1 / (_UNLIKE**2 * d)).astype(np.float32)
        np.minimum(nats, log_odds(a, e, worth) + _FEW, out=nats)
    if zeros is not None:
        if compared.number < len(places.families):
            family = places.families[compared.number]
            worth = at_places(zeros.worth, family, places, maps, place)
            excess = at_places(zeros.excess, family, places, maps, place)
        else:
            cells = places.listed[compared.number - len(places.families)].cells
            worth, excess = ((x @ cells).ravel()[chosen] for x in zeros.flat)
        # What looks hot may only stand beside dead cells.
        beside = zeros.flat[1].sum(1)[maps] - excess
        nats = np.where(a == 0, worth, nats - np.where(a < e, excess, beside)).astype(np.float32)
    return _Close(compared.number, maps, place, nats + np.float32(compared.prior), a, e)


def _sum_up(close: list[_Close], part: slice, result: Evidence, places: Places) -> None:
    """Add the odds of all places up, and find the likeliest one of each map."""
    maps = np.concatenate([c.map for c in close])
    nats = np.minimum(np.concatenate([c.nats for c in close]), _HIGHEST, dtype=np.float64)
    size = len(result.score[part])
    highest = np.full(size, -np.inf)
    for c in close:  # their maps are in rising order
        begins = np.flatnonzero(np.diff(c.map, prepend=-1))
        first = c.map[begins]
        highest[first] = np.maximum(highest[first], np.maximum.reduceat(c.nats, begins))
    np.minimum(highest, _HIGHEST, out=highest)
    shift = np.maximum(highest, 0.0)
    odds = np.bincount(maps, np.exp(nats - shift[maps]), size)
    result.score[part] = np.log(odds + _UNSEEN * np.exp(-shift)) + shift
    best = np.flatnonzero(nats == highest[maps])
    at = part.start + maps[best]
    result.family[at] = np.repeat([c.number for c in close], [len(c.map) for c in close])[best]
    result.place[at] = np.concatenate([c.place for c in close])[best]
    result.observed[at] = np.concatenate([c.observed for c in close])[best]
    result.expected[at] = np.concatenate([c.expected for c in close])[best]
    suspect = result.score[part] > _SUSPECT
    if suspect.any():
        result.blame[part] = _blame(close, result.score[part], suspect, places)


def _blame(close: list[_Close], score: Doubles, suspect: Cells, places: Places) -> Floats:
    """Spread the probability of every place over its cells (n, R, C): `sums_of` and `windows` backwards.

    Of maps that are not `suspect` (n,) nobody is blamed, and few are.
    """
    size, (_, columns) = int(suspect.sum()), places.shape
    among = np.cumsum(suspect) - 1
    most = max((f.width for f in places.families), default=1) if places.wrap else 0
    shape = (size, len(places.groups), columns + most + 1)
    begins: list[Index] = []
    ends: list[Index] = []
    weights: list[Doubles] = []
    listed = np.zeros((size, columns * places.shape[0]), dtype=np.float32)
    for c in close:
        likely = np.flatnonzero((c.nats > score[c.map] - _LIKELY) & suspect[c.map])
        if not len(likely):
            continue
        maps, place = among[c.map[likely]], c.place[likely]
        odds = np.exp(c.nats[likely] - score[c.map[likely]])
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
    found: Floats = np.matmul(places.groups.T, inside[:, :, :columns])
    found += listed.reshape(found.shape)
    blame = np.zeros((len(score), *places.shape), dtype=np.float32)
    blame[suspect] = found
    return blame


def _inverse(counts: Floats) -> Floats:
    inverse: Floats = np.reciprocal(np.maximum(counts, _LEAST))
    return inverse


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
