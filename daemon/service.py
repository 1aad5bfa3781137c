"""The loop that joins the rooms: the one place that knows the order.

    source -> intake (decode, align) -> score -> incidents -> commit -> (outbox, explainer)

One step is one transaction: offsets, reports, what is remembered, dead letters and outgoing messages are kept
together or not at all. What happens if the daemon dies

- before the commit: nothing of the step is kept; after the restart the same records are read again from the
  stored offsets, with what was remembered then, and give the same reports under the same ids;
- after the commit: the step is done; messages to Kafka and explanations wait in the store and are sent and
  made after the restart;
- between a message's acknowledgement and its being marked: the publisher finds it in the topic (`outbox`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from anomalyd import __version__
from anomalyd.daemon.canary.checks import CanaryChecks
from anomalyd.daemon.config.config import Config
from anomalyd.daemon.incidents.activity import activity
from anomalyd.daemon.incidents.adaptations import adaptations_of, notes_on
from anomalyd.daemon.incidents.coverage import coverage
from anomalyd.daemon.incidents.evidence import Witness
from anomalyd.daemon.incidents.operator_feedback import FeedbackApplier
from anomalyd.daemon.incidents.report_retention import ReportRetention
from anomalyd.daemon.incidents.stored_changes import outgoing, stored_change
from anomalyd.daemon.incidents.tracking import Change, Event, IncidentTracker
from anomalyd.daemon.intake.accounts import handed_on
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.intake import Arrivals, Intake
from anomalyd.daemon.intake.poison_records import Suspects
from anomalyd.daemon.kafka.source import Batch, PollResult
from anomalyd.daemon.kafka.topic_ids import STATE_NAME as TOPICS
from anomalyd.daemon.kafka.topic_ids import TopicIds
from anomalyd.daemon.learning.sample_retention import SampleRetention
from anomalyd.daemon.precedence import Precedence
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.scoring.alert_policy import Judgement
from anomalyd.daemon.scoring.entity_states import EntityStates
from anomalyd.daemon.scoring.realised_rate import Figures, RealisedRate
from anomalyd.daemon.scoring.score import Scorer
from anomalyd.daemon.stages import Partition, Scored
from anomalyd.daemon.store_outage import StoreOutage
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.calibration import ALERT
from anomalyd.errors import StoreConflict, StoreError
from anomalyd.reports.adaptation import Adapted
from anomalyd.reports.report import Incident, Provenance
from anomalyd.reports.step import Step
from anomalyd.reports.storage.repositories.entity_states import StateChanges
from anomalyd.reports.storage.store import Store

_log = logging.getLogger(__name__)

_TAKE_S = 0.25
"""Longest wait for records: how late the loop notices a stop, a new model, or samples to be flushed."""

_REFRESH_S = 2.0
"""How often published models, operators' words and maintenance windows are looked for: a look lists one
folder for each detector and asks the store three times."""


class Source(Protocol):
    """Where records come from: `source.KafkaSource`, or one that behaves like it."""

    def take(self, timeout_s: float) -> PollResult | None:
        """Wait for what comes next."""

    def start_at(self, offsets: Mapping[Partition, int]) -> None:
        """Say where the partitions begin that were told as assigned."""

    def rewind(self) -> None:
        """Tell all partitions as lost and assigned anew."""

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        """Note that the store has it up to here."""

    def behind(self) -> Collection[Partition]:
        """Give the partitions of which there may be more to take right now."""


@dataclass(frozen=True, slots=True)
class Found:
    """A change of an incident that is stored now: what the demo prints and tests look at."""

    incident: Incident
    events: tuple[Event, ...]


class Service:
    """Takes what the source delivers through all stages, step by step.

    `on_found` is told of every stored change of an incident; `on_step` that a step is stored (to wake the
    publisher and the explainer), `on_turn` that the loop goes round. `clock` is the wall's, which may be set;
    what waits for late parts waits by `monotonic`, and `stopwatch` measures what this machine needs itself.
    `precedence` is held while a step is in hand.
    """

    def __init__(
        self,
        config: Config,
        source: Source,
        store: Store,
        watches: Sequence[ActiveModel],
        telemetry: Telemetry,
        *,
        clock: Callable[[], float] = time.time,
        stopwatch: Callable[[], float] = time.perf_counter,
        monotonic: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        on_found: Callable[[Found], None] = lambda found: None,
        on_step: Callable[[], None] = lambda: None,
        on_turn: Callable[[], None] = lambda: None,
        topic_ids: TopicIds | None = None,
        precedence: Precedence | None = None,
    ) -> None:
        self._precedence = precedence or Precedence()
        self._topic_ids = topic_ids or TopicIds()
        self._config = config
        self._made_with = Provenance(code=__version__, configuration=config.fingerprint)
        self._source = source
        self._store = store
        self._active_models = {active_model.config.name: active_model for active_model in watches}
        self._telemetry = telemetry
        self._clock = clock
        self._stopwatch = stopwatch
        self._monotonic = monotonic
        self._sleep = sleep
        self._on_found = on_found
        self._on_step = on_step
        self._on_turn = on_turn
        self._intake = Intake(
            config.inputs, Decoder(config.inputs, clock=clock), telemetry, Path(config.store.models)
        )
        self._entity_states = EntityStates(store)
        self._suspects = Suspects(store.attempts, config.kafka.group)
        self._retention = SampleRetention(config, store, clock=clock)
        self._report_retention = ReportRetention(store, config.store.retention.limits(), telemetry, stopwatch)
        self._scorer = Scorer(watches, self._entity_states, telemetry)
        self._feedback = FeedbackApplier(
            config,
            store,
            self._entity_states,
            self._active_models,
            telemetry,
            clock=clock,
            stopwatch=stopwatch,
        )
        self.canaries = CanaryChecks(self._active_models, self._entity_states, telemetry, clock)
        self._trackers = {w.config.name: IncidentTracker(w.config.alert) for w in watches}
        self._realised = {w.config.name: RealisedRate() for w in watches}
        self._stored: dict[Partition, int] = {}
        self._newest: dict[Partition, float] = {}
        self._busy_s = 0.0
        self._next_refresh = 0.0
        self._stopping = False
        self._outage = StoreOutage(store, telemetry, on_turn, sleep)

    @property
    def newest_events(self) -> Mapping[Partition, float]:
        """The newest event time taken through, by partition, seconds since the epoch."""
        return self._newest.copy()

    def realised(self, detector: str) -> Figures:
        """Give how often a detector alarmed in the last day of event time."""
        return self._realised[detector].figures()

    @property
    def store_failure(self) -> str | None:
        """Why the loop waits for the store; None while it does not."""
        return self._outage.failure

    def stop(self) -> None:
        """Make `run` return after the step in hand; may be called from a signal handler."""
        self._stopping = True

    def run(self) -> None:
        """Take step after step until `stop` is called."""
        while not self._stopping:
            try:
                self.step(_TAKE_S)
            except StoreConflict as conflict:
                _log.warning("%s", conflict)
                self._telemetry.store.conflict()
                self._start_again()
            except StoreError as error:
                # Nothing of the step is kept; it is read again once the store is back.
                self._outage.begin(error)
                self._start_again()
                self._outage.wait(lambda: self._stopping)

    def step(self, timeout_s: float) -> bool:
        """Take what comes next through all stages; says whether anything came.

        Raises:
            StoreError: the store could not keep the step.
            StoreConflict: another daemon has moved the offsets on.

        """
        self._on_turn()
        self._refresh()
        polled = self._take(timeout_s)
        if polled is not None and (polled.assigned or polled.revoked):
            self._begin(polled)
            return True
        begun = self._stopwatch()
        try:
            batches = polled.batches if polled is not None else ()
            with self._precedence.held():
                came = self._in_parts(batches)
            return came or polled is not None
        finally:
            # Nothing could come meanwhile: what waits for late parts waits by a clock without this time. Else
            # how busy this machine is would decide what is late.
            self._busy_s += self._stopwatch() - begun

    def _in_parts(self, batches: Sequence[Batch]) -> bool:
        """Take batches through in as many parts as caution asks for; says whether anything came.

        Single records may take minutes: each is a turn of the loop, and an end waits for no more than one.
        """
        came = False
        for number, part in enumerate(self._suspects.parts(batches)):
            if number > 0:
                self._on_turn()
                if self._stopping:  # what is left is read again by the next start
                    break
            came |= self._through(part)
        return came

    def _through(self, batches: Sequence[Batch]) -> bool:
        """Take batches, if any, and what waited for its time, through all stages; says whether any came."""
        poison = self._suspects.note(batches)
        now = self._monotonic() - self._busy_s
        arrivals = self._intake.take(batches, self._stored, now, self._source.behind(), poison)
        if not batches and not arrivals.samples:
            return False
        self._process(batches, arrivals)
        self._suspects.passed(batches)
        return True

    def _take(self, timeout_s: float) -> PollResult | None:
        """Take what comes next; what it takes longer than it may, this machine stood still."""
        asked = self._stopwatch()
        polled = self._source.take(timeout_s)
        self._busy_s += max(0.0, self._stopwatch() - asked - timeout_s - _TAKE_S)
        return polled

    def _begin(self, polled: PollResult) -> None:
        """Start from the store: partitions came or went."""
        if self._intake.read - polled.assigned - polled.revoked:
            # What waits of the partitions that stay is forgotten with the rest: read it again.
            self._source.rewind()
        self._forget()
        self._stored = dict(self._store.offsets(self._config.kafka.group))
        # After the offsets, never before: what another daemon stores in between moves the offsets on, and
        # then our next step is refused. The other way round what it remembers would be missed unnoticed.
        self._intake.restore(self._store)
        self._topic_ids.restore(self._store.states.intake(TOPICS))
        self._suspects.begin(polled.assigned)
        self._source.start_at(self._stored)

    def _refresh(self) -> None:
        if self._stopwatch() < self._next_refresh:
            return
        self._intake.refresh()
        windows = self._store.maintenance.windows()
        self._next_refresh = self._stopwatch() + _REFRESH_S
        for name, active_model in self._active_models.items():
            active_model.maintain(windows)
            if active_model.refresh() and active_model.loaded is not None:
                self._telemetry.scoring.model(name, active_model.loaded.version, active_model.config.kind)
                self._telemetry.scoring.wanted(name, active_model.loaded.pair.false_alarm_rate)
            if active_model.loaded is not None:
                figures = self._realised[name].figures()
                wanted = active_model.loaded.pair.alarms_per_day
                self._telemetry.scoring.realised(
                    name,
                    rate=figures.rate,
                    alarms=figures.alarms,
                    wanted_alarms=None if wanted is None else wanted * figures.entities,
                )
        self._retention.prune()
        self._report_retention.prune()
        ours = {place: (at, at) for place, at in self._stored.items() if place in self._intake.read}
        settled = self._feedback.apply_pending(ours)
        for change in settled:
            self._on_found(Found(change.incident, change.events))
        if settled:
            self._on_step()

    def _process(self, batches: Sequence[Batch], arrivals: Arrivals) -> None:
        with self._telemetry.timing.stage("score"):
            scored = self._scorer.score(arrivals.samples)
            canaries = self.canaries.judge(arrivals.canaries)
        with self._telemetry.timing.stage("track"):
            adapted = {id(some): adaptations_of(some) for some in scored}
            judgements = [self._judge(some) for some in scored]
            changes = [
                change
                for some, judgement in zip(scored, judgements, strict=True)
                for change in self._track(some, judgement, adapted[id(some)])
            ]
            adaptations = [each for some in scored for each in adapted[id(some)]]
        with self._telemetry.timing.stage("commit"):
            self._store.commit(
                Step(
                    group=self._config.kafka.group,
                    moves=dict(arrivals.moves),
                    stored_changes=tuple(stored_change(change, self._made_with) for change in changes),
                    states=self._states(arrivals.moves),
                    outbox=tuple(outgoing(self._config, changes, adaptations, arrivals.dead)),
                    activity=activity(arrivals.samples),
                    adaptations=tuple(adaptations),
                    samples=self._retention.keep(arrivals.samples),
                    lumisections=coverage(
                        arrivals.samples,
                        [(some, j.anomalous) for some, j in zip(scored, judgements, strict=True)],
                    ),
                    canaries=canaries,
                )
            )
        reached = {place: following for place, (_, following) in arrivals.moves.items()}
        self._stored |= reached
        self._source.committed(reached)
        for each in adaptations:
            self._telemetry.scoring.adapted(each.detector, each.what)
        self.canaries.note(scored, canaries)
        self._tell(batches, arrivals, scored, changes)

    def _judge(self, scored: Scored) -> Judgement:
        active_model = self._active_models[scored.detector]
        assert active_model.loaded is not None  # it has just scored
        return active_model.policy.judge(scored, active_model.loaded.pair.features)

    def _track(self, scored: Scored, judgement: Judgement, adapted: Sequence[Adapted]) -> list[Change]:
        """Follow one entity through a window, and remember how it stands."""
        active_model = self._active_models[scored.detector]
        assert active_model.loaded is not None  # it has just scored
        pair = active_model.loaded.pair
        entity_state = self._entity_states.get(scored.detector, scored.entity)
        track, changes = self._trackers[scored.detector].follow(
            entity_state.track, scored, judgement, Witness(pair, scored), notes_on(adapted)
        )
        self._entity_states.track(scored.detector, scored.entity, track)
        seen = [scores.score > ALERT for scores in (scored.scores.autoencoder, scored.scores.classical)]
        self._telemetry.scoring.alerts(scored.detector, *seen)
        self._telemetry.scored(scored)
        for reason, samples in judgement.suppressed.items():
            self._telemetry.scoring.suppressed(scored.detector, reason, samples)
        return changes

    def _states(self, moves: Collection[Partition]) -> StateChanges:
        topics = {(TOPICS, place): id_ for place, id_ in self._topic_ids.state(moves).items()}
        return replace(self._entity_states.changes(), intake=self._intake.states() | topics)

    def _tell(
        self,
        batches: Sequence[Batch],
        arrivals: Arrivals,
        scored: Sequence[Scored],
        changes: Sequence[Change],
    ) -> None:
        """Tell what is stored now to those who watch."""
        now = self._clock()
        timestamps = [record.timestamp for batch in batches for record in batch.records]
        self._telemetry.timing.end_to_end(now - np.array(timestamps))
        self._intake.tell(arrivals, handed_on(arrivals.samples, scored, self._scorer.watches))
        for sample in arrivals.samples:
            place = (sample.topic, sample.partition)
            if sample.time > self._newest.get(place, -np.inf):
                self._newest[place] = sample.time
        for some in scored:
            self._realised[some.detector].scored(some.entity, some.window.times, some.scores.score)
        for change in changes:
            if "opened" in change.events:
                self._realised[change.incident.detector].opened(change.incident.onset)
                self._telemetry.incidents.opened(change.incident.detector, change.incident.severity)
            self._on_found(Found(change.incident, change.events))
        self._on_step()

    def _start_again(self) -> None:
        self._source.rewind()
        self._forget()

    def _forget(self) -> None:
        """Drop all that is not in the store: partitions came or went, or a step was not kept."""
        self._entity_states.forget_all()
        self._retention.forget()
        self._intake.forget()
        self._newest.clear()
