"""Lists: which incidents, which entities, which runs, and what is watched."""

from __future__ import annotations

from dataclasses import replace

from anomalyd.assistant.counting import is_one_of, none_recorded
from anomalyd.assistant.interpretation import ORDER_WORDS
from anomalyd.assistant.phrasing import counted, listed
from anomalyd.assistant.query_types import Known, Which, WhichEntities, WhichRuns, WithoutIncident
from anomalyd.assistant.sentence import MAX_SOURCES, Sentence, Told, ids_of, line, score
from anomalyd.assistant.times import Calendar
from anomalyd.reports.queries import Order, Queries

_MAX_LIMIT = 100


def which(ask: Which, queries: Queries, calendar: Calendar) -> Told:
    """Tell the incidents, one a line, in the order that was asked for."""
    s = ask.selection
    total = queries.count(s)
    if ask.new and s.since is not None:
        # Latest first, those that began within the interval come before those that had begun before it.
        total -= queries.count(replace(s, until=s.since))
    limit = min(ask.limit, _MAX_LIMIT, total)
    if limit <= 0:
        return none_recorded(s, queries, calendar)
    order = Order.LATEST if ask.new else ask.order
    reports = queries.reports(s, order, limit)
    lines = tuple(line(report, calendar) for report in reports)
    if total == 1:
        return Told(lines)
    shown = "" if total == len(lines) else f" Here {'is' if limit == 1 else 'are'} {ORDER_WORDS[order]}"
    shown += "" if not shown or limit == 1 else f" {limit}"
    head = Sentence(
        f"{counted(total, 'incident')}.{shown}{':' if shown else ''}", ids_of(reports)[:MAX_SOURCES]
    )
    return Told((head, *lines))


def which_entities(ask: WhichEntities, queries: Queries, calendar: Calendar) -> Told:
    """Tell the entities with the most incidents, and the worst of each."""
    tally = [(name, n) for name, n in queries.tally(ask.selection, "entity") if n >= ask.at_least]
    if not tally:
        if ask.at_least > 1 and queries.count(ask.selection):
            return Told((Sentence(f"None had {ask.at_least} or more."),))
        return none_recorded(ask.selection, queries, calendar)
    shown = tally[: min(ask.limit, _MAX_LIMIT)]
    sentences = []
    for name, n in shown:
        worst = queries.reports(replace(ask.selection, entities=(name,)), Order.WORST, MAX_SOURCES)
        i = worst[0].incident
        what = f"{counted(n, 'incident')}, the worst {i.severity} with peak score {score(i.peak)}"
        sentences.append(Sentence(f"{name}: {what}.", ids_of(worst)))
    if len(tally) > 1:
        those = "" if len(tally) == len(shown) else f", here the {len(shown)} with the most"
        count = counted(len(tally), "entity", "entities")
        cited = tuple(sentence.sources[0] for sentence in sentences[:MAX_SOURCES])
        sentences.insert(0, Sentence(f"{count}{those}:", cited))
    return Told(tuple(sentences))


def without_incident(ask: WithoutIncident, queries: Queries, calendar: Calendar) -> Told:
    """Tell which entities sent data in the interval without any such incident."""
    s = ask.selection
    sent = sorted(n for n in queries.activity(s.since, s.until) if is_one_of(n, s.entities))
    if not sent:
        return Told((Sentence("I don't know: no data were received then."),), known=False)
    alarmed = dict(queries.tally(s, "entity"))
    quiet = [name for name in sent if name not in alarmed]
    cited = ids_of(queries.reports(s, Order.LATEST, MAX_SOURCES))
    names = f": {listed(quiet, limit=20)}" if quiet else ""
    of = counted(len(sent), "entity", "entities")
    return Told((Sentence(f"{len(quiet) or 'None'} of the {of} that sent data had none{names}.", cited),))


def which_runs(ask: WhichRuns, queries: Queries, calendar: Calendar) -> Told:
    """Tell the runs with incidents, by number."""
    tally = sorted((int(run), n) for run, n in queries.tally(ask.selection, "run"))
    if not tally:
        if queries.count(ask.selection):
            return Told((Sentence("None of these reports names a run."),))
        return none_recorded(ask.selection, queries, calendar)
    words = listed([f"{run} ({counted(n, 'incident')})" for run, n in tally], limit=20)
    with_run = [
        r for r in queries.reports(ask.selection, Order.LATEST, _MAX_LIMIT) if r.incident.run is not None
    ]
    return Told((Sentence(f"{counted(len(tally), 'run')}: {words}.", ids_of(with_run[:MAX_SOURCES])),))


def known(ask: Known, queries: Queries, calendar: Calendar) -> Told:
    """Tell what is watched, and by which detectors."""
    entities = [name for name in queries.entities() if is_one_of(name, ask.selection.entities)]
    detectors = queries.detectors()
    if not entities:
        return Told((Sentence("Nothing was received yet."),))
    sentences = [Sentence(f"{counted(len(entities), 'entity', 'entities')}: {listed(entities, limit=20)}.")]
    if detectors:
        sentences.append(Sentence(f"{counted(len(detectors), 'detector')}: {listed(detectors, limit=20)}."))
    return Told(tuple(sentences))
