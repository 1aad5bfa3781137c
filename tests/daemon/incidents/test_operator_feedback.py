"""Words of operators and undo requests through the service: applied once, whatever happens in between."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Found, Service
from anomalyd.daemon.stages import Record
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import Adaptation, RawScores, SeriesWindow, State
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import LoadedPair, ModelLibrary
from anomalyd.detectors.model import Model
from anomalyd.errors import StoreConflict, StoreError
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Report, Status
from anomalyd.reports.step import Step
from anomalyd.reports.storage.store import Store
from anomalyd.verdict import Verdict

BEGIN = 1_795_288_500.0
WALL = BEGIN + 500
PLACE = ("metrics", 0)
PATIENCE = 20
CONFIG = Config.model_validate(
    {
        "inputs": [{"topic": "metrics"}],
        "detectors": [
            {"name": "hosts", "kind": "vector-autoencoder", "alert": {"open_after": 2, "close_after": 3}}
        ],
    }
)


class Plain:
    """The raw score is the distance from a level that stays where it began."""

    def level(self, state: State) -> float:
        return float(state["level"][0]) if "level" in state else 0.0

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        return [self._one(window) for window in windows]

    def _one(self, window: SeriesWindow) -> RawScores:
        level, away = self.level(window.state), int(window.state.get("away", [0])[0])
        broken = bool(window.state.get("broken", [False])[0])
        raw, found = [], []
        for time, value in zip(window.times, window.values[:, 0], strict=True):
            away = away + 1 if abs(value - level) > 1 else 0
            if self.adapts and away >= PATIENCE and not broken:
                before = {"level": np.array([level]), "away": np.array([away])}
                found.append(Adaptation(float(time), "new-normal", f"{value:g} is the new normal.", before))
                level, away = float(value), 0
            raw.append(abs(float(value) - level))
        last = window.values[-1:, 0].astype(float) if len(window.values) else np.zeros(1)
        arrays = {"level": np.array([level]), "away": np.array([away]), "last": last}
        error = window.values.astype(np.float32)
        return RawScores(
            np.array(raw), error, error, np.abs(error), arrays | {"broken": np.array([broken])}, tuple(found)
        )

    adaptive = False
    adapts = False

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        return state

    def undo(self, state: State, before: State) -> State:
        return state


class Adapting(Plain):
    """Its level moves after `PATIENCE` rows away from it, or at a word."""

    adaptive = True
    adapts = True
    told_of: list[tuple[Verdict, float, float]]

    def __init__(self) -> None:
        self.told_of = []

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        self.told_of.append((word, since - BEGIN, now - BEGIN))
        if word is Verdict.BROKEN:
            return {**state, "broken": np.array([True])}
        return {**state, "level": state["last"], "away": np.array([0])}

    def undo(self, state: State, before: State) -> State:
        # Its patience begins anew: else it would assume the same again with the next row.
        return {**state, "level": before["level"], "away": np.array([0])}


def loaded(detector: Any, version: str = "v1") -> LoadedPair:
    """A pair of such a detector and one that never moves and never alerts."""
    card = SimpleNamespace(
        sample_kind="vector", features=("x",), kind="vector-autoencoder", alarms_per_day=None
    )
    silent: Any = Uncalibrated(np.nan)
    same: Any = Uncalibrated(0.0)
    quiet: Any = Plain()
    about: Any = card
    return LoadedPair(
        "hosts", version, DetectorPair(Model(about, detector, same), Model(about, quiet, silent)), ()
    )


class Uncalibrated:
    """The raw score, and something more."""

    follows = False

    def __init__(self, more: float) -> None:
        self._more = more

    def __call__(self, raw: NDArray[np.float64], threshold: float = 1.0) -> NDArray[np.float64]:
        return raw / threshold + self._more


class Source:
    """Records in memory, from the stored offset on."""

    def __init__(self, log: list[Record]) -> None:
        self._log = log
        self._position: int | None = None

    def take(self, timeout_s: float) -> PollResult | None:
        if self._position is None:
            return PollResult(assigned=frozenset({PLACE}))
        records = self._log[self._position :]
        self._position += len(records)
        return PollResult((Batch(*PLACE, records),)) if records else None

    def start_at(self, offsets: Mapping[tuple[str, int], int]) -> None:
        self._position = offsets.get(PLACE, 0)

    def rewind(self) -> None:
        self._position = None

    def behind(self) -> tuple[()]:
        return ()

    def committed(self, offsets: Mapping[tuple[str, int], int]) -> None:
        pass


class Killed(BaseException):
    """The process is gone."""


class Mortal:
    """A store whose daemon is killed around the commit that `doomed` names: `before` it, or `after`."""

    def __init__(self, store: Store, when: str, doomed: Callable[[Step], bool]) -> None:
        self._store, self._when, self._doomed = store, when, doomed

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def commit(self, step: Step) -> None:
        if self._doomed(step) and self._when == "before":
            raise Killed
        self._store.commit(step)
        if self._doomed(step):
            raise Killed


class Life:
    """One life of a service on the log; every `turn` is late enough to look for what operators said."""

    def __init__(self, store: Any, log: list[Record], pair: LoadedPair | None, folder: Path) -> None:
        self.registry = CollectorRegistry()
        self.stopwatch = 0.0
        self.wall = WALL
        self.found: list[Found] = []
        self.active_model = ActiveModel(CONFIG.detectors[0], ModelLibrary(folder / "no models"))
        self.active_model.loaded = pair
        self.source = Source(log)
        self.service = Service(
            CONFIG,
            self.source,
            store,
            [self.active_model],
            Telemetry.for_config(CONFIG, self.registry),
            clock=lambda: self.wall,
            stopwatch=lambda: self.stopwatch,
            on_found=self.found.append,
        )
        self.service.step(0.0)  # the news of the partition

    def turn(self) -> None:
        self.stopwatch += 2.0
        self.service.step(0.0)

    def counted(self, name: str, **labels: str) -> float:
        return self.registry.get_sample_value(f"anomalyd_{name}", labels) or 0.0


class Desk:
    """A store, a log of what host/a sends, and lives of the service on both."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = f"sqlite:///{folder}/reports.db"
        self.store = Store.open(self.url, clock=lambda: WALL)
        self.queries = Queries.open(self.url)
        self.log: list[Record] = []
        self.detector: Any = Adapting()

    def send(self, *values: float, entity: str = "host/a") -> None:
        for value in values:
            offset = len(self.log)
            about = {"entity": entity, "time": BEGIN + offset, "values": {"x": value}}
            self.log.append(Record(*PLACE, offset, WALL, None, json.dumps(about).encode()))

    def life(self, store: Any = None, version: str = "v1") -> Life:
        return Life(store or self.store, self.log, loaded(self.detector, version), self.folder)

    def tell(self, word: Verdict, **about: Any) -> int:
        given = {"who": "anna", "reason": "new firmware", **about}
        return self.store.ledger.record_word("hosts", "host/a", word, **given)

    def reports(self) -> list[Report]:
        return self.queries.reports(Selection())

    def events(self) -> list[dict[str, Any]]:
        sent = [outgoing.entry for outgoing in self.store.unsent(1000)]
        return [json.loads(entry.value or b"") for entry in sent]

    def close(self) -> None:
        self.queries.close()
        self.store.close()


