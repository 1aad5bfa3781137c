"""Whether all is well: open incidents, and whether data arrive at all."""

from __future__ import annotations

from dataclasses import replace

from anomalyd.assistant.counting import data_received, data_sentence, is_one_of, none_recorded
from anomalyd.assistant.interpretation import entities_words
from anomalyd.assistant.phrasing import counted, duration, listed
from anomalyd.assistant.query_types import IsFine, LatestData, StillGoingOn
from anomalyd.assistant.sentence import MAX_SOURCES, Sentence, Told, ids_of, line
from anomalyd.assistant.times import Calendar
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.report import Status

# An entity is silent when it misses ten of its usual intervals, but never within two minutes: consumer lag
# and batches of a producer take that long.
_MISSED_INTERVALS = 10
_PATIENCE = 120.0
_DAY = 86_400.0


def is_fine(ask: IsFine, queries: Queries, calendar: Calendar) -> Told:
    """Tell whether all is well now, or was in the interval; "I don't know" where data are missing."""
    s = ask.selection
    if s.since is not None or s.until is not None:
        return _was_fine(s, queries, calendar)
    who = entities_words(s)
    going_on = replace(s, statuses=(Status.OPEN,))
    total = queries.count(going_on)
    silence = _silent(s, queries, calendar)
    if total:
        worst = queries.reports(going_on, Order.WORST, MAX_SOURCES)
        text = f"No: {counted(total, 'incident')} of {who} {'is' if total == 1 else 'are'} open."
        told = [Sentence(text, ids_of(worst)), *(line(report, calendar) for report in worst)]
        return Told((*told, Sentence(f"Also, {_silence(silence, calendar)}.")) if silence else tuple(told))
    past = queries.reports(s, Order.LATEST, 1)
    nearest = past[0].incident.id if past else None
    if silence:
        told = [Sentence(f"I don't know: {_silence(silence, calendar)}."), Sentence("No incident is open.")]
        return Told(tuple(told), known=False, nearest=nearest)
    last = _last(s, queries)
    if last is None:
        return Told((Sentence(f"I don't know: no data of {who} were ever received."),), known=False)
    ago = duration(calendar.now - last)
    told = [Sentence(f"Yes: no incident of {who} is open, and data arrive (the last {ago} ago).")]
    if past:
        latest = past[0].incident
        ended = duration(calendar.now - latest.last)
        text = f"The latest incident, {latest.severity} of {latest.entity}, ended {ended} ago."
        told.append(Sentence(text, (latest.id,)))
    return Told(tuple(told))


def still_going_on(ask: StillGoingOn, queries: Queries, calendar: Calendar) -> Told:
    """Tell what is open; if nothing is, what was the latest."""
    going_on = replace(ask.selection, statuses=(Status.OPEN,))
    total = queries.count(going_on)
    if total:
        latest = queries.reports(going_on, Order.LATEST, MAX_SOURCES)
        head = Sentence(
            f"Yes: {counted(total, 'incident')} {'is' if total == 1 else 'are'} open.", ids_of(latest)
        )
        told = (head, *(line(report, calendar) for report in latest))
        silence = _silent(ask.selection, queries, calendar)
        return Told((*told, Sentence(f"But {_silence(silence, calendar)}.")) if silence else told)
    past = queries.reports(ask.selection, Order.LATEST, 1)
    if not past:
        return none_recorded(ask.selection, queries, calendar)
    return Told(
        (Sentence("No: none of these is open. The latest was:", ids_of(past)), line(past[0], calendar))
    )


def latest_data(ask: LatestData, queries: Queries, calendar: Calendar) -> Told:
    """Tell when data last came, and who is silent."""
    s = ask.selection
    if s.since is not None or s.until is not None:
        return Told((data_sentence(s, queries, calendar),))
    last = _last(s, queries)
    if last is None:
        return Told((Sentence(f"No data of {entities_words(s)} were ever received."),))
    ago = duration(calendar.now - last)
    told = Sentence(f"The last data of {entities_words(s)} are of {calendar.say(last)}, {ago} ago.")
    silence = _silent(s, queries, calendar)
    words = _silence(silence, calendar)
    words = f"{words[:1].upper()}{words[1:]}" if silence else "None of them is silent"
    return Told((told, Sentence(f"{words}.")))


def _was_fine(s: Selection, queries: Queries, calendar: Calendar) -> Told:
    data = data_sentence(s, queries, calendar)
    total = queries.count(s)
    if total:
        worst = queries.reports(s, Order.WORST, MAX_SOURCES)
        head = Sentence(f"No: {counted(total, 'incident')} of {entities_words(s)}.", ids_of(worst))
        return Told((head, *(line(report, calendar) for report in worst)))
    received = data_received(s, queries)
    verdict = "Yes: none recorded." if received else "I don't know: none recorded, but data are missing."
    return Told((Sentence(verdict), data), known=received)


def _last(s: Selection, queries: Queries) -> float | None:
    """Give the event time of the latest sample of the selected entities."""
    times = (each.last for name, each in queries.activity().items() if is_one_of(name, s.entities))
    return max(times, default=None)


def _silent(s: Selection, queries: Queries, calendar: Calendar) -> list[tuple[str, float]]:
    """Give the selected entities that are silent, with the time of their last sample, oldest first."""
    recent = queries.activity(since=calendar.now - _DAY)
    silent = []
    for name, ever in queries.activity().items():
        if not is_one_of(name, s.entities):
            continue
        day = recent.get(name, ever)
        interval = (day.last - day.first) / max(1, day.samples - 1)
        if calendar.now - ever.last > max(_PATIENCE, _MISSED_INTERVALS * interval):
            silent.append((name, ever.last))
    return sorted(silent, key=lambda each: each[1])


def _silence(silent: list[tuple[str, float]], calendar: Calendar) -> str:
    words = [f"{name} since {calendar.say(last)}" for name, last in silent]
    return f"nothing was received from {listed(words, limit=5)}"
