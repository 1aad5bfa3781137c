"""How the dashboard looks: light or dark as the browser asks, and no meaning by colour alone."""

from __future__ import annotations

from html import escape

import streamlit as st

from anomalyd.interpret.pictures.palette import DARK, LIGHT, Theme
from anomalyd.reports.report import Severity

THEME = {
    f"{name}.{key}": value
    for name, theme in (("dark", DARK), ("light", LIGHT))
    for key, value in {
        "primaryColor": theme.expected,
        "backgroundColor": theme.background,
        "secondaryBackgroundColor": theme.panel,
        "textColor": theme.text,
        "sidebar.backgroundColor": theme.panel,
        "sidebar.secondaryBackgroundColor": theme.background,
    }.items()
}
"""Streamlit's settings below `theme`. With no base named, the browser's preference decides."""

SHAPE = {Severity.CRITICAL: "▲", Severity.ERROR: "◆", Severity.WARNING: "●"}

MARK = {severity: f"{shape} {severity}" for severity, shape in SHAPE.items()}
"""A severity by shape and word."""

COLOURS = {
    DARK: {Severity.CRITICAL: "#ff7b72", Severity.ERROR: "#f5a623", Severity.WARNING: "#f0e442"},
    LIGHT: {Severity.CRITICAL: "#b3261e", Severity.ERROR: "#b35900", Severity.WARNING: "#6b6100"},
}
"""A severity as a colour of text and lines; each is readable on its page."""

FILLS = {Severity.CRITICAL: "#d55e00", Severity.ERROR: "#e69f00", Severity.WARNING: "#f0e442"}
"""A severity as an area, on either page (Okabe and Ito)."""


CLOCK = {
    "year": "%Y",
    "month": "%b %Y",
    "week": "%d %b",
    "date": "%d %b",
    "day": "%d %b",
    "hours": "%H:%M",
    "minutes": "%H:%M",
    "seconds": "%H:%M:%S",
    "milliseconds": "%H:%M:%S",
}
"""How an axis of time is labelled: 24 hours a day."""


def theme() -> Theme:
    """Give the colours of the page as the browser shows it."""
    return LIGHT if st.context.theme.type == "light" else DARK


def colour(severity: Severity) -> str:
    """Give the colour of a severity on this page."""
    return COLOURS[theme()][severity]


def alarm() -> str:
    """Give the colour of what is wrong with the data themselves."""
    return COLOURS[theme()][Severity.CRITICAL]


def stylesheet() -> str:
    """Give the page's own CSS, as HTML."""
    t = theme()
    return f"""<style>
.stMainBlockContainer {{ padding: 2.6rem 2rem 2rem 2rem; }}
/* What is read anew every few seconds must not fade meanwhile. */
[data-stale="true"] {{ opacity: 1 !important; transition: none !important; }}
.ad-strip {{ display: flex; flex-wrap: wrap; gap: .5rem; align-items: center; }}
.ad-badge {{ border: 1px solid {t.quiet}; border-radius: .5rem; padding: .2rem .7rem; }}
.ad-title {{ font-size: 1.5rem; font-weight: 600; overflow-wrap: anywhere; margin-right: .5rem; }}
.ad-quiet {{ color: {t.quiet}; overflow-wrap: anywhere; }}
.ad-told {{ font-size: 1.08rem; line-height: 1.6; overflow-wrap: anywhere; white-space: pre-line; }}
.ad-scroll {{ overflow-x: auto; }}
.ad-facts {{ border-collapse: collapse; width: 100%; }}
.ad-facts td, .ad-facts th {{ padding: .16rem .8rem .16rem 0; vertical-align: top; text-align: left;
  overflow-wrap: anywhere; border: none; }}
.ad-facts td:first-child, .ad-facts th {{ color: {t.quiet}; font-weight: 400; }}
.ad-facts.numbers td:not(:first-child), .ad-facts.numbers th:not(:first-child) {{
  text-align: right; white-space: nowrap; }}
.ad-facts.numbers td:first-child {{ color: {t.text}; }}
.ad-facts.numbers td:first-child, .ad-facts.numbers th:first-child {{ overflow-wrap: break-word; }}
.ad-big {{ display: flex; flex-wrap: wrap; column-gap: 2rem; margin-right: 1rem;
  font-size: clamp(1.6rem, 4.2vw, 3.2rem); font-weight: 700; line-height: 1.15; }}
.ad-groups {{ display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fit, minmax(min(26rem, 100%), 1fr)); }}
.ad-group {{ border: 2px solid {t.quiet}; border-radius: .7rem; padding: .8rem 1rem;
  background: {t.panel}; }}
.ad-group.wide {{ grid-column: 1 / -1; }}
.ad-group h3 {{ font-size: 1.5rem; margin: 0; padding: 0; overflow-wrap: anywhere; }}
.ad-group .ad-state {{ font-size: 1.15rem; margin: .1rem 0 .6rem 0; }}
.ad-cells {{ display: flex; flex-wrap: wrap; gap: 3px; }}
.ad-cell {{ width: 1.25rem; height: 1.25rem; border-radius: 3px; display: inline-flex; align-items: center;
  justify-content: center; font-size: .8rem; text-decoration: none !important; }}
.ad-wheel {{ display: flex; gap: .6rem; align-items: center; margin-bottom: .5rem; }}
.ad-wheel > span {{ width: 2rem; }}
.ad-wheel > div {{ display: grid; gap: 2px; flex: 1; }}
.ad-wheel .ad-cell {{ width: auto; height: 1rem; font-size: .7rem; }}
@media (max-width: 640px) {{
  .stMainBlockContainer {{ padding: 4.4rem .8rem 1rem .8rem; }}
}}
</style>"""


def badge(text: str, colour: str | None = None) -> str:
    """Give HTML of a short text in a frame."""
    shown = colour or theme().text
    return f'<span class="ad-badge" style="color:{shown};border-color:{shown}66">{escape(text)}</span>'


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


def numbers_table(rows: list[dict[str, str]]) -> str:
    """Give HTML of rows that have the same keys: a name, then numbers in words, set flush right."""
    return _table(rows, "ad-facts numbers")


def text_table(rows: list[dict[str, str]]) -> str:
    """Give HTML of rows that have the same keys, all of them text."""
    return _table(rows, "ad-facts")


def _table(rows: list[dict[str, str]], kind: str) -> str:
    if not rows:
        return ""
    head = "".join(f"<th>{escape(name)}</th>" for name in rows[0])
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(value)}</td>" for value in row.values()) + "</tr>" for row in rows
    )
    return f'<div class="ad-scroll"><table class="{kind}"><tr>{head}</tr>{body}</table></div>'


def literal(text: str) -> str:
    """Give Markdown that shows the text as it is, for those elements that take nothing but Markdown."""
    return "".join(f"\\{c}" if c.isascii() and not c.isalnum() and not c.isspace() else c for c in text)
