"""Whether all is well: open incidents, and whether data arrive at all."""

from __future__ import annotations

from anomalyd.assistant.answers.context import (
    Context,
    data_sentence,
    interval_of,
    nearest_of,
    none_recorded,
    select,
)
from anomalyd.assistant.answers.sentence import Result, Sentence, Told, cites, line
from anomalyd.assistant.language.phrasing import counted, duration, listed
from anomalyd.assistant.understanding.question import Question
from anomalyd.reports.conditions import AllOf, Among, Condition
from anomalyd.reports.queries import Order
from anomalyd.reports.report import Status

# An entity is silent when it misses ten of its usual intervals, but never within two minutes: consumer lag
# and batches of a producer take that long.
_MISSED_INTERVALS = 10
_PATIENCE = 120.0
_DAY = 86_400.0
_SHOWN = 5
_OPEN = Among("status", (Status.OPEN,), "open")


def is_fine(q: Question, context: Context) -> Told:
    """Tell whether all is well now, or was in the interval; "I don't know" where data are missing."""
    if interval_of(q.where) != (None, None):
        return _was_fine(q, context)
    who = context.entity_words(q.where) or "all entities"
    going_on = AllOf((*q.where.parts, _OPEN))
    total = context.count(going_on)
    silence = _silent(q.where, context)
    bad, good = ("Yes", "No") if q.negated else ("No", "Yes")
    if total:
        worst = context.reports(going_on, Order.WORST, _SHOWN)
        text = f"{bad}: {counted(total, 'incident')} of {who} {'is' if total == 1 else 'are'} open."
        told = [Sentence(text, cites(worst, context.calendar)), *(line(r, context.calendar) for r in worst)]
        told += [Sentence(f"Also, {_silence(silence, context)}.")] if silence else []
        return Told(
            tuple(told),
            result=Result(
                value=total,
                verdict=q.negated,
                reports=context.ids(going_on, Order.WORST),
                names=tuple(name for name, _ in context.queries.tally(select(going_on), "entity")),
            ),
        )
    past = context.reports(q.where, Order.LATEST, 1)
    if silence:
        told = [Sentence(f"I don't know: {_silence(silence, context)}."), Sentence("No incident is open.")]
        return Told(tuple(told), known=False, nearest=nearest_of(past))
    last = max((sent.last for sent in context.sent(q.where).values()), default=None)
    if last is None:
        return Told((Sentence(f"I don't know: no data of {who} were ever received."),), known=False)
    ago = duration(context.calendar.now - last)
    told = [Sentence(f"{good}: no incident of {who} is open, and data arrive (the last {ago} ago).")]
    if past:
        i = past[0].incident
        text = (
            f"The latest incident, {i.severity} of {i.entity}, ended "
            f"{duration(context.calendar.now - i.last)} ago."
        )
        told.append(Sentence(text, cites(past, context.calendar)))
    latest = tuple(r.incident.id for r in past)
    return Told(tuple(told), result=Result(verdict=not q.negated, reports=latest))


def _was_fine(q: Question, context: Context) -> Told:
    total = context.count(q.where)
    who = context.entity_words(q.where) or "all entities"
    bad, good = ("Yes", "No") if q.negated else ("No", "Yes")
    if total:
        worst = context.reports(q.where, Order.WORST, _SHOWN)
        head = Sentence(f"{bad}: {counted(total, 'incident')} of {who}.", cites(worst, context.calendar))
        result = Result(value=total, verdict=q.negated, reports=context.ids(q.where, Order.WORST))
        return Told((head, *(line(r, context.calendar) for r in worst)), result=result)
    sent = context.sent(q.where)
    verdict = f"{good}: none recorded." if sent else "I don't know: none recorded, but data are missing."
    told = (Sentence(verdict), data_sentence(q.where, context, sent))
    return Told(told, known=bool(sent), result=Result(verdict=not q.negated if sent else None))


