"""Words that are exchanged where a question was not understood, and what stands around one."""

from __future__ import annotations

import pytest

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.answers.coverage import content_words, coverage
from anomalyd.assistant.language.forms.thesaurus import exchanged
from anomalyd.assistant.language.general import is_general
from anomalyd.assistant.language.inflection import forms
from anomalyd.assistant.language.spelling import plain


@pytest.mark.parametrize(
    ("verb", "expected"),
    [
        ("drag on", ("drag on", "drags on", "dragged on", "dragged on", "dragging on")),
        ("cry", ("cry", "cries", "cried", "cried", "crying")),
        ("go off", ("go off", "goes off", "went off", "gone off", "going off")),
        ("vanish", ("vanish", "vanishes", "vanished", "vanished", "vanishing")),
    ],
)
def test_forms_of_a_verb(verb: str, expected: tuple[str, ...]) -> None:
    assert forms(verb) == expected


@pytest.mark.parametrize(
    ("question", "other"),
    [
        ("which hosts whined today", "which hosts alarmed today"),
        ("which incident dragged on longest", "which incident lasted longest"),
        ("the nastiest glitch of today", "the worst incident of today"),
        ("incidents per day for my timeline", "incidents per day"),
        ("why was node1 giving alarms", "why was node1 alarming"),
        ("repeat offenders: top 5 hosts", "top 5 hosts"),
        ("the three hosts that spent the most time in alarm", "top 3 hosts by total duration"),
        ("crits by the autoencoder and by nothing else", "critical incidents only by the autoencoder"),
        ("more warnings or more errors today", "compare warnings with errors today"),
        (
            "hosts: last 24h against the 24h before that",
            "compare incidents on hosts in the last 24 hours with between 48 hours ago and 24 hours ago",
        ),
    ],
)
def test_words_are_exchanged(question: str, other: str) -> None:
    assert exchanged(plain(question))[0] == other


def test_names_stay_as_they_are() -> None:
    assert exchanged("is fire/1 open") == ("is fire/1 open", {})


def test_who_did_something_is_not_made_another_question() -> None:
    assert "fixed" in exchanged("who fixed node1")[0]


def test_the_asker_is_told_what_was_read_for_what(assistant: Assistant) -> None:
    assistant.session.reset()
    answer = assistant.ask("which hosts acted weirdly, I mean whined, today")
    assert not answer.known or answer.corrections
    told = assistant.ask("how many hosts whined today")
    assert told.known
    assert ("whined", "alarmed") in told.corrections


@pytest.mark.parametrize(
    ("question", "general"),
    [
        ("how is it installed with docker", True),
        ("what does lateness_s mean", True),
        ("which command lists the reports", True),
        ("how is node17", False),
        ("which hosts are open", False),
    ],
)
def test_questions_for_documents(question: str, general: bool) -> None:
    assert is_general(plain(question)) is general


def test_coverage_counts_the_words_that_a_text_speaks_of() -> None:
    words = content_words("what should I do when no data arrive")
    assert words == ("data", "arrive")
    assert coverage(words, "AnomalydNoData: no sample arrived") == 1.0
    assert coverage(content_words("who cleaned the cavern"), "The daemon writes reports.") == 0.0
    assert coverage((), "anything") == 0.0
