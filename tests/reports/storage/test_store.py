"""What is committed is there, once; what is not committed leaves nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomalyd.errors import StoreConflict, StoreError
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Evidence, Explanation, Incident, SeenBy, Severity, Status
from anomalyd.reports.score_history import MAX_POINTS
from anomalyd.reports.storage.repositories.entity_states import StateChanges, StateSnapshot
from anomalyd.reports.storage.store import Activity, OutboxEntry, Point, Step, Store, StoredChange

MakeIncident = Callable[..., Incident]
MakeEvidence = Callable[[float], Evidence]

# What PostgreSQL can keep as text: no NUL, no half of a surrogate pair.
text = st.text(st.characters(exclude_characters="\0", codec="utf-8"))
score = st.floats(0, allow_nan=False)
moment = st.floats(0, 4e9)
count = st.integers(0, 2**63 - 1)
on_either = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40, deadline=None
)


def found(incident: Incident, evidence: Evidence | None = None, points: tuple[Point, ...] = ()) -> Step:
    return Step(
        "g", stored_changes=(StoredChange(incident, f"{incident.entity} was odd.", evidence, points),)
    )


def explanation(method: str, evidence_time: float) -> Explanation:
    return Explanation(method, evidence_time, np.array([0.5, np.nan], dtype=np.float32), 0.25, True)


incidents = st.builds(
    Incident,
    id=st.sampled_from(["a", "b", "c"]),
    detector=text,
    entity=text,
    sample_kind=st.sampled_from(["vector", "map"]),
    severity=st.sampled_from(Severity),
    status=st.just(Status.OPEN),
    onset=moment,
    last=moment,
    closed=st.none() | moment,
    samples=count,
    peak=score,
    peak_time=moment,
    autoencoder=score,
    classical=score,
    seen_by=st.sampled_from(SeenBy),
    causes=st.lists(text.filter(lambda cause: cause and "\n" not in cause), max_size=3).map(tuple),
    model=text,
    run=st.none() | count,
    first_lumisection=st.none() | count,
    last_lumisection=st.none() | count,
    source=text,
)


@on_either
@given(incidents, text)
def test_an_incident_survives(store: Store, queries: Queries, incident: Incident, narrative: str) -> None:
    store.commit(Step("g", stored_changes=(StoredChange(incident, narrative),)))
    report = queries.report(incident.id)
    assert (report.incident, report.narrative) == (incident, narrative)
    assert incident in store.open_incidents()


def test_a_score_that_could_not_be_told_survives(store: Store, incident: MakeIncident) -> None:
    store.commit(found(incident(classical=np.nan, autoencoder=np.float32(3.5), samples=np.int64(4))))
    (got,) = store.open_incidents()
    assert np.isnan(got.classical)
    assert (got.autoencoder, got.samples) == (3.5, 4)


def test_a_cause_is_one_line(store: Store, incident: MakeIncident) -> None:
    store.commit(found(incident(causes=("a\nb", "", "c"))))
    assert store.open_incidents()[0].causes == ("a b", "c")


def test_open_incidents_are_those_of_the_detector_oldest_first(store: Store, incident: MakeIncident) -> None:
    later, earlier = incident("1", onset=20.0), incident("2", onset=10.0)
    other = incident("3", detector="chambers")
    over = incident("4", status=Status.CLOSED, closed=30.0)
    for each in (later, earlier, other, over):
        store.commit(found(each))
    assert store.open_incidents("hosts") == [earlier, later]
    assert store.open_incidents() == [earlier, later, other]


def test_the_same_finding_twice_is_one_finding(
    store: Store, queries: Queries, incident: MakeIncident, evidence: MakeEvidence
) -> None:
    step = found(incident(), evidence(1030.0), (Point(1030.0, 3.5, None),))
    store.commit(step)
    before = queries.report("incident")
    store.commit(step)
    assert queries.report("incident") == before
    assert queries.points("incident") == [Point(1030.0, 3.5, None)]
    assert queries.count(Selection()) == 1


def test_a_change_counts_and_keeps_the_first_record(
    url: str, store: Store, queries: Queries, incident: MakeIncident, evidence: MakeEvidence
) -> None:
    store.commit(found(incident(), evidence(1030.0), (Point(1030.0, 3.5, None),)))
    first = queries.report("incident")
    assert first.revision == 0
    worse = incident(peak=9.0, causes=("load1",))
    later = Store.open(url, clock=lambda: first.recorded + 60)
    later.commit(found(worse, None, (Point(1031.0, 9.0, 1.0),)))
    later.close()
    second = queries.report("incident")
    assert second == replace(first, incident=worse, revision=1)
    kept = queries.evidence("incident")
    assert kept is not None
    assert kept.time == 1030.0  # evidence None keeps what is stored
    assert queries.points("incident") == [Point(1030.0, 3.5, None), Point(1031.0, 9.0, 1.0)]
    store.commit(found(worse, evidence(1031.0)))
    assert queries.report("incident").revision == 2
    replaced = queries.evidence("incident")
    assert replaced is not None
    assert replaced.time == 1031.0


def test_the_course_of_a_long_incident_is_bounded(
    store: Store, queries: Queries, incident: MakeIncident
) -> None:
    for begin in range(0, 5000, 500):
        course = tuple(Point(float(k), 2.0 + (k == 1234), None) for k in range(begin, begin + 500))
        store.commit(found(incident(), None, course))
    points = queries.points("incident")
    assert 500 < len(points) <= MAX_POINTS
    assert points[0].time < 10
    assert points[-1].time == 4999
    assert Point(1234.0, 3.0, None) in points


def test_offsets_move_from_where_they_are(store: Store) -> None:
    store.commit(Step("g", {("t", 0): (None, 10), ("t", 1): (None, 4)}))
    store.commit(Step("g", {("t", 0): (10, 25)}))
    store.commit(Step("other", {("t", 0): (None, 3)}))
    assert store.offsets("g") == {("t", 0): 25, ("t", 1): 4}
    assert store.offsets("other") == {("t", 0): 3}
    assert store.offsets("nobody") == {}


@pytest.mark.parametrize("expected", [None, 9, 11])
def test_a_conflict_keeps_nothing(
    store: Store, queries: Queries, incident: MakeIncident, evidence: MakeEvidence, expected: int | None
) -> None:
    store.commit(Step("g", {("t", 0): (None, 10)}))
    whole = Step(
        "g",
        # The first partition could move, the second is in conflict.
        {("a", 0): (None, 5), ("t", 0): (expected, 25)},
        (StoredChange(incident(), "odd", evidence(1030.0), (Point(1.0, 1.0, 1.0),)),),
        StateChanges((StateSnapshot("hosts", "host/pc1", "v1", 1.0, b"state"),)),
        (OutboxEntry("reports", b"k", b"v"),),
        {"host/pc1": Activity("vector", 1.0, 2.0, 2)},
    )
    with pytest.raises(StoreConflict, match="t/0"):
        store.commit(whole)
    assert store.offsets("g") == {("t", 0): 10}
    assert queries.count(Selection()) == 0
    assert store.states.snapshot_times("hosts") == {}
    assert store.unsent(10) == []
    assert queries.activity() == {}


def test_an_exception_in_the_middle_keeps_nothing(
    store: Store, queries: Queries, incident: MakeIncident
) -> None:
    class Breaking(dict[str, Activity]):
        def items(self) -> Iterator[tuple[str, Activity]]:  # type: ignore[override]
            raise RuntimeError("a bug")

    step = Step(
        "g",
        {("t", 0): (None, 5)},
        (StoredChange(incident(), "odd"),),
        activity=Breaking(a=Activity("map", 1, 1, 1)),
    )
    with pytest.raises(RuntimeError, match="a bug"):
        store.commit(step)
    assert store.offsets("g") == {}
    assert queries.count(Selection()) == 0
    store.commit(replace(step, activity={}))  # and the store is not stuck
    assert store.offsets("g") == {("t", 0): 5}


def test_what_the_database_cannot_keep_is_a_store_error(store: Store, incident: MakeIncident) -> None:
    for wrong in (incident(samples=2**63), incident(entity="\ud800"), incident(peak=None)):
        with pytest.raises(StoreError, match="try again"):
            store.commit(replace(found(wrong), moves={("t", 0): (None, 5)}))
    assert store.offsets("g") == {}


def test_activity_widens_and_counts_up(store: Store, queries: Queries) -> None:
    store.commit(Step("g", activity={"a": Activity("vector", 100.0, 200.0, 10)}))
    store.commit(
        Step("g", activity={"a": Activity("vector", 50.0, 150.0, 5), "b": Activity("map", 7e3, 7e3, 1)})
    )
    store.commit(Step("g", activity={"a": Activity("vector", 9000.0, 9100.0, 3)}))
    assert queries.activity() == {
        "a": Activity("vector", 50.0, 9100.0, 18),
        "b": Activity("map", 7e3, 7e3, 1),
    }
    assert queries.activity(until=3600.0) == {"a": Activity("vector", 50.0, 200.0, 15)}
    assert queries.activity(since=8000.0) == {"a": Activity("vector", 9000.0, 9100.0, 3)}
    assert queries.latest_data() == 9100.0


headers = st.lists(st.tuples(text, st.binary()), max_size=3).map(tuple)
entries = st.builds(OutboxEntry, text, st.none() | st.binary(), st.none() | st.binary(), headers)


@on_either
@given(st.lists(entries, min_size=1, max_size=5))
def test_the_outbox_gives_back_what_was_put_in_in_order(store: Store, given: list[OutboxEntry]) -> None:
    store.commit(Step("g", outbox=tuple(given[1:])))
    store.commit(Step("g", outbox=tuple(given[:1])))
    unsent = store.unsent(100)
    assert [outgoing.entry for outgoing in unsent] == given[1:] + given[:1]
    assert store.unsent(1) == unsent[:1]
    store.mark_sent([outgoing.id for outgoing in unsent], {})
    assert store.unsent(100) == []


def test_a_number_of_the_outbox_is_never_used_twice(store: Store) -> None:
    store.commit(Step("g", outbox=(OutboxEntry("t", b"k", b"v"),)))
    (first,) = store.unsent(10)
    store.mark_sent([first.id], {("t", 0): 4})
    store.commit(Step("g", outbox=(OutboxEntry("t", b"k", b"v"),)))
    (second,) = store.unsent(10)
    assert second.id > first.id
    # Marking again what is marked, with an older position, changes nothing.
    store.mark_sent([first.id], {("t", 0): 3, ("t", 1): 0})
    assert store.sent_positions() == {("t", 0): 4, ("t", 1): 0}
    assert store.unsent(10) == [second]


def test_an_explanation_survives(
    store: Store, queries: Queries, incident: MakeIncident, evidence: MakeEvidence
) -> None:
    store.commit(found(incident(), evidence(1030.0)))
    assert queries.report("incident").explained_by == ()
    given = [explanation("occlusion", 1030.0), explanation("integrated-gradients", 1030.0)]
    store.explain("incident", 1030.0, given, outgoing=[OutboxEntry("reports", b"incident", b"{}")])
    got = queries.explanations("incident")
    assert [replace(e, values=given[0].values) for e in got] == [
        replace(e, values=given[0].values) for e in given
    ]
    assert all(np.array_equal(e.values, given[0].values, equal_nan=True) for e in got)
    assert set(queries.report("incident").explained_by) == {"occlusion", "integrated-gradients"}
    assert [outgoing.entry.key for outgoing in store.unsent(10)] == [b"incident"]


def test_later_explanations_take_the_place_of_earlier_ones(
    store: Store, queries: Queries, incident: MakeIncident, evidence: MakeEvidence
) -> None:
    store.commit(found(incident(), evidence(1030.0)))
    store.explain("incident", 1030.0, [explanation("a", 1030.0), explanation("b", 1030.0)])
    store.explain("incident", 1031.0, [explanation("a", 1031.0)], error="b: no time")
    assert [(e.method, e.evidence_time) for e in queries.explanations("incident")] == [("a", 1031.0)]
    assert queries.report("incident").explain_error == "b: no time"
    store.explain("incident", 1032.0, [], error="the model is gone")
    assert [(e.method, e.evidence_time) for e in queries.explanations("incident")] == [("a", 1031.0)]


def test_an_unknown_report_cannot_be_explained(store: Store) -> None:
    with pytest.raises(StoreError, match="no report nothing"):
        store.explain("nothing", 1.0, [], outgoing=[OutboxEntry("t", b"", b"")])
    assert store.unsent(10) == []


def test_what_wants_an_explanation(store: Store, incident: MakeIncident, evidence: MakeEvidence) -> None:
    store.commit(found(incident("bare")))
    assert store.unexplained(10) == []  # nothing to explain
    store.commit(found(incident("bare"), evidence(1030.0)))
    assert store.unexplained(10) == ["bare"]
    store.explain("bare", 1030.0, [explanation("occlusion", 1030.0)])
    assert store.unexplained(10) == []
    store.commit(found(incident("bare", peak=4.0), evidence(1031.0)))
    assert (store.unexplained(10), store.unexplained_count()) == (["bare"], 1)  # a worse sample
    store.explain("bare", 1031.0, [explanation("occlusion", 1031.0)])
    assert (store.unexplained(10), store.unexplained_count()) == ([], 0)
    store.commit(found(incident("bare", peak=4.0, status=Status.CLOSED, closed=1070.0)))
    assert store.unexplained(10) == []  # no other evidence


def test_a_failed_explanation_waits_for_other_evidence(
    store: Store, incident: MakeIncident, evidence: MakeEvidence
) -> None:
    store.commit(found(incident(), evidence(1030.0)))
    store.explain("incident", 1030.0, [], error="the model is gone")
    store.commit(found(incident(samples=8)))
    assert store.unexplained(10) == []
    store.commit(found(incident(samples=9), evidence(1031.0)))
    assert store.unexplained(10) == ["incident"]


def test_the_never_explained_come_first_then_the_latest(
    store: Store, incident: MakeIncident, evidence: MakeEvidence
) -> None:
    for name, onset in (("old", 10.0), ("new", 30.0), ("again", 40.0)):
        store.commit(found(incident(name, onset=onset), evidence(50.0)))
    store.explain("again", 50.0, [explanation("occlusion", 50.0)])
    over = incident("again", onset=40.0, status=Status.CLOSED, closed=60.0)
    store.commit(found(over, evidence(51.0)))
    assert store.unexplained(10) == ["new", "old", "again"]
    assert store.unexplained(1) == ["new"]
