"""The trained models: the card of each, and which version is at work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from anomalyd.dashboard import links, model_cards
from anomalyd.dashboard.style import facts_table, literal, strip, told
from anomalyd.errors import AnomalydError, ModelError

if TYPE_CHECKING:
    from anomalyd.detectors.library import MemberCard, ModelLibrary

MODELS = "ANOMALYD_MODELS"
"""The environment variable that holds the folder of trained models."""


def show_models() -> None:
    """Show every detector's models, the newest first."""
    st.button("All incidents", icon=":material/arrow_back:", on_click=links.open_list)
    folder = os.environ.get(MODELS)
    if not folder:
        st.info(
            "No folder of models is named: start `anomalyd dashboard` with a configuration, or `--models`."
        )
        return
    library = _library(folder)
    names = library.names()
    if not names:
        st.info("There is no trained model yet; `anomalyd train` makes one.")
    for name in names:
        _show_detector(folder, library, name)


def _show_detector(folder: str, library: ModelLibrary, name: str) -> None:
    st.html(strip(told(name, "ad-title")))
    versions = library.versions(name)
    if not versions:
        st.caption("No version is published.")
        return
    at_work, refused = _at_work(folder, name, versions)
    rows = []
    for version in reversed(versions):
        try:
            found = _cards(folder, name, version)
        except ModelError as error:
            st.warning(literal(f"{version}: {error}"))
        else:
            rows.append(
                model_cards.version_row(version, found["autoencoder"].card, at_work=version == at_work)
            )
    for why in refused:
        st.warning(literal(why))
    st.dataframe(rows, hide_index=True, key=f"versions of {name}")
    if at_work is None:
        return
    for column, (member, found_card) in zip(
        st.columns(2, gap="large"), _cards(folder, name, at_work).items(), strict=True
    ):
        with column:
            st.markdown(f"##### {'Autoencoder' if member == 'autoencoder' else 'Classical test'}")
            st.html(facts_table(model_cards.card_facts(*found_card)))


# Published versions never change, and the page runs again every few seconds.
@st.cache_resource(show_spinner=False, max_entries=100)
def _cards(folder: str, name: str, version: str) -> dict[str, MemberCard]:
    return _library(folder).cards(name, version)


@st.cache_resource(show_spinner=False, max_entries=100)
def _at_work(folder: str, name: str, versions: tuple[str, ...]) -> tuple[str | None, tuple[str, ...]]:
    """Give the version that a daemon takes, the newest that can be used, and why newer ones cannot."""
    try:
        found = _library(folder).load(name)
    except AnomalydError as error:
        return None, (str(error),)
    return found.version, found.refused


def _library(folder: str) -> ModelLibrary:
    # Not with the page: it brings torch, which takes seconds that a page without models need not wait.
    from anomalyd.detectors.library import ModelLibrary

    return ModelLibrary(Path(folder))
