"""One incident: why, when, how long, how bad, who saw it, from which model; the others that fit are named."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from anomalyd.assistant.answers.context import Context, data_sentence, interval_of, none_recorded, select
from anomalyd.assistant.answers.sentence import (
    SEEN_WORDS,
    Result,
    Sentence,
    Source,
    Told,
    cite,
    cites,
    line,
    score,
    span,
)
from anomalyd.assistant.language.phrasing import counted, duration, listed
from anomalyd.assistant.language.times.time_meaning import Calendar
from anomalyd.assistant.understanding.interpretation import ORDER_WORDS
from anomalyd.assistant.understanding.question import Aspect, Question
from anomalyd.errors import StoreError
from anomalyd.reports.conditions import AllOf, Among, During, Not
from anomalyd.reports.queries import Order
from anomalyd.reports.remark import RemarkKind
from anomalyd.reports.report import Evidence, Explanation, Incident, Report, Status
from anomalyd.reports.units import human

OPEN = Among("status", (Status.OPEN,), "open")
_TOP = 3
_OTHERS = 3


def about_one(q: Question, context: Context) -> Told:
    """Tell one aspect of one incident: the one asked for, else the worst or the latest of those that fit."""
    if q.aspect is Aspect.SINCE and not q.also:
        return _since(q, context)
    if q.aspect is Aspect.OTHERS:
        return _beside(q, context)
    if q.now and context.count(q.where, OPEN):
        q = replace(q, where=AllOf((*q.where.parts, OPEN)))
    total = context.count(q.where)
    if total == 0:
        # There is nothing of which this could be told.
        return replace(none_recorded(q.where, context, "I know of no such incident."), known=False)
    of_a_time = q.aspect is Aspect.SUMMARY and interval_of(q.where) != (None, None)
    order = q.order or (Order.WORST if of_a_time else Order.LATEST)
    place = (q.nth or 1) - 1
    if place >= total:
        text = (
            f"There is no number {q.nth}: {counted(total, 'such incident')} "
            f"{'is' if total == 1 else 'are'} recorded."
        )
        return Told((context.cited(text, q.where, total),), known=False)
    report = context.reports(q.where, order, 1, place)[0]
    others = _others(q, order, report, total, context)
    aspects = (q.aspect, *q.also)
    others = (*_remarks(report, q, context), *others)
    told = (*dict.fromkeys(s for aspect in aspects for s in _told(report, aspect, context)), *others)
    value = {
        Aspect.SCORE: report.incident.peak,
        Aspect.DURATION: report.incident.last - report.incident.onset,
    }
    run = () if report.incident.run is None else (str(report.incident.run),)
    names = {Aspect.ENTITY: (report.incident.entity,), Aspect.RUN: run}.get(q.aspect, ())
    result = Result(
        value=value.get(q.aspect),
        names=names,
        reports=(report.incident.id,),
        verdict=_verdict(q, report, context),
    )
    return Told(told, result=result)


def _beside(q: Question, context: Context) -> Told:
    """Tell which other entities were anomalous during one incident."""
    found = context.reports(q.where, q.order or Order.LATEST, 1, (q.nth or 1) - 1)
    if not found:
        return replace(none_recorded(q.where, context, "I know of no such incident."), known=False)
    i = found[0].incident
    then = During(i.onset, None if i.status is Status.OPEN else i.last, "")
    where = AllOf((then, Not(Among("entity", (i.entity,)))))
    names = tuple(sorted(name for name, _ in context.queries.tally(select(where), "entity")))
    head = Sentence(f"{i.entity}: {span(i, context.calendar)}.", (cite(found[0], context.calendar),))
    if not names:
        text = "Nothing else was anomalous during it."
        return Told((head, Sentence(text)), result=Result(reports=(i.id,), value=0.0))
    total = context.count(where)
    are = "was" if len(names) == 1 else "were"
    text = (
        f"{counted(len(names), 'other entity', 'other entities')} {are} anomalous during it: {listed(names)}."
    )
    return Told((head, context.cited(text, where, total)), result=Result(names=names, reports=(i.id,)))


def _remarks(report: Report, q: Question, context: Context) -> tuple[Sentence, ...]:
    """Tell what people wrote on a report, where it is told of as a whole."""
    if q.aspect not in (Aspect.SUMMARY, Aspect.WHY):
        return ()
    return tuple(
        Sentence(
            f"{r.who} {'acknowledged it' if r.kind is RemarkKind.ACKNOWLEDGED else 'wrote'} at "
            f"{context.calendar.say(r.recorded)}{f': {r.text}' if r.text else ''}.",
            (Source(str(r.kind), str(r.id), f"{r.kind} of {r.who}"),),
        )
        for r in context.queries.remarks(report.incident.id)
    )


def _verdict(q: Question, report: Report, context: Context) -> bool | None:
    if q.each:
        return context.count(Among("id", (report.incident.id,)), *q.each) > 0
    return report.incident.status is Status.CLOSED if q.aspect is Aspect.STATUS else None


def _told(report: Report, aspect: Aspect, context: Context) -> tuple[Sentence, ...]:
    i, say = report.incident, context.calendar.say
    source = (cite(report, context.calendar),)
    scores = f"(autoencoder {score(i.autoencoder)}, classical {score(i.classical)}; above 1 is an alert)"
    match aspect:
        case Aspect.SUMMARY:
            text = report.narrative
        case Aspect.WHY:
            return (Sentence(report.narrative, source), *_why(report, context))
        case Aspect.START:
            text = f"{i.entity}: it started at {say(i.onset)}{_place(i, ' (', ')')}."
        case Aspect.END:
            text = _end(i, context.calendar)
        case Aspect.STATUS:
            over = "it is over" if i.status is Status.CLOSED else "it still goes on"
            text = f"{i.entity}: {over}, {span(i, context.calendar)}."
        case Aspect.DURATION:
            text = f"{i.entity}: {span(i, context.calendar)}."
        case Aspect.SCORE:
            text = f"{i.entity}: {i.severity}, peak score {score(i.peak)} at {say(i.peak_time)} {scores}."
        case Aspect.PEAK_TIME:
            text = f"{i.entity}: it was worst at {say(i.peak_time)}, with peak score {score(i.peak)}."
        case Aspect.SEEN_BY:
            text = f"{i.entity}: {SEEN_WORDS[i.seen_by]} of “{i.detector}” {scores}."
        case Aspect.MODEL:
            text = f"{i.entity}: detector “{i.detector}”, model {i.model or 'unknown'}."
        case Aspect.SEVERITY:
            text = f"{i.entity}: {i.severity}, peak score {score(i.peak)}, {span(i, context.calendar)}."
        case Aspect.SAMPLES:
            text = f"{i.entity}: {counted(i.samples, 'anomalous sample')}, {span(i, context.calendar)}."
        case Aspect.ENTITY:
            text = f"{i.entity}: {i.severity}, {span(i, context.calendar)}, peak score {score(i.peak)}."
        case Aspect.LUMISECTION | Aspect.RUN:
            known = _place(i, "", "")
            text = (
                f"{i.entity}: {known}."
                if known
                else f"{i.entity}: the report names no run and no lumisection."
            )
        case Aspect.SINCE | Aspect.WHO | Aspect.OTHERS:
            text = f"{i.entity}: {span(i, context.calendar)}."
    return (Sentence(text, source),)


def _others(q: Question, order: Order, report: Report, total: int, context: Context) -> tuple[Sentence, ...]:
    """Name the other incidents that the question fits, so that nobody takes this one for the only one."""
    if total == 1 or q.limit == 1:
        return ()
    rank = f"number {q.nth} of" if q.nth else f"{ORDER_WORDS[order]} of"
    more = [r for r in context.reports(q.where, order, _OTHERS + 1) if r.incident.id != report.incident.id][
        :_OTHERS
    ]
    words = [
        f"{r.incident.entity} {span(r.incident, context.calendar)}, {r.incident.severity} (peak "
        f"{score(r.incident.peak)})"
        for r in more
    ]
    rest = f", and {total - 1 - len(more)} more" if total - 1 > len(more) else ""
    text = f"This is {rank} {total:,} such incidents; others: {'; '.join(words)}{rest}."
    return (Sentence(text, cites(more, context.calendar)),)


def _since(q: Question, context: Context) -> Told:
    """Tell since when something goes on, or that it does not."""
    going_on = AllOf((*q.where.parts, Among("status", (Status.OPEN,), "open")))
    found = context.reports(going_on, Order.EARLIEST, 5)
    who = context.entity_words(q.where) or "anything"
    if found:
        lines = tuple(
            Sentence(
                f"{r.incident.entity}: {span(r.incident, context.calendar)}{_place(r.incident, ' (', ')')}.",
                (cite(r, context.calendar),),
            )
            for r in found
        )
        return Told(lines, result=Result(verdict=True, reports=tuple(r.incident.id for r in found)))
    past = context.reports(q.where, Order.LATEST, 1)
    if not past:
        return none_recorded(q.where, context, f"No incident of {who} is open.")
    head = Sentence(f"No incident of {who} is open now; the latest is over:", cites(past, context.calendar))
    told = (head, line(past[0], context.calendar))
    return Told(told, result=Result(verdict=False, reports=(past[0].incident.id,)))


def why_not(q: Question, context: Context) -> Told:
    """Tell that nothing is kept of samples that opened no incident; or that it was flagged after all."""
    total = context.count(q.where)
    who = context.entity_words(q.where) or "this"
    if total:
        found = context.reports(q.where, Order.LATEST, 5)
        text = f"But {who} was flagged: {counted(total, 'incident')}, the latest:"
        return Told((Sentence(text, cites(found, context.calendar)), line(found[0], context.calendar)))
    text = "I don't know: scores of samples that opened no incident are not kept."
    return Told((Sentence(text), data_sentence(q.where, context)), known=False)


def _end(i: Incident, calendar: Calendar) -> str:
    last = f"its last anomalous sample was at {calendar.say(i.last)}"
    if i.status is Status.OPEN:
        return f"{i.entity}: it has not ended; {last}."
    closed = f" and it was closed at {calendar.say(i.closed)}" if i.closed is not None else ""
    return f"{i.entity}: {last}{closed}, {duration(i.last - i.onset)} after it began."


def _place(i: Incident, before: str, after: str) -> str:
    """Say the run and the lumisections, as far as the report names them."""
    words = [f"run {i.run}"] if i.run is not None else []
    if i.first_lumisection is not None:
        same = i.last_lumisection in (None, i.first_lumisection)
        both = f"lumisections {i.first_lumisection} to {i.last_lumisection}"
        words.append(f"lumisection {i.first_lumisection}" if same else both)
    return f"{before}{', '.join(words)}{after}" if words else ""


def _why(report: Report, context: Context) -> tuple[Sentence, ...]:
    """Tell what the explanations add to the narrative."""
    i = report.incident
    source = (cite(report, context.calendar),)
    told: list[Sentence] = [] if i.causes else [Sentence("The report names no cause.", source)]
    try:
        evidence, explanations = context.queries.evidence(i.id), context.queries.explanations(i.id)
    except StoreError as error:
        return (*told, Sentence(f"Its evidence cannot be read: {error}.", source))
    told += [Sentence(_attributed(each, evidence), source) for each in explanations]
    if report.explain_error:
        told.append(Sentence(f"It could not be explained further: {report.explain_error}.", source))
    elif not explanations:
        told.append(Sentence("It has not been explained further yet.", source))
    return tuple(told)


def _seen(evidence: Evidence, k: int) -> str:
    """Give a metric's value and what was expected of it, as the report writes them."""
    seen, expected = float(evidence.values[k]), float(evidence.expectation[k])
    name = evidence.features[k]
    return human(seen, name) + ("" if np.isnan(expected) else f", expected {human(expected, name)}")