def still_going_on(q: Question, context: Context) -> Told:
    """Tell what is open; if nothing is, what was the latest."""
    if q.order is not None:
        found = context.reports(q.where, q.order, 1, (q.nth or 1) - 1)
        where: Condition = Among("id", tuple(r.incident.id for r in found))
    else:
        where = q.where
    going_on = AllOf((where, _OPEN))
    total = context.count(going_on)
    yes, no = ("No", "Yes") if q.negated else ("Yes", "No")
    if total:
        latest = context.reports(going_on, Order.LATEST, _SHOWN)
        head = Sentence(
            f"{yes}: {counted(total, 'incident')} {'is' if total == 1 else 'are'} open.",
            cites(latest, context.calendar),
        )
        told = (head, *(line(report, context.calendar) for report in latest))
        silence = _silent(where, context)
        more = (Sentence(f"But {_silence(silence, context)}."),) if silence else ()
        return Told(
            (*told, *more), result=Result(value=total, verdict=not q.negated, reports=context.ids(going_on))
        )
    past = context.reports(where, Order.LATEST, 1)
    if not past:
        return none_recorded(where, context)
    head = Sentence(f"{no}: none of these is open. The latest was:", cites(past, context.calendar))
    told = (head, line(past[0], context.calendar))
    return Told(told, result=Result(verdict=q.negated, reports=(past[0].incident.id,)))


def exists(q: Question, context: Context) -> Told:
    """Tell whether there were any such incidents, and which."""
    total = context.count(q.where)
    enough = total >= q.fewest and (q.most is None or total <= q.most)
    of_one = [p for p in q.where.parts if isinstance(p, Among) and p.column == "id"]
    if not total and of_one and (found := context.reports(of_one[0], Order.LATEST, 1)):
        no = Sentence("Yes: it is not." if q.negated else "No: it is not.", cites(found, context.calendar))
        result = Result(value=0.0, verdict=q.negated, reports=(found[0].incident.id,))
        return Told((no, line(found[0], context.calendar)), result=result)
    if not total:
        return none_recorded(
            q.where, context, "Yes, none is recorded." if q.negated else "No: none is recorded."
        )
    head = "No" if q.negated or not enough else "Yes"
    worst = context.reports(q.where, Order.WORST, _SHOWN)
    shown = f" The worst {len(worst)}:" if total > len(worst) else ""
    text = f"{head}: {counted(total, 'incident')}.{shown}"
    told = (Sentence(text, cites(worst, context.calendar)), *(line(r, context.calendar) for r in worst))
    return Told(
        told, result=Result(value=total, verdict=head == "Yes", reports=context.ids(q.where, Order.WORST))
    )


def latest_data(q: Question, context: Context) -> Told:
    """Tell when data last came, and who is silent."""
    if interval_of(q.where) != (None, None):
        return Told((data_sentence(q.where, context),))
    who = context.entity_words(q.where) or "all entities"
    last = max((sent.last for sent in context.sent(q.where).values()), default=None)
    if last is None:
        return Told((Sentence(f"No data of {who} were ever received."),))
    ago = duration(context.calendar.now - last)
    told = Sentence(f"The last data of {who} are of {context.calendar.say(last)}, {ago} ago.")
    silence = _silent(q.where, context)
    words = _silence(silence, context)
    words = f"{words[:1].upper()}{words[1:]}" if silence else "None of them is silent"
    return Told((told, Sentence(f"{words}.")), result=Result(names=tuple(name for name, _ in silence)))


def _silent(where: Condition, context: Context) -> list[tuple[str, float]]:
    """Give the selected entities that are silent, with the time of their last sample, oldest first."""
    those = set(context.entities(where))
    recent = context.queries.activity(since=context.calendar.now - _DAY)
    silent = []
    for name, ever in context.queries.latest_activity().items():
        if name not in those:
            continue
        day = recent.get(name, ever)
        interval = (day.last - day.first) / max(1, day.samples - 1)
        if context.calendar.now - ever.last > max(_PATIENCE, _MISSED_INTERVALS * interval):
            silent.append((name, ever.last))
    return sorted(silent, key=lambda each: each[1])


def _silence(silent: list[tuple[str, float]], context: Context) -> str:
    words = [f"{name} since {context.calendar.say(last)}" for name, last in silent]
    return f"nothing was received from {listed(words, limit=5)}"
