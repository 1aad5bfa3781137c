"""Lists: which incidents, which entities, which runs, what is watched."""

from __future__ import annotations

from anomalyd.assistant.answers.context import Context, causes_in, none_recorded, select
from anomalyd.assistant.answers.numbers import entity_tally, figure_of
from anomalyd.assistant.answers.periods import one_of_each, without
from anomalyd.assistant.answers.sentence import Result, Sentence, Told, cites, line, score
from anomalyd.assistant.language.phrasing import counted, duration, listed
from anomalyd.assistant.understanding.interpretation import ORDER_WORDS
from anomalyd.assistant.understanding.question import Question, Target
from anomalyd.reports.conditions import AllOf, Among
from anomalyd.reports.queries import Order

SHOWN = 8
"""Incidents that are told one by one, unless another number was asked for; "show all" tells all."""

MOST_SHOWN = 200


def which(q: Question, context: Context) -> Told:
    """Tell the incidents, one a line, in the order that was asked for."""
    if q.by is not None:
        return one_of_each(q, context)
    total = context.count(q.where)
    if not total:
        return none_recorded(q.where, context)
    order = q.order or Order.LATEST
    limit = min(q.limit or SHOWN, MOST_SHOWN, total)
    reports = context.reports(q.where, order, limit)
    asked = causes_in(q.where)
    lines = tuple(line(report, context.calendar, asked) for report in reports)
    ids = context.ids(q.where, order)
    result = Result(value=total, verdict=True, reports=ids[: q.limit] if q.limit else ids)
    if total == 1:
        return Told(lines, result=result)
    verb = " began" if q.began else ""
    rest = (
        ""
        if limit == total
        else f" Here {'is' if limit == 1 else 'are'} {ORDER_WORDS[order]}{f' {limit}' if limit > 1 else ''}:"
    )
    all_ = "" if limit == total or q.limit else " (“show all” shows the others.)"
    head = Sentence(f"{counted(total, 'incident')}{verb}.{rest}{all_}", cites(reports, context.calendar))
    return Told((head, *lines), result=result)


def which_entities(q: Question, context: Context) -> Told:
    """Tell the entities with the most incidents, and the worst of each."""
    tally = entity_tally(q, context)
    one, many = ("run", "runs") if q.target is Target.RUNS else ("entity", "entities")
    if not tally:
        if context.count(q.where):
            if q.target is Target.RUNS:
                return Told(
                    (context.cited("None of these reports names a run.", q.where, context.count(q.where)),)
                )
            if q.having is not None:
                text = f"None has a {q.statistic} {q.having.words}."
                return Told((context.cited(text, q.where, context.count(q.where)),), result=Result(value=0.0))
            most = f" and at most {q.most}" if q.most is not None else ""
            text = (
                "None had incidents under each of these conditions."
                if q.each
                else f"None had {q.fewest} or more{most}."
            )
            return Told((context.cited(text, q.where, context.count(q.where)),), result=Result(value=0.0))
        return none_recorded(q.where, context)
    shown = tally[: min(q.limit or SHOWN, MOST_SHOWN)]
    sentences = [_of_one(name, n, q, context) for name, n in shown]
    names = tuple(name for name, _ in (shown if q.limit else tally))
    if len(tally) > 1:
        those = (
            ""
            if len(tally) == len(shown)
            else f"; here the {len(shown)} with the {'fewest' if q.least else 'most'}"
        )
        all_names = f": {listed(sorted(n for n, _ in tally), limit=20)}" if not q.ranked else ""
        cited = tuple(s for sentence in sentences for s in sentence.sources[:1])[:5]
        sentences.insert(0, Sentence(f"{counted(len(tally), one, many)}{all_names}{those}.", cited))
    groups = tuple((name, float(n)) for name, n in shown)
    return Told(tuple(sentences), result=Result(value=len(tally), names=names, groups=groups))


def _of_one(name: str, n: int, q: Question, context: Context) -> Sentence:
    column, value = ("run", int(name)) if q.target is Target.RUNS else ("entity", name)
    where = AllOf((*q.where.parts, Among(column, (value,))))
    worst = context.reports(where, Order.WORST, 3)
    i = worst[0].incident
    figure = ""
    if q.having is not None:
        number, of = figure_of(name, q, context)
        say = duration if q.measure == "duration" else score
        figure = (
            f"; {q.statistic} {'peak score' if q.measure == 'peak' else q.measure} {say(number)} of {of:,}"
        )
    head = f"run {name}" if q.target is Target.RUNS else name
    what = f"{counted(n, 'incident')}, the worst {i.severity} with peak score {score(i.peak)}{figure}"
    return Sentence(f"{head}: {what}.", cites(worst, context.calendar))


def without_incident(q: Question, context: Context) -> Told:
    """Tell which entities sent data in the interval without any such incident."""
    if q.by is not None:
        return without(q, context)
    sent = sorted(context.sent(q.where))
    if not sent:
        return Told((Sentence("I don't know: no data were received then."),), known=False)
    alarmed = dict(context.queries.tally(select(q.where), "entity"))
    quiet = [name for name in sent if name not in alarmed]
    names = f": {listed(quiet, limit=20)}" if quiet else ""
    of = counted(len(sent), "entity", "entities")
    text = f"{len(quiet) or 'None'} of the {of} that sent data had none{names}."
    return Told((Sentence(text),), result=Result(value=len(quiet), names=tuple(quiet)))


def known(q: Question, context: Context) -> Told:
    """Tell what is watched, and by which detectors."""
    entities = context.entities(q.where)
    if q.statistic == "detectors":
        names = context.names.detectors
        text = f"{counted(len(names), 'detector')}: {listed(names, limit=20)}."
        return Told((Sentence(text),), result=Result(value=len(names), names=names))
    if q.statistic == "models":
        return _models(context)
    if not entities:
        return Told((Sentence("Nothing was received yet."),))
    sentences = [Sentence(f"{counted(len(entities), 'entity', 'entities')}: {listed(entities, limit=20)}.")]
    if q.statistic != "count" and context.names.detectors:
        detectors = context.names.detectors
        sentences.append(Sentence(f"{counted(len(detectors), 'detector')}: {listed(detectors, limit=20)}."))
    return Told(tuple(sentences), result=Result(value=len(entities), names=entities))


def _models(context: Context) -> Told:
    """Tell which models the detectors remember entities for; where none does, which saw the reports."""
    at_work = context.queries.models()
    if not at_work:
        seen = [name for name, _ in context.queries.tally(select(), "model")]
        text = (
            f"No detector remembers anything now; the reports are of {listed(seen, limit=8) or 'no model'}."
        )
        return Told((Sentence(text),), known=bool(seen), result=Result(names=tuple(seen)))
    words = [f"{detector}: {listed(versions, limit=4)}" for detector, versions in at_work.items()]
    names = tuple(version for versions in at_work.values() for version in versions)
    return Told((Sentence(f"At work are {'; '.join(words)}."),), result=Result(value=len(names), names=names))
