"""A field to ask the assistant, and its answer with links to the reports it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from anomalyd.dashboard import links
from anomalyd.dashboard.store import look
from anomalyd.dashboard.style import told
from anomalyd.reports.queries import Queries

if TYPE_CHECKING:
    from anomalyd.assistant.answer import Answer
    from anomalyd.assistant.encoder import Encoder

_QUESTION = "question"
_ANSWER = "answer"


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


class _SharedEncoder:
    """The sentence encoder, loaded for the first question that needs it and kept for all browsers."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        return _encoder().encode(texts)


@st.cache_resource(show_spinner=False)
def _encoder() -> Encoder:
    from anomalyd.assistant.encoder import Encoder

    return Encoder.load()


def _answer(queries: Queries, question: str) -> None:
    from anomalyd.assistant.answer import Assistant

    with st.spinner("looking it up …"):
        st.session_state[_ANSWER] = Assistant(queries, encoder=_SharedEncoder()).ask(question)


def _show_answer(answer: Answer) -> None:
    with st.container(border=True):
        st.html(told(f"understood as: {answer.understood}", "ad-quiet"))
        for number, sentence in enumerate(answer.sentences):
            st.html(told(sentence.text))
            _show_sources(sentence.sources, f"source {number}")
        cited = {source for sentence in answer.sentences for source in sentence.sources}
        if answer.nearest is not None and answer.nearest not in cited:
            st.html(told("the nearest report:", "ad-quiet"))
            _show_sources((answer.nearest,), "nearest")
        st.button("Clear", type="tertiary", icon=":material/close:", on_click=_forget)


def _show_sources(sources: Sequence[str], key: str) -> None:
    if sources:
        with st.container(horizontal=True, gap="small"):
            for source in sources:
                links.button(source, key=f"{key} {source}")


def _forget() -> None:
    st.session_state[_QUESTION] = ""
    st.session_state[_ANSWER] = None
