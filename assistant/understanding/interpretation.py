"""A typed question said back in words, so that the asker sees how it was understood, one chip for each
part.
"""

from __future__ import annotations

from anomalyd.assistant.language.phrasing import listed
from anomalyd.assistant.understanding.question import LEDGER, Ask, Aspect, Question, Target
from anomalyd.assistant.understanding.scope import as_set
from anomalyd.reports.conditions import AllOf, Among, AnyOf, Condition, Explained, Not
from anomalyd.reports.queries import Order

ORDER_WORDS = {
    Order.LATEST: "the latest",
    Order.EARLIEST: "the earliest",
    Order.WORST: "the worst by peak score",
    Order.MILDEST: "the one of the lowest peak score",
    Order.LONGEST: "the longest",
    Order.SHORTEST: "the shortest",
    Order.ENDED: "the one closed last",
}


def condition_words(condition: Condition) -> str:
    """Say a condition, such as `severity warning or error` or `not host/node17`."""
    match condition:
        case AllOf(parts):
            return ", ".join(condition_words(each) for each in parts)
        case AnyOf(parts):
            said = as_set(condition)
            if said is not None:
                return said.words
            return " or ".join(_grouped(each) for each in parts)
        case Not(Explained()):
            return "not explained"
        case Not(part):
            return f"not {_grouped(part)}"
        case Among() if condition.column == "status":
            return "still open" if condition.words == "open" else condition.words
        case _:
            return condition.words


def _grouped(condition: Condition) -> str:
    words = condition_words(condition)
    several = isinstance(condition, AllOf) and len(condition.parts) > 1
    return f"({words})" if several else words


def chips(question: Question) -> tuple[str, ...]:
    """Say a question part by part: what is asked, then each condition."""
    return (_asked(question), *(condition_words(part) for part in question.where.parts))


def interpretation(question: Question) -> str:
    """Say a question in one line."""
    return ", ".join(chips(question))


def _asked(q: Question) -> str:
    what = str(q.target)
    match q.ask:
        case Ask.COUNT | Ask.LIST:
            words = f"number of {what}" if q.ask is Ask.COUNT else what
            if q.target is not Target.INCIDENTS and q.fewest > 1:
                words += f" with at least {q.fewest} incidents"
            if q.most is not None:
                words += f", at most {q.most}"
            if q.each:
                words += f" with incidents in each of: {listed([condition_words(c) for c in q.each])}"
            if q.having is not None:
                words += f" with {q.statistic} {condition_words(q.having)}"
            if q.by is not None:
                return f"{ORDER_WORDS[q.order or Order.LATEST]} of each {by_words(q.by)}"
            if q.none is not None:
                words += f" without one that is: {condition_words(q.none)}"
            if q.limit:
                words += f", the {q.limit}{' fewest' if q.least else ' most' if q.ranked else ''}"
            return words + (f", {ORDER_WORDS[q.order]} first" if q.order else "")
        case Ask.GROUPS:
            return f"number of incidents per {by_words(q.by)}"
        case Ask.AGGREGATE:
            measure = {"peak": "peak score", "count": f"number per {by_words(q.by)}"}.get(
                q.measure, q.measure
            )
            ranked = f", the {q.limit} {'lowest' if q.least else 'highest'}" if q.ranked else ""
            return f"{q.statistic} {measure}{f' per {by_words(q.by)}' if ranked else ''}{ranked}"
        case Ask.SHARE:
            of = condition_words(q.whole) if q.whole is not None else ""
            who = "entities: " if q.target is Target.ENTITIES else ""
            return f"share of {who}{of or 'all incidents'}"
        case Ask.QUIET if q.by is not None:
            return f"{q.by}s without incidents"
        case Ask.COMPARE:
            return f"comparison of {listed([side.words for side in q.sides], joint='with')}"
        case Ask.CASE:
            which = ORDER_WORDS.get(q.order, "") if q.order else ""
            nth = f" (number {q.nth})" if q.nth else ""
            return f"{q.aspect}{': ' if which else ''}{which}{nth}"
        case _:
            more = [*q.people, q.word, "planned" if q.coming else "", q.aspect if q.ask in LEDGER else ""]
            said = ", ".join(str(each) for each in more if each and each is not Aspect.SUMMARY)
            return f"{q.ask}{f' ({said})' if said else ''}"


def by_words(by: str | None) -> str:
    """Say what is grouped by."""
    words = {"seen_by": "who saw them", "day": "day (UTC, of the onset)", "hour": "hour (UTC, of the onset)"}
    words |= {"cause": "cause", "weekday": "weekday (UTC, of the onset)"}
    words |= {"hour of day": "hour of day (UTC, of the onset)"}
    return words.get(by or "", (by or "").removeprefix("level:"))
