"""What a question means: the typed query, and what is refused rather than guessed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import partial

import pytest

from anomalyd.assistant import query_types
from anomalyd.assistant.query_types import AboutOne, Ask, Aspect
from anomalyd.assistant.times import Calendar
from anomalyd.assistant.understand import MAX_LENGTH, understand
from anomalyd.errors import QuestionError
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.report import SeenBy, Severity, Status

NOW = datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp()
CALENDAR = Calendar(NOW)
TODAY, YESTERDAY = NOW - 15 * 3600, NOW - 39 * 3600
OPEN, CLOSED = Status.OPEN, Status.CLOSED
WARNING, ERROR, CRITICAL = Severity
BOTH, AUTOENCODER, CLASSICAL = SeenBy
NODE17, W4 = "host/node17", "DT/W-2/MB1/S04"
S = Selection
of = partial(Selection)
above = partial(math.nextafter, 3.0)

UNDERSTOOD: tuple[tuple[str, Ask], ...] = (
    # how many
    ("How many incidents were there today?", query_types.HowMany(S(since=TODAY))),
    (
        "how many anomalies did node17 have yesterday",
        query_types.HowMany(S((NODE17,), since=YESTERDAY, until=TODAY)),
    ),
    ("number of critical alerts", query_types.HowMany(S(severities=(CRITICAL,)))),
    ("How many incidents of severity error or worse?", query_types.HowMany(S(severities=(ERROR, CRITICAL)))),
    ("how many incidents worse than warning", query_types.HowMany(S(severities=(ERROR, CRITICAL)))),
    ("how many errors and criticals", query_types.HowMany(S(severities=(ERROR, CRITICAL)))),
    ("how many warnings on HOST/NODE17?", query_types.HowMany(S((NODE17,), severities=(WARNING,)))),
    ("how many incidents are still open?", query_types.HowMany(S(statuses=(OPEN,)))),
    ("how many incidents did the detector chambers report?", query_types.HowMany(S(detectors=("chambers",)))),
    ("how many incidents by host-metrics?", query_types.HowMany(S(detectors=("host-metrics",)))),
    ("how many were seen only by the autoencoder?", query_types.HowMany(S(seen_by=(AUTOENCODER,)))),
    ("how many were seen by the classical test?", query_types.HowMany(S(seen_by=(BOTH, CLASSICAL)))),
    ("how many were seen by both detectors?", query_types.HowMany(S(seen_by=(BOTH,)))),
    ("how many incidents with score above 3?", query_types.HowMany(S(min_score=above(math.inf)))),
    ("how many incidents with a peak score below 3", query_types.HowMany(S(max_score=above(-math.inf)))),
    ("how many incidents with a score of at least 2.5", query_types.HowMany(S(min_score=2.5))),
    ("how many incidents in run 321909?", query_types.HowMany(S(run=321909))),
    ("how many new incidents today?", query_types.HowMany(S(since=TODAY), new=True)),
    ("how many incidents began today?", query_types.HowMany(S(since=TODAY), new=True)),
    ("how many incidents because of eth0", query_types.HowMany(S(cause="eth0"))),
    ("how many disk incidents", query_types.HowMany(S(cause="disk"))),
    ("how many incidents on chamber W-2 MB1 S04", query_types.HowMany(S((W4,)))),
    ("how many incidents in wheel -2, station 1, sector 4", query_types.HowMany(S((W4,)))),
    ("how many incidents in MB1?", query_types.HowMany(S(("DT/W-2/MB1/*",)))),
    ("how many incidents of node*", query_types.HowMany(S(("host/node*",)))),
    ("how many incidents of the storage hosts", query_types.HowMany(S(("host/storage*",)))),
    ("how many incidents of node 17 and pc1", query_types.HowMany(S((NODE17, "host/pc1")))),
    ("how many chamber incidents?", query_types.HowMany(S(("DT/*/*/*",)))),
    ("how many different machines had incidents?", query_types.HowManyEntities(S(("host/*",)))),
    # per group, comparison
    ("how many incidents per day?", query_types.PerGroup(S(), "day")),
    ("incidents per severity today", query_types.PerGroup(S(since=TODAY), "severity")),
    ("number of incidents for each host", query_types.PerGroup(S(), "entity")),
    ("which day had the most incidents?", query_types.PerGroup(S(), "day", 3, ranked=True)),
    (
        "were there more incidents today than yesterday?",
        query_types.Compare(
            (S(since=TODAY), S(since=YESTERDAY, until=TODAY)),
            ("23 Nov 00:00 UTC to now", "22 Nov 00:00 UTC to 23 Nov 00:00 UTC"),
        ),
    ),
    ("compare node17 with pc1", query_types.Compare((S((NODE17,)), S(("host/pc1",))), (NODE17, "host/pc1"))),
    (
        "how many are open and how many closed?",
        query_types.Compare((S(statuses=(OPEN,)), S(statuses=(CLOSED,))), (OPEN, CLOSED)),
    ),
    # which
    ("which incidents scored above 3?", query_types.Which(S(min_score=above(math.inf)))),
    ("show the 3 latest incidents", query_types.Which(S(), Order.LATEST, 3)),
    ("what was the first incident today?", query_types.Which(S(since=TODAY), Order.EARLIEST, 1)),
    ("What is the worst incident?", query_types.Which(S(), Order.WORST, 1)),
    ("the longest incident of pc1", query_types.Which(S(("host/pc1",)), Order.LONGEST, 1)),
    ("top 5 incidents", query_types.Which(S(), Order.WORST, 5)),
    ("critical incidents today", query_types.Which(S(severities=(CRITICAL,), since=TODAY))),
    ("what is still going on?", query_types.Which(S(statuses=(OPEN,)))),
    ("what happened today?", query_types.Which(S(since=TODAY))),
    ("node17", query_types.Which(S((NODE17,)))),
    ("which hosts had incidents today?", query_types.WhichEntities(S(("host/*",), since=TODAY))),
    ("which chambers were affected in run 321909?", query_types.WhichEntities(S(("DT/*/*/*",), run=321909))),
    ("the 3 noisiest hosts", query_types.WhichEntities(S(("host/*",)), 3)),
    ("which 2 hosts had the most incidents?", query_types.WhichEntities(S(("host/*",)), 2)),
    ("top 5 hosts", query_types.WhichEntities(S(("host/*",)), 5)),
    ("how many incidents both detectors saw", query_types.HowMany(S(seen_by=(BOTH,)))),
    ("which entities had more than 5 incidents?", query_types.WhichEntities(S(), at_least=6)),
    ("which hosts alarmed repeatedly?", query_types.WhichEntities(S(("host/*",)), at_least=2)),
    ("which entities never had an incident?", query_types.WithoutIncident(S())),
    ("which runs were affected?", query_types.WhichRuns(S())),
    ("what do you watch?", query_types.Known(S())),
    # one incident
    ("why was node17 flagged?", AboutOne(S((NODE17,)), Aspect.WHY)),
    ("what caused the worst incident?", AboutOne(S(), Aspect.WHY, Order.WORST)),
    ("explain the first incident of today", AboutOne(S(since=TODAY), Aspect.WHY, Order.EARLIEST)),
    ("when did the incident on node17 start?", AboutOne(S((NODE17,)), Aspect.START)),
    ("since when is node17 anomalous?", AboutOne(S((NODE17,)), Aspect.START)),
    ("when did it end?", AboutOne(S(), Aspect.END)),
    ("how long did the last incident of node17 last?", AboutOne(S((NODE17,)), Aspect.DURATION)),
    ("who saw the latest incident?", AboutOne(S(), Aspect.SEEN_BY)),
    ("what is the highest score today?", AboutOne(S(since=TODAY), Aspect.SCORE, Order.WORST)),
    ("how bad was the incident on node17?", AboutOne(S((NODE17,)), Aspect.SCORE)),
    ("which model flagged node17?", AboutOne(S((NODE17,)), Aspect.MODEL)),
    ("in which lumisection did W-2/MB1/S04 start?", AboutOne(S((W4,)), Aspect.LUMISECTION)),
    ("what is the mean time to recovery?", query_types.MeanDuration(S())),
    ("why was node17 not flagged today?", query_types.WhyNot(S((NODE17,), since=TODAY))),
    # health
    ("is node17 fine?", query_types.IsFine(S((NODE17,)))),
    ("Is everything ok?", query_types.IsFine(S())),
    ("how is node17 doing?", query_types.IsFine(S((NODE17,)))),
    ("was node17 fine yesterday?", query_types.IsFine(S((NODE17,), since=YESTERDAY, until=TODAY))),
    ("what is wrong with node17?", query_types.IsFine(S((NODE17,)))),
    ("is anything wrong?", query_types.IsFine(S())),
    ("is the incident on node17 still going on?", query_types.StillGoingOn(S((NODE17,)))),
    ("are there any open incidents?", query_types.StillGoingOn(S())),
    ("when was data last received from node17?", query_types.LatestData(S((NODE17,)))),
    ("which hosts are silent?", query_types.LatestData(S(("host/*",)))),
    # others
    ("has node17 recovered?", query_types.StillGoingOn(S((NODE17,)))),
    ("what's the most severe incident in run 321905?", query_types.Which(S(run=321905), Order.WORST, 1)),
    ("which incidents involve eth0?", query_types.Which(S(cause="eth0"))),
    ("how many hosts are affected right now?", query_types.HowManyEntities(S(("host/*",), statuses=(OPEN,)))),
    ("is node17 ok now?", query_types.IsFine(S((NODE17,)))),
    ("hello", query_types.Help()),
    ("reboot node17", query_types.Command("reboot", S((NODE17,)))),
    ("could you please restart it", query_types.Command("restart", S())),
    ("help", query_types.Help()),
    ("", query_types.Help()),
)


@pytest.mark.parametrize(("question", "ask"), UNDERSTOOD, ids=[q for q, _ in UNDERSTOOD])
def test_question(question: str, ask: Ask, queries: Queries) -> None:
    assert understand(question, queries, CALENDAR).ask == ask


@pytest.mark.parametrize(
    ("question", "words"),
    [
        (
            "how many incidents of severity error or worse on pc1 today?",
            "number of incidents of host/pc1, severity error or worse, 23 Nov 00:00 UTC to now",
        ),
        (
            "incidents with score above 3",
            "incidents of all entities, peak score above 3, any time, the latest 5",
        ),
        ("is storage fine?", "health of host/storage*, now"),
    ],
)
def test_what_was_understood_is_said(question: str, words: str, queries: Queries) -> None:
    assert understand(question, queries, CALENDAR).words == words


@pytest.mark.parametrize(
    "question",
    [
        "who wrote the firmware?",
        "how many incidents did the firmware cause today?",
        "how many incidents except warnings were caused",
        "how many incidents longer than 10 minutes?",
        "which incidents were not acknowledged?",
        "the second one",
        "which hosts had new incidents today?",  # each condition is kept, or nothing is answered
        "why was node17 flagged more than 3 times?",
        "is the worst host fine?",
        "compare the incidents per day of node17 and node01",
        "how many events were recorded in run 321909?",
        "what is a lumisection?",
    ],
)
def test_what_is_not_wholly_understood_is_not_guessed(question: str, queries: Queries) -> None:
    assert understand(question, queries, CALENDAR).ask is None


@pytest.mark.parametrize(
    ("question", "nearest"),
    [
        ("is node71 fine?", "host/node17"),
        ("how many incidents on nod17 today?", "host/node17"),
        ("why was storag1 flagged?", "host/storage1"),
        ("incidents of host/node77", "host/node17"),
        ("incidents of node9*", "host/node"),
        ("how many incidents by detector chambrs?", "chambers"),
        ('is "node 71" fine?', "host/node17"),
        ("how many incidents in W-2 MB1 S10?", "DT/W-2/MB1/S0"),
        ("how many incidents in run 321908?", "321909"),
    ],
)
def test_a_misspelt_name_is_an_error_with_the_nearest(question: str, nearest: str, queries: Queries) -> None:
    with pytest.raises(QuestionError) as caught:
        understand(question, queries, CALENDAR)
    assert caught.value.nearest[0].startswith(nearest)
    assert caught.value.nearest[0] in str(caught.value)


def test_a_cause_that_no_report_names_is_an_error(queries: Queries) -> None:
    with pytest.raises(QuestionError, match="swap"):
        understand("how many incidents because of swap?", queries, CALENDAR)


def test_a_report_is_found_by_the_beginning_of_its_id(queries: Queries) -> None:
    (report,) = queries.reports(Selection(), Order.WORST, 1)
    known = report.incident.id
    assert understand(f"show report {known[:8]}", queries, CALENDAR).ask == AboutOne(
        S(ids=(known,)), Aspect.SUMMARY
    )
    assert understand(f"why {known}?", queries, CALENDAR).ask == AboutOne(S(ids=(known,)), Aspect.WHY)
    with pytest.raises(QuestionError, match="no report"):
        understand("show report 0000000000", queries, CALENDAR)


def test_a_question_without_end_is_refused(queries: Queries) -> None:
    with pytest.raises(QuestionError, match="longer than"):
        understand("why " * MAX_LENGTH, queries, CALENDAR)
