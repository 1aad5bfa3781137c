"""Records that may have ended the process: found by taking them one by one, then set aside.

Before the first records of a partition are taken, after every start, the store is told that they are begun;
once they are stored, that they went well. Whoever starts and finds them begun, and not finished, takes the
next of them one by one, each counted on its own. A record that was begun three times alone and never finished
becomes a dead letter, and its neighbours are scored. A kill from outside costs some seconds of this caution.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Protocol

from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import Partition

ATTEMPTS = 3

Place = tuple[str, int, int]


class Attempts(Protocol):
    """Where attempts are kept: `reports.storage.repositories.attempts`."""

    def counts(self, group: str) -> dict[Place, int]:
        """Give how often each (topic, partition, offset) was begun and not finished."""

    def begin(self, group: str, places: Sequence[Place]) -> None:
        """Count one more attempt at each of these places."""

    def forgive(self, group: str, places: Sequence[Place]) -> None:
        """Count one attempt at each of these places less."""

    def passed(self, group: str, following: Mapping[Partition, int]) -> None:
        """Forget the attempts at what lies before these offsets."""


class Suspects:
    """Says which records to take together, and which to set aside. Methods raise StoreError.

    `at_once`: how many records one step may have taken, so how many come under suspicion.
    """

    def __init__(self, attempts: Attempts, group: str, at_once: int) -> None:
        self._attempts = attempts
        self._group = group
        self._at_once = at_once
        self._counts: dict[Place, int] = {}
        self._unproven: set[Partition] = set()
        self._begun: list[Place] = []
        self._careful_until: dict[Partition, int] = {}

    def begin(self, assigned: Collection[Partition]) -> None:
        """Start from what the store knows of these partitions.

        What this process began and could not store did not end it: that is not counted.
        """
        self._attempts.forgive(self._group, self._begun)
        self._begun = []
        self._counts = self._attempts.counts(self._group)
        self._unproven = set(assigned)
        self._careful_until = {}
        for topic, partition, offset in sorted(self._counts, reverse=True):
            if (topic, partition) in self._unproven:
                self._careful_until[topic, partition] = offset + self._at_once

    def parts(self, batches: Sequence[Batch]) -> Iterator[Sequence[Batch]]:
        """Give what to take in one step each: all together, or single records where caution is due."""
        together = [batch for batch in batches if _partition(batch) not in self._careful_until]
        if together or not batches:
            yield together
        for batch in batches:
            if _partition(batch) in self._careful_until:
                for record in batch.records:
                    yield [Batch(batch.topic, batch.partition, [record])]

    def note(self, part: Sequence[Batch]) -> frozenset[Place]:
        """Keep that this part is begun, where that may matter; give the records of it to set aside."""
        places = [
            (batch.topic, batch.partition, batch.records[0].offset)
            for batch in part
            if _partition(batch) in self._unproven
        ]
        if not places:
            return frozenset()
        alone = len(part) == 1 and len(part[0].records) == 1
        condemned = frozenset(p for p in places if alone and self._counts.get(p, 0) >= ATTEMPTS)
        self._begun = places
        self._attempts.begin(self._group, places)
        return condemned

    def passed(self, part: Sequence[Batch]) -> None:
        """Note that a part is stored."""
        self._begun = []
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