@pytest.fixture
def desk(tmp_path: Path) -> Iterator[Desk]:
    desk = Desk(tmp_path)
    yield desk
    desk.close()


# ---- a word


def test_normal_settles_the_case_at_once(desk: Desk) -> None:
    desk.send(0, 0, 5, 5, 5)
    life = desk.life()
    life.turn()
    (report,) = desk.reports()
    assert report.incident.status is Status.OPEN
    desk.tell(Verdict.NORMAL)
    life.turn()  # nothing new was sent
    (report,) = desk.reports()
    assert (report.incident.status, report.incident.closed) == (Status.CLOSED, BEGIN + 4)
    assert report.narrative.endswith(
        "anna said at 2026-11-21 19:23:20 UTC that this is normal: new firmware."
    )
    assert desk.detector.told_of == [(Verdict.NORMAL, 2, 4)]
    (word,) = desk.queries.words(Selection())
    assert (word.since, word.until, word.applied) == (BEGIN + 2, BEGIN + 4, WALL)
    (adaptation,) = desk.queries.adaptations(Selection())
    assert (adaptation.what, adaptation.time, adaptation.undoable) == ("told-normal", BEGIN + 4, True)
    assert f"undo with `anomalyd adaptations undo {adaptation.id}`" in word.outcome
    assert f"report {report.incident.id} is closed" in word.outcome
    assert report.adaptations == (adaptation.id,)
    assert life.found[-1].events == ("closed",)

    desk.send(5, 5, 5, 5)
    life.turn()
    assert len(desk.reports()) == 1
    assert [event["event"] for event in desk.events()] == ["opened", "word", "adapted", "closed"]
    assert life.counted("words_total", detector="hosts", word="normal") == 1
    assert life.counted("adaptations_total", detector="hosts", what="told-normal") == 1


