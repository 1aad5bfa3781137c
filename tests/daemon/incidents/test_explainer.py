"""Incident -> Report: every report with evidence is explained, or says why not, whatever happens between."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import ExplainConfig
from anomalyd.daemon.incidents.evidence import Witness
from anomalyd.daemon.incidents.explainer import Explainer
from anomalyd.daemon.precedence import Precedence
from anomalyd.daemon.stages import Sample, Scored
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.errors import StoreError
from anomalyd.interpret.attribution import Attribution
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.remark import Remark, RemarkKind
from anomalyd.reports.report import Evidence, Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Step, StoredChange
from anomalyd.reports.storage.store import Store

METHODS = ("occlusion", "integrated-gradients")


@dataclass
class Desk:
    """A report store with an explainer at it; `begin` starts one anew, as after a restart."""

    path: Path
    store: Store
    queries: Queries
    library: ModelLibrary
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)
    explained: list[str] = field(default_factory=list)
    clock: Callable[[], float] = lambda: 0.0
    precedence: Precedence = field(default_factory=Precedence)

    def begin(self, **config: Any) -> Explainer:
        self.registry = CollectorRegistry()
        return Explainer(
            self.store,
            self.queries,
            self.library,
            ExplainConfig(**config),
            Telemetry(self.registry, explain_methods=METHODS),
            output_topic="reports",
            clock=self.clock,
            precedence=self.precedence,
            on_explained=lambda report_id: self.explained.append(report_id),
        )

    def put(self, incident: Incident, evidence: Evidence | None) -> None:
        self.store.commit(
            Step(group="g", stored_changes=(StoredChange(incident, f"about {incident.id}", evidence),))
        )

    def methods(self, report_id: str) -> list[str]:
        return [e.method for e in self.queries.explanations(report_id)]

    def events(self) -> list[tuple[str, str]]:
        sent = [json.loads(o.entry.value or b"") for o in self.store.unsent(100)]
        assert all(event["narrative"] == f"about {event['id']}" for event in sent)
        return [(event["event"], event["id"]) for event in sent]

    def counted(self, **labels: str) -> float:
        return self.registry.get_sample_value("anomalyd_explanations_total", labels) or 0.0


@pytest.fixture
def desk(tmp_path: Path, library: ModelLibrary) -> Iterator[Desk]:
    path = tmp_path / "reports.db"
    store = Store.open(f"sqlite:///{path}")
    queries = Queries.open(f"sqlite:///{path}")
    yield Desk(path, store, queries, library)
    queries.close()
    store.close()


@pytest.fixture
def host_model(experiment: Any, library: ModelLibrary) -> str:
    return library.publish("hosts", experiment.host_pair)


def report(
    pair: DetectorPair, samples: list[Sample], model: str, detector: str = "hosts", **changes: Any
) -> tuple[Incident, Evidence]:
    """An incident whose worst sample is the last of these, and its evidence."""
    entity = samples[0].entity
    first = samples[0]
    assert first.map is not None or first.values is not None
    values = np.stack([s.map if s.map is not None else list((s.values or {}).values()) for s in samples])
    times = np.array([s.time for s in samples])
    window = SeriesWindow(entity, times, values.astype(np.float32))
    (scores,) = pair.score([window])
    found = Scored(detector, model, tuple(samples), window, scores, times[:0], window.values[:0])
    witness = Witness(pair, found)
    evidence = witness.testify(len(samples) - 1)
    incident = Incident(
        id=f"{entity}-{first.time:.0f}".replace("/", "-"),
        detector=detector,
        entity=entity,
        sample_kind=pair.sample_kind,
        severity=Severity.ERROR,
        status=Status.CLOSED,
        onset=evidence.time,
        last=evidence.time,
        closed=evidence.time + 3,
        samples=1,
        peak=float(scores.score[-1]),
        peak_time=evidence.time,
        autoencoder=float(scores.autoencoder.score[-1]),
        classical=float(scores.classical.score[-1]),
        seen_by=SeenBy.BOTH,
        causes=witness.name_causes(evidence),
        model=model,
    )
    return replace(incident, **changes), evidence


def of_host(experiment: Any, model: str, second: int = 5, **changes: Any) -> tuple[Incident, Evidence]:
    samples = [experiment.sample("host/a", second + s, 15.0 if s == 4 else 0.0) for s in range(5)]
    return report(experiment.host_pair, samples, model, **changes)


def test_a_waiting_report_gets_its_explanations_and_says_so(
    desk: Desk, experiment: Any, host_model: str
) -> None:
    incident, evidence = of_host(experiment, host_model)
    desk.put(incident, evidence)
    explainer = desk.begin()
    assert explainer.work() == 1
    explanations = desk.queries.explanations(incident.id)
    assert tuple(e.method for e in explanations) == METHODS
    for each in explanations:
        assert each.values.shape == (4,)
        assert evidence.features[int(np.nanargmax(each.values))] == "memory"
        assert (each.evidence_time, each.complete) == (evidence.time, True)
    found = desk.queries.report(incident.id)
    assert (set(found.explained_by), found.explain_error) == (set(METHODS), "")
    assert desk.events() == [("explained", incident.id)]
    assert desk.explained == [incident.id]
    assert [desk.counted(method=m, outcome="complete") for m in METHODS] == [1, 1]

    assert explainer.work() == 0  # once
    assert desk.begin().work() == 0
    assert desk.events() == [("explained", incident.id)]


def test_what_came_before_the_sample_is_taken_into_account(
    desk: Desk, experiment: Any, host_model: str
) -> None:
    incident, evidence = of_host(experiment, host_model)
    desk.put(incident, evidence)
    desk.begin(methods=["occlusion"]).work()
    (stored,) = desk.queries.explanations(incident.id)
    rows = [list(experiment.row("host/a", 5 + s, 15.0 if s == 4 else 0.0).values()) for s in range(5)]
    usual = np.array([*rows[:4], evidence.expectation], dtype=np.float32)
    detector = experiment.host_pair.autoencoder.detector
    model = detector if evidence.detector == "autoencoder" else experiment.host_pair.classical.detector
    broken, normal = (
        float(model.score([SeriesWindow("host/a", np.arange(5.0), each)])[0].raw[-1])
        for each in (np.array(rows, dtype=np.float32), usual)
    )
    assert float(stored.values[1]) == pytest.approx(broken - normal, rel=0.2)


def test_a_map_is_explained_cell_by_cell(desk: Desk, experiment: Any) -> None:
    model = desk.library.publish("chambers", experiment.chamber_pair)
    sample = experiment.sample(experiment.chambers[0], 5, 1.0)
    incident, evidence = report(experiment.chamber_pair, [sample], model, "chambers")
    desk.put(incident, evidence)
    assert desk.begin().work() == 1
    for each in desk.queries.explanations(incident.id):
        assert each.values.shape == (12, 57)
        broken = np.zeros((12, 57), dtype=bool)
        broken[:4, :25] = True
        assert np.nansum(each.values[broken]) > 5 * np.nansum(np.abs(each.values[~broken]))


def test_what_a_killed_daemon_left_is_done_by_the_next(desk: Desk, experiment: Any, host_model: str) -> None:
    reports = [of_host(experiment, host_model, second) for second in (5, 20, 35)]
    for each in reports:
        desk.put(*each)

    explainer = desk.begin()
    after_one = Killed()
    desk.explained = after_one
    with pytest.raises(Killed.Now):
        explainer.work()
    desk.explained = []
    assert desk.begin().work() == 2
    assert {len(desk.methods(incident.id)) for incident, _ in reports} == {2}
    assert sorted(desk.events()) == sorted(("explained", incident.id) for incident, _ in reports)


class Killed(list[str]):
    """Ends the daemon as soon as the first explanation is stored."""

    class Now(BaseException):
        pass

    def append(self, report_id: str) -> None:
        raise self.Now


def test_a_model_that_is_gone_is_said_in_the_report_and_stops_nobody_else(
    desk: Desk, experiment: Any, host_model: str
) -> None:
    gone, evidence = of_host(experiment, "20200101T000000Z-00000000", 20)
    good, good_evidence = of_host(experiment, host_model, 5)
    desk.put(gone, evidence)
    desk.put(good, good_evidence)
    explainer = desk.begin()
    assert explainer.work() == 2
    found = desk.queries.report(gone.id)
    assert found.explained_by == ()
    assert found.explain_error.startswith("ModelMissing: ")
    assert "20200101T000000Z-00000000" in found.explain_error
    assert desk.methods(good.id) == list(METHODS)
    assert [desk.counted(method=m, outcome="failed") for m in METHODS] == [1, 1]
    assert explainer.work() == 0  # it would fail again


def test_whatever_goes_wrong_is_said_in_the_report(
    desk: Desk, experiment: Any, host_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    incident, evidence = of_host(experiment, host_model)
    desk.put(incident, evidence)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no reason")

    monkeypatch.setattr("anomalyd.daemon.incidents.explainer.explain_metrics", fail)
    assert desk.begin().work() == 1
    assert desk.queries.report(incident.id).explain_error == "ZeroDivisionError: no reason"
    assert desk.events() == [("explained", incident.id)]


def test_the_detector_is_explained_whose_score_it_is(desk: Desk, experiment: Any, host_model: str) -> None:
    incident, evidence = of_host(experiment, host_model)
    desk.put(incident, replace(evidence, detector="classical"))
    desk.begin(methods=["integrated-gradients"]).work()
    (explanation,) = desk.queries.explanations(incident.id)
    scores = experiment.host_pair.classical.detector.score(
        [SeriesWindow("host/a", np.array([evidence.time]), evidence.values[None])]
    )
    # It begins at what was expected, not at 0: a little is missing.
    np.testing.assert_allclose(np.nansum(explanation.values), scores[0].raw[0], rtol=0.05)


def test_a_worse_sample_and_the_whole_course_are_explained_again_while_it_is_open(
    desk: Desk, experiment: Any, host_model: str
) -> None:
    incident, evidence = of_host(experiment, host_model, status=Status.OPEN, closed=None)
    desk.put(incident, evidence)
    explainer = desk.begin(methods=["occlusion"])
    assert (explainer.work(), explainer.work()) == (1, 0)
    times = np.append(evidence.history_times, evidence.time + 5)
    longer = replace(evidence, history_times=times, history=np.vstack([evidence.history, evidence.values]))
    desk.put(incident, longer)
    assert (explainer.work(), explainer.work()) == (1, 0)


def test_the_most_severe_come_first_and_the_backlog_is_counted(
    desk: Desk, experiment: Any, host_model: str
) -> None:
    severities = [Severity.WARNING] * 6 + [Severity.CRITICAL] + [Severity.ERROR] * 5
    for n, severity in enumerate(severities):
        desk.put(*of_host(experiment, host_model, 5 + 5 * n, severity=severity))
    explainer = desk.begin(methods=["occlusion"])
    assert explainer.work() == 8
    assert desk.registry.get_sample_value("anomalyd_explanations_pending") == 4
    explained = [desk.queries.report(report_id).incident.severity for report_id in desk.explained]
    assert explained == sorted(explained, key=list(Severity).index, reverse=True)
    assert explained[0] is Severity.CRITICAL


def test_it_gives_way_to_a_step_in_hand(desk: Desk, experiment: Any, host_model: str) -> None:
    class Scoring(Precedence):
        asked = 0

        def wait(self, at_most_s: float) -> bool:
            self.asked += at_most_s > 0
            return False

    desk.precedence = Scoring()
    incident, evidence = of_host(experiment, host_model)
    desk.put(incident, evidence)
    assert desk.begin().work() == 1
    assert desk.precedence.asked >= len(METHODS)
    assert [each.complete for each in desk.queries.explanations(incident.id)] == [True] * len(METHODS)


def test_a_budget_that_runs_out_gives_what_there_is(desk: Desk, experiment: Any) -> None:
    ticking = iter(range(0, 10**6, 3600))
    desk.clock = lambda: float(next(ticking))
    model = desk.library.publish("chambers", experiment.chamber_pair)
    sample = experiment.sample(experiment.chambers[0], 5, 1.0)
    incident, evidence = report(experiment.chamber_pair, [sample], model, "chambers")
    desk.put(incident, evidence)
    desk.begin(budget_s=1.0).work()
    found = desk.queries.explanations(incident.id)
    assert tuple(e.method for e in found) == METHODS
    partial = sum(not e.complete for e in found)
    assert partial >= 1
    assert sum(desk.counted(method=m, outcome="partial") for m in METHODS) == partial


def test_only_the_methods_asked_for_are_made(desk: Desk, experiment: Any, host_model: str) -> None:
    incident, evidence = of_host(experiment, host_model)
    desk.put(incident, evidence)
    desk.begin(methods=["occlusion"]).work()
    assert desk.methods(incident.id) == ["occlusion"]


def test_a_report_without_evidence_waits_for_none(desk: Desk, experiment: Any, host_model: str) -> None:
    incident, _ = of_host(experiment, host_model)
    desk.put(incident, None)
    assert desk.begin().work() == 0


def test_the_thread_does_what_waits_at_the_start_and_what_comes_later(
    desk: Desk, experiment: Any, host_model: str, eventually: Callable[..., None]
) -> None:
    first, second = (of_host(experiment, host_model, s) for s in (5, 20))
    desk.put(*first)
    explainer = desk.begin()
    explainer.start()
    try:
        eventually(lambda: desk.methods(first[0].id))
        desk.put(*second)
        explainer.wake()
        eventually(lambda: desk.methods(second[0].id))
    finally:
        assert explainer.stop(120.0)


def test_the_thread_outlives_a_store_that_fails(
    desk: Desk, experiment: Any, host_model: str, eventually: Callable[..., None]
) -> None:
    incident, evidence = of_host(experiment, host_model)
    desk.put(incident, evidence)
    asked = threading.Event()
    real = desk.store

    class Away:
        def unexplained(self, limit: int) -> list[str]:
            if not asked.is_set():
                asked.set()
                raise StoreError("the database is away")
            return real.unexplained(limit)

        def __getattr__(self, name: str) -> Any:
            return getattr(real, name)

    desk.store = Away()  # type: ignore[assignment]
    explainer = desk.begin()
    explainer.start()
    try:
        assert asked.wait(120.0)
        explainer.wake()
        eventually(lambda: desk.methods(incident.id))
    finally:
        assert explainer.stop(120.0)


def test_one_that_was_never_started_stops_at_once(desk: Desk) -> None:
    assert desk.begin().stop(0.0)


def test_what_is_made_of_explanations_is_kept_with_the_report(
    desk: Desk, experiment: Any, host_model: str
) -> None:
    for second in (40, 60):
        samples = [experiment.sample("host/a", second + s, 15.0 if s == 9 else 0) for s in range(10)]
        desk.put(*report(experiment.host_pair, samples, host_model))
    explainer = desk.begin()
    while explainer.work():
        pass
    first, second = sorted(desk.queries.ids(Selection()))
    told = desk.queries.cases.interpretation(second)
    assert told is not None
    assert set(told.trust) == {*METHODS}
    assert told.counterfactual is not None
    assert told.counterfactual.enough
    assert told.counterfactual.score < 1
    assert told.fingerprint
    (case,) = desk.queries.cases.similar(second)
    assert case.report == first
    assert case.concluded == ()
    desk.store.remarks.write(Remark(first, RemarkKind.COMMENT, "ann", "a loose cable"))
    (case,) = desk.queries.cases.similar(second)
    assert case.concluded == ("ann: a loose cable",)
    assert desk.queries.cases.similar(first) == []
    assert desk.queries.cases.interpretation("nobody") is None


def test_a_storm_is_worked_off_worst_first_with_a_true_count(
    desk: Desk, experiment: Any, host_model: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thousand flagged samples at once: none is lost, scoring's commits go on in between."""
    samples = [experiment.sample("host/a", 40 + s, 15.0 if s == 9 else 0) for s in range(10)]
    incident, evidence = report(experiment.host_pair, samples, host_model)
    severities = (Severity.WARNING, Severity.CRITICAL)
    waiting = [replace(incident, id=f"{k:04d}", severity=severities[k % 2]) for k in range(1000)]
    changes = tuple(StoredChange(each, f"about {each.id}", evidence) for each in waiting)
    desk.store.commit(Step(group="g", stored_changes=changes))
    explainer = desk.begin()
    monkeypatch.setattr(
        explainer, "_attribute", lambda *_: ([Attribution("fake", evidence.error, 0.0)], None)
    )
    done = explainer.work()
    assert 0 < done < 1000

    def pending() -> float:
        return desk.registry.get_sample_value("anomalyd_explanations_pending") or 0.0

    assert pending() == 1000 - done
    assert {int(name) % 2 for name in desk.explained} == {1}
    desk.put(replace(incident, id="late", severity=Severity.CRITICAL), evidence)
    explainer.work()
    assert pending() == 1001 - 2 * done
    while explainer.work():
        pass
    assert len(set(desk.explained)) == len(desk.explained) == 1001
    assert pending() == 0
    assert [int(name) % 2 for name in desk.explained if name != "late"][:500] == [1] * 500
