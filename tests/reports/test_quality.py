"""Quality flags: verdicts, ranges, and what the store keeps of them, on both databases."""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from anomalyd.errors import StoreConflict, StoreError
from anomalyd.reports.quality import (
    Coverage,
    Flag,
    FlagRange,
    Look,
    Override,
    flag_ranges,
    golden,
    verdict,
)
from anomalyd.reports.queries import Queries
from anomalyd.reports.step import Step
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.store import Store
from anomalyd.reports.storage.tables import lumisections
from anomalyd.systems import system_of

RUN = 321909


def said(first: int, last: int, flag: Flag | None, number: int = 1) -> Override:
    return Override(RUN, "DT", first, last, flag, "Ada", "looked at it", id=number)


@pytest.mark.parametrize(
    ("coverage", "flag"),
    [
        (Coverage(250, 250, 0), Flag.GOOD),
        (Coverage(250, 250, 5), Flag.GOOD),
        (Coverage(250, 250, 6), Flag.BAD),
        (Coverage(250, 124, 0), Flag.UNCERTAIN),
        (Coverage(250, 125, 0), Flag.GOOD),
        (Coverage(100, 100, 50), Flag.BAD),
        (Coverage(20, 20, 6), Flag.BAD),
        (None, Flag.UNCERTAIN),
        (Coverage(250, 0, 0, 250), Flag.EMPTY),
        (Coverage(250, 0, 0, 249), Flag.UNCERTAIN),
        (Coverage(250, 250, 125, 125), Flag.BAD),
    ],
)
def test_a_lumisection_is_judged_by_how_many_elements_alert_and_were_seen(coverage, flag):
    assert verdict(coverage, 250) is flag


def test_one_alert_of_a_few_elements_is_bad():
    assert verdict(Coverage(4, 4, 1), 4) is Flag.BAD


def test_a_lumisection_nobody_saw_is_uncertain():
    seen = {n: Coverage(10, 10, 0) for n in (5, 6, 9)}
    assert [(r.first, r.last, r.flag) for r in flag_ranges(seen)] == [
        (5, 6, Flag.GOOD),
        (7, 8, Flag.UNCERTAIN),
        (9, 9, Flag.GOOD),
    ]


def test_the_machines_verdict_stays_beside_a_persons_word_and_the_newest_word_counts():
    seen = {n: Coverage(10, 10, 10 * (n > 7)) for n in range(1, 11)}
    first, second = said(6, 9, Flag.GOOD, 1), said(9, 9, Flag.BAD, 2)
    ranges = flag_ranges(seen, [second, first])
    assert [(r.first, r.last, r.machine, r.flag) for r in ranges] == [
        (1, 5, Flag.GOOD, Flag.GOOD),
        (6, 7, Flag.GOOD, Flag.GOOD),
        (8, 8, Flag.BAD, Flag.GOOD),
        (9, 9, Flag.BAD, Flag.BAD),
        (10, 10, Flag.BAD, Flag.BAD),
    ]
    cleared = flag_ranges(seen, [first, said(1, 10, None, 3)])
    assert [(r.first, r.last, r.override) for r in cleared] == [(1, 7, None), (8, 10, None)]


overrides = st.builds(
    lambda first, length, flag, number: said(first, first + length, flag, number),
    st.integers(0, 40),
    st.integers(0, 15),
    st.sampled_from([*Flag, None]),
    st.integers(1, 99),
)


@given(
    seen=st.dictionaries(
        st.integers(0, 60), st.builds(Coverage, st.integers(1, 9), st.integers(0, 9), st.integers(0, 3))
    ),
    words=st.lists(overrides, max_size=5, unique_by=lambda o: o.id),
)
def test_ranges_cover_every_lumisection_once_and_neighbours_differ(seen, words):
    ranges = flag_ranges(seen, words)
    covered = [n for r in ranges for n in range(r.first, r.last + 1)]
    assert covered == list(range(covered[0], covered[-1] + 1)) if covered else not seen
    assert set(seen) <= set(covered)
    for one, next_ in pairwise(ranges):
        assert (one.machine, one.override) != (next_.machine, next_.override)
    elements = max((c.seen for c in seen.values()), default=0)
    for number, flagged in ((n, r) for r in ranges for n in range(r.first, r.last + 1)):
        newest = max((o for o in words if o.first <= number <= o.last), key=lambda o: o.id, default=None)
        assert flagged.machine is verdict(seen.get(number), elements)
        assert flagged.override == (newest if newest and newest.flag else None)


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(Flag), st.integers(1, 4)), max_size=8), min_size=1, max_size=3
    )
)
def test_golden_says_number_by_number_what_is_good_in_all(systems):
    ranges, good = {}, []
    for k, some in enumerate(systems):
        flags = [flag for flag, length in some for _ in range(length)]
        begins = [sum(length for _, length in some[:i]) for i in range(len(some))]
        ranges[str(k)] = [FlagRange(b, b + n - 1, f) for b, (f, n) in zip(begins, some, strict=True)]
        good.append({number for number, flag in enumerate(flags) if flag is Flag.GOOD})
    found = golden(ranges)
    assert {n for first, last in found for n in range(first, last + 1)} == set.intersection(*good)
    assert all(one[1] + 1 < next_[0] for one, next_ in pairwise(found))


