"""A typed question said back in words, so that the asker sees how the question was understood."""

from __future__ import annotations

import math

from anomalyd.assistant import query_types
from anomalyd.assistant.phrasing import listed
from anomalyd.assistant.query_types import Ask
from anomalyd.assistant.times import Calendar, Interval
from anomalyd.reports.queries import Order, Selection
from anomalyd.reports.report import SeenBy, Severity, Status

ORDER_WORDS = {
    Order.LATEST: "the latest",
    Order.EARLIEST: "the earliest",
    Order.WORST: "the worst by peak score",
    Order.LONGEST: "the longest",
}
_GROUP_WORDS = {"seen_by": "who saw them", "day": "day (UTC)", "hour": "hour (UTC)"}


def said(ask: Ask, calendar: Calendar) -> str:
    """Say a typed question, such as `number of incidents of host/pc1, severity error or worse, any time`."""
    which = incidents(ask.selections[0] if isinstance(ask, query_types.Compare) else ask.selection, calendar)
    entities = entities_words(ask.selection) if not isinstance(ask, query_types.Compare) else ""
    match ask:
        case query_types.HowMany(new=new):
            return f"number of {'new ' if new else ''}{which}"
        case query_types.HowManyEntities():
            return f"number of different entities with {which}"
        case query_types.PerGroup(by=by):
            return f"number of {which}, per {_GROUP_WORDS.get(by, by)}"
        case query_types.Compare(words=words):
            common = _common(ask)
            what = incidents(common, calendar, always=False).replace(" of all entities", "")
            return f"comparison of {what}: {listed(words, joint='against')}"
        case query_types.Which(order=order, limit=limit, new=new):
            return f"{which}{' that began then' if new else ''}, {ORDER_WORDS[order]} {limit}"
        case query_types.WhichEntities(at_least=at_least):
            many = "" if at_least == 1 else f"at least {at_least} "
            return f"entities with {many}{which}"
        case query_types.WithoutIncident():
            return f"entities that sent data but had none of these: {which}"
        case query_types.WhichRuns():
            return f"runs with {which}"
        case query_types.MeanDuration():
            return f"mean duration of closed {which}"
        case query_types.AboutOne(aspect=aspect, order=order):
            return f"{aspect}: {ORDER_WORDS[order]} of {which}"
        case query_types.IsFine():
            return f"health of {entities}{_when(ask.selection, calendar) or ', now'}"
        case query_types.StillGoingOn():
            return f"what of this still goes on: {which}"
        case query_types.LatestData():
            return f"data received from {entities}{_when(ask.selection, calendar)}"
        case query_types.WhyNot():
            return f"why {entities} was not flagged{_when(ask.selection, calendar)}"
        case query_types.Known():
            return "what is watched"
        case query_types.Command(verb=verb):
            return f"an order: {verb}"
        case query_types.Help():
            return "what can be asked"


def incidents(selection: Selection, calendar: Calendar, *, always: bool = True) -> str:
    """Say which incidents a selection selects; `always`: also where they may be of any time."""
    s = selection
    what = "incidents"
    if s.ids:
        what = f"report {listed(s.ids)}"
    words = [f"{what} of {entities_words(s)}" if s.entities or not s.ids else what]
    words += [f"detector {listed(s.detectors)}"] if s.detectors else []
    words += [f"severity {_severities(s.severities)}"] if s.severities else []
    words += (
        [f"still {listed(s.statuses)}" if s.statuses == (Status.OPEN,) else listed(s.statuses)]
        if s.statuses
        else []
    )
    words += [_seen_by(s.seen_by)] if s.seen_by else []
    words += [_scores(s)] if s.min_score is not None or s.max_score is not None else []
    words += [f"run {s.run}"] if s.run is not None else []
    words += [f"cause “{s.cause}”"] if s.cause is not None else []
    when = _when(s, calendar)
    return ", ".join(words) + (when or (", any time" if always and not s.ids else ""))


def entities_words(selection: Selection) -> str:
    """Say the entities of a selection."""
    return listed(selection.entities) or "all entities"


def _when(selection: Selection, calendar: Calendar) -> str:
    if selection.since is None and selection.until is None:
        return ""
    return f", {calendar.say_interval(Interval(selection.since, selection.until))}"


def _severities(severities: tuple[Severity, ...]) -> str:
    rising = tuple(Severity)
    if len(severities) > 1 and severities == rising[-len(severities) :]:
        return f"{severities[0]} or worse"
    return listed(severities, joint="or")


def _seen_by(seen_by: tuple[SeenBy, ...]) -> str:
    if len(seen_by) > 1:
        return f"seen by the {seen_by[-1]} detector (alone or with the other)"
    return (
        "seen by both detectors" if seen_by == (SeenBy.BOTH,) else f"seen only by the {seen_by[0]} detector"
    )


def _scores(s: Selection) -> str:
    """Say the bounds of the peak score; a strict bound is the float next to the number that was named."""
    words = []
    if s.min_score is not None:
        near = float(f"{s.min_score:.6g}")
        words.append(
            f"above {near:g}" if math.nextafter(near, math.inf) == s.min_score else f"at least {near:g}"
        )
    if s.max_score is not None:
        near = float(f"{s.max_score:.6g}")
        words.append(
            f"below {near:g}" if math.nextafter(near, -math.inf) == s.max_score else f"at most {near:g}"
        )
    return f"peak score {' and '.join(words)}"


def _common(ask: query_types.Compare) -> Selection:
    """Give the conditions that all of the compared selections share."""
    first = ask.selections[0]
    same = {
        name: getattr(first, name)
        for name in Selection.__dataclass_fields__
        if all(getattr(s, name) == getattr(first, name) for s in ask.selections)
    }
    return Selection(**same)
