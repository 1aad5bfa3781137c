"""Records that may have ended the process: found by taking them one by one, then set aside.

Before the first records of a partition are taken, after every start, the store is told which are begun; once
they are stored, that they went well. Whoever starts and finds some begun, and not finished, takes just these
one by one, each counted on its own. A record that was begun three times alone and never finished becomes a
dead letter, and its neighbours are scored. A kill from outside costs some seconds of this caution.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import Partition
from anomalyd.reports.storage.repositories.attempts import Attempt, Place

ATTEMPTS = 3


class Attempts(Protocol):
    """Where attempts are kept: `reports.storage.repositories.attempts`."""

    def unfinished(self, group: str) -> dict[Place, Attempt]:
        """Give what was begun and not finished, by its first place."""

    def begin(self, group: str, attempts: Mapping[Place, Attempt]) -> None:
        """Keep attempts, each `alone` on top of what is known of its place."""

    def forgive(self, group: str, attempts: Mapping[Place, Attempt]) -> None:
        """Take back attempts that `begin` kept."""

    def passed(self, group: str, following: Mapping[Partition, int]) -> None:
        """Forget the attempts at what lies before these offsets."""


class Suspects:
    """Says which records to take together, and which to set aside. Methods raise StoreError."""

    def __init__(self, attempts: Attempts, group: str) -> None:
        self._attempts = attempts
        self._group = group
        self._unfinished: dict[Place, Attempt] = {}
        self._unproven: set[Partition] = set()
        self._begun: dict[Place, Attempt] = {}
        self._careful_until: dict[Partition, int] = {}

    def begin(self, assigned: Collection[Partition]) -> None:
        """Start from what the store knows of these partitions.

        What this process began and could not store did not end it: that is not counted.
        """
        self._attempts.forgive(self._group, self._begun)
        self._begun = {}
        self._unfinished = self._attempts.unfinished(self._group)
        self._unproven = set(assigned)
        self._careful_until = {}
        for (topic, partition, _), attempt in self._unfinished.items():
            place = topic, partition
            if place in self._unproven:
                # Not just the first one's: what went well just before a kill may still count as begun.
                known = self._careful_until.get(place, 0)
                self._careful_until[place] = max(known, attempt.next_offset)

    def parts(self, batches: Sequence[Batch]) -> Iterator[Sequence[Batch]]:
        """Give what to take in one step each: single records where caution is due, all others together."""
        suspected = [batch for batch in batches if _partition(batch) in self._careful_until]
        together = [batch for batch in batches if _partition(batch) not in self._careful_until]
        if together or not batches:
            yield together
        behind = []
        for batch in suspected:
            until = self._careful_until.get(_partition(batch), 0)
            for record in batch.records:
                if record.offset < until:
                    yield [Batch(batch.topic, batch.partition, [record])]
            if rest := [record for record in batch.records if record.offset >= until]:
                behind.append(Batch(batch.topic, batch.partition, rest))
        if behind:
            yield behind

    def note(self, part: Sequence[Batch]) -> frozenset[Place]:
        """Keep that this part is begun, where that may matter; give the records of it to set aside."""
        alone = len(part) == 1 and len(part[0].records) == 1
        begun = {
            (batch.topic, batch.partition, batch.records[0].offset): Attempt(int(alone), batch.next_offset)
            for batch in part
            if _partition(batch) in self._unproven
        }
        if not begun:
            return frozenset()
        self._begun = begun
        self._attempts.begin(self._group, begun)
        if not alone:
            return frozenset()
        return frozenset(
            place
            for place in begun
            if place in self._unfinished and self._unfinished[place].alone >= ATTEMPTS
        )

    def passed(self, part: Sequence[Batch]) -> None:
        """Note that a part is stored."""
        self._begun = {}
        following = {_partition(b): b.next_offset for b in part if _partition(b) in self._unproven}
        if not following:
            return
        self._attempts.passed(self._group, following)
        for partition, offset in following.items():
            if offset >= self._careful_until.get(partition, 0):
                self._careful_until.pop(partition, None)
                self._unproven.discard(partition)


def _partition(batch: Batch) -> Partition:
    return batch.topic, batch.partition