def test_golden_is_what_is_good_everywhere():
    dt = [FlagRange(1, 10, Flag.GOOD), FlagRange(11, 12, Flag.BAD), FlagRange(13, 20, Flag.GOOD)]
    ecal = [FlagRange(3, 15, Flag.GOOD), FlagRange(16, 20, Flag.UNCERTAIN)]
    assert golden({"DT": dt, "ECAL": ecal}) == [(3, 10), (13, 15)]
    assert golden({"DT": dt}) == [(1, 10), (13, 20)]
    assert golden({}) == []


def test_the_system_is_the_first_part_of_the_name():
    names = ("DT/W0/MB1/S04", "EB", "EB+01", "EB-18", "EE-", "HCAL/D5", "+1")
    assert [system_of(e) for e in names] == ["DT", "EB", "EB", "EB", "EE", "HCAL", "+1"]


@pytest.mark.timeout(240)
def test_a_stray_number_makes_no_more_work_than_another():
    most = 2**31 - 1
    seen = {1: Coverage(4, 4, 0), 2: Coverage(4, 4, 0), most: Coverage(4, 4, 0)}
    ranges = flag_ranges(seen)
    assert [(r.first, r.last, r.flag) for r in ranges] == [
        (1, 2, Flag.GOOD),
        (3, most - 1, Flag.UNCERTAIN),
        (most, most, Flag.GOOD),
    ]
    whole = flag_ranges(seen, [said(0, most, Flag.GOOD)])
    assert golden({"DT": ranges, "ECAL": whole}) == [(1, 2), (most, most)]
    assert golden({"ECAL": whole}) == [(0, most)]


def test_a_word_that_is_taken_back_leaves_the_run_as_long_as_it_was():
    seen = {n: Coverage(4, 4, 0) for n in (5, 6)}
    words = [said(3, 999, Flag.BAD, 1), said(0, 1000, None, 2)]
    assert flag_ranges(seen, words, (4, 8)) == flag_ranges(seen, (), (4, 8))
    assert flag_ranges({}, words) == []
    partly = flag_ranges(seen, [words[0], said(9, 1000, None, 2)], (5, 6))
    assert [(r.first, r.last, r.flag) for r in partly] == [
        (3, 4, Flag.BAD),
        (5, 6, Flag.BAD),
        (7, 8, Flag.BAD),
    ]


def test_a_system_is_flagged_for_the_whole_run():
    ranges = flag_ranges({3: Coverage(4, 4, 0)}, span=(1, 9))
    assert [(r.first, r.last, r.flag) for r in ranges] == [
        (1, 2, Flag.UNCERTAIN),
        (3, 3, Flag.GOOD),
        (4, 9, Flag.UNCERTAIN),
    ]


def looks(seen: int, judged: int, alerting: int, first: int = 0) -> dict[str, Look]:
    return {f"DT/{first + k}": Look(judged=k < judged, alerting=k < alerting) for k in range(seen)}


def step(offset: tuple[int | None, int], **seen: dict[str, Look]) -> Step:
    places = {(RUN, "DT", int(name[2:])): some for name, some in seen.items()}
    return Step("g", {("maps", 0): offset}, lumisections=places)


def counted(url: str) -> dict[int, Coverage]:
    c = lumisections.c
    database = Database.open(url)
    with database.reading() as connection:
        rows = connection.execute(select(c.lumisection, c.seen, c.judged, c.alerting)).all()
    database.close()
    return {number: Coverage(*counts) for number, *counts in rows}


