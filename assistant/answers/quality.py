"""The quality flags of runs: what each lumisection is fit for, by machine and by people."""

from __future__ import annotations

from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.answers.sentence import Result, Sentence, Source, Told
from anomalyd.assistant.language.phrasing import counted, listed
from anomalyd.assistant.understanding.question import Question
from anomalyd.reports.conditions import Among, Lumisections, Within
from anomalyd.reports.quality import NO_BEAM, Flag, FlagRange

_MOST_RUNS = 500


def flags(q: Question, context: Context) -> Told:
    """Tell the flags of the runs that were named, system by system; else which runs have a flag."""
    runs = [v for p in q.where.parts if isinstance(p, Among) and p.column == "run" for v in p.values]
    between = next((p for p in q.where.parts if isinstance(p, Within) and p.measure == "run"), None)
    if not runs:
        known = context.queries.runs()[-_MOST_RUNS:]
        return _which_runs(
            q, [r for r in known if between is None or between.low <= r <= between.high], context
        )
    part = next((p for p in q.where.parts if isinstance(p, Lumisections)), None)
    sentences: list[Sentence] = []
    good, people = True, []
    for run in runs:
        for system, every in context.queries.flags(run).items():
            ranges = [r for r in every if part is None or (r.first <= part.last and r.last >= part.first)]
            source = Source("flag", f"{run}/{system}", f"flags of run {run}")
            if ranges:
                sentences.append(Sentence(f"Run {run}, {system}: {_said(ranges)}.", (source,)))
            good = good and all(each.flag is Flag.GOOD for each in ranges)
            people += [r.override.who for r in ranges if r.override is not None]
    if not sentences:
        text = "I don't know: no lumisection of this run was counted for quality flags."
        return Told((Sentence(text),), known=False)
    verdict = not good if q.word == Flag.BAD else good
    return Told(tuple(sentences), result=Result(verdict=verdict, names=tuple(dict.fromkeys(people))))


def _which_runs(q: Question, runs: list[int], context: Context) -> Told:
    """Tell which runs have lumisections of a flag, or of which a person set one."""
    found: list[tuple[int, str]] = []
    for run in runs:
        for system, ranges in context.queries.flags(run).items():
            those = [r for r in ranges if (not q.word or r.flag == q.word) and _by(r, q)]
            if those:
                found.append((run, f"run {run}, {system}: {_said(those)}"))
    names = tuple(dict.fromkeys(str(run) for run, _ in found))
    if not runs:
        return Told((Sentence("I don't know: no run was counted for quality flags."),), known=False)
    if not found:
        return Told(
            (Sentence(f"None of {counted(len(runs), 'run')}."),), result=Result(value=0.0, verdict=False)
        )
    said = tuple(
        Sentence(f"{text[:1].upper()}{text[1:]}.", (Source("flag", str(run), f"flags of run {run}"),))
        for run, text in found[:8]
    )
    head = Sentence(
        f"{counted(len(names), 'run')} of {len(runs)}: {listed(names, limit=12)}.",
        tuple(s.sources[0] for s in said[:5]),
    )
    return Told((head, *said), result=Result(value=len(names), verdict=True, names=names))


def _by(flagged: FlagRange, q: Question) -> bool:
    return not q.people or (flagged.override is not None and flagged.override.who in q.people)


def _said(ranges: list[FlagRange]) -> str:
    words = []
    for each in ranges:
        who = f" (said by {each.override.who}: {each.override.reason})" if each.override is not None else ""
        why = f" ({NO_BEAM})" if each.flag is Flag.EMPTY else ""
        words.append(f"lumisections {each.first} to {each.last} {each.flag}{why}{who}")
    return listed(words, limit=6)
