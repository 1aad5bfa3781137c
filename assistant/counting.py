"""Numbers of incidents: how many, per group, side by side, and what a true nothing means."""

from __future__ import annotations

from dataclasses import replace
from fnmatch import fnmatchcase

from anomalyd.assistant.phrasing import counted, duration, listed
from anomalyd.assistant.query_types import Compare, HowMany, HowManyEntities, MeanDuration, PerGroup
from anomalyd.assistant.sentence import MAX_SOURCES, Sentence, Told, ids_of
from anomalyd.assistant.times import Calendar
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.report import Severity, Status
from anomalyd.reports.step import Activity

_MAX_AVERAGED = 10_000


def how_many(ask: HowMany, queries: Queries, calendar: Calendar) -> Told:
    """Tell how many incidents there were, how bad, and how many had begun before."""
    s = ask.selection
    total = queries.count(s)
    # Those that were already going on when the interval began.
    before = 0 if s.since is None else queries.count(replace(s, until=s.since))
    number = total - before if ask.new else total
    if number == 0:
        return none_recorded(s, queries, calendar)
    if ask.new:
        text = f"{counted(number, 'incident')} began."
    else:
        severities = dict(queries.tally(s, "severity"))
        parts = [f"{severities[each]} {each}" for each in reversed(Severity) if each in severities]
        entities = len(queries.tally(s, "entity"))
        text = f"{counted(number, 'incident')} ({', '.join(parts)})"
        text += f" of {counted(entities, 'entity', 'entities')}."
        if before:
            text += f" {'It' if number == 1 else f'{before} of them'} had begun before."
    return Told((_cited(text, s, number, queries),))


def how_many_entities(ask: HowManyEntities, queries: Queries, calendar: Calendar) -> Told:
    """Tell how many different entities had incidents."""
    tally = queries.tally(ask.selection, "entity")
    if not tally:
        return none_recorded(ask.selection, queries, calendar)
    text = f"{counted(len(tally), 'entity', 'entities')}: {listed([name for name, _ in tally])}."
    return Told((_cited(text, ask.selection, sum(n for _, n in tally), queries),))


def per_group(ask: PerGroup, queries: Queries, calendar: Calendar) -> Told:
    """Tell the number of incidents in each group."""
    tally = queries.tally(ask.selection, ask.by)
    if not tally:
        return none_recorded(ask.selection, queries, calendar)
    # Days and hours one after the other, the latest of them; but the fullest where those were asked for.
    in_order = ask.by in ("day", "hour") and not ask.ranked
    shown = sorted(tally)[-ask.limit :] if in_order else tally[: ask.limit]
    total = sum(n for _, n in tally)
    words = ", ".join(f"{name}: {n}" for name, n in shown)
    more = f", and {counted(len(tally) - len(shown), 'more group')}" if len(tally) > len(shown) else ""
    text = f"{words}{more}; {counted(total, 'incident')} in all."
    return Told((_cited(text, ask.selection, total, queries),))


def compare(ask: Compare, queries: Queries, calendar: Calendar) -> Told:
    """Tell the numbers side by side, and which is larger."""
    counts = [queries.count(s) for s in ask.selections]
    sentences = []
    for selection, words, n in zip(ask.selections, ask.words, counts, strict=True):
        data = data_sentence(selection, queries, calendar) if n == 0 else None
        text = f"{words}: {counted(n, 'incident')}."
        sentences.append(_cited(text, selection, n, queries) if n else Sentence(text))
        sentences += [data] if data else []
    if len(counts) == 2:
        first, second = counts
        sign = "more" if first > second else "fewer"
        that = "as many as" if first == second else f"{abs(first - second)} {sign} than"
        sentences.append(Sentence(f"That is {that} {ask.words[1]}."))
    return Told(tuple(sentences))


def mean_duration(ask: MeanDuration, queries: Queries, calendar: Calendar) -> Told:
    """Tell how long closed incidents lasted on average, from onset to last anomalous sample."""
    closed = replace(ask.selection, statuses=(Status.CLOSED,))
    total = queries.count(closed)
    if total == 0:
        return none_recorded(closed, queries, calendar)
    reports = queries.reports(closed, Order.LATEST, _MAX_AVERAGED)
    lengths = sorted(r.incident.last - r.incident.onset for r in reports)
    latest = "" if total == len(lengths) else f" the latest {len(lengths)} of"
    mean, median = sum(lengths) / len(lengths), lengths[len(lengths) // 2]
    text = (
        f"On average {duration(mean)} (median {duration(median)}), "
        f"over{latest} {counted(total, 'closed incident')}."
    )
    return Told((_cited(text, closed, total, queries),))


def none_recorded(selection: Selection, queries: Queries, calendar: Calendar) -> Told:
    """Tell that there is no such incident, and whether there were data in which one could have been seen."""
    data = data_sentence(selection, queries, calendar)
    return Told((Sentence("None recorded."), data), known=data_received(selection, queries))


def data_received(selection: Selection, queries: Queries) -> bool:
    """Say whether any of the selected entities sent anything in the selected interval."""
    return bool(_sent(selection, queries))


def data_sentence(selection: Selection, queries: Queries, calendar: Calendar) -> Sentence:
    """Tell whether data of the selected entities were received in the selected interval."""
    whenever = selection.since is None and selection.until is None
    then = "" if whenever else " then"
    who = listed(selection.entities)
    if sent := _sent(selection, queries):
        samples = counted(sum(each.samples for each in sent), "sample")
        sources = "" if len(sent) == 1 else f" from {len(sent)} entities"
        last = calendar.say(max(each.last for each in sent))
        by_hour = "" if whenever else " (counted by whole hours)"
        of = f" of {who}" if who else ""
        return Sentence(f"Data{of} were received{then}: {samples}{sources}, the last of {last}{by_hour}.")
    ever = _sent(Selection(entities=selection.entities), queries)
    last_words = f"; the last data are of {calendar.say(max(each.last for each in ever))}" if ever else ""
    return Sentence(
        f"But no data of {who or 'any entity'} were received{then}{last_words}: "
        "whether anything happened I don't know."
    )


def _sent(selection: Selection, queries: Queries) -> list[Activity]:
    activity = queries.activity(selection.since, selection.until)
    return [each for name, each in activity.items() if is_one_of(name, selection.entities)]


def is_one_of(name: str, patterns: tuple[str, ...]) -> bool:
    """Say whether an entity is among names and patterns; no pattern is every entity."""
    return not patterns or any(name == each or fnmatchcase(name, each) for each in patterns)


def _cited(text: str, selection: Selection, total: int, queries: Queries) -> Sentence:
    """Cite the latest of the reports that were counted, and say so where there are more."""
    cited = queries.reports(selection, Order.LATEST, min(total, MAX_SOURCES))
    more = f" (The latest {len(cited)} are cited.)" if total > len(cited) else ""
    return Sentence(text + more, ids_of(cited))
