"""Questions on what people and detectors did are answered from the store, or refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.evaluation.stores import Plan, generate, plans
from anomalyd.reports.queries import Queries


@pytest.fixture(scope="module")
def plan() -> Plan:
    return next(p for p in plans() if p.name == "laboratory")


@pytest.fixture(scope="module")
def assistant(plan: Plan, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Assistant]:
    url = generate(plan, tmp_path_factory.mktemp("ledger"))
    with closing(Queries.open(url)) as queries:
        yield Assistant(queries, clock=lambda: plan.now, groups=plan.groups)


@pytest.mark.parametrize(
    ("question", "said"),
    [
        ("is daq-bu-02 in maintenance?", "Yes"),
        ("is daq-bu-04 in maintenance?", "No: none is"),
        ("was CSC/ME+2/R1 under maintenance yesterday?", "high voltage test"),
        ("maintenance of daq-ru-02 in the last hour?", "none was then"),
        ("what maintenance is planned for tomorrow?", "firmware upgrade"),
        ("how many maintenance windows are there?", "3 maintenance windows"),
        ("the first maintenance window?", "high voltage test"),
        ("who said daq-ru-03 is normal?", "anna said"),
        ("what did anna say about daq-ru-03?", "anna said"),
        ("what did marco say about daq-ru-03?", "fan swapped"),
        ("what has anna said about daq-bu-04?", "No word of an operator"),
        ("was daq-bu-04 marked as broken?", "No word of an operator"),
        ("how much feedback is there from marco?", "1 word of an operator"),
        ("first adaptation of daq-ru-03?", "load.1"),
        ("adaptations?", "3 adaptations"),
        ("who acknowledged the incident on daq-ru-06?", "marco acknowledged"),
        ("who commented on daq-bu-04?", "I know of no such incident"),
        ("comments on daq-ru-03?", "fan swapped"),
        ("who commented on daq-ru-08?", "Nobody commented on"),
        ("which runs are bad?", "1 run of 1"),
        ("which runs did marco flag?", "None of 1 run"),
        ("which runs are golden?", "1 run of 1"),
    ],
)
def test_answers(assistant: Assistant, question: str, said: str) -> None:
    assistant.session.reset()
    answer = assistant.ask(question)
    assert said in answer.text
    assert all(sentence.sources for sentence in answer.sentences)


@pytest.mark.parametrize(
    "question",
    [
        "which hosts are not in maintenance?",
        "how many incidents were there during the maintenance of daq-bu-02?",
        "how much did the maintenance of daq-bu-02 cost?",
        "which adaptation made daq-ru-03 slower?",
        "who paid for the comment on daq-ru-03?",
    ],
)
def test_what_is_not_understood_is_refused(assistant: Assistant, question: str) -> None:
    assistant.session.reset()
    assert not assistant.ask(question).known


def test_what_was_done_about_the_incident_told_last(assistant: Assistant) -> None:
    assistant.session.reset()
    told = assistant.ask("what was the latest incident on daq-bu-02?")
    assert assistant.ask("is it in maintenance?").result.names == ("daq-bu-02",)
    assert "daq-bu-02" in assistant.ask("what did operators say about it?").text
    assert assistant.ask("when did it start?").result.reports == told.result.reports
