"""Where the pages read, and write what people say: the report store, opened anew for each look at it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager

import streamlit as st

from anomalyd.dashboard import access
from anomalyd.dashboard.settings import STORE
from anomalyd.dashboard.style import literal
from anomalyd.errors import AnomalydError, StoreError
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.store import Store


@contextmanager
def opened() -> Iterator[Queries]:
    """Open the store and close it again.

    That takes some ten milliseconds. In return a store that was moved, made anew or away for a while needs no
    care: a kept connection would go on reading an SQLite file that somebody has deleted.

    Raises:
        StoreError: there is none, or it cannot be opened.

    """
    queries = Queries.open(_url())
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


def write(do: Callable[[Store], str]) -> str:
    """Do something with the store to write to, and give what was done.

    Raises:
        StoreError: this person may only read, or the store cannot be written.

    """
    if not access.may_annotate():
        raise StoreError("you may read here, not write; dashboard.annotate names those who may")
    with closing(Store.open(_url())) as store:
        return do(store)


def _url() -> str:
    url = os.environ.get(STORE)
    if not url:
        raise StoreError(
            f"no report store is named; start this page with `anomalyd dashboard`, or set {STORE}"
        )
    return url
