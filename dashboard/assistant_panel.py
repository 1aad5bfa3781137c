"""A field to ask the assistant, and its answer with links to the reports it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from anomalyd.dashboard import links
from anomalyd.dashboard.store import look
from anomalyd.dashboard.style import told
from anomalyd.reports.queries import Queries

if TYPE_CHECKING:
    from anomalyd.assistant.answer import Answer
    from anomalyd.assistant.answers.sentence import Source
    from anomalyd.assistant.dialogue.session import Session

_QUESTION = "question"
_ANSWER = "answer"
_SESSION = "conversation"


def show_field() -> None:
    """Show the field, and below it the answer to what stands in it."""
    with st.form("ask", border=False, enter_to_submit=True), st.container(horizontal=True):
        question = st.text_input(
            "Ask about the reports",
            key=_QUESTION,
            label_visibility="collapsed",
            placeholder="Ask about the reports: which hosts alarmed in the last hour? why was … flagged?",
        )
        asked = st.form_submit_button("Ask", icon=":material/search:")
    if asked:
        st.session_state[_ANSWER] = None
        if question.strip():
            look(lambda queries: _answer(queries, question))
    # Kept, because every later click runs the page again and the answer may have taken seconds.
    answer: Answer | None = st.session_state.get(_ANSWER)
    if answer is not None:
        _show_answer(answer)


def _answer(queries: Queries, question: str) -> None:
    from anomalyd.assistant.answer import Assistant

    with st.spinner("looking it up …"):
        assistant = Assistant(queries)
        # The conversation of this browser goes on: "why?", "and the chambers?".
        session: Session | None = st.session_state.get(_SESSION)
        if session is not None:
            assistant.session = session
        st.session_state[_ANSWER] = assistant.ask(question)
        st.session_state[_SESSION] = assistant.session


def _show_answer(answer: Answer) -> None:
    with st.container(border=True):
        st.html(told(f"understood as: {' · '.join(answer.chips) or answer.understood}", "ad-quiet"))
        for number, sentence in enumerate(answer.sentences):
            st.html(told(sentence.text))
            _show_sources(sentence.sources, f"source {number}")
        cited = {source.id for sentence in answer.sentences for source in sentence.sources}
        if answer.nearest is not None and answer.nearest not in cited:
            st.html(told("the nearest report:", "ad-quiet"))
            links.button(answer.nearest, key=f"nearest {answer.nearest}")
        with st.container(horizontal=True, gap="small"):
            st.button("Clear", type="tertiary", icon=":material/close:", on_click=_forget)
            st.button("New conversation", type="tertiary", icon=":material/restart_alt:", on_click=_restart)


def _show_sources(sources: Sequence[Source], key: str) -> None:
    reports = [source for source in sources if source.kind == "report"]
    if reports:
        with st.container(horizontal=True, gap="small"):
            for source in reports:
                links.button(source.id, key=f"{key} {source.id}")
    for source in sources:
        if source.kind != "report":
            st.html(told(str(source), "ad-quiet"))


def _forget() -> None:
    st.session_state[_QUESTION] = ""
    st.session_state[_ANSWER] = None


def _restart() -> None:
    _forget()
    st.session_state[_SESSION] = None
