"""Up to which offset dead letters and late samples have been told: what is held back is read twice."""

from __future__ import annotations

from collections.abc import Mapping

from anomalyd.daemon.stages import Partition

STATE_NAME = "@told"  # no detector can have this name: the store keeps both side by side


class ReportedOffsets:
    """Tells what is read for the first time from what is read again after a restart.

    The stored offsets stop where `align` holds something back; its neighbours have been dealt with already.
    """

    def __init__(self) -> None:
        self._before: dict[Partition, int] = {}

    def fresh(self, topic: str, partition: int, offset: int) -> bool:
        """Say whether a record was never told of before."""
        return offset >= self._before.get((topic, partition), 0)

    def begin_anew(self, topic: str, partition: int) -> None:
        """Note that a topic was deleted and made again."""
        self._before.pop((topic, partition), None)

    def state(self, read: Mapping[Partition, int]) -> dict[str, bytes]:
        """Give what to store once everything before these offsets is told."""
        # Reading again, it may be killed again before it is where it was: never back.
        return {
            f"{topic}/{partition}": b"%d" % max(following, self._before.get((topic, partition), 0))
            for (topic, partition), following in read.items()
        }

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Start from what was stored."""
        self._before = {}
        for place, following in states.items():
            topic, _, partition = place.rpartition("/")
            self._before[topic, int(partition)] = int(following)