def test_broken_keeps_the_case_open(desk: Desk) -> None:
    desk.send(0, 0, 5, 5)
    life = desk.life()
    life.turn()
    desk.tell(Verdict.BROKEN, reason="")
    desk.send(*[5.0] * (2 * PATIENCE))
    life.turn()
    (report,) = desk.reports()
    assert (report.incident.status, report.incident.last) == (Status.OPEN, BEGIN + 3 + 2 * PATIENCE)
    assert "anna said at 2026-11-21 19:23:20 UTC that this is still broken." in report.narrative
    assert [a.what for a in desk.queries.adaptations(Selection())] == ["told-broken"]
    desk.send(0, 0, 0)
    life.turn()
    assert desk.reports()[0].incident.status is Status.CLOSED
    assert "anna said" in desk.reports()[0].narrative


def test_what_is_told_goes_through_a_restart(desk: Desk) -> None:
    desk.send(0, 5, 5)
    desk.life().turn()
    desk.tell(Verdict.BROKEN)
    life = desk.life()
    desk.send(5)
    life.turn()  # the entity is not in memory yet; then it is
    life.turn()
    desk.send(*[5.0] * PATIENCE)
    again = desk.life()
    again.turn()
    assert "anna said" in desk.reports()[0].narrative
    assert [a.what for a in desk.queries.adaptations(Selection())] == ["told-broken"]


@pytest.mark.parametrize(("since", "reached"), [(BEGIN + 1, 1), (BEGIN + 99, 4), (None, 4)])
def test_without_an_incident_it_holds_from_when_it_is_said_to(
    desk: Desk, since: float | None, reached: float
) -> None:
    desk.send(0, 0, 0, 0, 5)  # one anomalous sample, which is no incident yet
    life = desk.life()
    life.turn()
    desk.tell(Verdict.NORMAL, since=since)
    life.turn()
    assert desk.detector.told_of == [(Verdict.NORMAL, reached, 4)]
    desk.send(5, 5, 5)
    life.turn()
    assert desk.reports() == []


def test_a_detector_that_does_not_learn_says_so_and_the_case_is_closed(desk: Desk) -> None:
    desk.detector = Plain()
    desk.send(5, 5, 5)
    life = desk.life()
    life.turn()
    desk.tell(Verdict.NORMAL)
    life.turn()
    (report,) = desk.reports()
    assert report.incident.status is Status.CLOSED
    assert "anna said" in report.narrative
    (word,) = desk.queries.words(Selection())
    assert "this kind of detector (vector-autoencoder) does not learn from it" in word.outcome
    assert desk.queries.adaptations(Selection()) == []


