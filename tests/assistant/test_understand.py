"""What a question means: the typed query, and what is refused rather than guessed."""

from __future__ import annotations

import math
from datetime import UTC, datetime
from functools import partial

import pytest

from anomalyd.assistant import asks
from anomalyd.assistant.asks import AboutOne, Ask, Aspect
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
    ("How many incidents were there today?", asks.HowMany(S(since=TODAY))),
    (
        "how many anomalies did node17 have yesterday",
        asks.HowMany(S((NODE17,), since=YESTERDAY, until=TODAY)),
    ),
    ("number of critical alerts", asks.HowMany(S(severities=(CRITICAL,)))),
    ("How many incidents of severity error or worse?", asks.HowMany(S(severities=(ERROR, CRITICAL)))),
    ("how many incidents worse than warning", asks.HowMany(S(severities=(ERROR, CRITICAL)))),
    ("how many errors and criticals", asks.HowMany(S(severities=(ERROR, CRITICAL)))),
    ("how many warnings on HOST/NODE17?", asks.HowMany(S((NODE17,), severities=(WARNING,)))),
    ("how many incidents are still open?", asks.HowMany(S(statuses=(OPEN,)))),
    ("how many incidents did the detector chambers report?", asks.HowMany(S(detectors=("chambers",)))),
    ("how many incidents by host-metrics?", asks.HowMany(S(detectors=("host-metrics",)))),
    ("how many were seen only by the autoencoder?", asks.HowMany(S(seen_by=(AUTOENCODER,)))),
    ("how many were seen by the classical test?", asks.HowMany(S(seen_by=(BOTH, CLASSICAL)))),
    ("how many were seen by both detectors?", asks.HowMany(S(seen_by=(BOTH,)))),
    ("how many incidents with score above 3?", asks.HowMany(S(min_score=above(math.inf)))),
    ("how many incidents with a peak score below 3", asks.HowMany(S(max_score=above(-math.inf)))),
    ("how many incidents with a score of at least 2.5", asks.HowMany(S(min_score=2.5))),
    ("how many incidents in run 321909?", asks.HowMany(S(run=321909))),
    ("how many new incidents today?", asks.HowMany(S(since=TODAY), new=True)),
    ("how many incidents began today?", asks.HowMany(S(since=TODAY), new=True)),
    ("how many incidents because of eth0", asks.HowMany(S(cause="eth0"))),
    ("how many disk incidents", asks.HowMany(S(cause="disk"))),
    ("how many incidents on chamber W-2 MB1 S04", asks.HowMany(S((W4,)))),
    ("how many incidents in wheel -2, station 1, sector 4", asks.HowMany(S((W4,)))),
    ("how many incidents in MB1?", asks.HowMany(S(("DT/W-2/MB1/*",)))),
    ("how many incidents of node*", asks.HowMany(S(("host/node*",)))),
    ("how many incidents of the storage hosts", asks.HowMany(S(("host/storage*",)))),
    ("how many incidents of node 17 and pc1", asks.HowMany(S((NODE17, "host/pc1")))),
    ("how many chamber incidents?", asks.HowMany(S(("DT/*/*/*",)))),
    ("how many different machines had incidents?", asks.HowManyEntities(S(("host/*",)))),
    # per group, comparison
    ("how many incidents per day?", asks.PerGroup(S(), "day")),
    ("incidents per severity today", asks.PerGroup(S(since=TODAY), "severity")),
    ("number of incidents for each host", asks.PerGroup(S(), "entity")),
    ("which day had the most incidents?", asks.PerGroup(S(), "day", 3, ranked=True)),
    (
        "were there more incidents today than yesterday?",
        asks.Compare(
            (S(since=TODAY), S(since=YESTERDAY, until=TODAY)),
            ("23 Nov 00:00 UTC to now", "22 Nov 00:00 UTC to 23 Nov 00:00 UTC"),
        ),
    ),
    ("compare node17 with pc1", asks.Compare((S((NODE17,)), S(("host/pc1",))), (NODE17, "host/pc1"))),
    (
        "how many are open and how many closed?",
        asks.Compare((S(statuses=(OPEN,)), S(statuses=(CLOSED,))), (OPEN, CLOSED)),
    ),
    # which
    ("which incidents scored above 3?", asks.Which(S(min_score=above(math.inf)))),
    ("show the 3 latest incidents", asks.Which(S(), Order.LATEST, 3)),
    ("what was the first incident today?", asks.Which(S(since=TODAY), Order.EARLIEST, 1)),
    ("What is the worst incident?", asks.Which(S(), Order.WORST, 1)),
    ("the longest incident of pc1", asks.Which(S(("host/pc1",)), Order.LONGEST, 1)),
    ("top 5 incidents", asks.Which(S(), Order.WORST, 5)),
    ("critical incidents today", asks.Which(S(severities=(CRITICAL,), since=TODAY))),
    ("what is still going on?", asks.Which(S(statuses=(OPEN,)))),
    ("what happened today?", asks.Which(S(since=TODAY))),
    ("node17", asks.Which(S((NODE17,)))),
    ("which hosts had incidents today?", asks.WhichEntities(S(("host/*",), since=TODAY))),
    ("which chambers were affected in run 321909?", asks.WhichEntities(S(("DT/*/*/*",), run=321909))),
    ("the 3 noisiest hosts", asks.WhichEntities(S(("host/*",)), 3)),
    ("which 2 hosts had the most incidents?", asks.WhichEntities(S(("host/*",)), 2)),
    ("top 5 hosts", asks.WhichEntities(S(("host/*",)), 5)),
    ("how many incidents both detectors saw", asks.HowMany(S(seen_by=(BOTH,)))),
    ("which entities had more than 5 incidents?", asks.WhichEntities(S(), at_least=6)),
    ("which hosts alarmed repeatedly?", asks.WhichEntities(S(("host/*",)), at_least=2)),
    ("which entities never had an incident?", asks.WithoutIncident(S())),
    ("which runs were affected?", asks.WhichRuns(S())),
    ("what do you watch?", asks.Known(S())),
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
    ("what is the mean time to recovery?", asks.MeanDuration(S())),
    ("why was node17 not flagged today?", asks.WhyNot(S((NODE17,), since=TODAY))),
    # health
    ("is node17 fine?", asks.IsFine(S((NODE17,)))),
    ("Is everything ok?", asks.IsFine(S())),
    ("how is node17 doing?", asks.IsFine(S((NODE17,)))),
    ("was node17 fine yesterday?", asks.IsFine(S((NODE17,), since=YESTERDAY, until=TODAY))),
    ("what is wrong with node17?", asks.IsFine(S((NODE17,)))),
    ("is anything wrong?", asks.IsFine(S())),
    ("is the incident on node17 still going on?", asks.StillGoingOn(S((NODE17,)))),
    ("are there any open incidents?", asks.StillGoingOn(S())),
    ("when was data last received from node17?", asks.LatestData(S((NODE17,)))),
    ("which hosts are silent?", asks.LatestData(S(("host/*",)))),
    # others
    ("has node17 recovered?", asks.StillGoingOn(S((NODE17,)))),
    ("what's the most severe incident in run 321905?", asks.Which(S(run=321905), Order.WORST, 1)),
    ("which incidents involve eth0?", asks.Which(S(cause="eth0"))),
    ("how many hosts are affected right now?", asks.HowManyEntities(S(("host/*",), statuses=(OPEN,)))),
    ("is node17 ok now?", asks.IsFine(S((NODE17,)))),
    ("hello", asks.Help()),
    ("reboot node17", asks.Command("reboot", S((NODE17,)))),
    ("could you please restart it", asks.Command("restart", S())),
    ("help", asks.Help()),
    ("", asks.Help()),
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
