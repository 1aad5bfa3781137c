"""The page, as Streamlit runs it: from the top for every browser and every click."""

from __future__ import annotations

import streamlit as st

from anomalyd.dashboard import access, navigation
from anomalyd.dashboard.style import stylesheet, theme
from anomalyd.interpret.pictures.palette import Theme

_LOOK_S = 3.0


@st.fragment(run_every=_LOOK_S)
def _follow_theme(drawn: Theme) -> None:
    """Draw the page anew when the browser turns light or dark while it is open."""
    if theme() != drawn:
        st.rerun()


def _page() -> None:
    st.set_page_config(page_title="anomalyd", page_icon=":material/monitor_heart:", layout="wide")
    st.html(stylesheet())
    _follow_theme(theme())
    pages = navigation.pages()
    page = st.navigation(list(pages.values()))
    if not access.signed_in():
        access.ask_to_sign_in()
        return
    if page == pages["now"]:
        navigation.follow_old_address()
    page.run()


_page()
