"""Say an incident in plain, exact sentences: what, where, since when, how bad, who saw it, and why."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import numpy as np

from anomalyd.reports.feedback import OperatorFeedback
from anomalyd.reports.report import Direction, Evidence, Incident, SeenBy, Status
from anomalyd.reports.units import human
from anomalyd.verdict import Verdict


def narrate(incident: Incident, evidence: Evidence | None, notes: Sequence[str] = ()) -> str:
    """Tell an incident to somebody who was not there; times are UTC.

    With the evidence of a metric vector, each cause is told with what was observed and what was expected. The
    causes of a map say that themselves. `notes` are sentences on what was assumed and what people said.
    """
    sentences = [_course(incident), _badness(incident), _witnesses(incident)]
    sentences += _causes(incident, evidence)
    sentences += _place(incident)
    return " ".join([*sentences, *notes])


def assumed(text: str, time: float, adaptation_id: str) -> str:
    """Tell what a detector assumed at an event time, and how that is taken back."""
    what = text.strip().rstrip(".")
    return (
        f"{what[:1].upper()}{what[1:]} (at {_moment(time)} UTC; "
        f"undo with `anomalyd adaptations undo {adaptation_id}`)."
    )


def said(word: OperatorFeedback) -> str:
    """Tell whose word it was, and when it was said."""
    what = "normal" if word.word is Verdict.NORMAL else "still broken"
    return f"{word.who} said at {_moment(word.recorded)} UTC that this is {what}{_because(word.reason)}."


def taken_back(adaptation_id: str, who: str, asked: float, reason: str) -> str:
    """Tell who had an adaptation undone."""
    return f"{who} took adaptation {adaptation_id} back at {_moment(asked)} UTC{_because(reason)}."


def _because(reason: str) -> str:
    return f": {reason.strip().rstrip('.')}" if reason.strip() else ""


def _course(incident: Incident) -> str:
    seconds = incident.last - incident.onset
    lasted = f"{_duration(seconds)}, " if seconds > 0 else ""
    samples = f"{incident.samples} anomalous sample{'s' if incident.samples != 1 else ''}"
    onset, last = _moment(incident.onset), _moment(incident.last, incident.onset)
    if incident.status is Status.OPEN:
        return (
            f"{incident.entity} has been anomalous since {onset} UTC and this still goes on "
            f"(last at {last}; {lasted}{samples} so far)."
        )
    until = f" to {last}" if seconds > 0 else ""
    when = "from" if seconds > 0 else "at"
    over = (
        f" and has been normal since {_moment(incident.closed, incident.onset)}"
        if incident.closed is not None
        else ""
    )
    return f"{incident.entity} was anomalous {when} {onset}{until} UTC ({lasted}{samples}){over}."


def _badness(incident: Incident) -> str:
    return (
        f"Severity {incident.severity}: detector {incident.detector} gave a peak score of "
        f"{_number(incident.peak)} at {_moment(incident.peak_time, incident.onset)}; above 1 is an alert."
    )


def _witnesses(incident: Incident) -> str:
    autoencoder, classical = _number(incident.autoencoder), _number(incident.classical)
    if incident.seen_by is SeenBy.BOTH:
        return f"Both saw it: the autoencoder ({autoencoder}) and the classical test ({classical})."
    if incident.seen_by is SeenBy.AUTOENCODER:
        return (
            f"Only the autoencoder saw it ({autoencoder}); {_silent('classical test', incident.classical)}."
        )
    return f"Only the classical test saw it ({classical}); {_silent('autoencoder', incident.autoencoder)}."


def _silent(who: str, score: float) -> str:
    # No calibrated score is 0: that stands for none.
    return f"the {who} could not tell" if not score > 0 else f"the {who} gave {_number(score)}"


def _causes(incident: Incident, evidence: Evidence | None) -> Iterator[str]:
    if not incident.causes:
        return
    told = "; ".join(_cause(cause, incident, evidence) for cause in incident.causes)
    at = f" at {_moment(evidence.time, incident.onset)}" if evidence is not None else ""
    yield f"Most to blame{at}: {told}."
    first = evidence.first_mover if evidence is not None else None
    if first is not None:
        yield f"{first.name} moved first, at {_moment(first.started, incident.onset)}."


def _cause(name: str, incident: Incident, evidence: Evidence | None) -> str:
    if evidence is None or evidence.values.ndim != 1 or name not in evidence.features:
        return name
    place = evidence.features.index(name)
    observed, expected = float(evidence.values[place]), float(evidence.expectation[place])
    error = float(evidence.error[place])
    cause = next((cause for cause in evidence.causes if cause.name == name), None)
    if cause is not None and cause.direction is Direction.STUCK:
        since = _moment(cause.started, incident.onset)
        return f"{name} stands still at {human(observed, name)} since {since}"
    if math.isnan(observed):
        return f"{name} was missing"
    if math.isnan(expected):
        return f"{name} was {human(observed, name)}"
    sigmas = (
        ""
        if math.isnan(error) or error == 0
        else f" ({_number(abs(error))} sigma {'above' if error > 0 else 'below'})"
    )
    swings = ", swings" if cause is not None and cause.direction is Direction.SWINGS else ""
    was = f"was {human(observed, name)}"
    if cause is not None and human(observed, name) == human(expected, name):
        # It departed before the sample that is told of, and had come back by then.
        furthest = _furthest(evidence, place, cause.started, expected)
        if human(furthest, name) != human(expected, name):
            was, sigmas = f"went to {human(furthest, name)}", ""
    return f"{name} {was}, expected {human(expected, name)}{sigmas}{swings}"


def _furthest(evidence: Evidence, place: int, since: float, expected: float) -> float:
    """Give the value of a metric that lay furthest from what was expected, up to the evidence's sample."""
    during = (evidence.history_times >= since) & (evidence.history_times <= evidence.time)
    values = evidence.history[during, place]
    values = values[np.isfinite(values)]
    return float(values[np.argmax(np.abs(values - expected))]) if len(values) else expected


def _place(incident: Incident) -> Iterator[str]:
    if incident.run is None:
        return
    first, last = incident.first_lumisection, incident.last_lumisection
    if first is None or last is None:
        yield f"Run {incident.run}."
    elif first == last:
        yield f"Run {incident.run}, lumisection {first}."
    else:
        yield f"Run {incident.run}, lumisections {first} to {last}."


def _moment(time: float, same_day_as: float | None = None) -> str:
    """Give the time of day, after the date unless it is that of `same_day_as`."""
    moment = datetime.fromtimestamp(time, UTC)
    if same_day_as is not None and datetime.fromtimestamp(same_day_as, UTC).date() == moment.date():
        return f"{moment:%H:%M:%S}"
    return f"{moment:%Y-%m-%d %H:%M:%S}"


def _duration(seconds: float) -> str:
    """Give the two leading units; what is below them is cut off."""
    whole = int(seconds)
    if whole < 1:
        return "less than 1 s"
    days, hours, minutes = whole // 86400, whole // 3600 % 24, whole // 60 % 60
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (whole % 60, "s")]
    lead = next(k for k, (count, _) in enumerate(parts) if count)
    return " ".join(f"{count} {unit}" for count, unit in parts[lead : lead + 2] if count)


def _number(value: float) -> str:
    """Three digits that count, and no exponent for what a person reads without one."""
    if not math.isfinite(value) or value == 0:
        return f"{value:g}"
    if 1e-3 <= abs(value) < 1e7:
        places = max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:.{places}f}"
    return f"{value:.2e}"
