"""How the dashboard looks: dark, like the pictures of `interpret`, and no meaning by colour alone."""

from __future__ import annotations

from html import escape

from anomalyd.interpret.pictures.palette import BACKGROUND, EXPECTED, MASKED, OBSERVED, PANEL, QUIET, TEXT
from anomalyd.reports.report import Severity

THEME = {
    "base": "dark",
    "primaryColor": EXPECTED,
    "backgroundColor": BACKGROUND,
    "secondaryBackgroundColor": PANEL,
    "textColor": TEXT,
}
"""Streamlit's settings below `theme`."""

MARK = {
    Severity.CRITICAL: "▲ critical",
    Severity.ERROR: "◆ error",
    Severity.WARNING: "● warning",
}
"""A severity by shape and word."""

COLOUR = {Severity.CRITICAL: "#ff7b72", Severity.ERROR: OBSERVED, Severity.WARNING: "#f0e442"}

STYLE = f"""<style>
.stMainBlockContainer {{ padding: 2.6rem 2rem 2rem 2rem; }}
.ad-strip {{ display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }}
.ad-badge {{ border: 1px solid {MASKED}; border-radius: .5rem; padding: .2rem .7rem; white-space: nowrap; }}
.ad-title {{ font-size: 1.5rem; font-weight: 600; overflow-wrap: anywhere; margin-right: .5rem; }}
.ad-quiet {{ color: {QUIET}; }}
.ad-told {{ font-size: 1.08rem; line-height: 1.6; overflow-wrap: anywhere; white-space: pre-line; }}
.ad-facts {{ border-collapse: collapse; width: 100%; }}
.ad-facts td {{ padding: .16rem .8rem .16rem 0; vertical-align: top; overflow-wrap: anywhere; }}
.ad-facts td:first-child {{ color: {QUIET}; white-space: nowrap; }}
</style>"""


def badge(text: str, colour: str = TEXT) -> str:
    """Give HTML of a short text in a frame."""
    return f'<span class="ad-badge" style="color:{colour};border-color:{colour}66">{escape(text)}</span>'


def strip(*parts: str) -> str:
    """Give HTML of parts (HTML) beside each other."""
    return f'<div class="ad-strip">{"".join(parts)}</div>'


def told(text: str, kind: str = "ad-told") -> str:
    """Give HTML of a text that may hold anything: names come from messages."""
    return f'<div class="{kind}">{escape(text)}</div>'


def facts_table(facts: list[tuple[str, str]]) -> str:
    """Give HTML of names and their values."""
    rows = "".join(f"<tr><td>{escape(name)}</td><td>{escape(value)}</td></tr>" for name, value in facts)
    return f'<table class="ad-facts">{rows}</table>'


def literal(text: str) -> str:
    """Give Markdown that shows the text as it is, for those elements that take nothing but Markdown."""
    return "".join(f"\\{c}" if c.isascii() and not c.isalnum() and not c.isspace() else c for c in text)
