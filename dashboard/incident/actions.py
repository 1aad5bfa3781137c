"""What is done about an incident: shown before it is done, with a name and a reason, by who may."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from html import escape

import streamlit as st

from anomalyd.assistant.language.phrasing import duration
from anomalyd.dashboard import access
from anomalyd.dashboard.store import write
from anomalyd.dashboard.style import literal
from anomalyd.dashboard.wording import moment
from anomalyd.errors import AnomalydError
from anomalyd.reports.quality import Flag, Override
from anomalyd.reports.remark import Remark, RemarkKind
from anomalyd.reports.report import Incident
from anomalyd.reports.storage.repositories.maintenance import Window
from anomalyd.reports.storage.store import Store
from anomalyd.systems import system_of
from anomalyd.verdict import Verdict

_DONE = "what was done"

_REMARKS = {
    "Acknowledge": RemarkKind.ACKNOWLEDGED,
    "Comment": RemarkKind.COMMENT,
    "Real": RemarkKind.REAL,
    "False alarm": RemarkKind.FALSE_ALARM,
    "Expected": RemarkKind.EXPECTED,
}
_VERDICTS = {"Tell: normal": Verdict.NORMAL, "Tell: broken": Verdict.BROKEN}
_SILENCE, _FLAG = "Silence", "Flag"
_SPANS = {"30 min": 1800.0, "2 h": 7200.0, "8 h": 28_800.0, "24 h": 86_400.0}


@dataclass(frozen=True)
class Action:
    """What would be done, in words, and how; `missing` says what it still needs."""

    words: str
    do: Callable[[Store], str]
    missing: str = ""


def show(incident: Incident) -> None:
    """Show what can be done, and do it once it is confirmed."""
    if done := st.session_state.pop(_DONE, None):
        st.success(literal(done))
    if not access.may_annotate():
        st.caption("You may read here; whoever may write acknowledges, comments, tells, silences and flags.")
        return
    choices = [*_REMARKS, *_VERDICTS, _SILENCE, *([_FLAG] if incident.run is not None else [])]
    chosen = st.pills("Do something about it", choices, key=f"action {incident.id}")
    if chosen is None:
        return
    with st.container(border=True):
        who = access.name_field(f"who {incident.id}")
        action = propose(chosen, incident, who)
        st.html(f'<div class="ad-told">{escape(action.words)}</div>')
        if action.missing:
            st.caption(f"It needs {action.missing}.")
        if st.button("Do it", type="primary", key=f"do {incident.id}", disabled=bool(action.missing)):
            try:
                st.session_state[_DONE] = write(action.do)
            except AnomalydError as error:
                st.error(literal(str(error)))
                return
            del st.session_state[f"action {incident.id}"]
            st.rerun()


def propose(chosen: str, incident: Incident, who: str) -> Action:
    """Show the fields that an action has, and give what would be done."""
    reason = st.text_input("Reason or text", key=f"reason {incident.id}", max_chars=500).strip()
    missing = "" if who else "your name"
    if chosen in _REMARKS:
        return remark(_REMARKS[chosen], incident, who, reason, missing)
    missing = missing or ("" if reason else "a reason")
    if chosen in _VERDICTS:
        return tell(_VERDICTS[chosen], incident, who, reason, missing)
    if chosen == _SILENCE:
        span = st.segmented_control(
            "for", list(_SPANS), default="2 h", required=True, key=f"span {incident.id}"
        )
        return silence(incident, who, reason, time.time(), _SPANS[span or "2 h"], missing)
    left, middle, right = st.columns(3)
    first_seen = incident.first_lumisection or 0
    last_seen = incident.last_lumisection or first_seen
    first = left.number_input("from lumisection", 0, value=first_seen, key=f"first {incident.id}")
    last = middle.number_input("to lumisection", 0, value=last_seen, key=f"last {incident.id}")
    flag = right.selectbox(
        "is", [f.value for f in (Flag.BAD, Flag.UNCERTAIN, Flag.GOOD)], key=f"flag {incident.id}"
    )
    override = Override(
        incident.run or 0, system_of(incident.entity), int(first), int(last), Flag(flag), who, reason
    )
    return set_flag(override, missing)


def remark(kind: RemarkKind, incident: Incident, who: str, text: str, missing: str) -> Action:
    """Write a remark on the report."""
    if kind is RemarkKind.COMMENT and not text:
        missing = missing or "a text"
    words = {
        RemarkKind.ACKNOWLEDGED: "Say that this incident is known and cared for",
        RemarkKind.COMMENT: "Write a comment on this report",
        RemarkKind.REAL: "Say that this was a real fault",
        RemarkKind.FALSE_ALARM: "Say that this was a false alarm: there was nothing",
        RemarkKind.EXPECTED: "Say that this was expected: no fault, but work or a test",
    }[kind]
    about = Remark(incident.id, kind, who, text)
    return Action(
        f"{words}{f': “{text}”' if text else ''}. The detectors are not told.",
        lambda store: f"Kept with report {store.remarks.write(about).report}: {kind.value}, by {who}.",
        missing,
    )


def tell(verdict: Verdict, incident: Incident, who: str, reason: str, missing: str) -> Action:
    """Tell the detector what the entity is."""
    what = {
        Verdict.NORMAL: "learns from the onset on that this is normal, and closes the incident",
        Verdict.BROKEN: "goes on alerting while it lasts, and learns nothing of it",
    }[verdict]

    def do(store: Store) -> str:
        store.ledger.record_word(
            incident.detector, incident.entity, verdict, since=incident.onset, who=who, reason=reason
        )
        return f"The daemon will be told that {incident.entity} is {verdict.value}, by {who}."

    return Action(
        f"Tell detector {incident.detector} that {incident.entity} is {verdict.value} since "
        f"{moment(incident.onset)} UTC: it {what}. It can be undone.",
        do,
        missing,
    )


def silence(incident: Incident, who: str, reason: str, now: float, span_s: float, missing: str) -> Action:
    """Open a maintenance window for the entity."""
    window = Window((_plain_pattern(incident.entity),), now, now + span_s, f"{who}: {reason}")

    def do(store: Store) -> str:
        kept = store.maintenance.add(window)
        return f"{incident.entity} is silent until {moment(kept.until)} UTC (maintenance window {kept.id})."

    return Action(
        f"Silence {incident.entity} for {duration(span_s)}, until {moment(window.until)} UTC: "
        "it is watched on and does not alarm.",
        do,
        missing,
    )


def set_flag(override: Override, missing: str) -> Action:
    """Set the quality flag of lumisections."""
    of = f"lumisections {override.first} to {override.last} of {override.system} in run {override.run}"

    def do(store: Store) -> str:
        store.flags.say(override)
        return f"{of[0].upper()}{of[1:]} are flagged {override.flag} by {override.who}."

    if override.first > override.last:
        missing = missing or "a last lumisection that is not before the first"
    return Action(f"Flag {of} as {override.flag}, before the machine's own verdict.", do, missing)


def _plain_pattern(entity: str) -> str:
    """Give a shell pattern that means this very name."""
    return "".join(f"[{c}]" if c in "*?[" else c for c in entity)
