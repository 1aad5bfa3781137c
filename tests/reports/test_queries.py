"""Every question is answered as a plain filter over all reports would answer it."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from anomalyd.errors import QuestionError
from anomalyd.reports.conditions import Acknowledged, Commented, Recurring
from anomalyd.reports.queries import Group, Order, Queries, Selection
from anomalyd.reports.remark import Remark, RemarkKind
from anomalyd.reports.report import Incident, SeenBy, Severity, Status
from anomalyd.reports.storage.repositories.entity_states import StateChanges, StateSnapshot
from anomalyd.reports.storage.store import Activity, Step, Store, StoredChange
from anomalyd.verdict import Verdict

MakeIncident = Callable[..., Incident]

DAY = 1_795_392_000.0  # 2026-11-23 00:00 UTC
ENTITIES = ("host/pc1", "host/pc2", "host/PC1", "DT/W-2/MB1/S04", "DT/W+1/MB4/S13", "odd[name]*")
CAUSES = (("cpu", "load1"), ("mem_50%", "CPU_max"), ("layer 9, wires 1-49: 31 % of expected",), ())


class Population(list[Incident]):
    """Said in few words: hypothesis refuses to tell of sixty incidents at length."""

    def __repr__(self) -> str:
        return f"<{len(self)} incidents>"


@pytest.fixture
def population(store: Store, incident: MakeIncident) -> Population:
    """Sixty incidents, each property varying with a period of its own."""
    made = []
    for k in range(60):
        onset = DAY + 3000.0 * k
        last = onset + 100.0 * (k % 7)
        closed = None if k % 5 == 0 else last + 50
        made.append(
            incident(
                f"{k * 7919 % 65536:04x}{k:04x}",
                detector=("hosts", "chambers")[k % 2],
                entity=ENTITIES[k % 6],
                severity=list(Severity)[k % 3],
                status=Status.OPEN if closed is None else Status.CLOSED,
                onset=onset,
                last=last,
                closed=closed,
                peak=1.0 + k % 11,
                seen_by=list(SeenBy)[k // 2 % 3],
                causes=CAUSES[k % 4],
                run=None if k % 3 == 0 else 321900 + k % 4,
            )
        )
    store.commit(Step("g", stored_changes=tuple(StoredChange(each, f"It was {each.id}.") for each in made)))
    return Population(made)


def selected(s: Selection, i: Incident) -> bool:
    return (
        (not s.entities or any(i.entity == e or fnmatchcase(i.entity, e) for e in s.entities))
        and (not s.detectors or i.detector in s.detectors)
        and (not s.severities or i.severity in s.severities)
        and (not s.statuses or i.status in s.statuses)
        and (not s.seen_by or i.seen_by in s.seen_by)
        and (s.since is None or i.closed is None or i.closed >= s.since)
        and (s.until is None or i.onset < s.until)
        and (s.min_score is None or i.peak >= s.min_score)
        and (s.max_score is None or i.peak <= s.max_score)
        and (s.run is None or i.run == s.run)
        and (
            s.cause is None or any(s.cause.lower().replace("\n", " ") in cause.lower() for cause in i.causes)
        )
        and (not s.ids or i.id in s.ids)
    )


def some(values: st.SearchStrategy) -> st.SearchStrategy:
    return st.one_of(st.just(()), st.lists(values, max_size=2).map(tuple))


moments = st.none() | st.integers(-2, 125).map(lambda k: DAY + 1500.0 * k)
selections = st.builds(
    Selection,
    entities=some(st.sampled_from([*ENTITIES, "host/*", "DT/W[-+]?/*", "*PC?", "nobody"])),
    detectors=some(st.sampled_from(["hosts", "chambers", "nobody"])),
    severities=some(st.sampled_from(Severity)),
    statuses=some(st.sampled_from(Status)),
    seen_by=some(st.sampled_from(SeenBy)),
    since=moments,
    until=moments,
    min_score=st.none() | st.integers(0, 12).map(float),
    max_score=st.none() | st.integers(0, 12).map(float),
    run=st.none() | st.sampled_from([321900, 321903, 1]),
    cause=st.none()
    | st.sampled_from(["cpu", "CPU", "50%", "m_5", "wires 1-49", "cpu, load1", "_", "%", "\n"]),
)
over_the_population = settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None
)

KEYS: dict[Order, Callable[[Incident], object]] = {
    Order.LATEST: lambda i: -i.onset,
    Order.EARLIEST: lambda i: i.onset,
    Order.WORST: lambda i: (-i.peak, -i.onset),
    Order.MILDEST: lambda i: (i.peak, -i.onset),
    Order.SHORTEST: lambda i: (i.last - i.onset, -i.onset),
    Order.LONGEST: lambda i: (i.onset - i.last, -i.onset),
    Order.ENDED: lambda i: (-(i.closed or 0.0), i.id),
}


@over_the_population
@given(selections, st.sampled_from(Order), st.integers(0, 20), st.integers(0, 20))
def test_a_selection_selects(
    queries: Queries, population: Population, s: Selection, order: Order, limit: int, offset: int
) -> None:
    expected = sorted((i for i in population if selected(s, i)), key=KEYS[order])  # type: ignore[arg-type]
    assert queries.count(s) == len(expected)
    got = [report.incident for report in queries.reports(s, order, limit, offset)]
    assert got == expected[offset : offset + limit]


@over_the_population
@given(selections, st.sampled_from(get_args(Group)))
def test_a_tally_adds_up(queries: Queries, population: Population, s: Selection, by: Group) -> None:
    times = {"day": "%Y-%m-%d", "hour": "%Y-%m-%d %H:00", "weekday": "%A", "hour of day": "%H:00"}

    def groups(i: Incident) -> set[str]:
        if by in times:
            return {datetime.fromtimestamp(i.onset, UTC).strftime(times[by])}
        return set(i.causes) if by == "cause" else {str(getattr(i, by))}

    expected = Counter(group for i in population if selected(s, i) for group in groups(i))
    expected.pop("None", None)
    got = queries.tally(s, by)
    assert dict(got) == expected
    assert got == sorted(got, key=lambda pair: (-pair[1], pair[0]))


@pytest.mark.parametrize("began", [False, True])
@pytest.mark.parametrize("hour", [0, 2, 23])
def test_a_time_that_comes_again(queries: Queries, population: Population, hour: int, began: bool) -> None:
    nightly = Recurring(hour * 3600.0, 3600.0, 86_400.0, began=began)
    wanted = set()
    for i in population:
        into = (i.onset - nightly.start) % nightly.period
        lasted = 0.0 if began or i.closed is None else i.closed - i.onset
        if into < nightly.length or into + lasted >= nightly.period:
            wanted.add(i.id)
    found = queries.ids(Selection(where=nightly, statuses=(Status.CLOSED,)))
    assert set(found) == wanted & {i.id for i in population if i.closed is not None}
    assert 0 < len(found) < len(population)


def test_ids_select(queries: Queries, population: Population) -> None:
    wanted = (population[3].id, population[50].id, "nothing")
    got = queries.reports(Selection(ids=wanted), Order.EARLIEST)
    assert [report.incident for report in got] == [population[3], population[50]]


def test_a_report_is_found_by_id_or_its_beginning(queries: Queries, population: Population) -> None:
    ids = [i.id for i in population]
    wanted = population[17]
    beginning = next(wanted.id[:n] for n in range(1, 9) if sum(i.startswith(wanted.id[:n]) for i in ids) == 1)
    for name in (wanted.id, beginning, beginning.upper()):
        assert queries.report(name).incident == wanted


def test_an_id_that_begins_another_is_itself(store: Store, queries: Queries, incident: MakeIncident) -> None:
    store.commit(
        Step("g", stored_changes=(StoredChange(incident("ab"), "odd"), StoredChange(incident("abc"), "odd")))
    )
    assert queries.report("ab").incident.id == "ab"


def test_an_ambiguous_beginning_names_who_is_meant(queries: Queries, population: Population) -> None:
    letter = Counter(i.id[0] for i in population).most_common(1)[0][0]
    with pytest.raises(QuestionError, match=f"several reports begin with '{letter}'") as caught:
        queries.report(letter)
    assert len(caught.value.nearest) > 1
    assert all(near.startswith(letter) for near in caught.value.nearest)


@pytest.mark.parametrize("wildcard", ["", "%", "________"])
def test_an_unknown_id_names_the_nearest(queries: Queries, population: Population, wildcard: str) -> None:
    with pytest.raises(QuestionError, match="there is no report"):
        queries.report(wildcard)
    wrong = population[17].id[:-1] + "x"
    with pytest.raises(QuestionError, match="the nearest are") as caught:
        queries.report(wrong)
    assert population[17].id in caught.value.nearest


def test_an_empty_store_answers(queries: Queries) -> None:
    with pytest.raises(QuestionError, match="none is recorded yet"):
        queries.report("abc")
    assert queries.count(Selection(entities=("*",))) == 0
    assert queries.reports(Selection()) == []
    assert queries.tally(Selection(), "day") == []
    assert queries.entities() == queries.detectors() == queries.narratives(5) == []
    assert queries.activity() == {}
    assert queries.latest_data() is None
    assert queries.evidence("abc") is None
    assert queries.explanations("abc") == queries.points("abc") == []


def test_names_are_those_that_sent_or_were_reported(
    store: Store, queries: Queries, incident: MakeIncident
) -> None:
    store.commit(
        Step(
            "g",
            stored_changes=(StoredChange(incident(entity="b", detector="y"), "odd"),),
            states=StateChanges(
                (StateSnapshot("x", "a", "v1", 1.0, b""), StateSnapshot("y", "b", "v1", 1.0, b""))
            ),
            activity={name: Activity("vector", 1.0, 2.0, 1) for name in ("c", "b")},
        )
    )
    assert queries.entities() == ["b", "c"]
    assert queries.detectors() == ["x", "y"]


def test_narratives_come_latest_first(queries: Queries, population: Population) -> None:
    expected = [(i.id, f"It was {i.id}.") for i in itertools.islice(reversed(population), 7)]
    assert queries.narratives(7) == expected


def test_a_breakdown_adds_up(queries: Queries, population: Population) -> None:
    since = DAY + 60_000.0
    found = queries.breakdown(Selection(severities=(Severity.ERROR, Severity.CRITICAL)), since)
    bad = [i for i in population if i.severity is not Severity.WARNING]
    assert Counter({(name, of): n for name, of, n, _ in found}) == Counter(
        (i.entity, i.severity) for i in bad
    )
    assert sum(new for *_, new in found) == sum(i.onset >= since for i in bad)
    assert all(n == new for *_, n, new in queries.breakdown(Selection()))


def test_activity_is_found_by_entity(store: Store, queries: Queries, population: Population) -> None:
    for hour in range(3):
        at = DAY + 3600.0 * hour
        sent = {name: Activity("vector", at, at + 50, 10 + hour) for name in ENTITIES[: 3 - hour]}
        store.commit(Step("g", activity=sent))
    latest = queries.latest_activity()
    assert {name: each.last for name, each in latest.items()} == {
        ENTITIES[0]: DAY + 7250,
        ENTITIES[1]: DAY + 3650,
        ENTITIES[2]: DAY + 50,
    }
    assert latest[ENTITIES[0]].samples == 12
    assert queries.activity(since=DAY + 3600.0) == {
        ENTITIES[0]: Activity("vector", DAY + 3600.0, DAY + 7250, 23),
        ENTITIES[1]: Activity("vector", DAY + 3600.0, DAY + 3650, 11),
    }
    assert set(queries.sample_kinds()) == set(ENTITIES)


def test_people_and_what_they_wrote(store: Store, queries: Queries, population: Population) -> None:
    first, second = population[0].id, population[1].id
    store.remarks.write(Remark(first, RemarkKind.COMMENT, "marco", "fan"))
    store.remarks.write(Remark(second, RemarkKind.ACKNOWLEDGED, "anna", ""))
    store.ledger.record_word("hosts", "host/pc1", Verdict.NORMAL, who="zoe")
    assert queries.people() == ["anna", "marco", "zoe"]
    assert [remark.who for remark in queries.all_remarks()] == ["marco", "anna"]
    assert [remark.who for remark in queries.all_remarks((second,))] == ["anna"]
    by_anna = Selection(where=Acknowledged(who="anna"))
    assert queries.ids(by_anna) == [second]
    assert queries.ids(Selection(where=Commented())) == [first]
    assert queries.ids(Selection(where=Commented(who="anna"))) == []


def test_models_are_those_that_states_are_of(store: Store, queries: Queries) -> None:
    assert queries.models() == {}
    states = (StateSnapshot("hosts", "a", "1", 1.0, b""), StateSnapshot("hosts", "b", "2", 1.0, b""))
    store.commit(Step("g", states=StateChanges(states)))
    assert queries.models() == {"hosts": ["2", "1"]}
