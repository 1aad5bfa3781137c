"""What the places of maps hold, beside what is expected of them by the element's reference."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.likelihood.empty_cells import Empties, empties_of, isolated_odd
from anomalyd.detectors.maps.places.box_sums import sums_of, windows
from anomalyd.detectors.maps.places.places import Counts, Family, Index, Listed, Places

Floats = NDArray[np.float32]

_CHUNK = 120_000  # cells that are worked on together: they and their sums stay in the processor's cache

_LEAST = np.float32(1e-3)  # counts that nothing is divided by less than


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

    def striking(self, stray: Floats, wider: Floats, least: float) -> tuple[Index, Floats, Floats, Floats]:
        """Find places as `Sums.striking` does."""
        observed, expected = self.observed, self.expected
        pull = observed - expected
        pull *= pull
        wide = (-1, *[1] * (expected.ndim - 1))
        limit = expected * stray.reshape(wide)
        limit += self.variance * wider.reshape(wide)
        limit *= expected
        limit *= np.float32(least)
        chosen = np.flatnonzero(pull > limit)
        return chosen, observed.ravel()[chosen], expected.ravel()[chosen], self.variance.ravel()[chosen]


@dataclass(frozen=True, slots=True)
class Sums:
    """All places of one family or list: sums of the counts, the reference and perhaps the profile.

    `inside` (N, ...) each; `rest`: of what each place is compared with, none where that is the rest of the
    map, whose sums are `totals` (N,). `error` (N,): relative error of the profile.
    """

    number: int
    kind: int
    prior: float
    inside: list[Floats]
    rest: list[Floats]
    totals: list[Floats]
    error: Floats | None

    @property
    def observed(self) -> Floats:
        """The counts of each place."""
        return self.inside[0]

    def compared(self) -> Compared:
        """Compare all of them."""
        wide = (-1, *[1] * (self.inside[0].ndim - 1))
        rest = self.rest or [
            total.reshape(wide) - x for total, x in zip(self.totals, self.inside, strict=True)
        ]
        error = None if self.error is None else self.error.reshape(wide)
        expected, variance = _expect(self.inside, rest, error)
        return Compared(self.number, self.kind, self.prior, self.inside[0], expected, variance)

    def striking(self, stray: Floats, wider: Floats, least: float) -> tuple[Index, Floats, Floats, Floats]:
        """Find the places whose squared pull is above `least`, in units of its variance.

        `stray` (N,): squared spread; `wider` (N,): variance of counts over Poisson's. Gives their indices
        (m,), observed and expected counts, and variance.
        """
        if self.rest or self.error is not None:
            return self.compared().striking(stray, wider, least)
        counts, reference = self.inside
        wide = (-1, *[1] * (counts.ndim - 1))
        total, known = (x.reshape(wide) for x in self.totals)
        # Beside the whole map, not its rest, pulls and variances are simpler, and in the same proportion.
        ratio = total * _inverse(known)
        usual = reference * ratio
        noise = (1 + ratio) * wider.reshape(wide)
        limit = reference * ((ratio * stray.reshape(wide) - noise * _inverse(known)) * np.float32(least))
        limit += noise * np.float32(least)
        limit *= usual
        pull = np.subtract(counts, usual, out=usual)
        pull *= pull
        chosen = np.flatnonzero(pull > limit)
        maps = chosen // (counts.size // len(counts))
        inside = [x.ravel()[chosen] for x in self.inside]
        rest = [t[maps] - x for t, x in zip(self.totals, inside, strict=True)]
        return chosen, inside[0], *_expect(inside, rest, None)


def comparisons(
    counts: Counts, reference: Counts, places: Places, profile: Profile | None = None
) -> Iterator[tuple[slice, Compared]]:
    """Give all the places of maps (N, R, C), family by family, as the scan sees them, and of which maps."""
    for part, seen, known, usual, _ in laid_out(counts, reference, places, profile):
        for sums in summed_up(seen, known, places, usual):
            yield part, sums.compared() if isinstance(sums, Sums) else sums


def laid_out(
    counts: Counts, reference: Counts, places: Places, profile: Profile | None, *, empties: bool = True
) -> Iterator[tuple[slice, Floats, Floats, Profile | None, Empties | None]]:
    """Go through the maps a few at a time, with isolated dead cells taken out of what is expected.

    Gives counts, reference and profile, and what an empty cell is worth, where one may be benign and
    `empties` are asked for.
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
        alone = isolated_odd(seen, wanted, ratio, places)
        if not places.benign:
            alone &= known == 0  # it was never seen to count: it may always have been dead
        known = np.where(alone, 0, known)
        seen = np.where(alone, 0, seen)
        if usual is not None:
            usual = Profile(np.where(alone, 0, usual.rates), usual.error)
        zeros = None
        if places.benign and empties:
            zeros = empties_of(seen, np.where(alone, 0, wanted), ratio, places)
        yield part, seen, known, usual, zeros


