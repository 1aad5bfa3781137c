"""How much of each partition Kafka still has to give, as far as that is known."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from anomalyd.daemon.delivery import Partition

FULL_S = 2.0
"""A poll that brings as much as it may has left answers of Kafka unread, with the ends of other partitions in
them. These come within a few polls, so after so many seconds of full polls the ends are known."""


class Backlog:
    """The consumer lag of each partition as it was last measured, and whether that can be relied on.

    Arguments:
        full: how many records one poll gives at the most.

    """

    def __init__(self, full: int) -> None:
        self._full = full
        self._full_since: float | None = None
        self._measured: dict[Partition, int] = {}

    def polled(self, records: int, now: float) -> None:
        """Note how many records a poll brought at clock `now`."""
        if records < self._full:
            self._full_since = None
        elif self._full_since is None:
            self._full_since = now

    def measure(self, lag: Mapping[Partition, int]) -> None:
        """Set how many records of each partition lie in Kafka."""
        self._measured = dict(lag)

    def forget(self, place: Partition) -> None:
        """Know nothing of a partition."""
        self._measured.pop(place, None)

    def lag(self, waiting: Mapping[Partition, int]) -> dict[Partition, int]:
        """Give the known lags, with what was read and still waits to be taken."""
        return {place: behind + waiting.get(place, 0) for place, behind in self._measured.items()}

    def behind(
        self, places: Collection[Partition], waiting: Mapping[Partition, int], now: float
    ) -> frozenset[Partition]:
        """Give those of the partitions that have more to take, or have not been measured yet."""
        if self._full_since is not None and now - self._full_since < FULL_S:
            return frozenset(places)
        lag = self.lag(waiting)
        return frozenset(place for place in places if lag.get(place, 1))
