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
from anomalyd.dashboard.style import literal, told
from anomalyd.errors import AnomalydError
from anomalyd.reports.queries import Queries
from anomalyd.reports.remark import AnswerFeedback, AnswerVerdict

if TYPE_CHECKING:
    from anomalyd.assistant.answer import Answer
    from anomalyd.assistant.answers.library import Library
    from anomalyd.assistant.answers.sentence import Source

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
    """A question and its answer, and what was said of the answer."""

    question: str
    answer: Answer
    verdict: AnswerVerdict | None = None


def show() -> None:
    """Show the conversation; the question in the address is asked once."""
    turns: list[Turn] = st.session_state.setdefault(_TURNS, [])
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
        look(lambda queries: _ask(queries, turns, str(asked)))
    for number, turn in enumerate(turns):
        _show_turn(number, turn)
    if turns and st.button("New conversation", type="tertiary", icon=":material/restart_alt:"):
        for name in (_TURNS, _CONVERSATION, _ASKED):
            st.session_state.pop(name, None)
        st.query_params.pop(_QUESTION, None)
        st.rerun()


def _ask(queries: Queries, turns: list[Turn], question: str) -> None:
    from anomalyd.assistant.answer import Assistant

    with st.spinner("looking it up …"):
        assistant = Assistant(
            queries,
            groups=Settings.from_environment().groups,
            library=_library(queries),
            user=access.user(),
        )
        # The conversation of this browser goes on: "why?", "and the chambers?".
        if (session := st.session_state.get(_CONVERSATION)) is not None:
            assistant.session = session
        turns.append(Turn(question, assistant.ask(question)))
        st.session_state[_CONVERSATION] = assistant.session


def _library(queries: Queries) -> Library | None:
    """Give what is written, where an index is configured; nothing of it is loaded before it is needed."""
    settings = Settings.from_environment()
    if not settings.index:
        return None
    from anomalyd.assistant.answers.library import Library
    from anomalyd.assistant.files import AssistantFiles

    files = AssistantFiles(Path(settings.index), tuple(map(Path, settings.documents)))
    return Library(lambda: files.open_retriever(queries, reports=False), files.open_reader)


def _show_turn(number: int, turn: Turn) -> None:
    with st.chat_message("user"):
        st.html(told(turn.question))
    with st.chat_message("assistant"):
        answer = turn.answer
        chips = answer.chips or (answer.understood,)
        st.html(told(f"understood as: {' · '.join(chips)}", "ad-quiet"))
        for place, sentence in enumerate(answer.sentences):
            with st.container(gap=None):
                st.html(told(sentence.text))
                _show_sources(sentence.sources, f"source {number} {place}")
        cited = {source.id for sentence in answer.sentences for source in sentence.sources}
        if answer.nearest is not None and answer.nearest not in cited:
            st.html(told("the nearest report:", "ad-quiet"))
            navigation.report_button(answer.nearest, key=f"nearest {number}")
        _show_verdict(number, turn)


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
