"""What else started then, elsewhere, by how unlikely that is; and what was alike before."""

from __future__ import annotations

import streamlit as st

from anomalyd.assistant.language.phrasing import duration
from anomalyd.dashboard import navigation, style
from anomalyd.dashboard.now.states import group_of
from anomalyd.dashboard.settings import Settings
from anomalyd.dashboard.wording import moment
from anomalyd.reports.cases.propagation import related_incidents, told
from anomalyd.reports.queries import Queries
from anomalyd.reports.relations.coincidence import Coincidence, coincidences, odds
from anomalyd.reports.report import Incident

WINDOW_S = 300.0
_LOOKED_AT = 500
_LISTED = 8


def find(queries: Queries, incident: Incident) -> list[Coincidence]:
    """Give what started within five minutes of an incident elsewhere, the least likely first."""
    near = queries.overview.near(incident.onset, WINDOW_S, _LOOKED_AT)
    if all(row.entity == incident.entity for row in near):
        return []
    counts, total, span = queries.overview.counts({row.entity for row in near})
    return coincidences(incident.entity, incident.onset, near, counts, total, span)


def sentence(found: Coincidence, incident: Incident) -> str:
    """Say one coincidence."""
    gap = duration(abs(found.gap))
    when = "at the same moment" if abs(found.gap) < 1 else f"{gap} {'later' if found.gap > 0 else 'earlier'}"
    groups = Settings.from_environment().groups
    other = group_of(found.row.entity, groups) != group_of(incident.entity, groups)
    kind = f" · elsewhere: {group_of(found.row.entity, groups)}" if other else ""
    mark = style.MARK[found.row.severity]
    return f"{mark} · {found.row.entity} · {when} · {odds(found.chance)} by chance{kind}"


def show(queries: Queries, incident: Incident) -> None:
    """Show what started at the same time."""
    found = find(queries, incident)
    st.markdown("##### At the same time elsewhere")
    if not found:
        st.caption(f"Nothing else started within {duration(WINDOW_S)} of it.")
        return
    with st.container(gap=None):
        for each in found[:_LISTED]:
            label = style.literal(sentence(each, incident))
            navigation.report_button(each.row.id, f"near {each.row.id}", label)
    more = len(found) - _LISTED
    any_chance = odds(found[0].any_chance)
    st.caption(
        "The chance is that this entity alarms so near to it anyway, by how often it has alarmed before. "
        + f"That any of all entities does as near as the first one: {any_chance.removesuffix(' by chance')}."
        + (f" {more} more started then, too." if more > 0 else "")
    )
    began = told(related_incidents(queries, incident, Settings.from_environment().groups))
    if began:
        st.html(style.told(f"Of those that share an input or a group: {began}.", "ad-quiet"))


def show_similar(queries: Queries, incident: Incident) -> None:
    """Show earlier cases whose explanation is alike, and what was concluded about them."""
    found = queries.cases.similar(incident.id)
    if not found:
        return
    st.markdown("##### Alike before")
    with st.container(gap=None):
        for case in found:
            concluded = "; ".join(case.concluded) or "nothing was concluded"
            label = (
                f"{case.entity} · {moment(case.onset)} · {100 * case.similarity:.0f} % alike · {concluded}"
            )
            navigation.report_button(case.report, f"alike {case.report}", style.literal(label))
