"""Several aspects of one incident asked for at once are all answered, or the question is refused."""

from __future__ import annotations

import pytest

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.understanding.question import Aspect
from anomalyd.reports.queries import Order

START, END, DURATION, SCORE = Aspect.START, Aspect.END, Aspect.DURATION, Aspect.SCORE
SEEN_BY, WHY, STATUS, SINCE = Aspect.SEEN_BY, Aspect.WHY, Aspect.STATUS, Aspect.SINCE


@pytest.mark.parametrize(
    ("question", "aspects", "order"),
    [
        (
            "When did the latest incident start, how long did it last, who saw it?",
            (START, DURATION, SEEN_BY),
            Order.LATEST,
        ),
        (
            "when did the latest incident of node17 begin and end and how bad was it?",
            (START, END, SCORE),
            Order.LATEST,
        ),
        ("who saw the latest incident, since when, and is it over?", (SEEN_BY, SINCE, STATUS), Order.LATEST),
        ("is it over, and who saw the latest incident?", (STATUS, SEEN_BY), Order.LATEST),
        ("is the latest incident over, and who saw it?", (STATUS, SEEN_BY), Order.LATEST),
        ("how long and how bad was the worst incident?", (DURATION, SCORE), Order.WORST),
        (
            "start, end and severity of the latest incident",
            (START, END, Aspect.SEVERITY),
            Order.LATEST,
        ),
        ("node17: when, how long, and how bad?", (START, DURATION, SCORE), None),
        ("when did node17 alarm and why?", (START, WHY), None),
        (
            "why was the worst incident flagged, which model saw it, and in which run?",
            (WHY, Aspect.MODEL, Aspect.RUN),
            Order.WORST,
        ),
        (
            "what was the duration, score and cause of the longest incident?",
            (DURATION, SCORE, WHY),
            Order.LONGEST,
        ),
        (
            "how long did it last, who saw it, when did it end, and when did the worst incident begin?",
            (DURATION, SEEN_BY, END, START),
            Order.WORST,
        ),
    ],
)
def test_each_aspect_is_answered(
    assistant: Assistant, question: str, aspects: tuple[Aspect, ...], order: Order | None
) -> None:
    assistant.session.reset()
    assistant.ask("the worst incident")
    typed = assistant.ask(question).typed
    assert typed is not None
    assert ((typed.aspect, *typed.also), typed.order) == (aspects, order)


@pytest.mark.parametrize(
    ("question", "aspects"),
    [
        ("when did it begin and end and how bad was it?", (START, END, SCORE)),
        ("who saw it, since when, and is it over?", (SEEN_BY, SINCE, STATUS)),
        ("who saw it, and where was it?", (SEEN_BY, Aspect.ENTITY)),
    ],
)
def test_of_the_one_told_last(assistant: Assistant, question: str, aspects: tuple[Aspect, ...]) -> None:
    assistant.session.reset()
    told = assistant.ask("the worst incident").result.reports
    answer = assistant.ask(question)
    assert answer.typed is not None
    assert (answer.typed.aspect, *answer.typed.also) == aspects
    assert answer.result.reports == told
    assert len(answer.sentences) == len(aspects)


@pytest.mark.parametrize(
    "question",
    [
        "when did node17 begin and who saw node01?",
        "when did the latest incident start, how long did it last, and who fixed it?",
    ],
)
def test_what_cannot_all_be_answered_is_refused(assistant: Assistant, question: str) -> None:
    assistant.session.reset()
    assert not assistant.ask(question).known


@pytest.mark.parametrize(
    "question",
    [
        "24 hours against the 24 hours before",
        "more incidents in the last 24 hours than in the 24 hours before?",
        "compare the last day with the previous day",
    ],
)
def test_a_span_and_the_one_before_it_do_not_overlap(assistant: Assistant, question: str) -> None:
    assistant.session.reset()
    said = assistant.ask(question).understood
    assert said == "comparison of 22 Nov 15:00 UTC to now with 21 Nov 15:00 UTC to 22 Nov 15:00 UTC"
