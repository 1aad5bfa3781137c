"""What operators said, applied: words and requests to undo, each in a transaction of its own.

It runs between two steps, so that memory is what the store holds. The word's mark, the entity's new state and
the report go in together: killed before the commit, the word still waits and is applied after the restart;
killed after it, it is done.

Several daemons may share a store. A word is applied by the one that scores the entity and holds its state:
for anybody else it waits `_NOBODYS_S`, then nobody holds it, and whoever comes first applies it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.incidents.stored_changes import event_entries, stored_change
from anomalyd.daemon.incidents.tracking import Change, annotate, close_as_normal
from anomalyd.daemon.kafka.messages import adapted_entry, feedback_entry, undone_entry
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.scoring.entity_state import EntityState, Track, decode_state, encode_state
from anomalyd.daemon.scoring.entity_states import EntityStates
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import State
from anomalyd.detectors.library import LoadedPair
from anomalyd.errors import StoreError
from anomalyd.reports.adaptation import Adaptation, Adapted, AnsweredUndo, adaptation_id
from anomalyd.reports.feedback import AppliedFeedback, OperatorFeedback
from anomalyd.reports.narrative import said, taken_back
from anomalyd.reports.step import Step
from anomalyd.reports.storage.store import Store
from anomalyd.verdict import Verdict

_log = logging.getLogger(__name__)

Moves = Mapping[tuple[str, int], tuple[int | None, int]]

_NOBODYS_S = 10.0
"""A daemon that holds an entity applies its words within two seconds, unless one step takes longer."""

_CLEAN_S = 3600.0
"""How often states that are too old to be undone are dropped."""


@dataclass(frozen=True, slots=True)
class _Lesson:
    """What a word or an undo made of a state, what is kept of that, and what came of it in words."""

    state: State
    outcome: str
    adapted: tuple[Adapted, ...] = ()
    taken_back: tuple[Adaptation, ...] = ()


class FeedbackApplier:
    """Applies what operators said to what is remembered of their entities."""

    def __init__(
        self,
        config: Config,
        store: Store,
        entity_states: EntityStates,
        watches: Mapping[str, ActiveModel],
        telemetry: Telemetry,
        *,
        clock: Callable[[], float],
        stopwatch: Callable[[], float],
    ) -> None:
        self._config = config
        self._store = store
        self._entity_states = entity_states
        self._active_models = watches
        self._telemetry = telemetry
        self._clock = clock
        self._stopwatch = stopwatch
        self._waiting_since: dict[tuple[str, str], float] = {}
        self._next_clean = 0.0

    def apply_pending(self, unmoved: Moves) -> list[Change]:
        """Apply all that waits; gives the incidents that changed, which are stored then.

        `unmoved`: the stored offsets of the partitions that are ours, as moves that go nowhere: the
        transaction is refused if another daemon has gone on from there.

        Raises:
            StoreError: the store fails; what was not committed waits on.
            StoreConflict: another daemon was faster.

        """
        changes: list[Change] = []
        waiting: set[tuple[str, str]] = set()
        for word in self._store.ledger.pending_feedback():
            waiting.add((word.detector, word.entity))
            if self._is_ours(word.detector, word.entity):
                changes += self._apply(word, unmoved)
        for asked in self._store.ledger.pending_undos():
            waiting.add((asked.detector, asked.entity))
            if self._is_ours(asked.detector, asked.entity):
                changes += self._undo(asked, unmoved)
        self._waiting_since = {k: since for k, since in self._waiting_since.items() if k in waiting}
        self._clean()
        return changes

    def _is_ours(self, detector: str, entity: str) -> bool:
        if detector not in self._active_models:
            return False  # of a daemon with another configuration
        since = self._waiting_since.setdefault((detector, entity), self._stopwatch())
        return self._entity_states.holds(detector, entity) or self._stopwatch() - since >= _NOBODYS_S

    def _apply(self, word: OperatorFeedback, unmoved: Moves) -> list[Change]:
        entity_states = self._recalled(word.detector, word.entity)
        entity_state = entity_states.get(word.detector, word.entity)
        now = entity_state.track.newest
        if not np.isfinite(now):
            outcome = f"detector {word.detector} has not scored {word.entity} yet: there is nothing to settle"
            lesson, since, until = _Lesson(entity_state.state, outcome), None, None
        else:
            onset = entity_state.track.incident.onset if entity_state.track.incident is not None else now
            since, until = min(word.since if word.since is not None else onset, now), now
            lesson = self._teach(word, entity_state, since, now)
        apply_pending = close_as_normal if word.word is Verdict.NORMAL else annotate
        track, change = apply_pending(entity_state.track, said(word))
        outcome = lesson.outcome
        if change is not None:
            how = "is closed" if word.word is Verdict.NORMAL else "says so"
            outcome += f"; report {change.incident.id} {how}"
        applied = AppliedFeedback(word.id, since, until, outcome)
        about = replace(word, since=since, until=until, applied=self._clock(), outcome=outcome)
        step = Step(
            self._config.kafka.group,
            words=(applied,),
            adaptations=lesson.adapted,
            outbox=tuple(
                entry
                for topic in self._topics()
                for entry in (
                    feedback_entry(about, topic),
                    *(adapted_entry(each, topic) for each in lesson.adapted),
                )
            ),
        )
        self._commit(
            step,
            (word.detector, word.entity),
            entity_states,
            lesson.state,
            track,
            change,
            unmoved,
        )
        self._telemetry.incidents.feedback(word.detector, word.word)
        for each in lesson.adapted:
            self._telemetry.scoring.adapted(word.detector, each.what)
        _log.info("word %d of %s on %s: %s", word.id, word.who, word.entity, outcome)
        return [] if change is None else [change]

    def _teach(self, word: OperatorFeedback, entity_state: EntityState, since: float, now: float) -> _Lesson:
        """Let the detectors learn from a word, if they can."""
        loaded = self._active_models[word.detector].loaded
        if loaded is None:
            return _Lesson(entity_state.state, "no model is at work, so none learns from it")
        if not loaded.pair.adaptive:
            again = "; a new incident opens if the scores stay above 1" if word.word is Verdict.NORMAL else ""
            kind = loaded.pair.autoencoder.card.kind
            return _Lesson(
                entity_state.state, f"this kind of detector ({kind}) does not learn from it{again}"
            )
        if entity_state.model != loaded.version or not entity_state.state:
            return _Lesson(
                entity_state.state,
                f"model {loaded.version} has not scored it yet, so it learns nothing from this; "
                "say it again if it alerts",
            )
        try:
            state = loaded.pair.apply_feedback(entity_state.state, word.word, since, now)
        except Exception as error:
            # A fault must not bring the daemon down: the word would wait in the store and do it again.
            _log.exception("word %d cannot be learnt", word.id)
            return _Lesson(
                entity_state.state, f"the detectors could not learn it ({error!r}); please report this fault"
            )
        what = f"told-{word.word}"
        adapted = Adapted(
            adaptation_id(word.detector, word.entity, now, what, {f"word {word.id}"}),
            word.detector,
            word.entity,
            entity_state.model,
            now,
            what,
            said(word),
            encode_state(entity_state.state),
        )
        learnt = "learnt as normal" if word.word is Verdict.NORMAL else "kept out of what is learnt as normal"
        return _Lesson(state, f"{learnt}; undo with `anomalyd adaptations undo {adapted.id}`", (adapted,))

    def _undo(self, asked: Adaptation, unmoved: Moves) -> list[Change]:
        entity_states = self._recalled(asked.detector, asked.entity)
        entity_state = entity_states.get(asked.detector, asked.entity)
        lesson = self._unlearn(asked, entity_state)
        track, change = entity_state.track, None
        if lesson.taken_back:
            assert asked.undo_asked is not None
            note = taken_back(asked.id, asked.undo_by, asked.undo_asked, asked.undo_reason)
            track, change = annotate(entity_state.track, note)
        answer = AnsweredUndo(asked.id, lesson.outcome, tuple(each.id for each in lesson.taken_back))
        step = Step(
            self._config.kafka.group,
            undos=(answer,),
            outbox=tuple(
                undone_entry(each, topic, asked.undo_by, lesson.outcome)
                for topic in self._topics()
                for each in lesson.taken_back
            ),
        )
        self._commit(
            step,
            (asked.detector, asked.entity),
            entity_states,
            lesson.state,
            track,
            change,
            unmoved,
        )
        for _ in lesson.taken_back:
            self._telemetry.scoring.adapted(asked.detector, "undone")
        _log.info("undo of %s, asked by %s: %s", asked.id, asked.undo_by, lesson.outcome)
        return [] if change is None else [change]

    def _unlearn(self, asked: Adaptation, entity_state: EntityState) -> _Lesson:
        """Take an adaptation back, and before it those after it: newest first, so that each fits."""
        loaded = self._active_models[asked.detector].loaded
        if loaded is None:
            return _Lesson(entity_state.state, "refused: no model is at work; ask again once there is one")
        if not asked.model == entity_state.model == loaded.version:
            return _Lesson(
                entity_state.state,
                f"refused: it was of model {asked.model}, and model {loaded.version} is at work now, which "
                "began without it",
            )
        chain = self._store.ledger.undo_chain(asked.id)
        if not chain or chain[-1][1] is None:
            return _Lesson(entity_state.state, "refused: the state before it is no longer kept")
        try:
            state = _take_back(loaded, entity_state.state, [blob for _, blob in chain if blob is not None])
        except Exception as error:
            _log.exception("adaptation %s cannot be undone", asked.id)
            return _Lesson(
                entity_state.state, f"refused: it could not be undone ({error!r}); please report this fault"
            )
        later = len(chain) - 1
        more = f", with {later} that came after it" if later else ""
        return _Lesson(state, f"undone{more}", taken_back=tuple(each for each, _ in chain))

    def _recalled(self, detector: str, entity: str) -> EntityStates:
        """Give the memories in which an entity is: ours, or if nobody holds it some that are dropped then."""
        if self._entity_states.holds(detector, entity):
            return self._entity_states
        entity_states = EntityStates(self._store)
        entity_states.load(detector, [entity], self._active_models[detector].loaded)
        return entity_states

    def _commit(
        self,
        step: Step,
        key: tuple[str, str],
        entity_states: EntityStates,
        state: State,
        track: Track,
        change: Change | None,
        unmoved: Moves,
    ) -> None:
        """Keep a step with the entity's new state and course."""
        changes = [] if change is None else [change]
        events = event_entries(changes, self._config)
        before = entity_states.get(*key)
        if state is not before.state:
            entity_states.put(*key, replace(before, state=state))
        entity_states.track(*key, track)
        states = entity_states.changes()
        whole = replace(
            step,
            moves=unmoved,
            stored_changes=tuple(map(stored_change, changes)),
            states=states,
            outbox=(*step.outbox, *events),
        )
        try:
            self._store.commit(whole)
        except StoreError:
            entity_states.put_back(*key, before, states)
            raise

    def _topics(self) -> Sequence[str]:
        return [] if self._config.output.topic is None else [self._config.output.topic]

    def _clean(self) -> None:
        if self._stopwatch() < self._next_clean:
            return
        self._next_clean = self._stopwatch() + _CLEAN_S
        self._store.ledger.forget_before(self._clock() - self._config.adaptation.keep_undo_s)


def _take_back(loaded: LoadedPair, state: State, befores: Sequence[bytes]) -> State:
    for before in befores:
        state = loaded.pair.undo(state, decode_state(before))
    return state
