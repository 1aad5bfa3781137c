"""Who looks, and whether they may write: named by a proxy, by a sign-in, or by themselves."""

from __future__ import annotations

from fnmatch import fnmatchcase

import streamlit as st

from anomalyd.dashboard.settings import Settings

_NAME = "my name"


def signed_in() -> bool:
    """Say whether the pages may be shown: always, but where a sign-in is asked for and was not made."""
    settings = Settings.from_environment()
    if settings.user_header:
        return bool(user())
    return not settings.sign_in or bool(st.user.get("is_logged_in"))


def ask_to_sign_in() -> None:
    """Show why there is nothing to see, and the way in."""
    settings = Settings.from_environment()
    if settings.user_header:
        st.error(
            f"Nobody is named in the header {settings.user_header}: open this page through the proxy that "
            "signs you in."
        )
        return
    if "is_logged_in" not in st.user:
        st.error(
            "dashboard.sign_in is set, and no provider is named: write [auth] into .streamlit/secrets.toml, "
            "as docs/deployment.md says."
        )
        return
    st.button("Sign in", icon=":material/login:", type="primary", on_click=st.login)


def user() -> str:
    """Give the name of who is signed in; "" where nobody had to, and they name themselves."""
    settings = Settings.from_environment()
    if settings.user_header:
        return str(st.context.headers.get(settings.user_header) or "").strip()
    if settings.sign_in and st.user.get("is_logged_in"):
        return str(st.user.get("email") or st.user.get("name") or "")
    return ""


def may_annotate() -> bool:
    """Say whether this person may write: acknowledge, comment, tell, silence, flag, undo."""
    annotate = Settings.from_environment().annotate
    who = user()
    if who:
        return any(fnmatchcase(who, pattern) for pattern in annotate)
    return "*" in annotate


def name_field(key: str) -> str:
    """Show who writes, and ask for it where nobody signed in; give the name, "" until it is given."""
    known = user()
    if known:
        st.caption(f"as {known}")
        return known
    # One name for all forms of a browser's session.
    given = st.text_input("Your name", value=st.session_state.get(_NAME, ""), key=key, max_chars=80)
    st.session_state[_NAME] = given.strip()
    return str(given.strip())
