"""The trained models: the card of each, what was wanted and what came of it, and what they adapted to."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from anomalyd.dashboard import access
from anomalyd.dashboard.models import candidates, cards, comparing, versions
from anomalyd.dashboard.settings import MODELS
from anomalyd.dashboard.store import look, write
from anomalyd.dashboard.style import facts_table, literal, numbers_table, strip, told
from anomalyd.dashboard.wording import moment
from anomalyd.errors import AnomalydError, ModelError
from anomalyd.reports.adaptation import Adaptation
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.storage.store import Store

if TYPE_CHECKING:
    from anomalyd.detectors.library import MemberCard, ModelLibrary, Pin

_DONE = "undo that was asked"
_LISTED = 50


def show() -> None:
    """Show what came of the detectors, what they adapted to, and every detector's models."""
    look(_show_realised)
    look(_show_adaptations)
    folder = os.environ.get(MODELS)
    if not folder:
        st.info(
            "No folder of models is named: start `anomalyd dashboard` with a configuration, or `--models`."
        )
        return
    if done := st.session_state.pop(versions.DONE, None):
        st.success(literal(done))
    library = _library(folder)
    names = library.names()
    if not names:
        st.info("There is no trained model yet; `anomalyd train` makes one.")
    for name in names:
        _show_detector(folder, library, name)


def _show_realised(queries: Queries) -> None:
    latest = queries.latest_data() or time.time()
    rows = cards.realised(queries, latest)
    if rows:
        st.markdown("##### Alarms that were raised")
        st.html(numbers_table(rows))
        st.caption(
            "Incidents by onset, counted back from the newest sample; verdicts are those of people. Shares "
            "of samples that alert are those of the daemon's last day; "
            "⚠: the last day had more than twice what is wanted."
        )


def _show_adaptations(queries: Queries) -> None:
    if done := st.session_state.pop(_DONE, None):
        st.success(literal(done))
    found = queries.adaptations(Selection(), _LISTED)
    if not found:
        return
    st.markdown("##### What was taken for the new normal")
    st.dataframe(
        [
            {
                "at (UTC)": moment(each.time),
                "entity": each.entity,
                "detector": each.detector,
                "what": each.what,
                "assumed": each.text,
                "undo": cards.undo_state(each),
            }
            for each in found
        ],
        hide_index=True,
    )
    undoable = {each.id: each for each in found if cards.can_be_undone(each)}
    if undoable and access.may_annotate():
        _show_undo(undoable)


def _show_undo(undoable: dict[str, Adaptation]) -> None:
    with st.expander("Undo one"):
        who = access.name_field("who undoes")
        chosen = st.selectbox(
            "adaptation",
            list(undoable),
            format_func=lambda key: (
                f"{undoable[key].entity}, {moment(undoable[key].time)}: {undoable[key].what}"
            ),
            key="adaptation",
        )
        reason = st.text_input("Reason", key="undo reason", max_chars=500).strip()
        each = undoable[chosen]
        st.html(
            told(
                f"Put {each.entity} back to before {moment(each.time)} UTC for detector {each.detector}; "
                "what it adapted to since is undone with it."
            )
        )
        if st.button("Do it", type="primary", key="do undo", disabled=not (who and reason)):

            def do(store: Store) -> str:
                return f"The daemon will undo {store.ledger.request_undo(chosen, who=who, reason=reason).id}."

            try:
                st.session_state[_DONE] = write(do)
            except AnomalydError as error:
                st.error(literal(str(error)))
                return
            st.rerun()


def _show_detector(folder: str, library: ModelLibrary, name: str) -> None:
    st.html(strip(told(name, "ad-title")))
    published = library.versions(name)
    if not published:
        st.caption("No version is published.")
        return
    at_work, refused = _at_work(folder, name, published, library.pinned(name))
    rows = []
    for version in reversed(published):
        try:
            found = _cards(folder, name, version)
        except ModelError as error:
            st.warning(literal(f"{version}: {error}"))
        else:
            rows.append(cards.version_row(version, found["autoencoder"].card, at_work=version == at_work))
    for why in refused:
        st.warning(literal(why))
    st.dataframe(rows, hide_index=True, key=f"versions of {name}")
    if at_work is None:
        return
    versions.show(library, name, published, at_work)
    others = (*reversed(published), *candidates.kept(_candidates(folder) / name))
    look(lambda queries: comparing.show(queries, name, others, at_work))
    candidates.show(_candidates(folder), library, name)
    with st.expander("The model at work, in full"):
        for column, (member, found_card) in zip(
            st.columns(2, gap="large"), _cards(folder, name, at_work).items(), strict=True
        ):
            with column:
                st.markdown(f"##### {'Autoencoder' if member == 'autoencoder' else 'Classical test'}")
                st.html(facts_table(cards.card_facts(*found_card)))


# Published versions never change, and the page runs again with every click.
@st.cache_resource(show_spinner=False, max_entries=100)
def _cards(folder: str, name: str, version: str) -> dict[str, MemberCard]:
    return _library(folder).cards(name, version)


@st.cache_resource(show_spinner=False, max_entries=100)
def _at_work(
    folder: str, name: str, published: tuple[str, ...], pinned: Pin | None
) -> tuple[str | None, tuple[str, ...]]:
    """Give the version that a daemon takes, and why those before it cannot be used.

    It depends on what is `published` and `pinned`.
    """
    try:
        found = _library(folder).load(name)
    except AnomalydError as error:
        return None, (str(error),)
    return found.version, found.refused


def _library(folder: str) -> ModelLibrary:
    # Not with the page: it brings torch, which takes seconds that a page without models need not wait.
    from anomalyd.detectors.library import ModelLibrary

    return ModelLibrary(Path(folder))


def _candidates(folder: str) -> Path:
    from anomalyd.detectors.library import candidates_folder

    return candidates_folder(Path(folder))