def _attributed(explanation: Explanation, evidence: Evidence | None) -> str:
    """Say which metrics one method blames; of a map, which share of it lies in how few cells."""
    method = f"{explanation.method[:1].upper()}{explanation.method[1:]}"
    partly = "" if explanation.complete else " (its time ran out)"
    blame = np.nan_to_num(np.maximum(np.asarray(explanation.values, dtype=np.float64), 0.0)).ravel()
    total = float(blame.sum())
    if total <= 0.0 and evidence is not None and evidence.values.ndim == 2:
        if not np.nan_to_num(evidence.values).any():
            return f"{method}{partly} has no part to point at: the whole element counts nothing."
        return f"{method}{partly} points at no part: it is the element as a whole that is wrong."
    if total <= 0.0:
        return f"{method}{partly} blames nothing in particular."
    order = np.argsort(-blame, kind="stable")
    if evidence is not None and len(evidence.features) == blame.size:
        parts = [
            f"{evidence.features[k]} {blame[k] / total:.0%} ({_seen(evidence, int(k))})"
            for k in order[:_TOP]
            if blame[k] > 0
        ]
        return f"{method}{partly} blames {listed(parts)}."
    cells = int(np.searchsorted(np.cumsum(blame[order]), 0.8 * total)) + 1
    return f"{method}{partly} finds 80 % of the blame in {counted(cells, 'cell')} of {blame.size:,}."
