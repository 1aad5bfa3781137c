"""A question that was misunderstood is corrected by its chips; what is to be done waits for a yes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing

import pytest

from anomalyd.assistant.answer import Answer, Assistant
from anomalyd.assistant.dialogue.actions import orders_for
from anomalyd.assistant.dialogue.corrections import Correction, correctable
from anomalyd.assistant.evaluation.stores import generate, plans
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.store import Store

PLAN = next(p for p in plans() if p.name == "laboratory")


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    return generate(PLAN, tmp_path_factory.mktemp("corrections"))


@pytest.fixture
def assistant(url: str) -> Iterator[Assistant]:
    def act(do: Callable[[Store], str]) -> str:
        with closing(Store.open(url)) as store:
            return do(store)

    with closing(Queries.open(url)) as queries:
        yield Assistant(queries, clock=lambda: PLAN.now, user="ada", act=act)


def _corrections(answer: Answer, chip: str) -> dict[str, Correction]:
    assert answer.typed is not None
    (found,) = [c for c in correctable(answer.typed) if c.words == chip]
    return {c.words: c for c in found.corrections}


@pytest.mark.parametrize(
    ("question", "chip", "correction", "same_as"),
    [
        (
            "how many warnings on daq-ru-03?",
            "severity warning",
            "severity critical",
            "criticals on daq-ru-03, count",
        ),
        (
            "how many warnings on daq-ru-03?",
            "severity warning",
            "leave it out",
            "how many incidents on daq-ru-03",
        ),
        (
            "how many warnings on daq-ru-03?",
            "daq-ru-03",
            "not daq-ru-03",
            "how many warnings not on daq-ru-03",
        ),
        ("how many open incidents?", "still open", "closed", "how many closed incidents"),
        (
            "how many seen by both?",
            "seen by both detectors",
            "seen only by the autoencoder",
            "how many by the ae alone",
        ),
        ("how many not on daq-ru-03?", "not daq-ru-03", "daq-ru-03", "how many on daq-ru-03"),
        ("incidents on daq-ru-03", "incidents", "number of incidents", "how many on daq-ru-03"),
    ],
)
def test_a_corrected_chip(
    assistant: Assistant, question: str, chip: str, correction: str, same_as: str
) -> None:
    corrected = assistant.again(_corrections(assistant.ask(question), chip)[correction].question)
    assistant.session.reset()
    assert corrected.result.value == assistant.ask(same_as).result.value


def test_what_went_on_and_what_began(assistant: Assistant) -> None:
    answer = assistant.ask("how many incidents yesterday?")
    chip = answer.chips[1]
    began = assistant.again(_corrections(answer, chip)[f"began {chip}"].question)
    back = assistant.again(_corrections(began, f"began {chip}")[chip].question)
    assert back.result.value == answer.result.value


def test_a_comparison_keeps_its_sides(assistant: Assistant) -> None:
    answer = assistant.ask("compare daq-ru-03 with daq-bu-02")
    assert answer.typed is not None
    assert not any(chip.corrections for chip in correctable(answer.typed))


def test_what_follows_builds_on_the_corrected_question(assistant: Assistant) -> None:
    answer = assistant.ask("how many warnings on daq-ru-03?")
    assistant.again(_corrections(answer, "severity warning")["severity error"].question)
    follows = assistant.ask("and on daq-bu-02?")
    assert follows.chips[1:] in (("severity error", "daq-bu-02"), ("daq-bu-02", "severity error"))


def test_an_order_waits_in_the_session(assistant: Assistant, url: str) -> None:
    told = assistant.ask("what is the worst incident on daq-bu-02?")
    assert all(told.result.reports[0] in order for order in orders_for(told.result)[:2])
    assert assistant.ask(orders_for(told.result)[0]).awaits
    with closing(Queries.open(url)) as queries:
        another = Assistant(queries, clock=lambda: PLAN.now, user="ada", act=lambda do: "done by another")
        another.session = assistant.session  # a page makes an assistant anew each time it is drawn
        assert "done by another" in another.ask("yes").text
    assert orders_for(assistant.ask("how many incidents?").result) == ()