def test_a_word_on_an_entity_never_scored_leaves_no_trace_of_it(desk: Desk) -> None:
    desk.store.ledger.record_word("hosts", "host/never", Verdict.NORMAL, who="anna")
    life = desk.life()
    for _ in range(6):
        life.turn()
    (word,) = desk.queries.words(Selection())
    assert "has not scored host/never yet" in word.outcome
    assert desk.queries.watchers("host/never") == []


def test_a_new_model_has_nothing_to_learn_with_yet(desk: Desk) -> None:
    desk.send(5, 5, 5)
    life = desk.life()
    life.turn()
    life.active_model.loaded = loaded(desk.detector, "v2")
    desk.tell(Verdict.NORMAL)
    life.turn()
    assert "model v2 has not scored it yet" in desk.queries.words(Selection())[0].outcome
    assert desk.reports()[0].incident.status is Status.CLOSED
    life.active_model.loaded = None
    desk.tell(Verdict.BROKEN)
    life.turn()
    assert "no model is at work" in desk.queries.words(Selection())[0].outcome


def test_a_fault_of_a_detector_does_not_come_back_for_ever(desk: Desk) -> None:
    def fail(*_: Any) -> State:
        raise IndexError("out of bounds")

    desk.send(5, 5, 5)
    life = desk.life()
    life.turn()
    desk.detector.apply_feedback = fail
    desk.tell(Verdict.NORMAL)
    life.turn()
    assert "out of bounds" in desk.queries.words(Selection())[0].outcome
    assert desk.store.ledger.pending_feedback() == []


# ---- adaptations and their undoing


def test_what_is_assumed_stands_in_the_report_and_is_kept_once(desk: Desk) -> None:
    desk.send(0, 0, *[5.0] * PATIENCE, 5, 5)
    life = desk.life(Mortal(desk.store, "before", lambda step: bool(step.adaptations)))
    with pytest.raises(Killed):
        life.turn()
    desk.life().turn()
    (adaptation,) = desk.queries.adaptations(Selection())
    assert (adaptation.what, adaptation.time) == ("new-normal", BEGIN + 1 + PATIENCE)
    (report,) = desk.reports()
    assert report.adaptations == (adaptation.id,)
    assert (
        "5 is the new normal (at 2026-11-21 19:15:21 UTC; "
        f"undo with `anomalyd adaptations undo {adaptation.id}`)." in report.narrative
    )
    assert [event["event"] for event in desk.events()].count("adapted") == 1
    (event,) = [event for event in desk.events() if event["event"] == "adapted"]
    assert (event["id"], event["entity"], event["what"]) == (adaptation.id, "host/a", "new-normal")


def test_an_undo_brings_the_alert_back_and_takes_what_came_after_with_it(desk: Desk) -> None:
    desk.send(*[0.0] * 3, *[5.0] * (PATIENCE + 3), *[9.0] * (PATIENCE + 5))
    life = desk.life()
    life.turn()
    second, first = desk.queries.adaptations(Selection())
    assert [r.incident.status for r in desk.reports()] == [Status.CLOSED] * 2
    desk.store.ledger.request_undo(first.id, who="bob", reason="it was a fault")
    life.turn()
    second, first = desk.queries.adaptations(Selection())
    assert (first.undone, second.undone) == (WALL, WALL)
    assert (first.undo_by, first.undo_outcome) == ("bob", "undone, with 1 that came after it")
    assert f"together with {first.id}" in second.undo_outcome
    assert life.counted("adaptations_total", detector="hosts", what="undone") == 2
    undone = [event for event in desk.events() if event["event"] == "undone"]
    assert [(event["id"], event["who"]) for event in undone] == [(second.id, "bob"), (first.id, "bob")]
    desk.send(0, 0, 0)
    life.turn()
    assert len(desk.reports()) == 2  # it is as it was before the first: 0 is normal
    desk.send(5, 5)
    life.turn()
    assert len(desk.reports()) == 3


