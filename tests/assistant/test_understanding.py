"""What a question means: its conditions with their scope, and what is refused rather than guessed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from anomalyd.assistant.language.names import Names
from anomalyd.assistant.language.times.time_meaning import Calendar
from anomalyd.assistant.understanding.interpretation import interpretation
from anomalyd.assistant.understanding.understand import MAX_LENGTH, understand
from anomalyd.errors import QuestionError
from anomalyd.reports.queries import Queries

CALENDAR = Calendar(datetime(2026, 11, 23, 15, tzinfo=UTC).timestamp())
_BY_CLASSICAL = "not seen by the classical detector (alone or with the other)"

UNDERSTOOD = (
    ("how many incidents?", "number of incidents"),
    ("critical incidents on node17", "incidents, severity critical, host/node17"),
    ("warnings and errors on node17", "incidents, severity warning or severity error, host/node17"),
    (
        "how many warnings on hosts and errors on chambers",
        "number of incidents, (severity warning, host/*) or (severity error, DT/*/*/*)",
    ),
    (
        "open warnings and closed errors",
        "incidents, (still open, severity warning) or (closed, severity error)",
    ),
    ("how many were critical or on node17", "number of incidents, severity critical or host/node17"),
    ("all incidents but the warnings", "incidents, not severity warning"),
    ("critical but not on node17", "incidents, severity critical, not host/node17"),
    ("is everything but node17 fine?", "health, not host/node17"),
    ("how many were not seen by the classical test", f"number of incidents, {_BY_CLASSICAL}"),
    ("incidents neither on node17 nor on pc1", "incidents, not host/node17, not host/pc1"),
    ("the last but one incident", "what it was: the latest (number 2)"),
    ("how many incidents on node01 to node02", "number of incidents, host/node0*"),
    ("how many incidents longer than an hour", "number of incidents, longer than an hour"),
    ("scores between 2 and 4", "incidents, peak score 2 to 4"),
    ("which hosts had more than 5 incidents", "entities with at least 6 incidents, host/*"),
    ("what percentage of incidents on hosts were critical", "share of host/*, host/*, severity critical"),
    ("disk incidents", "incidents, cause “disk”"),
    ("compare node17 today with node01 yesterday", "comparison of host/node17"),
)  # fmt: skip


@pytest.fixture(scope="module")
def names(queries: Queries) -> Names:
    return Names.of(queries)


@pytest.mark.parametrize(("question", "words"), UNDERSTOOD, ids=[q for q, _ in UNDERSTOOD])
def test_question(question: str, words: str, queries: Queries, names: Names) -> None:
    read = understand(question, queries, names, CALENDAR)
    assert read.question is not None, read.unused
    said = interpretation(read.question)
    assert said == words or (words.startswith("comparison") and said.startswith(words))


@pytest.mark.parametrize(
    "question",
    [
        "who wrote the firmware?",
        "how many incidents did the firmware cause today?",
        "which incidents happened while the beam was off?",
        "how many events were recorded in run 321909?",
        "which hosts were rebooted yesterday",
        "wie viele Fehler gab es gestern?",
    ],
)
def test_what_is_not_wholly_understood_is_not_guessed(question: str, queries: Queries, names: Names) -> None:
    assert understand(question, queries, names, CALENDAR).question is None


@pytest.mark.parametrize(
    ("question", "nearest"),
    [
        ("is node71 fine?", "host/node17"),
        ("how many incidents on nod17 today?", "host/node17"),
        ("why was storag1 flagged?", "host/storage1"),
        ("incidents of host/node77", "host/node17"),
        ("incidents of node9*", "host/node"),
        ('is "node 71" fine?', "host/node17"),
        ("how many incidents in run 321908?", "321909"),
    ],
)
def test_a_misspelt_name_is_an_error_with_the_nearest(
    question: str, nearest: str, queries: Queries, names: Names
) -> None:
    with pytest.raises(QuestionError) as caught:
        understand(question, queries, names, CALENDAR)
    assert any(each.startswith(nearest) for each in caught.value.nearest)


def test_a_cause_that_no_report_names_is_an_error(queries: Queries, names: Names) -> None:
    with pytest.raises(QuestionError, match="swap"):
        understand("how many incidents because of swap?", queries, names, CALENDAR)


def test_slips_are_corrected_and_said(queries: Queries, names: Names) -> None:
    read = understand("how many incidnets on node17", queries, names, CALENDAR)
    assert read.question is not None
    assert read.corrections == {"incidnets": "incidents"}


def test_a_question_without_end_is_refused(queries: Queries, names: Names) -> None:
    with pytest.raises(QuestionError, match="longer than"):
        understand("why " * MAX_LENGTH, queries, names, CALENDAR)
