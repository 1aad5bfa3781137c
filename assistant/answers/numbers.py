"""Numbers: how many, per group, on average, which share, side by side."""

from __future__ import annotations

import math
from collections import Counter

from anomalyd.assistant.answers.context import Context, entities_or_time, interval_of, none_recorded, select
from anomalyd.assistant.answers.sentence import Result, Sentence, Told, score
from anomalyd.assistant.language.phrasing import counted, duration, listed
from anomalyd.assistant.understanding.interpretation import condition_words
from anomalyd.assistant.understanding.question import Question, Side, Target
from anomalyd.reports.conditions import AllOf, Among, Condition, During, Not, Recurring, Within
from anomalyd.reports.queries import Summary
from anomalyd.reports.report import Severity
from anomalyd.systems import system_of

_DAY = 86_400.0
_SHOWN = 24


def how_many(q: Question, context: Context) -> Told:
    """Tell how many incidents there are, how bad, and how many had begun before the time that was named."""
    since = None if q.began else _since(q.where)
    found = context.queries.breakdown(select(q.where), since)
    total, new = sum(n for *_, n, _ in found), sum(begun for *_, begun in found)
    if total == 0:
        return none_recorded(q.where, context)
    severities: Counter[Severity] = Counter()
    for _, severity, n, _ in found:
        severities[severity] += n
    parts = [f"{severities[each]} {each}" for each in reversed(Severity) if each in severities]
    entities = len({name for name, *_ in found})
    verb = " began" if q.began else ""
    text = (
        f"{counted(total, 'incident')}{verb} ({', '.join(parts)}) of "
        f"{counted(entities, 'entity', 'entities')}."
    )
    if since is not None:
        before = total - new
        text += (
            f" {new} began then, {before} had begun before and still went on."
            if before
            else " All of them began then."
        )
    return Told(
        (context.cited(text, q.where, total),), result=Result(value=total, reports=context.ids(q.where))
    )


def _since(where: AllOf) -> float | None:
    return next((part.since for part in where.parts if isinstance(part, During)), None)


def per_group(q: Question, context: Context) -> Told:
    """Tell the number of incidents in each group."""
    tally = grouped(q.by or "entity", q.where, context)
    total = context.count(q.where)
    if not total:
        return none_recorded(q.where, context)
    if not tally:
        return Told(
            (context.cited("None of these reports is of such a group.", q.where, total),), known=False
        )
    if q.least:
        tally = sorted(tally, key=lambda each: (each[1], each[0]))
    # Days and hours one after the other, the latest of them; but the fullest where those were asked for.
    limit = q.limit or (3 if q.ranked else _SHOWN)
    in_order = q.by in ("day", "hour", "hour of day") and not q.ranked
    shown = sorted(tally)[-limit:] if in_order else tally[:limit]
    words = ", ".join(f"{name}: {n:g}" for name, n in shown)
    more = f", and {counted(len(tally) - len(shown), 'more group')}" if len(tally) > len(shown) else ""
    began = " (by the day on which they began)" if q.by == "day" else ""
    text = f"{words}{more}; {counted(total, 'incident')} in all{began}."
    return Told(
        (context.cited(text, q.where, total),),
        result=Result(
            groups=tuple(shown if q.limit or q.ranked else tally), names=tuple(n for n, _ in shown)
        ),
    )


def grouped(by: str, where: Condition, context: Context) -> list[tuple[str, float]]:
    """Count by a column, or by a part of the entities' names; largest first."""
    if by != "system" and not by.startswith("level:"):
        return [(name, float(n)) for name, n in context.queries.tally(select(where), by)]  # type: ignore[arg-type]
    groups: Counter[str] = Counter()
    for entity, n in context.queries.tally(select(where), "entity"):
        name = system_of(entity) if by == "system" else context.names.level(by.removeprefix("level:"), entity)
        if name is not None:
            groups[name] += n
    return sorted(((name, float(n)) for name, n in groups.items()), key=lambda g: (-g[1], g[0]))