def test_an_undo_is_told_in_what_goes_on(desk: Desk) -> None:
    desk.send(0, 5, 5)
    life = desk.life()
    life.turn()
    desk.tell(Verdict.BROKEN)
    life.turn()
    (adaptation,) = desk.queries.adaptations(Selection())
    desk.store.ledger.request_undo(adaptation.id, who="bob", reason="wrong host")
    life.turn()
    (report,) = desk.reports()
    assert report.incident.status is Status.OPEN
    assert f"bob took adaptation {adaptation.id} back" in report.narrative
    assert report.narrative.endswith("UTC: wrong host.")


def test_an_undo_that_cannot_be_is_refused_with_the_reason(desk: Desk) -> None:
    desk.send(0, 0, *[5.0] * PATIENCE)
    life = desk.life()
    life.turn()
    (adaptation,) = desk.queries.adaptations(Selection())

    def answer() -> str:
        desk.store.ledger.request_undo(adaptation.id, who="bob")
        life.turn()
        (found,) = desk.queries.adaptations(Selection())
        assert found.undone is None
        return found.undo_outcome

    life.active_model.loaded = None
    assert "no model is at work" in answer()
    life.active_model.loaded = loaded(desk.detector, "v2")
    assert "it was of model v1, and model v2 is at work now" in answer()
    life.active_model.loaded = loaded(desk.detector)
    desk.detector.undo = None
    assert "please report this fault" in answer()
    desk.detector = Adapting()
    life.active_model.loaded = loaded(desk.detector)
    desk.store.ledger.request_undo(adaptation.id, who="bob")
    desk.store.ledger.forget_before(WALL + 1)
    life.turn()
    assert "no longer kept" in desk.queries.adaptations(Selection())[0].undo_outcome


def test_old_states_are_dropped_by_and_by(desk: Desk) -> None:
    desk.send(0, 0, *[5.0] * PATIENCE)
    life = desk.life()
    life.turn()
    life.wall = WALL + CONFIG.adaptation.keep_undo_s + 1
    life.turn()
    assert desk.queries.adaptations(Selection())[0].undoable  # it looks once an hour
    life.stopwatch += 3600.0
    life.turn()
    (adaptation,) = desk.queries.adaptations(Selection())
    assert not adaptation.undoable
    with pytest.raises(StoreError, match="no longer kept"):
        desk.store.ledger.request_undo(adaptation.id, who="bob")


# ---- exactly once


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("word", Verdict)
def test_a_word_is_applied_once_whenever_the_daemon_is_killed(desk: Desk, when: str, word: Verdict) -> None:
    desk.send(0, 5, 5)
    life = desk.life(Mortal(desk.store, when, lambda step: bool(step.words)))
    life.turn()
    desk.tell(word)
    with pytest.raises(Killed):
        life.turn()
    again = desk.life()
    desk.send(5, 5, 5)
    again.turn()
    again.turn()
    assert len(desk.queries.adaptations(Selection())) == 1
    assert [event["event"] for event in desk.events()].count("word") == 1
    assert desk.store.ledger.pending_feedback() == []
    first = desk.reports()[-1]
    assert first.narrative.count("anna said") == 1
    assert first.incident.status is (Status.CLOSED if word is Verdict.NORMAL else Status.OPEN)
    desk.send(5, 5, 5)
    again.turn()
    assert len(desk.reports()) == 1


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_undo_is_applied_once_whenever_the_daemon_is_killed(desk: Desk, when: str) -> None:
    desk.send(0, *[5.0] * (PATIENCE + 5))
    life = desk.life(Mortal(desk.store, when, lambda step: bool(step.undos)))
    life.turn()
    (adaptation,) = desk.queries.adaptations(Selection())
    desk.store.ledger.request_undo(adaptation.id, who="bob")
    with pytest.raises(Killed):
        life.turn()
    again = desk.life()
    desk.send(0)
    again.turn()
    again.turn()
    desk.send(5, 5)
    again.turn()
    assert [event["event"] for event in desk.events()].count("undone") == 1
    assert desk.queries.adaptations(Selection())[0].undone == WALL
    assert len(desk.reports()) == 2  # 5 is no longer normal


