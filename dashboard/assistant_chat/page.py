"""The conversation with the assistant: asked in plain words, answered with the reports it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from anomalyd.dashboard import access, navigation
from anomalyd.dashboard.settings import Settings
from anomalyd.dashboard.store import look, write
from anomalyd.dashboard.style import badge, literal, told
from anomalyd.errors import AnomalydError
from anomalyd.reports.queries import Queries
from anomalyd.reports.remark import AnswerFeedback, AnswerVerdict

if TYPE_CHECKING:
    from anomalyd.assistant.answer import Answer
    from anomalyd.assistant.answers.library import Library
    from anomalyd.assistant.answers.sentence import Source
    from anomalyd.assistant.understanding.question import Question

_TURNS, _CONVERSATION, _ASKED = "turns", "conversation", "asked by the address"
_QUESTION = "q"
_EXAMPLES = (
    "what is open?",
    "which hosts alarmed in the last 24 hours?",
    "what was the worst incident this week, and why?",
    "what can I ask?",
)


@dataclass
class Turn:
    """What was asked and the answer, and what was said of the answer."""

    question: str
    answer: Answer
    verdict: AnswerVerdict | None = None


def show() -> None:
    """Show the conversation; the question in the address is asked once."""
    turns: list[Turn] = st.session_state.setdefault(_TURNS, [])
    who = ""
    if access.may_annotate():
        with st.sidebar:
            who = access.name_field("who asks")
            st.caption(
                "With a name it also does things: “acknowledge …”, “silence … for 2 hours”; asked first."
            )
    asked = st.chat_input("Ask about the reports: which hosts alarmed in the last hour? why was … flagged?")
    named = st.query_params.get(_QUESTION)
    if not asked and named and named != st.session_state.get(_ASKED):
        asked = named
    if not turns and not asked:
        st.html(told("Every sentence of an answer names where it comes from. For example:", "ad-quiet"))
        for example in _EXAMPLES:
            if st.button(example, key=f"example {example}", type="tertiary", icon=":material/search:"):
                asked = example
    if asked:
        st.session_state[_ASKED] = asked
        st.query_params[_QUESTION] = asked
        _ask(turns, who, str(asked))
    for number, turn in enumerate(turns):
        _show_turn(number, turn, turns, who)
    if turns and st.button("New conversation", type="tertiary", icon=":material/restart_alt:"):
        for name in (_TURNS, _CONVERSATION, _ASKED):
            st.session_state.pop(name, None)
        st.query_params.pop(_QUESTION, None)
        st.rerun()


def _ask(turns: list[Turn], who: str, asked: str | Question) -> None:
    """Ask in words, or what was understood with a part of it corrected."""

    def answer(queries: Queries) -> None:
        from anomalyd.assistant.answer import Assistant
        from anomalyd.assistant.intent.opinion import SecondOpinion

        assistant = Assistant(
            queries,
            groups=Settings.from_environment().groups,
            library=_library(queries),
            user=who,
            act=write if who else None,
            opinion=SecondOpinion(),
        )
        # The conversation of this browser goes on: "why?", "and the chambers?".
        if (session := st.session_state.get(_CONVERSATION)) is not None:
            assistant.session = session
        found = assistant.ask(asked) if isinstance(asked, str) else assistant.again(asked)
        turns.append(Turn(found.question, found))
        st.session_state[_CONVERSATION] = assistant.session

    with st.spinner("looking it up …"):
        look(answer)


def _ask_and_show(turns: list[Turn], who: str, asked: str | Question) -> None:
    _ask(turns, who, asked)
    st.rerun()


def _library(queries: Queries) -> Library | None:
    """Give what is written, where an index is configured; nothing of it is loaded before it is needed."""
    settings = Settings.from_environment()
    if not settings.index:
        return None
    from anomalyd.assistant.answers.library import Library
    from anomalyd.assistant.files import AssistantFiles

    files = AssistantFiles(Path(settings.index), tuple(map(Path, settings.documents)))
    return Library(lambda: files.open_retriever(queries, reports=False), files.open_reader)


def _show_turn(number: int, turn: Turn, turns: list[Turn], who: str) -> None:
    with st.chat_message("user"):
        st.html(told(turn.question))
    with st.chat_message("assistant"):
        answer = turn.answer
        _show_chips(number, turn, turns, who)
        for place, sentence in enumerate(answer.sentences):
            with st.container(gap=None):
                st.html(told(sentence.text))
                _show_sources(sentence.sources, f"source {number} {place}")
        cited = {source.id for sentence in answer.sentences for source in sentence.sources}
        if answer.nearest is not None and answer.nearest not in cited:
            st.html(told("the nearest report:", "ad-quiet"))
            navigation.report_button(answer.nearest, key=f"nearest {number}")
        if number == len(turns) - 1:
            _show_orders(turn, turns, who)
        _show_verdict(number, turn)


def _show_chips(number: int, turn: Turn, turns: list[Turn], who: str) -> None:
    """Show how it was understood, part by part; what is wrong is corrected by a click."""
    from anomalyd.assistant.dialogue.corrections import correctable

    if turn.answer.typed is None:
        st.html(told(f"understood as: {turn.answer.understood}", "ad-quiet"))
        return
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.html(told("understood as", "ad-quiet"), width="content")
        for place, chip in enumerate(correctable(turn.answer.typed)):
            if not chip.corrections:
                st.html(badge(chip.words), width="content")
                continue
            with st.popover(literal(chip.words), key=f"chip {number} {place}"):
                for k, correction in enumerate(chip.corrections):
                    key = f"correction {number} {place} {k}"
                    if st.button(literal(correction.words), key=key, type="tertiary"):
                        _ask_and_show(turns, who, correction.question)


def _show_orders(turn: Turn, turns: list[Turn], who: str) -> None:
    """Show what may be done about the one report of an answer; or what waits for a yes or a no."""
    from anomalyd.assistant.dialogue.actions import orders_for

    if not who:
        return
    if turn.answer.awaits:
        with st.container(horizontal=True, gap="small"):
            if st.button("Confirm", type="primary", key="confirm"):
                _ask_and_show(turns, who, "yes")
            if st.button("Cancel", key="cancel"):
                _ask_and_show(turns, who, "no")
        return
    with st.container(horizontal=True, gap="small"):
        for order in orders_for(turn.answer.result):
            # A comment wants words: it is written on the page of the incident.
            if not order.endswith(": ") and st.button(literal(order), key=f"order {order}", type="tertiary"):
                _ask_and_show(turns, who, order)


def _show_sources(sources: Sequence[Source], key: str) -> None:
    reports = [source for source in sources if source.kind == "report"]
    if reports:
        with st.container(horizontal=True, gap="small"):
            for source in reports:
                navigation.report_button(source.id, key=f"{key} {source.id}")
    for source in sources:
        if source.kind != "report":
            st.html(told(str(source), "ad-quiet"))


def _show_verdict(number: int, turn: Turn) -> None:
    if turn.verdict is not None:
        st.caption(f"You said: {turn.verdict.value}.")
        return
    if not access.may_annotate():
        return
    with st.popover("Is that right?", type="tertiary", icon=":material/rate_review:", key=f"judge {number}"):
        who = access.name_field(f"who judges {number}")
        note = st.text_input("What is wrong or missing", key=f"note {number}", max_chars=500)
        with st.container(horizontal=True, gap="small"):
            for verdict in AnswerVerdict:
                if st.button(verdict.value.capitalize(), key=f"{verdict} {number}", disabled=not who):
                    _judge(turn, verdict, who, note)


def _judge(turn: Turn, verdict: AnswerVerdict, who: str, note: str) -> None:
    answer = turn.answer
    feedback = AnswerFeedback(verdict, answer.question, answer.understood, answer.text, who, note)
    try:
        write(lambda store: str(store.remarks.judge(feedback).id))
    except AnomalydError as error:
        st.error(literal(str(error)))
        return
    turn.verdict = verdict
    st.rerun()
