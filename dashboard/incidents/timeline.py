"""When incidents started: a histogram by severity, over what is selected."""

from __future__ import annotations

from datetime import UTC, datetime

import altair as alt
import numpy as np
import pandas as pd

from anomalyd.dashboard.charts import draw
from anomalyd.dashboard.style import CLOCK, COLOURS, theme
from anomalyd.reports.relations.incident_row import RANK, IncidentIndex

_BINS = 80
_WIDTHS_S = (10, 30, 60, 300, 900, 3600, 4 * 3600, 86_400, 7 * 86_400, 30 * 86_400)


def counts(index: IncidentIndex) -> tuple[pd.DataFrame, float]:
    """Count onsets by severity in bins of a round width; give them, and the width in seconds."""
    if not len(index):
        return pd.DataFrame({"time": [], "until": [], "severity": [], "incidents": []}), float(_WIDTHS_S[0])
    begin, end = float(index.onsets[0]), float(index.onsets[-1])
    width = float(next((w for w in _WIDTHS_S if (end - begin) / w <= _BINS), (end - begin) / _BINS))
    bins = np.floor(index.onsets / width).astype(np.int64)
    names = {rank: str(severity) for severity, rank in RANK.items()}
    keys, number = np.unique(bins * len(RANK) + index.ranks, return_counts=True)
    at, ranks = (each.tolist() for each in np.divmod(keys, len(RANK)))
    table = pd.DataFrame(
        {
            "time": [datetime.fromtimestamp(b * width, UTC) for b in at],
            "until": [datetime.fromtimestamp((b + 1) * width, UTC) for b in at],
            "severity": [names[rank] for rank in ranks],
            "incidents": number,
        }
    )
    table["top"] = table.groupby("time")["incidents"].cumsum()
    table["bottom"] = table["top"] - table["incidents"]
    return table, width


def show(index: IncidentIndex) -> None:
    """Draw the histogram."""
    table, _ = counts(index)
    if table.empty:
        return
    colours = {str(s): c for s, c in COLOURS[theme()].items()}
    chart = (
        alt.Chart(table)
        .mark_rect()
        .encode(
            x=alt.X("time:T", title=None, scale=alt.Scale(type="utc"), axis=alt.Axis(format=CLOCK)),
            x2="until:T",
            y=alt.Y("bottom:Q", title="began", axis=alt.Axis(tickMinStep=1, format="d")),
            y2="top:Q",
            color=alt.Color(
                "severity:N",
                scale=alt.Scale(domain=list(colours), range=list(colours.values())),
                legend=None,
            ),
            tooltip=[
                alt.Tooltip("utcyearmonthdatehoursminutes(time):T", title="from (UTC)"),
                "severity:N",
                "incidents:Q",
            ],
        )
        .properties(height=140)
    )
    draw(chart)
