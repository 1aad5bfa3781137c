"""The page, as Streamlit runs it: from the top for every browser and every click."""

from __future__ import annotations

import time

import streamlit as st

from anomalyd.dashboard import assistant_panel, filters, incident, incident_list, links, models
from anomalyd.dashboard.filters import Filters
from anomalyd.dashboard.store import look, opened
from anomalyd.dashboard.style import STYLE
from anomalyd.errors import StoreError
from anomalyd.reports.queries import Queries

_REFRESH_S = 5.0  # soon enough for a person, and a few queries of milliseconds each


def _page() -> None:
    st.set_page_config(page_title="anomalyd", page_icon=":material/monitor_heart:", layout="wide")
    st.html(STYLE)
    assistant_panel.show_field()
    detectors = _detectors()
    chosen = filters.choose(detectors)
    with st.sidebar:
        st.button("Models", icon=":material/neurology:", on_click=links.open_models)
    _live(chosen, detectors)


def _detectors() -> list[str]:
    try:
        with opened() as queries:
            return queries.detectors()
    except StoreError:
        return []  # `_live` says why, and looks again


@st.fragment(run_every=_REFRESH_S)
def _live(chosen: Filters, detectors: list[str]) -> None:
    """Show the state, and the list, the open incident or the models; by itself again and again."""
    if links.models_are_open():
        models.show_models()
        return

    def draw(queries: Queries) -> None:
        if queries.detectors() != detectors:
            st.rerun()  # the filters, which stand outside, offer them too
        now = time.time()
        incident_list.show_state(queries, now)
        report_id = links.current()
        if report_id is None:
            incident_list.show_list(queries, chosen, now)
        else:
            incident.show_incident(queries, report_id)

    look(draw)


_page()
