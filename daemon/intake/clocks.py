"""Producers whose clock is behind: measured against the other producers of the same entity, and corrected.

Parts of an entity that come from several producers are joined by their event times. One whose clock is behind
by more than the lateness would lose nearly all its parts. So what lags behind the newest event time of its
entity by more than half the lateness is followed: `_BLOCK` samples give their least lag, as a delay only adds
to it (Mills, RFC 5905, section 10, takes the least delay for the same reason). `_BLOCKS` of these that agree
within a second, or the grid, are the offset of that clock, and from then on it is added to the event times,
within the limit. A producer that catches up after an outage lags less and less, and is left alone.

All of this goes by the order of the records of one partition, so reading them again gives the same. What has
several producers in one partition can be corrected only; a key that is the entity sees to that.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import msgspec

from anomalyd.daemon import remembered
from anomalyd.daemon.intake.grid_and_lateness import Alignment
from anomalyd.daemon.remembered import Remembered
from anomalyd.daemon.stages import Sample

STATE_NAME = "clocks"

_BLOCK = 4
_BLOCKS = 3
_AGREE_S = 1.0

_Where = tuple[str, int, str]
"""Topic, partition, entity."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A producer of an entity, known by its first metric, whose clock was found to be `behind_s` behind.

    0: no longer. `corrected`: its event times are corrected by it from now on.
    """

    topic: str
    entity: str
    metric: str
    behind_s: float
    corrected: bool


class _Clock(msgspec.Struct, forbid_unknown_fields=True):
    """One producer that lags: the least lag of each block, and what is `added` to event times; in seconds.

    It is added from the offset `since` on; before that `before` was, so that what is read again is the same.
    """

    lags: list[float] = []
    least: float = float("inf")
    seen: int = 0
    behind: float = 0.0
    added: float = 0.0
    since: int = 0
    before: float = 0.0

    @property
    def idle(self) -> bool:
        """Whether nothing speaks for its being behind."""
        return not (self.behind or self.lags or self.seen)

    def follow(self, lag: float) -> None:
        """Take the lag of one more sample."""
        self.least = min(self.least, lag)
        self.seen += 1
        if self.seen == _BLOCK:
            self.lags = [*self.lags, self.least][-_BLOCKS:]
            self.least, self.seen = float("inf"), 0

    def offset(self, agree_s: float) -> float | None:
        """Give by how much the clock is behind, in whole seconds; None where that is not steady."""
        if len(self.lags) < _BLOCKS or max(self.lags) - min(self.lags) > agree_s:
            return None
        return float(round(min(self.lags)))

    def add(self, seconds: float, offset: int) -> None:
        """Add so much to event times from an offset on."""
        self.before, self.added, self.since = self.added, seconds, offset
        self.behind = seconds


class _Clocks(Remembered, frozen=True):
    """What is stored of an entity in a partition: its producers that lag, by their first metric."""

    clocks: dict[str, _Clock]


class ProducerClocks:
    """Follows the producers of every entity of inputs that wait for what is late.

    Arguments:
        alignments: topic -> its grid and lateness.
        tolerances: topic -> up to how many seconds are corrected; 0: none, and nothing is measured.

    """

    def __init__(self, alignments: Mapping[str, Alignment], tolerances: Mapping[str, float]) -> None:
        self._alignments = {t: a for t, a in alignments.items() if a.lateness_s and tolerances.get(t)}
        self._tolerances = tolerances
        self._changes: list[ClockChange] = []
        self.restore({})

    def corrected(
        self, samples: Iterable[Sample], fresh: Callable[[Sample], bool] = lambda sample: True
    ) -> list[Sample]:
        """Give samples, in the order of their records, with event times corrected.

        `fresh` says whether one is met for the first time: only such tell of clocks.
        """
        if not self._alignments:
            return list(samples)
        return [self._corrected(sample, fresh) for sample in samples]

    def take(self) -> tuple[ClockChange, ...]:
        """Give, once, which clocks were found to be behind, and which no longer are."""
        found, self._changes = self._changes, []
        return tuple(found)

    def behind(self) -> dict[tuple[str, str], float]:
        """Give (topic, entity) -> by how many seconds its worst producer is behind."""
        found: dict[tuple[str, str], float] = {}
        for (topic, _, entity), clocks in self._clocks.items():
            if worst := max((clock.behind for clock in clocks.values()), default=0.0):
                found[topic, entity] = max(worst, found.get((topic, entity), 0.0))
        return found

    def state(self) -> dict[str, bytes | None]:
        """Give what to store of the entities that changed since the last call, by partition and entity."""
        found: dict[str, bytes | None] = {}
        for where in self._changed:
            clocks = self._clocks.get(where)
            found["{}/{}/{}".format(*where)] = remembered.encode(_Clocks(clocks=clocks)) if clocks else None
        self._changed.clear()
        return found

    def restore(self, states: Mapping[str, bytes | None]) -> None:
        """Start from what was stored.

        Raises:
            StoreError: what was stored is damaged.

        """
        self._newest: dict[_Where, float] = {}
        self._clocks: dict[_Where, dict[str, _Clock]] = {}
        self._changed: set[_Where] = set()
        for key, blob in states.items():
            if blob is None:
                continue
            topic, partition, entity = key.split("/", 2)
            stored = remembered.decode(blob, _Clocks, f"what was remembered of the clocks of {entity}")
            self._clocks[topic, int(partition), entity] = stored.clocks

    def _corrected(self, sample: Sample, fresh: Callable[[Sample], bool]) -> Sample:
        alignment = self._alignments.get(sample.topic)
        if alignment is None or not sample.values:
            return sample
        where = (sample.topic, sample.partition, sample.entity)
        newest = self._newest.get(where, sample.time)
        clocks = self._clocks.get(where)
        if clocks is not None or newest - sample.time > alignment.lateness_s / 2:
            metric = next(iter(sample.values))
            if fresh(sample):
                self._follow(where, metric, newest - sample.time, sample.offset, alignment)
            clock = self._clocks.get(where, {}).get(metric)
            added = 0.0 if clock is None else clock.added if sample.offset >= clock.since else clock.before
            if added:
                sample = msgspec.structs.replace(sample, time=sample.time + added)
        if sample.time >= newest:
            self._newest[where] = sample.time
        return sample

    def _follow(self, where: _Where, metric: str, lag: float, offset: int, alignment: Alignment) -> None:
        """Take the lag of one more sample of a producer; it is known by the metric."""
        clocks = self._clocks.get(where, {})
        clock = clocks.get(metric)
        agree_s = max(_AGREE_S, alignment.grid_s)
        # One set right, or by some of it, must not count as of the future from now on.
        if lag <= alignment.lateness_s / 2 or (clock is not None and lag < clock.behind - agree_s):
            if clock is not None and not clock.idle:
                self._end(where, metric, clock, offset)
            return
        if clock is None:
            clock = self._clocks.setdefault(where, {})[metric] = _Clock()
        self._changed.add(where)
        clock.follow(lag)
        found = clock.offset(agree_s)
        if found is None or abs(found - clock.behind) <= agree_s:
            return
        corrected = found <= self._tolerances[where[0]]
        clock.add(found if corrected else 0.0, offset)
        clock.behind = found
        self._changes.append(ClockChange(where[0], where[2], metric, found, corrected))

    def _end(self, where: _Where, metric: str, clock: _Clock, offset: int) -> None:
        """Follow a producer no more; what was added stays known, for records in flight may be read again."""
        self._changed.add(where)
        clocks = self._clocks[where]
        if clock.behind:
            self._changes.append(ClockChange(where[0], where[2], metric, 0.0, False))
            clocks[metric] = _Clock(before=clock.added, since=offset)
        elif clock.before:
            clocks[metric] = _Clock(before=clock.before, since=clock.since)
        else:
            del clocks[metric]
            if not clocks:
                del self._clocks[where]
