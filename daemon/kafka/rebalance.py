"""What Kafka gives to this member of the group and takes from it, noted for the source's thread."""

from __future__ import annotations

from collections import deque
from typing import Any

from kafka import ConsumerRebalanceListener

from anomalyd.daemon.stages import Partition


class RebalanceListener(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notes what happened. It runs on the loop that sends heartbeats, so it must do nothing else.

    `rebalances` gets (came, partitions), in the order in which they came (True) and went (False).
    """

    def __init__(self, rebalances: deque[tuple[bool, set[Partition]]], consumer: Any) -> None:
        self._rebalances = rebalances
        self._coordinator = getattr(consumer, "_coordinator", None)

    def on_partitions_revoked(self, revoked: set[Any]) -> None:
        """Note what went; called before every join, too, then with what the member had."""
        self._rebalances.append((False, {tuple(place) for place in revoked}))
        # Up to kafka-python 3.0.12 a join that the group's leader begins because partitions were added, and
        # that outlasts the poll it began in, is never completed: no assignment, for ever. The Java client had
        # the same fault and cured it so (KAFKA-9815): whoever begins to join wants to until it is done.
        if self._coordinator is not None:
            self._coordinator.request_rejoin()

    def on_partitions_assigned(self, assigned: set[Any]) -> None:
        """Note what came."""
        self._rebalances.append((True, {tuple(place) for place in assigned}))
