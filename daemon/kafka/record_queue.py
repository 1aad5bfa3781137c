"""The batches that were read and wait to be taken, in the order they came."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Set

from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import Partition


class RecordQueue:
    """A queue of batches that knows how many records it holds; whoever shares it holds a lock."""

    def __init__(self) -> None:
        self._batches: deque[Batch] = deque()
        self._records = 0

    def __bool__(self) -> bool:
        """Whether anything waits."""
        return bool(self._batches)

    @property
    def records(self) -> int:
        """How many records wait."""
        return self._records

    def put(self, batch: Batch) -> None:
        """Put a batch behind the others."""
        self._batches.append(batch)
        self._records += len(batch.records)

    def take(self, limit: int) -> tuple[Batch, ...]:
        """Take the first batches, at most `limit` records of them, but one batch at least if any waits."""
        taken: list[Batch] = []
        count = 0
        while self._batches and (not taken or count + len(self._batches[0].records) <= limit):
            taken.append(self._batches.popleft())
            count += len(taken[-1].records)
        self._records -= count
        return tuple(taken)

    def forget(self, places: Set[Partition]) -> None:
        """Drop what waits of these partitions."""
        self._batches = deque(b for b in self._batches if (b.topic, b.partition) not in places)
        self._records = sum(len(b.records) for b in self._batches)

    def by_partition(self) -> Counter[Partition]:
        """Count the records of each partition."""
        counts: Counter[Partition] = Counter()
        for batch in self._batches:
            counts[batch.topic, batch.partition] += len(batch.records)
        return counts
