"""Runs: the quality flags of their lumisections, set and taken back here, and how a run ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import altair as alt
import pandas as pd
import streamlit as st

from anomalyd.dashboard import access, navigation
from anomalyd.dashboard.charts import draw
from anomalyd.dashboard.store import look, write
from anomalyd.dashboard.style import literal, told
from anomalyd.dashboard.wording import moment
from anomalyd.errors import AnomalydError
from anomalyd.reports.quality import Flag, FlagRange, Override, golden
from anomalyd.reports.queries import Queries
from anomalyd.reports.run_summary import as_text, best_references

_COLOURS = {Flag.GOOD: "#009e73", Flag.BAD: "#d55e00", Flag.UNCERTAIN: "#999999", Flag.EMPTY: "#c7d3e0"}
_SHAPES = {Flag.GOOD: "✓", Flag.BAD: "✕", Flag.UNCERTAIN: "?", Flag.EMPTY: "–"}
_DONE = "flag that was set"
_BESIDE = 20
"""Runs that are looked at for a reference: the nearest."""
_TAKE_BACK = "take back what was set"


def show() -> None:
    """Show the run that the address names, or the latest."""
    look(_draw)


def _draw(queries: Queries) -> None:
    runs = sorted(queries.runs(), reverse=True)
    if not runs:
        st.info("No lumisection was seen yet: maps that carry a run and a lumisection make this page.")
        return
    with st.sidebar:
        run = st.selectbox("run", runs, key="number", bind="query-params")
    flags = queries.flags(run)
    st.html(told(f"Run {run}", "ad-title"))
    _show_flags(flags)
    ranges = golden(flags)
    listed = ", ".join(f"{a} to {b}" if a != b else str(a) for a, b in ranges) or "none"
    st.html(told(f"good for every system: lumisections {listed}", "ad-quiet"))
    left, right = st.columns(2, gap="large")
    with left:
        _show_set(run, flags)
        _show_overrides(queries, run)
    with right:
        _show_summary(queries, run, runs)
    if st.button("Incidents of this run", icon=":material/list:", key="incidents of the run"):
        navigation.go("incidents", {"run": str(run)})


def _show_flags(flags: Mapping[str, Sequence[FlagRange]]) -> None:
    rows = [
        {
            "system": system,
            "from": each.first - 0.5,
            "to": each.last + 0.5,
            "flag": str(each.flag),
            "mark": _SHAPES[each.flag],
            "lumisections": f"{each.first} to {each.last}",
            "by": each.override.who if each.override is not None else "the machine",
            "reason": each.override.reason if each.override is not None else "",
            "middle": (each.first + each.last) / 2,
            "set": each.override is not None,
        }
        for system, ranges in flags.items()
        for each in ranges
    ]
    if not rows:
        return
    table = pd.DataFrame(rows)
    scale = alt.Scale(domain=[str(f) for f in Flag], range=[_COLOURS[f] for f in Flag])
    legend = alt.Legend(title=None, orient="top", symbolStrokeWidth=0)
    base = alt.Chart(table).encode(y=alt.Y("system:N", title=None))
    bars = base.mark_bar(height=24).encode(
        x=alt.X("from:Q", title="lumisection", scale=alt.Scale(zero=False, nice=False)),
        x2="to:Q",
        color=alt.Color("flag:N", scale=scale, legend=legend),
        strokeWidth=alt.condition("datum.set", alt.value(2), alt.value(0)),
        stroke=alt.value("#56b4e9"),
        tooltip=["system:N", "lumisections:N", "flag:N", "by:N", "reason:N"],
    )
    marks = base.mark_text(color="#101418", fontWeight="bold").encode(x="middle:Q", text="mark:N")
    draw((bars + marks).properties(height=120 + 36 * len(flags)))
    st.caption(
        "✓ good, ✕ bad, ? uncertain, – empty (no beam, or no data: every element counts nothing); "
        "framed where a person's word counts instead of the machine's."
    )


def _show_set(run: int, flags: Mapping[str, Sequence[FlagRange]]) -> None:
    if done := st.session_state.pop(_DONE, None):
        st.success(literal(done))
    if not access.may_annotate() or not flags:
        return
    with st.expander("Set a flag"):
        who = access.name_field("who flags")
        system = st.selectbox("system", list(flags), key="flag system")
        shown = flags[system]
        left, right = st.columns(2)
        first = int(
            left.number_input("from lumisection", 0, value=shown[0].first, key=f"from {run} {system}")
        )
        last = int(right.number_input("to lumisection", 0, value=shown[-1].last, key=f"to {run} {system}"))
        said = st.selectbox("is", [*(f.value for f in Flag), _TAKE_BACK], index=1, key="flag value")
        reason = st.text_input("Reason", key="flag reason", max_chars=500).strip()
        flag = None if said == _TAKE_BACK else Flag(said)
        what = f"Flag lumisections {first} to {last} of {system} in run {run} as {said}"
        if flag is None:
            what = f"Take back what people set of lumisections {first} to {last} of {system} in run {run}"
        st.html(told(f"{what}."))
        ready = bool(who and reason and first <= last)
        if st.button("Do it", type="primary", key="do flag", disabled=not ready):
            override = Override(run, system, first, last, flag, who, reason)
            try:
                st.session_state[_DONE] = write(
                    lambda store: f"Kept as number {store.flags.say(override).id}."
                )
            except AnomalydError as error:
                st.error(literal(str(error)))
                return
            st.rerun()


def _show_overrides(queries: Queries, run: int) -> None:
    rows = [
        {
            "at (UTC)": moment(o.recorded),
            "who": o.who,
            "system": o.system,
            "lumisections": f"{o.first} to {o.last}",
            "said": o.flag.value if o.flag is not None else "taken back",
            "because": o.reason,
        }
        for o in reversed(queries.overrides())
        if o.run == run
    ]
    if rows:
        st.markdown("##### What people set")
        st.dataframe(rows, hide_index=True)


def _show_summary(queries: Queries, run: int, runs: Sequence[int]) -> None:
    st.markdown("##### The run at its end")
    summary = queries.run_summary(run)
    near = sorted((r for r in runs if r != run), key=lambda r: abs(r - run))[:_BESIDE]
    others = {r: queries.run_summary(r) for r in near}
    ordered = best_references(summary, others.values())
    reference = None
    if ordered:
        reference = st.selectbox("beside", ordered, index=0, key="reference", bind="query-params")
    beside = [others[reference]] if reference in others else []
    st.html(f'<pre style="white-space:pre-wrap">{escape(as_text(summary, beside))}</pre>')
