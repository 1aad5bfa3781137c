"""The pages, and how one leads to another: what is shown stands in the address, to be sent to a colleague."""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

REPORT = "report"
"""The parameter of the address that names a report."""

_FILTERS = frozenset({"detector", "severity", "status", "entity", "seen_by", "run"})


def _now() -> None:
    from anomalyd.dashboard.now.page import show

    show()


def _incidents() -> None:
    from anomalyd.dashboard.incidents.page import show

    show()


def _incident() -> None:
    from anomalyd.dashboard.incident.page import show

    show()


def _explore() -> None:
    from anomalyd.dashboard.explore.page import show

    show()


def _runs() -> None:
    from anomalyd.dashboard.runs.page import show

    show()


def _models() -> None:
    from anomalyd.dashboard.models.page import show

    show()


def _assistant() -> None:
    from anomalyd.dashboard.assistant_chat.page import show

    show()


def pages() -> dict[str, st.Page]:
    """Give the pages by their names in the address; the first has none of its own."""
    return {
        "now": st.Page(_now, title="Now", icon=":material/monitor_heart:", url_path="now", default=True),
        "incidents": st.Page(_incidents, title="Incidents", icon=":material/list:", url_path="incidents"),
        "incident": st.Page(_incident, title="Incident", icon=":material/troubleshoot:", url_path="incident"),
        "explore": st.Page(_explore, title="Explore", icon=":material/show_chart:", url_path="explore"),
        "runs": st.Page(_runs, title="Runs", icon=":material/flag:", url_path="runs"),
        "models": st.Page(_models, title="Models", icon=":material/neurology:", url_path="models"),
        "assistant": st.Page(_assistant, title="Assistant", icon=":material/forum:", url_path="assistant"),
    }


def go(page: str, parameters: Mapping[str, str] | None = None) -> None:
    """Go to another page; it begins at once, nothing after this is run."""
    st.switch_page(pages()[page], query_params=dict(parameters or {}))


def follow_old_address() -> None:
    """Lead addresses without a page, as alerts and logbooks hold them, to the page they mean."""
    named = {name: st.query_params.get_all(name) for name in st.query_params}
    if REPORT in named:
        go("incident", {REPORT: named[REPORT][0]})
    if named.keys() & _FILTERS:
        st.switch_page(pages()["incidents"], query_params=named)


def address_of(report_id: str) -> str:
    """Give the full address of a report, for the logbook."""
    here = str(st.context.url or "").partition("?")[0].rstrip("/")
    base = here.rpartition("/")[0] if here.rpartition("/")[2] in pages() else here
    return f"{base}/incident?{REPORT}={report_id}"


def report_button(report_id: str, key: str, label: str | None = None) -> None:
    """Show a button that opens a report."""
    if st.button(
        label or report_id,
        key=key,
        type="tertiary",
        icon=":material/open_in_full:",
        help="open this report",
    ):
        go("incident", {REPORT: report_id})
