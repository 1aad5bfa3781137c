"""How much of each partition Kafka still has to give, as far as that is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from anomalyd.daemon.stages import Partition


class ConsumerLag:
    """The consumer lag of each partition as it was last measured."""

    def __init__(self) -> None:
        self._measured: dict[Partition, int] = {}

    def measure(self, lag: Mapping[Partition, int]) -> None:
        """Set how many records of each partition lie in Kafka."""
        self._measured = dict(lag)

    def forget(self, place: Partition) -> None:
        """Know nothing of a partition."""
        self._measured.pop(place, None)

    def lag(self, waiting: Mapping[Partition, int]) -> dict[Partition, int]:
        """Give the known lags, with what was read and still waits to be taken."""
        return {place: behind + waiting.get(place, 0) for place, behind in self._measured.items()}

    def behind(self, places: Collection[Partition], waiting: Mapping[Partition, int]) -> frozenset[Partition]:
        """Give those of the partitions that have more to take, or have not been measured yet."""
        lag = self.lag(waiting)
        return frozenset(place for place in places if lag.get(place, 1))
