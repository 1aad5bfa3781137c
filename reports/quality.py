"""The quality of a run: what each lumisection was like for a detector system, by machine and by people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import reduce
from itertools import groupby

TOLERATED = 0.02
"""Share of a system's elements that may alert in a good lumisection: 5 of 250 chambers. A single false alarm
must not cost the data of a whole detector; of a system of few elements one is too many."""

COVERED = 0.5
"""Share of its elements that must have been seen and judged for a verdict."""

NO_BEAM = "no beam, or no data: every element counts nothing"


class Flag(StrEnum):
    """What the data are fit for."""

    GOOD = "good"
    BAD = "bad"
    UNCERTAIN = "uncertain"
    """Nobody can say: too little was seen, or the detectors could not tell."""
    EMPTY = "empty"
    """Every element of the system counts nothing: no beam, or no data. That is not a fault of an element."""


@dataclass(frozen=True, slots=True)
class Look:
    """What came of the maps of one element in one lumisection: whether any was `judged`, any `alerting`.

    `empty`: a map came in which no cell counts anything.
    """

    judged: bool
    alerting: bool
    empty: bool = False


@dataclass(frozen=True, slots=True)
class Coverage:
    """Elements of a system in one lumisection: how many were `seen`, `judged`, `alerting`, and `empty`."""

    seen: int
    judged: int
    alerting: int
    empty: int = 0


@dataclass(frozen=True, slots=True)
class Override:
    """What somebody says of lumisections `first` to `last`; `flag` None takes back what was said before."""

    run: int
    system: str
    first: int
    last: int
    flag: Flag | None
    who: str
    reason: str
    recorded: float = 0.0
    id: int = 0


@dataclass(frozen=True, slots=True)
class FlagRange:
    """Lumisections `first` to `last`, both included: the `machine`'s verdict, and what a person said."""

    first: int
    last: int
    machine: Flag
    override: Override | None = None

    @property
    def flag(self) -> Flag:
        """What counts: the person's word, else the machine's verdict."""
        said = self.override.flag if self.override is not None else None
        return said or self.machine


def verdict(seen: Coverage | None, elements: int) -> Flag:
    """Judge one lumisection of a system that has shown so many `elements` in the run.

    Bad: more of them alert than is tolerated. Empty: all that were seen count nothing. Uncertain: fewer than
    half were judged, and so few alert.
    """
    if seen is not None and seen.alerting > TOLERATED * elements:
        return Flag.BAD
    if seen is not None and 0 < seen.seen == seen.empty and not seen.judged:
        return Flag.EMPTY
    if seen is None or seen.judged < COVERED * elements:
        return Flag.UNCERTAIN
    return Flag.GOOD


def flag_ranges(
    seen: Mapping[int, Coverage], overrides: Sequence[Override] = (), span: tuple[int, int] | None = None
) -> list[FlagRange]:
    """Give the flags of a system's lumisections (number -> coverage), from the first to the last, in ranges.

    `span`: the first and the last lumisection that any system of the run has shown. The newest of the
    overrides counts. Those of lumisections that were never seen count, too.
    """
    numbers = [*seen, *(span or ()), *(n for o in overrides if o.flag is not None for n in (o.first, o.last))]
    if not numbers:
        return []
    elements = max((c.seen for c in seen.values()), default=0)
    said = sorted(overrides, key=lambda o: o.id)

    def of(number: int) -> tuple[Flag, Override | None]:
        newest = next((o for o in reversed(said) if o.first <= number <= o.last), None)
        return verdict(seen.get(number), elements), newest if newest and newest.flag else None

    # Only where something may change is looked at: one stray message may claim lumisection 2,000,000,000.
    edges = {min(numbers), *seen, *(n + 1 for n in seen), *(n for o in said for n in (o.first, o.last + 1))}
    begins = sorted(n for n in edges if min(numbers) <= n <= max(numbers))
    found: list[FlagRange] = []
    for (machine, override), some in groupby(begins, of):
        begin = next(some)
        if found:
            found[-1] = replace(found[-1], last=begin - 1)
        found.append(FlagRange(begin, max(numbers), machine, override))
    return _trimmed(found, [*seen, *(span or ())])


def _trimmed(ranges: Sequence[FlagRange], shown: Sequence[int]) -> list[FlagRange]:
    """Leave out, beyond what the run has shown, where only a word that was taken back had reached."""
    kept = [*shown, *(n for r in ranges if r.override is not None for n in (r.first, r.last))]
    low, high = min(kept, default=1), max(kept, default=0)
    cut = [replace(r, first=max(r.first, low), last=min(r.last, high)) for r in ranges]
    return [r for r in cut if r.first <= r.last]


def golden(ranges: Mapping[str, Iterable[FlagRange]]) -> list[tuple[int, int]]:
    """Give the ranges of lumisections that are good in every one of the systems."""
    every = [_joined((r.first, r.last) for r in some if r.flag is Flag.GOOD) for some in ranges.values()]
    return reduce(_overlap, every) if every else []


def _joined(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Make one of ranges that follow each other without a gap."""
    found: list[tuple[int, int]] = []
    for first, last in ranges:
        if found and first == found[-1][1] + 1:
            first = found.pop()[0]
        found.append((first, last))
    return found


def _overlap(one: list[tuple[int, int]], other: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Give what is in both, by walking along them."""
    found: list[tuple[int, int]] = []
    i = j = 0
    while i < len(one) and j < len(other):
        first, last = max(one[i][0], other[j][0]), min(one[i][1], other[j][1])
        if first <= last:
            found.append((first, last))
        if one[i][1] < other[j][1]:
            i += 1
        else:
            j += 1
    return found
