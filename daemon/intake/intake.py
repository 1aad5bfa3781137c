"""The way in: batches of records -> samples that are ready to be scored.

    decode (records to samples) -> align (parts to vectors, counters to rates) -> presence (which metrics)

All that is remembered between steps is in `states`, which the service stores with the offsets of the step,
and comes back by `restore`. See `align` for what happens if the daemon dies with parts in hand.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.accounts import Accounts, outcomes
from anomalyd.daemon.intake.align import SETTLE_S, Aligner
from anomalyd.daemon.intake.align import STATE_NAME as ALIGN
from anomalyd.daemon.intake.churn import STATE_NAME as CHURN
from anomalyd.daemon.intake.churn import Churn, Churning
from anomalyd.daemon.intake.clocks import STATE_NAME as CLOCKS
from anomalyd.daemon.intake.clocks import ClockChange, ProducerClocks
from anomalyd.daemon.intake.counter_kinds import STATE_NAME as KINDS
from anomalyd.daemon.intake.counter_kinds import CounterKinds, Kind, KindChange, kinds_mark, read_kinds
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.formats.canary import Canary, decode_canary, is_canary
from anomalyd.daemon.intake.grid_and_lateness import alignments, counts_are_said, labels_are_said
from anomalyd.daemon.intake.label_collisions import STATE_NAME as LABELS
from anomalyd.daemon.intake.label_collisions import Collision, LabelCollisions
from anomalyd.daemon.intake.metric_presence import STATE_NAME as PRESENCE
from anomalyd.daemon.intake.metric_presence import Change, MetricPresence
from anomalyd.daemon.intake.poison_records import ATTEMPTS
from anomalyd.daemon.intake.reported_offsets import STATE_NAME as TOLD
from anomalyd.daemon.intake.reported_offsets import ReportedOffsets
from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import DeadLetter, Fate, Outcome, Partition, Reason, Record, Sample
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.reports.storage.repositories.attempts import Place
from anomalyd.reports.storage.store import Store

_log = logging.getLogger(__name__)

_LISTED = 20
"""Metrics that one line of the log names: a disk or a container has about so many."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """What is ready to be scored, and what is to be told once it is stored.

    `dead` and `late` are what was met for the first time: what is read again after a restart is not in them.
    `fates`: what became of the samples that are not handed on. `moves`: how far the offsets may go once all
    that is stored, by partition: from which stored offset, to which.
    """

    samples: tuple[Sample, ...]
    dead: tuple[DeadLetter, ...]
    late: Mapping[str, int]
    fates: Mapping[tuple[str, Fate], int]
    moves: Mapping[Partition, tuple[int | None, int]]
    changes: tuple[Change, ...]
    collisions: tuple[Collision, ...] = ()
    kinds: tuple[KindChange, ...] = ()
    churning: tuple[Churning, ...] = ()
    clocks: tuple[ClockChange, ...] = ()
    canaries: tuple[Canary, ...] = ()


class Intake:
    """Takes batches, in the order they are read, through decode, align and presence."""

    def __init__(
        self,
        inputs: Sequence[InputConfig],
        decoder: Decoder,
        telemetry: Telemetry,
        models: Path | None = None,
    ) -> None:
        self._decoder = decoder
        self._accounts = Accounts(telemetry)
        self._telemetry = telemetry
        self._aligner = Aligner(
            alignments(inputs),
            SETTLE_S,
            CounterKinds(counts_are_said(inputs), None if models is None else read_kinds(models)),
            LabelCollisions(labels_are_said(inputs)),
        )
        self._churn = Churn({i.topic: i.limits.metrics for i in inputs})
        self._presence = MetricPresence()
        self._clocks = ProducerClocks(alignments(inputs), {i.topic: i.clock_tolerance_s for i in inputs})
        self._reported = ReportedOffsets()
        self._taken: dict[Partition, int] = {}
        self._read: dict[Partition, int] = {}  # since `forget`: the next offset of each partition
        self._models = models
        self._kinds_mark = None if models is None else kinds_mark(models)
        self._shared: set[tuple[str, tuple[str, str]]] = set()

    def refresh(self) -> None:
        """Take what models that were trained meanwhile hold for counters; costs a look at one file.

        Raises:
            StoreError: it cannot be read.

        """
        if self._models is not None and (mark := kinds_mark(self._models)) != self._kinds_mark:
            self._aligner.trained(read_kinds(self._models))
            self._kinds_mark = mark

    @property
    def holds_back(self) -> bool:
        """Whether any input waits for what is late."""
        return self._aligner.holds_back

    @property
    def read(self) -> AbstractSet[Partition]:
        """The partitions of which something was taken since `forget`."""
        return self._read.keys()

    def take(
        self,
        batches: Sequence[Batch],
        stored: Mapping[Partition, int],
        now: float,
        behind: Collection[Partition] = (),
        poison: Collection[Place] = (),
    ) -> Arrivals:
        """Take what was read.

        Arguments:
            batches: what was read, if anything.
            stored: the store's next offset by partition.
            now: seconds by a clock that nobody sets; what waits for late parts waits by it.
            behind: the partitions of which Kafka may have more to give right now.
            poison: records to set aside unread, by topic, partition and offset.

        """
        for batch in batches:
            self._read[batch.topic, batch.partition] = batch.next_offset
        with self._telemetry.timing.stage("decode"):
            decoded, dead, marked = self._decode(batches, stored, poison)
        with self._telemetry.timing.stage("align"):
            decoded = self._clocks.corrected(decoded, self._fresh)
            aligned = self._aligner.add(decoded, now, behind) + self._aligner.flush(now)
            fates = Counter({(topic, Fate.JOINED): n for topic, n in self._aligner.take_joined().items()})
            fates.update(
                (s.topic, Fate.LATE if self._fresh(s) else Fate.REPEATED) for s in self._aligner.take_late()
            )
            late = {topic: n for (topic, fate), n in fates.items() if fate is Fate.LATE}
            changes, churning = self._looked_at(aligned)
        collisions, kinds = self._aligner.take_notices()
        return Arrivals(
            tuple(aligned),
            tuple(dead),
            late,
            fates,
            self._moves(stored),
            tuple(changes),
            tuple(collisions),
            tuple(kinds),
            churning,
            self._clocks.take(),
            tuple(canary for record in marked if (canary := decode_canary(record)) is not None),
        )

    def states(self) -> dict[tuple[str, str], bytes | None]:
        """Give what to store of the steps since the last call."""
        states: dict[tuple[str, str], bytes | None] = {
            (ALIGN, entity): blob for entity, blob in self._aligner.state().items()
        }
        for name, blobs in self._aligner.further_states().items():
            states |= {(name, entity): blob for entity, blob in blobs.items()}
        if self.holds_back:
            states |= {(CLOCKS, where): blob for where, blob in self._clocks.state().items()}
            states |= {(CHURN, entity): blob for entity, blob in self._churn.state().items()}
        states |= {(PRESENCE, entity): blob for entity, blob in self._presence.state().items()}
        if self.holds_back:
            states |= {(TOLD, place): blob for place, blob in self._reported.state(self._read).items()}
        return states

    def restore(self, store: Store) -> None:
        """Go back to what is stored, and forget everything since.

        Raises:
            StoreError: it cannot be read, or is damaged.

        """
        stored = store.states.intake
        self._aligner.restore(stored(ALIGN), {name: stored(name) for name in (KINDS, LABELS)})
        self._churn.restore(stored(CHURN))
        self._clocks.restore(stored(CLOCKS))
        self._telemetry.intake.clocks(self._clocks.behind())
        self._presence.restore(stored(PRESENCE))
        self._reported.restore(stored(TOLD))

    def forget(self) -> None:
        """Forget everything that was taken, until `restore` tells what is stored."""
        self._accounts.give_up()
        self._read.clear()
        self._aligner.restore({})
        self._presence.restore({})
        self._reported.restore({})

    def tell(self, arrivals: Arrivals, handed_on: Mapping[tuple[str, Fate], int]) -> None:
        """Tell those who watch what is stored now; `handed_on`: what became of the arrivals' samples."""
        self._accounts.settle(Counter(arrivals.fates) + Counter(handed_on), self._aligner.in_flight)
        for letter in arrivals.dead:
            self._telemetry.intake.dead_letter(letter.record.topic, letter.reason)
        for topic, samples in arrivals.late.items():
            self._telemetry.intake.late(topic, samples)
        for collision in arrivals.collisions:
            self._tell_collision(collision)
        for kind in arrivals.kinds:
            self._tell_kind(kind)
        for churning in arrivals.churning:
            self._tell_churning(churning)
        for clock in arrivals.clocks:
            self._tell_clock(clock)
        if arrivals.clocks:
            self._telemetry.intake.clocks(self._clocks.behind())
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

    def _moves(self, stored: Mapping[Partition, int]) -> dict[Partition, tuple[int | None, int]]:
        """Say how far the offsets may go: up to the first record that the aligner still holds."""
        held = self._aligner.held_from()
        moves: dict[Partition, tuple[int | None, int]] = {}
        for place, following in self._read.items():
            before = stored.get(place)
            safe = min(following, held.get(place, following))
            # Lower, too: a topic that was deleted and made again begins anew. What was held back may be
            # released without a move; then, too, the step is refused if another daemon went on from there.
            if safe != before or self.holds_back:
                moves[place] = (before, safe)
        return moves

    def _fresh(self, sample: Sample) -> bool:
        return self._reported.fresh(sample.topic, sample.partition, sample.offset)

    def _looked_at(self, aligned: list[Sample]) -> tuple[list[Change], tuple[Churning, ...]]:
        """Leave out what churns, in place, and note which metrics came and went."""
        if not self.holds_back:
            return self._presence.look(aligned), ()
        changes: list[Change] = []
        for index, sample in enumerate(aligned):
            aligned[index] = self._churn.without(sample, self._presence.known(sample.entity))
            changes += self._presence.look([aligned[index]])
        found = tuple(self._churn.take())
        for each in found:
            if each.metric:
                self._presence.forget(each.entity, [each.metric])
        return changes, found

    def _tell_churning(self, found: Churning) -> None:
        self._telemetry.intake.churning(found.topic)
        if found.metric:
            _log.warning(
                "%s: %s of %s comes in ever new series (%d lived for minutes only): it is left out; "
                "inputs.metric_labels or ignore_metrics says so from the start",
                *(found.topic, found.metric, found.entity, found.series),
            )
        else:
            _log.warning(
                "%s: a vector of %s has %d metrics, more than inputs.limits.metrics: what was not known "
                "before is left out",
                *(found.topic, found.entity, found.series),
            )

    def _tell_clock(self, found: ClockChange) -> None:
        if not found.behind_s:
            _log.info(
                "%s: the clock of what sends %s of %s is right again", found.topic, found.metric, found.entity
            )
            return
        _log.warning(
            "%s: the clock of what sends %s of %s is %.0f s behind its other producers: %s; set it (NTP)",
            *(found.topic, found.metric, found.entity, found.behind_s),
            "its event times are corrected by that"
            if found.corrected
            else "that is more than inputs.clock_tolerance_s, so that it counts as late",
        )

    def _tell_collision(self, found: Collision) -> None:
        self._telemetry.intake.collision(found.topic)
        differ = (found.topic, found.labels)
        if differ in self._shared:
            return
        self._shared.add(differ)
        one, two = (labels or "none" for labels in found.labels)
        _log.warning(
            "%s: two series of %s are both called %s; what differs are labels that stand in no name: %s and "
            "%s; %s",
            *(found.topic, found.entity, found.metric, one, two),
            "from now on they do"
            if found.parted
            else "add these to inputs.metric_labels, or the newer reading counts for both",
        )

    def _tell_kind(self, found: KindChange) -> None:
        self._telemetry.intake.kind_changed(found.topic, found.kind)
        counts = found.kind is Kind.COUNTER
        what = "only ever rises, so that it is a counter" if counts else "falls, so that it is no counter"
        then = (
            "missing to the models until the next training"
            if found.masked
            else f"taken {'as its rate' if counts else 'as it is'} from now on"
        )
        _log.warning("%s: %s %s: it is %s (inputs.counters overrides)", found.topic, found.metric, what, then)

    def _decode(
        self, batches: Sequence[Batch], stored: Mapping[Partition, int], poison: Collection[Place]
    ) -> tuple[list[Sample], list[DeadLetter], list[Record]]:
        samples: list[Sample] = []
        dead: list[DeadLetter] = []
        canaries: list[Record] = []
        for batch in batches:
            place = (batch.topic, batch.partition)
            poisonous = [record for record in batch.records if (*place, record.offset) in poison]
            records = [r for r in batch.records if r not in poisonous] if poisonous else batch.records
            marked = [record for record in records if record.headers and is_canary(record)]
            canaries += marked
            decoded, refused = self._decoder.decode(records)
            refused += map(_poisonous, poisonous)
            samples += decoded
            if batch.records[0].offset < stored.get(place, 0):
                self._reported.begin_anew(*place)
                self._taken.pop(place, None)
            again = sum(record.offset < self._taken.get(place, 0) for record in batch.records)
            self._taken[place] = max(batch.next_offset, self._taken.get(place, 0))
            dead += [letter for letter in refused if self._reported.fresh(*place, letter.record.offset)]
            self._telemetry.kafka.consumed(batch.topic, len(batch.records) - again, again)
            self._accounts.decoded(batch.topic, len(decoded))
            self._telemetry.intake.records(batch.topic, Outcome.CANARY, len(marked))
            for outcome, count in outcomes(len(batch.records) - len(marked), decoded, refused).items():
                self._telemetry.intake.records(batch.topic, outcome, count)
        return samples, dead, canaries


def _poisonous(record: Record) -> DeadLetter:
    text = (
        f"the daemon ended or hung in each of {ATTEMPTS} attempts at this record alone; "
        "report it, and send it again with `anomalyd dlq replay` once that is mended"
    )
    return DeadLetter(record, Reason.POISON, text)


def _listed(metrics: Sequence[str]) -> str:
    more = len(metrics) - _LISTED
    return ", ".join(metrics[:_LISTED]) + (f" and {more} more" if more > 0 else "")