def statistic(q: Question, context: Context) -> Told:
    """Tell mean, median or sum of durations or scores; or the mean number per day."""
    if q.measure == "count":
        return _per_group_on_average(q, context)
    if q.by is not None:
        return _statistic_by_group(q, context)
    closed = Within("closed") if q.measure == "duration" and q.statistic != "sum" else AllOf()
    where = AllOf((*q.where.parts, *((closed,) if closed != AllOf() else ())))
    found = context.queries.summary(select(where), q.measure)
    if found.count == 0:
        return none_recorded(where, context)
    say = duration if q.measure == "duration" else score
    of = counted(found.count, "closed incident" if closed != AllOf() else "incident")
    value = _figure(found, q.statistic)
    if q.statistic == "sum":
        text = f"{say(found.total)} in total, over {of}."
    elif q.statistic in ("min", "max"):
        most = q.statistic == "max"
        what = {"duration": "duration", "peak": "peak score", "samples": "number of anomalous samples"}[
            q.measure
        ]
        text = f"{say(value)}: the {'largest' if most else 'smallest'} {what} of {of}."
    else:
        what = {"duration": "They lasted", "peak": "The peak score was", "samples": "They had"}[q.measure]
        text = (
            f"{what} {say(found.mean)} on average (median {say(found.median)}, from "
            f"{say(found.least)} to {say(found.most)}), over {of}."
        )
    return Told((context.cited(text, where, found.count),), result=Result(value=value))


def _figure(found: Summary, statistic: str) -> float:
    """Give a statistic by its name."""
    return {
        "mean": found.mean,
        "median": found.median,
        "sum": found.total,
        "min": found.least,
        "max": found.most,
    }[statistic]


def _statistic_by_group(q: Question, context: Context) -> Told:
    """Tell a statistic for each severity, detector, entity ..., those with most incidents."""
    total = context.count(q.where)
    if not total:
        return none_recorded(q.where, context)
    say = duration if q.measure == "duration" else score
    closed = (Within("closed"),) if q.measure == "duration" and q.statistic != "sum" else ()
    figures = []
    groups = context.queries.tally(select(q.where), q.by or "severity")  # type: ignore[arg-type]
    for name, _ in groups if q.ranked else groups[:_SHOWN]:
        value = int(name) if q.by == "run" else name
        of_group = context.queries.summary(select(q.where, Among(q.by or "", (value,)), *closed), q.measure)
        figures.append((name, _figure(of_group, q.statistic)))
    if q.ranked:
        sign = 1 if q.least else -1
        figures = sorted(figures, key=lambda each: (sign * each[1], each[0]))[: q.limit]
    text = f"{q.statistic} {q.measure}: {', '.join(f'{name} {say(v)}' for name, v in figures)}."
    names = tuple(str(name) for name, _ in figures)
    return Told((context.cited(text, q.where, total),), result=Result(groups=tuple(figures), names=names))


def _per_group_on_average(q: Question, context: Context) -> Told:
    tally = grouped(q.by or "day", q.where, context)
    total = context.count(q.where)
    if not tally:
        return none_recorded(q.where, context)
    groups = float(len(tally))
    if q.by in ("day", "hour"):
        since, until = interval_of(q.where)
        first = since if since is not None else context.queries.summary(select(q.where), "onset").least
        last = until if until is not None else context.calendar.now
        groups = max(1.0, math.ceil((last - first) / (_DAY if q.by == "day" else 3600.0)))
    elif q.by == "entity":
        groups = float(len(context.entities(q.where)))
    noun = (q.by or "").removeprefix("level:")
    text = (
        f"{total / groups:.3g} a {noun} on average: {counted(total, 'incident')} over "
        f"{counted(int(groups), noun)}."
    )
    return Told((context.cited(text, q.where, total),), result=Result(value=total / groups))


def share(q: Question, context: Context) -> Told:
    """Tell which share of some incidents are such."""
    assert q.whole is not None
    if q.target is Target.ENTITIES:
        return _share_of_entities(q, q.whole, context)
    whole, part = context.count(q.whole), context.count(q.where)
    if whole == 0:
        return none_recorded(q.whole, context)
    percent = 100.0 * part / whole
    of = condition_words(q.whole) or "all"
    text = f"{percent:.1f} %: {part:,} of {counted(whole, 'incident')} ({of})."
    return Told((context.cited(text, q.where, part),), result=Result(value=percent))


def _differ(first: float, second: float) -> bool:
    """Say whether the one is so many times the other that it is worth saying."""
    return first > 0 < second and abs(first / second - 1.0) >= 0.05


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) else f"{value:.1f}"


def _share_of_entities(q: Question, whole: Condition, context: Context) -> Told:
    watched = context.entities(whole)
    if not watched:
        return Told((Sentence("I don't know: nothing of that kind is watched."),), known=False)
    had = [name for name, _ in context.queries.tally(select(q.where), "entity")]
    percent = 100.0 * len(had) / len(watched)
    of = context.entity_words(whole) or "all that are watched"
    text = f"{percent:.1f} %: {len(had):,} of {counted(len(watched), 'entity', 'entities')} ({of})."
    return Told(
        (context.cited(text, q.where, context.count(q.where)),),
        result=Result(value=percent, names=tuple(had)),
    )


