"""A source of records for a service without Kafka."""

from __future__ import annotations

from collections.abc import Mapping

from anomalyd.daemon.kafka.poll_result import PollResult
from anomalyd.daemon.stages import Partition


class HandedSource:
    """Gives what it was handed, one delivery a `take`; nothing may go wrong."""

    def __init__(self, *assigned: Partition) -> None:
        self.waiting: list[PollResult] = [PollResult(assigned=frozenset(assigned))]

    def take(self, timeout_s: float) -> PollResult | None:
        return self.waiting.pop(0) if self.waiting else None

    def start_at(self, offsets: Mapping[Partition, int]) -> None:
        pass

    def rewind(self) -> None:
        raise AssertionError("nothing goes wrong here")

    def behind(self) -> tuple[()]:
        return ()

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        pass