def test_what_is_seen_in_several_steps_adds_up(store: Store, queries: Queries, url: str):
    store.commit(step((None, 3), ls1=looks(3, 3, 0), ls2=looks(1, 1, 0)))
    store.commit(step((3, 9), ls2=looks(2, 2, 1, first=1)))
    assert counted(url) == {1: Coverage(3, 3, 0), 2: Coverage(3, 3, 1)}
    assert [(r.first, r.last, r.flag) for r in queries.flags(RUN)["DT"]] == [
        (1, 1, Flag.GOOD),
        (2, 2, Flag.BAD),
    ]
    assert queries.flags(RUN + 1) == {}


def test_what_counts_nothing_is_kept_with_what_is_judged(store: Store, queries: Queries):
    empty = {f"DT/{k}": Look(judged=False, alerting=False, empty=True) for k in range(3)}
    store.commit(step((None, 3), ls1=empty, ls2=empty))
    assert [r.flag for r in queries.flags(RUN)["DT"]] == [Flag.EMPTY]
    store.commit(step((3, 9), ls2=looks(1, 1, 1)))
    assert [r.flag for r in queries.flags(RUN)["DT"]] == [Flag.EMPTY, Flag.BAD]


def test_a_map_that_comes_again_counts_once(store: Store, queries: Queries, url: str):
    store.commit(step((None, 3), ls1=looks(250, 249, 5)))
    store.commit(step((3, 9), ls1=looks(250, 249, 5)))
    assert counted(url) == {1: Coverage(250, 249, 5)}
    # What was not judged before is now, and one more alerts.
    store.commit(step((9, 10), ls1=looks(1, 1, 1, first=249)))
    assert counted(url) == {1: Coverage(250, 250, 6)}
    assert [r.flag for r in queries.flags(RUN)["DT"]] == [Flag.BAD]


@given(
    st.lists(
        st.dictionaries(st.integers(0, 30), st.builds(Look, st.booleans(), st.booleans()), min_size=1),
        min_size=1,
        max_size=5,
    )
)
@settings(max_examples=15, deadline=None)
def test_whatever_the_steps_an_element_counts_once(steps: list[dict[int, Look]]):
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/reports.db"
        with closing(Store.open(url)) as store:
            for k, some in enumerate(steps):
                named = {f"DT/{element}": look for element, look in some.items()}
                store.commit(step((k or None, k + 1), ls1=named))
        found = counted(url)
    told = [[some[e] for some in steps if e in some] for e in {e for some in steps for e in some}]
    judged, alerting = (
        sum(any(getattr(x, w) for x in some) for some in told) for w in ("judged", "alerting")
    )
    assert found == {1: Coverage(len(told), judged, alerting)}


def test_steps_of_two_daemons_at_once_count_all(store: Store, url: str):
    """Each reads and writes the row of one lumisection: neither may lose what the other added."""
    other = Store.open(url)

    def commit(k: int) -> None:
        at = {("maps", k): (None, 1)}
        (store, other)[k % 2].commit(
            Step("g", at, lumisections={(RUN, "DT", 1): looks(5, 5, 0, first=4 * k)})
        )

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(commit, range(12)))
    other.close()
    assert counted(url) == {1: Coverage(49, 49, 0)}


def test_a_step_that_is_refused_counts_nothing(store: Store, queries: Queries):
    store.commit(step((None, 3), ls1=looks(4, 4, 0)))
    with pytest.raises(StoreConflict):
        store.commit(step((None, 3), ls1=looks(4, 4, 4)))
    assert [(r.first, r.last, r.flag) for r in queries.flags(RUN)["DT"]] == [(1, 1, Flag.GOOD)]


def test_a_word_is_kept_with_who_and_why(store: Store, queries: Queries):
    store.commit(step((None, 3), ls1=looks(4, 4, 4)))
    kept = store.flags.say(said(1, 1, Flag.GOOD, 0))
    (found,) = queries.flags(RUN)["DT"]
    assert found == FlagRange(1, 1, Flag.BAD, kept)
    assert (kept.who, kept.reason) == ("Ada", "looked at it")
    store.flags.say(said(0, 5, None, 0))
    assert [(r.first, r.last, r.flag) for r in queries.flags(RUN)["DT"]] == [(1, 1, Flag.BAD)]


@pytest.mark.parametrize(
    "override",
    [
        Override(RUN, "DT", 5, 4, Flag.GOOD, "Ada", "why"),
        Override(RUN, "DT", 1, 4, Flag.GOOD, " ", "why"),
        Override(RUN, "DT", 1, 4, Flag.GOOD, "Ada", ""),
    ],
)
def test_a_word_without_name_reason_or_order_is_refused(store: Store, queries: Queries, override: Override):
    with pytest.raises(StoreError, match=r"needs the name|in no order"):
        store.flags.say(override)
    assert queries.flags(RUN) == {}
