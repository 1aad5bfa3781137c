"""The whole at a glance, on both databases."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.remark import Remark, RemarkKind
from anomalyd.reports.report import Incident, Severity, Status
from anomalyd.reports.step import Activity, Point, Step, StoredChange
from anomalyd.reports.storage.repositories.entity_states import StateChanges, StateSnapshot
from anomalyd.reports.storage.repositories.overview import Backlog, LatestSample
from anomalyd.reports.storage.store import Store
from anomalyd.verdict import Verdict

MakeIncident = Callable[..., Incident]


@pytest.fixture
def filled(store: Store, queries: Queries, incident: MakeIncident) -> Queries:
    """Three incidents of two entities, an hour of samples, a word and two verdicts."""
    found = (
        incident("a", onset=100.0, last=400.0),
        incident("b", onset=150.0, entity="host/pc2", severity=Severity.CRITICAL, detector="chambers"),
        incident("c", onset=9000.0, last=9300.0, closed=9400.0, status=Status.CLOSED, peak=9.0),
    )
    points = (Point(100.0, 0.5, None), Point(110.0, 2.0, 1.5))
    activity = {"host/pc1": Activity("vector", 0.0, 3500.0, 701), "host/pc2": Activity("map", 0.0, 50.0, 3)}
    states = StateChanges((StateSnapshot("hosts", "host/pc1", "v1", 1.0, b""),))
    changes = tuple(StoredChange(i, "", None, points if i.id == "a" else ()) for i in found)
    store.commit(Step("group", stored_changes=changes, activity=activity, states=states))
    store.ledger.record_word("hosts", "host/pc1", Verdict.NORMAL, who="ada")
    for who in ("ada", "bob"):
        store.remarks.write(Remark("a", RemarkKind.FALSE_ALARM, who, "nothing"))
    return queries


def test_what_waits(filled: Queries) -> None:
    assert filled.overview.backlog() == Backlog(outbox=0, unexplained=0, feedback=1)


def test_who_is_scored_and_who_sends(filled: Queries) -> None:
    assert filled.overview.scored() == {"host/pc1": ("hosts",)}
    latest = filled.overview.latest()
    assert latest["host/pc2"] == LatestSample("map", 50.0, pytest.approx(50 / 3))
    assert latest["host/pc1"].interval == pytest.approx(5.0, rel=0.01)


def test_the_index_is_by_onset(filled: Queries) -> None:
    index = filled.overview.index(Selection())
    assert index.ids.tolist() == ["a", "b", "c"]
    assert index.ranks.tolist() == [1, 2, 1]
    assert index.still_open.tolist() == [True, True, False]
    assert index.detectors.tolist() == [1, 0, 1]
    assert len(filled.overview.index(Selection(detectors=("none",)))) == 0


def test_rows_and_what_is_near(filled: Queries) -> None:
    rows = filled.overview.rows(Selection(statuses=(Status.OPEN,)))
    assert {r.id: (r.severity, r.is_open) for r in rows} == {
        "a": (Severity.ERROR, True),
        "b": (Severity.CRITICAL, True),
    }
    assert [r.id for r in filled.overview.near(140.0, 60.0, 10)] == ["b", "a"]
    assert filled.overview.counts({"host/pc1", "host/pc9"}) == ({"host/pc1": 2}, 3, 9300.0)
    assert {r.source for r in filled.overview.near(140.0, 60.0, 10)} != {""}


def test_neighbours_in_time(filled: Queries) -> None:
    assert filled.overview.neighbours("a", 100.0) == (None, "b")
    assert filled.overview.neighbours("c", 9000.0) == ("b", None)


def test_the_course_of_an_entity(filled: Queries) -> None:
    assert filled.overview.scores("host/pc1", 105.0, 500.0) == [("hosts", Point(110.0, 2.0, 1.5))]
    assert filled.overview.hours("host/pc1", 0.0, 4000.0) == [(0.0, 701)]
    assert filled.overview.hours("host/pc1", 3600.0, 8000.0) == []


def test_verdicts_count_reports_not_people(filled: Queries) -> None:
    assert filled.overview.verdicts() == {"hosts": {RemarkKind.FALSE_ALARM: 1}}


def test_an_empty_store(queries: Queries) -> None:
    assert queries.overview.counts(()) == ({}, 0, 0.0)
    assert queries.overview.latest() == {}
    assert len(queries.overview.index(Selection())) == 0
