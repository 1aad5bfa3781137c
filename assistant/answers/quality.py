"""The quality flags of runs: what each lumisection is fit for, by machine and by people."""

from __future__ import annotations

from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.answers.sentence import Result, Sentence, Source, Told
from anomalyd.assistant.language.phrasing import listed
from anomalyd.assistant.understanding.question import Question
from anomalyd.reports.conditions import Among
from anomalyd.reports.quality import Flag, FlagRange


def flags(q: Question, context: Context) -> Told:
    """Tell the flags of the runs that were named, system by system."""
    runs = [v for p in q.where.parts if isinstance(p, Among) and p.column == "run" for v in p.values]
    sentences: list[Sentence] = []
    good = True
    for run in runs:
        found = context.queries.flags(run)
        for system, ranges in found.items():
            source = Source("flag", f"{run}/{system}", f"flags of run {run}")
            sentences.append(Sentence(f"Run {run}, {system}: {_said(ranges)}.", (source,)))
            good = good and all(each.flag is Flag.GOOD for each in ranges)
    if not sentences:
        text = "I don't know: no lumisection of this run was counted for quality flags."
        return Told((Sentence(text),), known=False)
    return Told(tuple(sentences), result=Result(verdict=good))


def _said(ranges: list[FlagRange]) -> str:
    words = []
    for each in ranges:
        who = f" (said by {each.override.who}: {each.override.reason})" if each.override is not None else ""
        words.append(f"lumisections {each.first} to {each.last} {each.flag}{who}")
    return listed(words, limit=6)
