"""Up to which offset dead letters and late samples have been told: what is held back is read twice."""

from __future__ import annotations

from collections.abc import Mapping

from anomalyd.daemon import remembered
from anomalyd.daemon.remembered import Remembered
from anomalyd.daemon.stages import Partition

STATE_NAME = "told"


class _Reported(Remembered, frozen=True):
    """The offset of a partition before which everything was told."""

    before: int


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
            f"{topic}/{partition}": remembered.encode(
                _Reported(before=max(following, self._before.get((topic, partition), 0)))
            )
            for (topic, partition), following in read.items()
        }

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Start from what was stored.

        Raises:
            StoreError: what was stored is damaged.

        """
        self._before = {}
        for place, blob in states.items():
            topic, _, partition = place.rpartition("/")
            reported = remembered.decode(blob, _Reported, f"the offset up to which {place} was told")
            self._before[topic, int(partition)] = reported.before
