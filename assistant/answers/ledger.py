"""What people and detectors did: maintenance windows, operators' words, adaptations, remarks on reports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from anomalyd.assistant.answers.context import Context, interval_of
from anomalyd.assistant.answers.sentence import Result, Sentence, Source, Told, cite
from anomalyd.assistant.language.phrasing import counted, duration, listed
from anomalyd.assistant.understanding.question import Aspect, Question, Target
from anomalyd.reports.adaptation import Adaptation
from anomalyd.reports.conditions import AllOf, Among
from anomalyd.reports.feedback import OperatorFeedback
from anomalyd.reports.queries import Order, Selection
from anomalyd.reports.remark import Remark, RemarkKind
from anomalyd.reports.report import Report, Status
from anomalyd.reports.storage.repositories.maintenance import Window

_SHOWN = 6
_MOST = 5000


def maintenance(q: Question, context: Context) -> Told:
    """Tell the maintenance windows: of now where neither a time nor a number is asked for."""
    now = context.calendar.now
    those = set(context.entities(q.where))
    named = len(those) < len(context.names.kinds)
    windows = [w for w in context.queries.maintenance() if not named or any(map(w.covers, those))]
    since, until = interval_of(q.where)
    going_on = [w for w in windows if w.since <= now < w.until]
    coming = sorted((w for w in windows if w.since > now), key=lambda w: w.since)
    if q.coming:
        those_meant = (
            coming if q.span is None else [w for w in windows if w.since < q.span[1] and w.until > q.span[0]]
        )
    elif (since, until) != (None, None):
        begin, end = since or float("-inf"), now if until is None else until
        those_meant = [w for w in windows if w.since < end and w.until > begin]
    elif q.statistic == "count" or q.order is not None:
        those_meant = windows
    elif q.aspect is Aspect.STATUS or q.target is Target.ENTITIES:
        those_meant = going_on
    else:
        those_meant = going_on or coming[:1] or windows[-1:]
    if q.order is not None and those_meant:
        those_meant = [those_meant[0 if q.order is Order.EARLIEST else -1]]
    covered = tuple(e for e in context.names.kinds if e in those and any(w.covers(e) for w in those_meant))
    said = tuple(_window(w, now, context) for w in those_meant[:_SHOWN])
    result = Result(value=len(those_meant), verdict=bool(those_meant), names=covered)
    if q.statistic == "count":
        head = Sentence(f"{counted(len(those_meant), 'maintenance window')}.")
        return Told((head, *said), result=result)
    if not those_meant:
        next_ = (_window(coming[0], now, context),) if coming and not q.coming else ()
        last = (_window(windows[-1], now, context),) if windows and not next_ else ()
        when = " is planned" if q.coming else " is" if (since, until) == (None, None) else " was then"
        return Told((Sentence(f"No: none{when}."), *next_, *last), result=result)
    if q.aspect is Aspect.STATUS:
        return Told((Sentence("Yes.", said[0].sources), *said), result=result)
    return Told(said, result=result)


def _window(window: Window, now: float, context: Context) -> Sentence:
    state = "is over" if window.until <= now else "is planned" if window.since > now else "goes on"
    left = f", {duration(window.until - now)} left" if window.since <= now < window.until else ""
    reason = f"; reason: {window.reason}" if window.reason else "; no reason was given"
    say = context.calendar.say
    return Sentence(
        f"Maintenance of {listed(window.entities, limit=4)} {state}: {say(window.since)} to "
        f"{say(window.until)}"
        f"{left}{reason}.",
        (Source("maintenance", str(window.id), f"maintenance window of {listed(window.entities, limit=2)}"),),
    )


def feedback(q: Question, context: Context) -> Told:
    """Tell what operators said of entities, the latest first."""
    found = [
        w
        for w in context.queries.words(_selection(q, context), _MOST)
        if (not q.word or w.word == q.word) and (not q.people or w.who in q.people)
    ]
    told = _ledger(
        q, found, [w.entity for w in found], [_word(w, context) for w in found],
        "word of an operator", "words of operators", context,
    )  # fmt: skip
    if not q.people or q.word or q.statistic == "count":
        return told
    written = remarks(replace(q, word=RemarkKind.COMMENT), context)  # what a person said is in comments, too
    if not written.result.verdict:
        return told
    return Told((*told.sentences, *written.sentences), result=told.result) if found else written


def _word(w: OperatorFeedback, context: Context) -> Sentence:
    outcome = f"; {w.outcome}" if w.outcome else "; no daemon has applied it yet"
    reason = f" ({w.reason})" if w.reason else ""
    text = (
        f"{w.who or 'Somebody'} said at {context.calendar.say(w.recorded)} that {w.entity} is "
        f"{w.word}{reason}{outcome}."
    )
    return Sentence(text, (Source("word", str(w.id), f"what {w.who or 'somebody'} said of {w.entity}"),))


def adaptations(q: Question, context: Context) -> Told:
    """Tell what detectors adapted to, the latest first."""
    found = context.queries.adaptations(_selection(q, context), _MOST)
    found = sorted((a for a in found if q.word in ("", a.what)), key=lambda a: -a.time)
    return _ledger(
        q, found, [a.entity for a in found], [_adaptation(a, context) for a in found],
        "adaptation", "adaptations", context,
    )  # fmt: skip


def _adaptation(a: Adaptation, context: Context) -> Sentence:
    undone = (
        f"; undone at {context.calendar.say(a.undone)} ({a.undo_by}: {a.undo_reason})" if a.undone else ""
    )
    text = f"{a.entity}, {a.detector}, {context.calendar.say(a.time)}: {a.text}{undone}."
    return Sentence(text, (Source("adaptation", a.id, f"adaptation of {a.entity}"),))


def _ledger(
    q: Question,
    found: Sequence[object],
    entities: Sequence[str],
    said: Sequence[Sentence],
    one: str,
    many: str,
    context: Context,
) -> Told:
    """Tell entries, the latest first: their number, their entities, or themselves."""
    names = tuple(dict.fromkeys(entities))
    value = len(names) if q.target is Target.ENTITIES and q.statistic == "count" else len(found)
    result = Result(value=value, verdict=bool(found), names=names)
    if not found:
        who = context.entity_words(q.where)
        return Told((Sentence(f"No {one}{f' on {who}' if who else ''} is recorded."),), result=result)
    if q.order is not None:
        k = -1 if q.order is Order.EARLIEST else 0
        return Told((said[k],), result=replace(result, value=1, names=(entities[k],)))
    shown = tuple(said[:_SHOWN])
    if len(found) == 1 and q.statistic != "count":
        return Told(shown, result=result)
    rest = f"; the latest {len(shown)}:" if len(found) > len(shown) else ":"
    head = f"{counted(len(found), one, many)} on {listed(sorted(names), limit=8)}{rest}"
    return Told((Sentence(head, tuple(s.sources[0] for s in shown[:5])), *shown), result=result)


def remarks(q: Question, context: Context) -> Told:
    """Tell who acknowledged an incident, or what was written on it: of those meant, the latest one."""
    kind = RemarkKind.ACKNOWLEDGED if q.word == RemarkKind.ACKNOWLEDGED else RemarkKind.COMMENT
    wheres = (AllOf((*q.where.parts, Among("status", (Status.OPEN,)))), q.where)
    reports = {r.incident.id: r for where in wheres for r in context.reports(where, Order.LATEST, 200)}
    written = [
        (reports[remark.report], remark)
        for remark in context.queries.all_remarks(tuple(reports))
        if remark.kind == kind and (not q.people or remark.who in q.people)
    ]
    written.sort(
        key=lambda each: (each[0].incident.status is not Status.OPEN, -each[0].incident.onset, each[1].id)
    )
    done = "acknowledged" if kind is RemarkKind.ACKNOWLEDGED else "commented on"
    if not written:
        if not reports:
            return Told((Sentence("I know of no such incident."),), known=False)
        latest = next(iter(reports.values()))
        text = (
            f"Nobody {done} {'it' if len(reports) == 1 else f'any of these {len(reports)}'}; the latest "
            f"is {_named(latest, context)}."
        )
        return Told(
            (Sentence(text, (cite(latest, context.calendar),)),), result=Result(value=0.0, verdict=False)
        )
    said = tuple(_remark(report, remark, context) for report, remark in written[:_SHOWN])
    ids = _unique(report.incident.id for report, _ in written)
    people = _unique(remark.who for _, remark in written)
    return Told(said, result=Result(value=len(written), verdict=True, names=people, reports=ids))


def _remark(report: Report, remark: Remark, context: Context) -> Sentence:
    what = "acknowledged" if remark.kind is RemarkKind.ACKNOWLEDGED else "wrote on"
    text = f": {remark.text}" if remark.text else ""
    return Sentence(
        f"{remark.who} {what} {_named(report, context)} at {context.calendar.say(remark.recorded)}{text}.",
        (
            Source(str(remark.kind), str(remark.id), f"{remark.kind} of {remark.who}"),
            cite(report, context.calendar),
        ),
    )


def _named(report: Report, context: Context) -> str:
    i = report.incident
    state = "open " if i.status is Status.OPEN else ""
    return f"the {state}incident of {i.entity} since {context.calendar.say(i.onset)}"


def _selection(q: Question, context: Context) -> Selection:
    since, until = interval_of(q.where)
    those = context.entities(q.where)
    named = len(those) < len(context.names.kinds)
    return Selection(entities=those if named else (), since=since, until=until)


def _unique(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
