"""The way in: batches of records -> samples that are ready to be scored.

    decode (records to samples) -> align (parts to vectors, counters to rates) -> presence (which metrics)

All that is remembered between steps is in `states`, which the service stores with the offsets of the step,
and comes back by `restore`. See `align` for what happens if the daemon dies with parts in hand.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.align import SETTLE_S, Aligner
from anomalyd.daemon.intake.align import STATE_NAME as ALIGN
from anomalyd.daemon.intake.alignment import alignments
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.metric_presence import STATE_NAME as PRESENCE
from anomalyd.daemon.intake.metric_presence import Change, MetricPresence
from anomalyd.daemon.intake.reported_offsets import STATE_NAME as TOLD
from anomalyd.daemon.intake.reported_offsets import ReportedOffsets
from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import DeadLetter, Partition, Sample
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.reports.storage.store import Store

_log = logging.getLogger(__name__)

_LISTED = 20
"""Metrics that one line of the log names: a disk or a container has about so many."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What is ready to be scored, and what is to be told once it is stored.

    `dead` and `late` are what was met for the first time: what is read again after a restart is not in them.
    """

    samples: tuple[Sample, ...]
    dead: tuple[DeadLetter, ...]
    late: Mapping[str, int]
    changes: tuple[Change, ...]


class Intake:
    """Takes batches, in the order they are read, through decode, align and presence."""

    def __init__(self, inputs: Sequence[InputConfig], decoder: Decoder, telemetry: Telemetry) -> None:
        self._decoder = decoder
        self._telemetry = telemetry
        self._aligner = Aligner(alignments(inputs), SETTLE_S)
        self._presence = MetricPresence()
        self._reported = ReportedOffsets()

    @property
    def holds_back(self) -> bool:
        """Whether any input waits for what is late."""
        return self._aligner.holds_back

    def held_from(self) -> Mapping[Partition, int]:
        """Give the lowest offset of each partition that still waits: store no offset beyond it."""
        return self._aligner.held_from()

    def take(
        self,
        batches: Sequence[Batch],
        stored: Mapping[Partition, int],
        now: float,
        behind: Collection[Partition] = (),
    ) -> Arrivals:
        """Take what was read.

        Arguments:
            batches: what was read, if anything.
            stored: the store's next offset by partition.
            now: wall clock.
            behind: the partitions of which Kafka may have more to give right now.

        """
        with self._telemetry.timing.stage("decode"):
            decoded, dead = self._decode(batches, stored)
        with self._telemetry.timing.stage("align"):
            aligned = self._aligner.add(decoded, now, behind) + self._aligner.flush(now)
            late = Counter(
                s.topic
                for s in self._aligner.take_late()
                if self._reported.fresh(s.topic, s.partition, s.offset)
            )
            changes = self._presence.look(aligned)
        return Arrivals(tuple(aligned), tuple(dead), late, tuple(changes))

    def states(self, read: Mapping[Partition, int]) -> dict[tuple[str, str], bytes]:
        """Give what to store of the steps since the last call; `read`: the next offset of each partition."""
        states = {(ALIGN, entity): blob for entity, blob in self._aligner.state().items()}
        states |= {(PRESENCE, entity): blob for entity, blob in self._presence.state().items()}
        if self.holds_back:
            states |= {(TOLD, place): blob for place, blob in self._reported.state(read).items()}
        return states

    def restore(self, store: Store) -> None:
        """Go back to what is stored, and forget everything since.

        Raises:
            StoreError: it cannot be read, or is damaged.

        """
        self._aligner.restore(store.entity_states(ALIGN))
        self._presence.restore(store.entity_states(PRESENCE))
        self._reported.restore(store.entity_states(TOLD))

    def forget(self) -> None:
        """Forget everything that was taken, until `restore` tells what is stored."""
        self._aligner.restore({})
        self._presence.restore({})
        self._reported.restore({})

    def tell(self, arrivals: Arrivals) -> None:
        """Tell those who watch what is stored now."""
        for letter in arrivals.dead:
            self._telemetry.intake.dead_letter(letter.record.topic, letter.reason)
        for topic, samples in arrivals.late.items():
            self._telemetry.intake.late(topic, samples)
        for change in arrivals.changes:
            self._telemetry.intake.presence(change.topic, len(change.appeared), len(change.vanished))
            if change.appeared:
                _log.info(
                    "%s sends new metrics, which no detector sees before its next training: %s",
                    change.entity,
                    _listed(change.appeared),
                )
            if change.vanished:
                _log.warning(
                    "%s sends no more, and is scored without: %s", change.entity, _listed(change.vanished)
                )

    def _decode(
        self, batches: Sequence[Batch], stored: Mapping[Partition, int]
    ) -> tuple[list[Sample], list[DeadLetter]]:
        samples: list[Sample] = []
        dead: list[DeadLetter] = []
        for batch in batches:
            decoded, refused = self._decoder.decode(batch.records)
            samples += decoded
            place = (batch.topic, batch.partition)
            if batch.records[0].offset < stored.get(place, 0):
                self._reported.begin_anew(*place)
            dead += [letter for letter in refused if self._reported.fresh(*place, letter.record.offset)]
            self._telemetry.kafka.consumed(batch.topic, len(batch.records))
            self._telemetry.intake.decoded(batch.topic, len(decoded))
        return samples, dead


def _listed(metrics: Sequence[str]) -> str:
    more = len(metrics) - _LISTED
    return ", ".join(metrics[:_LISTED]) + (f" and {more} more" if more > 0 else "")