def comparison(q: Question, context: Context) -> Told:
    """Tell the numbers side by side, and whether it is as was asked."""
    counts = [_side_count(q, side, context) for side in q.sides]
    nouns = ("incident", "incidents") if q.target == "incidents" else ("entity", "entities")
    sentences = [
        context.cited(
            f"{side.words}: {counted(int(n), *nouns) if n == int(n) else f'{n:.1f} {nouns[1]}'}.",
            side.where,
            context.count(side.where),
        )
        for side, n in zip(q.sides, counts, strict=True)
    ]
    verdict = None
    if len(counts) == 2:
        first, second = counts
        times = (
            f" ({first / second:.2g} times as many)" if first and second and _differ(first, second) else ""
        )
        that = (
            "as many as"
            if first == second
            else f"{_number(abs(first - second))} {'more' if first > second else 'fewer'} than"
        )
        head = ""
        if q.sign:
            bound = q.factor * second
            verdict = {">": first > bound, "<": first < bound, "=": first == bound, ">=": first >= bound}[
                q.sign
            ]
            head = "Yes: " if verdict else "No: "
        text = f"{head}{q.sides[0].words} had {that} {q.sides[1].words}{times}."
        sources = tuple(dict.fromkeys(s for sentence in sentences for s in sentence.sources[:2]))
        sentences.insert(0, Sentence(text, sources))
    elif counts:
        most = max(range(len(counts)), key=counts.__getitem__)
        sentences.append(Sentence(f"Most are of {q.sides[most].words}.", sentences[most].sources))
    groups = tuple((side.words, float(n)) for side, n in zip(q.sides, counts, strict=True))
    return Told(tuple(sentences), result=Result(verdict=verdict, groups=groups))


def _side_count(q: Question, side: Side, context: Context) -> float:
    if side.mean_of:
        with_data = [each for each in side.mean_of if context.sent(each)]
        return sum(map(context.count, with_data)) / len(with_data) if with_data else 0.0
    where = side.where
    if q.target == "incidents":
        return context.count(where)
    return len(context.queries.tally(select(where), "entity"))


def entity_tally(q: Question, context: Context) -> list[tuple[str, int]]:
    """Count by entity (or run), of those with so many incidents, and one under each condition of `each`."""
    by = "run" if q.target == "runs" else "entity"
    wheres = [AllOf((*q.where.parts, each)) for each in q.each] or [q.where]
    tallies = [dict(context.queries.tally(select(where), by)) for where in wheres]  # type: ignore[arg-type]
    common = set.intersection(*(set(t) for t in tallies))
    if q.none is not None:
        lacked = q.none.part if isinstance(q.none, Not) else q.none
        of_time = isinstance(lacked, During | Recurring) or (
            isinstance(lacked, Within) and lacked.measure == "onset"
        )
        base = tuple(
            p
            for p in q.where.parts
            if entities_or_time(p) and not (of_time and isinstance(p, During | Recurring))
        )
        common -= set(dict(context.queries.tally(select(*base, q.none), by)))  # type: ignore[arg-type]
    sums = [(name, sum(t[name] for t in tallies)) for name in common]
    kept = [(name, n) for name, n in sums if n >= q.fewest and (q.most is None or n <= q.most)]
    if q.having is not None:
        kept = [(name, n) for name, n in kept if _bounded(figure_of(name, q, context)[0], q.having)]
    return sorted(kept, key=lambda each: (each[1] if q.least else -each[1], each[0]))


def figure_of(entity: str, q: Question, context: Context) -> tuple[float, int]:
    """Give the statistic of a question over the incidents of one entity, and over how many that is."""
    closed = (Within("closed"),) if q.measure == "duration" and q.statistic != "sum" else ()
    found = context.queries.summary(select(q.where, Among("entity", (entity,)), *closed), q.measure)
    return _figure(found, q.statistic), found.count


def _bounded(value: float, bound: Within) -> bool:
    above = value > bound.low if bound.open_low else value >= bound.low
    return above and (value < bound.high if bound.open_high else value <= bound.high)


def how_many_entities(q: Question, context: Context) -> Told:
    """Tell how many different entities or runs had incidents."""
    tally = entity_tally(q, context)
    if not tally:
        return none_recorded(q.where, context)
    one, many = ("run", "runs") if q.target == "runs" else ("entity", "entities")
    names = [name for name, _ in tally]
    text = f"{counted(len(tally), one, many)}: {listed(sorted(names), limit=12)}."
    total = context.count(q.where)
    return Told((context.cited(text, q.where, total),), result=Result(value=len(tally), names=tuple(names)))
