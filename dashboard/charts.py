"""How charts get onto a page: without Altair's check of each part of them, a third of a page's time.

The tests check every chart against the schema of Vega-Lite instead (`tests/dashboard/conftest.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import altair as alt
import streamlit as st
from altair.utils.schemapi import disable_debug_mode

disable_debug_mode()  # the check of each part when it is made


def draw(
    chart: alt.Chart | alt.LayerChart,
    *,
    key: str | None = None,
    on_select: Callable[[], None] | None = None,
    selection_mode: str | None = None,
) -> None:
    """Draw a chart as wide as there is room; `on_select` is called when somebody selects in it."""
    unchecked = cast("alt.Chart", Unchecked(chart))
    if on_select is None:
        st.altair_chart(unchecked, width="stretch", key=key)
    else:
        st.altair_chart(
            unchecked, width="stretch", key=key, on_select=on_select, selection_mode=selection_mode
        )


class Unchecked:
    """A chart as Streamlit asks for it, without the check of the whole."""

    validate = False

    def __init__(self, chart: alt.Chart | alt.LayerChart) -> None:
        self._chart = chart

    def to_dict(self) -> dict[str, Any]:
        """Give the chart's specification (Vega-Lite)."""
        return dict(self._chart.to_dict(validate=self.validate))