def test_a_store_that_fails_leaves_the_word_for_later(desk: Desk) -> None:
    desk.send(0, 5, 5)

    class Failing(Mortal):
        fails = True

        def commit(self, step: Step) -> None:
            if step.words and self.fails:
                self.fails = False
                raise StoreError("the disk is full")
            self._store.commit(step)

    life = desk.life(Failing(desk.store, "", lambda step: False))
    life.turn()
    desk.tell(Verdict.NORMAL)
    with pytest.raises(StoreError, match="disk is full"):
        life.turn()
    assert desk.reports()[0].incident.status is Status.OPEN
    life.turn()
    assert desk.reports()[0].incident.status is Status.CLOSED


# ---- several daemons on one store


def test_a_word_waits_for_the_daemon_that_scores_the_entity(desk: Desk) -> None:
    desk.send(0, 5, 5)
    owner = desk.life()
    owner.turn()
    other = Life(desk.store, [], loaded(desk.detector), desk.folder)
    desk.tell(Verdict.NORMAL)
    for _ in range(4):
        other.turn()
    assert len(desk.store.ledger.pending_feedback()) == 1
    owner.turn()
    assert desk.store.ledger.pending_feedback() == []
    desk.send(5, 5, 5)
    owner.turn()
    assert len(desk.reports()) == 1


def test_a_silent_entity_is_anybody_s_after_a_while_and_is_not_kept_in_memory(desk: Desk) -> None:
    desk.send(0, 5, 5)
    desk.life().turn()
    other = Life(desk.store, [], loaded(desk.detector), desk.folder)
    desk.tell(Verdict.BROKEN)
    for _ in range(7):
        other.turn()
    assert desk.store.ledger.pending_feedback() == []
    owner = desk.life()
    desk.send(0, 0, 0)
    owner.turn()
    assert desk.reports()[0].incident.status is Status.CLOSED
    # What the other would still remember is an open incident.
    desk.tell(Verdict.NORMAL)
    for _ in range(7):
        other.turn()
    assert "report" not in desk.queries.words(Selection())[0].outcome


def test_a_word_for_a_detector_of_another_configuration_is_left_alone(desk: Desk) -> None:
    desk.store.ledger.record_word("chambers", "host/a", Verdict.NORMAL, who="anna")
    life = desk.life()
    for _ in range(7):
        life.turn()
    assert len(desk.store.ledger.pending_feedback()) == 1


def test_where_another_daemon_went_on_nothing_is_applied(desk: Desk) -> None:
    desk.send(0, 5, 5)
    slow = desk.life()
    slow.turn()
    desk.store.commit(Step(CONFIG.kafka.group, {PLACE: (3, 9)}))
    desk.tell(Verdict.NORMAL)
    with pytest.raises(StoreConflict, match="another daemon"):
        slow.turn()
    assert len(desk.store.ledger.pending_feedback()) == 1
    assert desk.reports()[0].incident.status is Status.OPEN


def test_two_daemons_cannot_apply_the_same_word(desk: Desk) -> None:
    desk.send(0, 5, 5)
    desk.life().turn()
    one, other = (Life(desk.store, [], loaded(desk.detector), desk.folder) for _ in range(2))
    desk.tell(Verdict.NORMAL)
    stale = desk.store.ledger.pending_feedback()
    for _ in range(7):
        one.turn()
    other.service._store.ledger = SimpleNamespace(  # type: ignore[assignment]
        pending_feedback=lambda: stale, pending_undos=list, forget_before=lambda recorded: 0
    )
    for _ in range(5):
        other.turn()
    with pytest.raises(StoreConflict, match="word 1 was applied by another daemon"):
        other.turn()
