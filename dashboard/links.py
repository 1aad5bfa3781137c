"""Which page is open: it stands in the address, so that a page can be sent to a colleague."""

from __future__ import annotations

import streamlit as st

_NAME = "report"
_PAGE, _MODELS = "page", "models"


def current() -> str | None:
    """Give the id of the report that is open, None for the list."""
    return st.query_params.get(_NAME) or None


def models_are_open() -> bool:
    """Say whether the page of the models is open."""
    return bool(st.query_params.get(_PAGE) == _MODELS)


def open_report(report_id: str) -> None:
    """Open a report."""
    open_list()
    st.query_params[_NAME] = report_id


def open_models() -> None:
    """Open the page of the models."""
    open_list()
    st.query_params[_PAGE] = _MODELS


def open_list() -> None:
    """Open the list."""
    st.query_params.pop(_NAME, None)
    st.query_params.pop(_PAGE, None)


def button(report_id: str, key: str) -> None:
    """Show a button that opens a report."""
    st.button(
        report_id,
        key=key,
        type="tertiary",
        icon=":material/open_in_full:",
        on_click=open_report,
        args=(report_id,),
        help="open this report",
    )
