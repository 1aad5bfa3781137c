"""Where the pages read: the report store, opened anew for each look at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from anomalyd.dashboard.style import literal
from anomalyd.errors import AnomalydError, StoreError
from anomalyd.reports.queries import Queries

STORE = "ANOMALYD_STORE"
"""The environment variable that holds the store's URL."""


@contextmanager
def opened() -> Iterator[Queries]:
    """Open the store and close it again.

    That takes some ten milliseconds. In return a store that was moved, made anew or away for a while needs no
    care: a kept connection would go on reading an SQLite file that somebody has deleted.

    Raises:
        StoreError: there is none, or it cannot be opened.

    """
    url = os.environ.get(STORE)
    if not url:
        raise StoreError(
            f"no report store is named; start this page with `anomalyd dashboard`, or set {STORE}"
        )
    queries = Queries.open(url)
    try:
        yield queries
    finally:
        queries.close()


def look(draw: Callable[[Queries], None]) -> None:
    """Draw what the store says, or say why it says nothing."""
    try:
        with opened() as queries:
            draw(queries)
    except AnomalydError as error:
        st.error(literal(str(error)))
