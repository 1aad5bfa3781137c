"""Where the pages read: the report store, opened anew for each look at it."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import closing

import streamlit as st

from anomalyd.daemon.dashboard.look import literal
from anomalyd.errors import AnomalydError
from anomalyd.reports.queries import Queries

STORE = "ANOMALYD_STORE"
"""The environment variable that holds the store's URL."""


def look(draw: Callable[[Queries], None]) -> None:
    """Draw what the store says, or say why it says nothing.

    Opening takes some ten milliseconds. In return a store that was moved, made anew or away for a while needs
    no care: a kept connection would go on reading an SQLite file that somebody has deleted.
    """
    url = os.environ.get(STORE)
    if not url:
        st.error(f"No report store is named: start this page with `anomalyd dashboard`, or set {STORE}.")
        return
    try:
        with closing(Queries.open(url)) as queries:
            draw(queries)
    except AnomalydError as error:
        st.error(literal(str(error)))
