"""The course of the score, with the line above which it is an alert."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import altair as alt
import pandas as pd
import streamlit as st

from anomalyd.dashboard.charts import draw
from anomalyd.dashboard.style import CLOCK, alarm, theme
from anomalyd.detectors.calibration import ALERT

_LINEAR_TO = 20.0  # beyond that, the alert line at 1 would lie on the axis: the scale becomes logarithmic
_SINGLY = 60  # more samples than that are drawn as a line only: their points would cover it


def chart(
    rows: Sequence[dict[str, Any]],
    peak: float,
    *,
    height: int = 330,
    span: tuple[datetime, datetime] | None = None,
) -> alt.LayerChart:
    """Draw scores over time: rows of `time`, `score` and `who`; `span` is the time axis, if it is given."""
    colours = theme()
    y: Any = alt.Scale(type="linear", domainMin=0)
    ticks: Any = alt.Axis()
    if peak > _LINEAR_TO:
        y = alt.Scale(type="log", domain=[0.1, peak * 1.3], clamp=True, nice=False)
        # Decades only: the minor lines of a logarithmic axis say nothing.
        ticks = alt.Axis(values=[10.0**k for k in range(-1, len(str(int(peak))) + 1)], format="~g")
    x = alt.Scale(type="utc") if span is None else alt.Scale(type="utc", domain=[t.isoformat() for t in span])
    names = list(dict.fromkeys(row["who"] for row in rows)) or ["autoencoder"]
    ranges = [colours.observed, colours.expected, colours.text, colours.quiet][: len(names)]
    who = alt.Scale(domain=names, range=ranges)
    dashes = [[1, 0], [5, 3], [2, 2], [8, 3]][: len(names)]
    lines = (
        alt.Chart(pd.DataFrame(list(rows)))
        .mark_line(point=alt.OverlayMarkDef(size=28) if len(rows) <= 2 * _SINGLY else False)
        .encode(
            x=alt.X("time:T", title="UTC", scale=x, axis=alt.Axis(format=CLOCK, labelOverlap=True)),
            y=alt.Y("score:Q", title="score, above 1 is an alert", scale=y, axis=ticks),
            color=alt.Color("who:N", scale=who, legend=alt.Legend(title=None, orient="top", labelLimit=400)),
            # Dashes and shapes too: colours alone are not enough for everybody.
            strokeDash=alt.StrokeDash("who:N", scale=alt.Scale(domain=names, range=dashes), legend=None),
            shape=alt.Shape("who:N", scale=alt.Scale(domain=names), legend=None),
            detail="part:N" if rows and "part" in rows[0] else alt.Undefined,
            tooltip=[
                alt.Tooltip("utchoursminutesseconds(time):T", title="UTC"),
                alt.Tooltip("who:N", title="by"),
                alt.Tooltip("score:Q", format=".3f"),
            ],
        )
    )
    alert = (
        alt.Chart(pd.DataFrame({"score": [ALERT]}))
        .mark_rule(color=alarm(), strokeWidth=1.5)
        .encode(y=alt.Y("score:Q", axis=ticks))
    )
    layers: alt.LayerChart = (alert + lines).properties(height=height)
    return layers


def show(rows: Sequence[dict[str, Any]], peak: float) -> None:
    """Show the course, or say that none is stored."""
    if not rows:
        st.caption("Its course is not stored.")
        return
    draw(chart(rows, peak))
