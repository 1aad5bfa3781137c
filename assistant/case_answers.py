"""One incident: why, when, how long, how bad, who saw it, from which model."""

from __future__ import annotations

import numpy as np

from anomalyd.assistant.counting import data_sentence, none_recorded
from anomalyd.assistant.interpretation import ORDER_WORDS, entities_words
from anomalyd.assistant.phrasing import counted, duration, listed
from anomalyd.assistant.query_types import AboutOne, Aspect, WhyNot
from anomalyd.assistant.sentence import MAX_SOURCES, SEEN_WORDS, Sentence, Told, ids_of, line, score, span
from anomalyd.assistant.times import Calendar
from anomalyd.errors import StoreError
from anomalyd.reports.queries import Order, Queries
from anomalyd.reports.report import Evidence, Explanation, Incident, Report, Status

_TOP = 3


def about_one(ask: AboutOne, queries: Queries, calendar: Calendar) -> Told:
    """Tell one aspect of the first incident of a selection."""
    total = queries.count(ask.selection)
    if total == 0:
        return none_recorded(ask.selection, queries, calendar)
    report = queries.reports(ask.selection, ask.order, 1)[0]
    i = report.incident
    text = ""
    match ask.aspect:
        case Aspect.SUMMARY:
            text = report.narrative
        case Aspect.WHY:
            return Told((Sentence(report.narrative, (i.id,)), *_why(report, queries), *_others(ask, total)))
        case Aspect.START:
            text = f"{i.entity}: it started at {calendar.say(i.onset)}{_lumisection(i, ' (', ')')}."
        case Aspect.END:
            text = _end(i, calendar)
        case Aspect.DURATION:
            text = f"{i.entity}: {span(i, calendar)}."
        case Aspect.SCORE:
            text = (
                f"{i.entity}: peak score {score(i.peak)} at {calendar.say(i.peak_time)} "
                f"(autoencoder {score(i.autoencoder)}, classical {score(i.classical)}; above 1 is an alert)."
            )
        case Aspect.SEEN_BY:
            text = (
                f"{i.entity}: {SEEN_WORDS[i.seen_by]} of “{i.detector}” "
                f"(autoencoder {score(i.autoencoder)}, classical {score(i.classical)}; above 1 is an alert)."
            )
        case Aspect.MODEL:
            text = f"{i.entity}: detector “{i.detector}”, model {i.model or 'unknown'}."
        case Aspect.LUMISECTION:
            known = _lumisection(i, "", "")
            text = (
                f"{i.entity}: {known}."
                if known
                else f"{i.entity}: the report names no run and no lumisection."
            )
    return Told((Sentence(text, (i.id,)), *_others(ask, total)))


def why_not(ask: WhyNot, queries: Queries, calendar: Calendar) -> Told:
    """Tell that nothing is kept of samples that opened no incident; or that it was flagged after all."""
    found = queries.reports(ask.selection, Order.LATEST, MAX_SOURCES)
    who = entities_words(ask.selection)
    if found:
        text = f"But {who} was flagged: {counted(queries.count(ask.selection), 'incident')}, the latest:"
        return Told((Sentence(text, ids_of(found)), line(found[0], calendar)))
    text = "I don't know: scores of samples that opened no incident are not kept."
    return Told((Sentence(text), data_sentence(ask.selection, queries, calendar)), known=False)


def _others(ask: AboutOne, total: int) -> tuple[Sentence, ...]:
    if total == 1:
        return ()
    return (Sentence(f"This is {ORDER_WORDS[ask.order]} of {total} such incidents."),)


def _end(i: Incident, calendar: Calendar) -> str:
    last = f"its last anomalous sample was at {calendar.say(i.last)}"
    if i.status is Status.OPEN:
        return f"{i.entity}: it has not ended; {last}."
    closed = f" and it was closed at {calendar.say(i.closed)}" if i.closed is not None else ""
    return f"{i.entity}: {last}{closed}, {duration(i.last - i.onset)} after it began."


def _lumisection(i: Incident, before: str, after: str) -> str:
    """Say the run and the lumisections, as far as the report names them."""
    words = [f"run {i.run}"] if i.run is not None else []
    if i.first_lumisection is not None:
        same = i.last_lumisection in (None, i.first_lumisection)
        words.append(
            f"lumisection {i.first_lumisection}"
            if same
            else f"lumisections {i.first_lumisection} to {i.last_lumisection}"
        )
    return f"{before}{', '.join(words)}{after}" if words else ""


def _why(report: Report, queries: Queries) -> tuple[Sentence, ...]:
    """Tell what the explanations add to the narrative."""
    i = report.incident
    told: list[Sentence] = [] if i.causes else [Sentence("The report names no cause.", (i.id,))]
    try:
        evidence, explanations = queries.evidence(i.id), queries.explanations(i.id)
    except StoreError as error:
        return (*told, Sentence(f"Its evidence cannot be read: {error}.", (i.id,)))
    told += [Sentence(_attributed(each, evidence), (i.id,)) for each in explanations]
    if report.explain_error:
        told.append(Sentence(f"It could not be explained further: {report.explain_error}.", (i.id,)))
    elif not explanations:
        told.append(Sentence("It has not been explained further yet.", (i.id,)))
    return tuple(told)


def _attributed(explanation: Explanation, evidence: Evidence | None) -> str:
    """Say which metrics one method blames; of a map, which share of it lies in how few cells."""
    method = f"{explanation.method[:1].upper()}{explanation.method[1:]}"
    partly = "" if explanation.complete else " (its time ran out)"
    blame = np.nan_to_num(np.maximum(np.asarray(explanation.values, dtype=np.float64), 0.0)).ravel()
    total = float(blame.sum())
    if total <= 0.0:
        return f"{method}{partly} blames nothing in particular."
    order = np.argsort(-blame, kind="stable")
    if evidence is not None and len(evidence.features) == blame.size:
        parts = [
            f"{evidence.features[k]} {blame[k] / total:.0%} ({evidence.values[k]:.4g}, expected "
            f"{evidence.expectation[k]:.4g})"
            for k in order[:_TOP]
            if blame[k] > 0
        ]
        return f"{method}{partly} blames {listed(parts)}."
    cells = int(np.searchsorted(np.cumsum(blame[order]), 0.8 * total)) + 1
    return f"{method}{partly} finds 80 % of the blame in {counted(cells, 'cell')} of {blame.size:,}."
