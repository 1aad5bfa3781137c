"""What the source hands to the service loop: records, or news of partitions."""

from __future__ import annotations

from dataclasses import dataclass

from anomalyd.daemon.stages import Partition, Record


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive records of one partition, in offset order; never empty."""

    topic: str
    partition: int
    records: list[Record]

    @property
    def next_offset(self) -> int:
        """Where to read on once these are dealt with."""
        return self.records[-1].offset + 1


@dataclass(frozen=True, slots=True)
class PollResult:
    """What `take` hands out: records, or partitions that came or went (then `batches` is empty).

    A partition in both `revoked` and `assigned` starts again at its stored offset. `generation` counts the
    deliveries with such news.
    """

    batches: tuple[Batch, ...] = ()
    assigned: frozenset[Partition] = frozenset()
    revoked: frozenset[Partition] = frozenset()
    generation: int = 0

    @property
    def records(self) -> list[Record]:
        """All records of all batches."""
        return [record for batch in self.batches for record in batch.records]