def summed_up(
    counts: Floats, reference: Floats, places: Places, profile: Profile | None
) -> Iterator[Sums | Compared]:
    """Sum the cells of all the places up, family by family; those without edges are compared at once."""
    maps = [counts, reference, *([] if profile is None else [profile.rates])]
    sums = [sums_of(x, places) for x in maps]
    flat = [x.reshape(len(x), -1) for x in maps]
    totals = [x.sum((1, 2), dtype=np.float64).astype(np.float32) for x in maps]

    def summed(number: int, kind: Family | Listed, inside: list[Floats], rest: list[Floats]) -> Sums:
        error = None if profile is None else profile.error[:, kind.kind]
        return Sums(number, kind.kind, kind.prior, inside, rest, totals, error)

    inside = list[Floats]()
    for number, (family, again) in enumerate(zip(places.families, _again(places), strict=True)):
        if not again:
            inside = [windows(x, family.group, family, places) for x in sums]
        against = family.against
        rest = [] if against is None else [windows(x, against, family, places) for x in sums]
        yield summed(number, family, inside, rest)
    for number, listed in enumerate(places.listed, len(places.families)):
        if listed.squares is not None:
            yield _graded(number, listed, listed.squares, flat, profile)
            continue
        others = listed.against
        rest = [] if others is None else [x @ others for x in flat]
        yield summed(number, listed, [x @ listed.cells for x in flat], rest)


@lru_cache(maxsize=64)
def _again(places: Places) -> tuple[bool, ...]:
    """Say which families are of the same places as the one before, compared in another way."""
    before = (None, *places.families)
    return tuple(
        last is not None and f.width == last.width and np.array_equal(f.group, last.group)
        for last, f in zip(before, places.families, strict=False)
    )


def _graded(
    number: int, listed: Listed, squares: Counts, flat: list[Floats], profile: Profile | None
) -> Compared:
    """Compare places without edges, as places of equal worth that have some.

    Cells with shares w of the loss, and b of the map's total N by the reference, pull by
    sum(w n) - N sum(w b), the most telling sum if the luminosity is not known. Its variance is N v with
    v = sum(w^2 b) - sum(w b)^2, but for the error of b. A place with edges that expects N sum(w^2 b) counts
    pulls as far for the same loss if both are scaled by sum(w^2 b) / v.
    """
    total = flat[0].sum(1, keepdims=True)
    known = flat[1].sum(1, keepdims=True)
    inverse = _inverse(known)
    first, second = (flat[1] @ x * inverse for x in (listed.cells, squares))
    doubt = _inverse((second - first**2) * known)
    if profile is not None:
        inverse = _inverse(flat[2].sum(1, keepdims=True))
        error = np.maximum(profile.error[:, listed.kind, None], _LEAST) ** 2
        trust = error / (doubt + error)
        first = first * trust + (flat[2] @ listed.cells * inverse) * (1 - trust)
        second = second * trust + (flat[2] @ squares * inverse) * (1 - trust)
        doubt = doubt * trust
    expected = second * total
    pull = flat[0] @ listed.cells - first * total
    spread = np.maximum(second - first**2, 1e-9)
    observed = np.maximum(expected + pull * (second / spread), _LEAST)
    variance = second / spread + expected * doubt
    return Compared(number, listed.kind, listed.prior, observed, expected, variance)


def _expect(inside: list[Floats], rest: list[Floats], error: Floats | None) -> tuple[Floats, Floats]:
    """Give what is expected of places (any shape), and its variance, by what they are compared with."""
    relative = _inverse(rest[1])
    share = inside[1] * relative
    if error is None:
        # Squared relative errors 1/known + 1/rest of the reference + 1/rest of the map, times what is
        # expected, plus 1: they are a product, and nothing is divided.
        expected = share * rest[0]
        variance = rest[0] * relative
        variance += 1
        share += 1
        variance *= share
        return expected, variance
    # An empty place is as certain as the counts that it should have had.
    other = inside[2] * _inverse(rest[2])
    doubt = _inverse(np.maximum(inside[1], other * rest[1]))
    doubt += relative
    # The mean of both, weighted by how certain each is.
    squared = np.maximum(error, _LEAST) ** 2
    both = doubt + squared
    expected = (share * squared + other * doubt) / both * rest[0]
    doubt *= squared
    doubt /= both
    doubt += _inverse(rest[0])
    variance = expected * doubt
    variance += 1
    return expected, variance


def _inverse(counts: Floats) -> Floats:
    inverse: Floats = np.reciprocal(np.maximum(counts, _LEAST))
    return inverse
