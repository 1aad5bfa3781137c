"""Which report is open: it stands in the address, so that a page can be sent to a colleague."""

from __future__ import annotations

import streamlit as st

_NAME = "report"


def current() -> str | None:
    """Give the id of the report that is open, None for the list."""
    return st.query_params.get(_NAME) or None


def open_report(report_id: str) -> None:
    """Open a report."""
    st.query_params[_NAME] = report_id


def open_list() -> None:
    """Open the list."""
    st.query_params.pop(_NAME, None)


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
