"""What a typed question is to a classifier: a label for each head, and the text that is classified.

Names, numbers and times are read well by the grammar, so the text has ordinary words in their place; what is
left to learn is how people ask.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from anomalyd.assistant.understanding.atoms import PLACEHOLDER, Atom
from anomalyd.assistant.understanding.question import Ask, Question
from anomalyd.reports.conditions import (
    Acknowledged,
    AllOf,
    Among,
    AnyOf,
    Commented,
    Condition,
    Explained,
    Not,
    Within,
)

HEADS = (
    "ask",
    "aspect",
    "order",
    "by",
    "statistic",
    "more",
    "moment",
    "negated",
    "status",
    "severity",
    "seen_by",
    "remarks",
)
UNKNOWN = "unknown"
"""The label of `ask` for what no report says."""

_INSTEAD = {
    "TIME": "yesterday",
    "RUN": "in run 7",
    "LS": "lumisection 5",
    "SCORE": "score above 2",
    "SPAN": "longer than 5 minutes",
    "CAUSE": "due to cpu",
    "DET": "detector x",
    "ID": "report 5",
    "MODEL": "model",
    "ENDED": "ended yesterday",
    "ONSET": "began yesterday",
    "ACK": "acknowledged",
    "SEV": "critical",
    "STAT": "open",
    "SEEN": "seen by both",
    "EXPL": "explained",
}
_METRIC = re.compile(r"(?<![\w./-])[a-z][\w-]*(?:\.[\w-]+)+")
_REMARKS = (Explained, Acknowledged, Commented)
_MOMENTS = ("onset", "closed", "first_lumisection", "last_lumisection")
_OWN_HEAD = ("status", "severity", "seen_by")


def without_names(marked: str, atoms: Mapping[str, Atom]) -> str:
    """Write ordinary words for the placeholders of a question: "how many hosts yesterday"."""

    def word(match: re.Match[str]) -> str:
        if match[1] != "ENT":
            return _INSTEAD[match[1]]
        several = match[0] in atoms and len(getattr(atoms[match[0]].condition, "values", ())) > 1
        return "hosts" if several else "node5"

    return PLACEHOLDER.sub(word, _METRIC.sub("cpu", marked))


def labels_of(question: Question) -> dict[str, str]:
    """Give the label of each of HEADS for a typed question."""
    q = question
    roots = [q.where, *q.each, *(side.where for side in q.sides), q.none, q.whole]
    found = [leaf for root in roots if root is not None for leaf in _leaves(root, negated=False)]

    def among(column: str) -> str:
        sets = {
            ("!" if negated else "") + ",".join(sorted(map(str, leaf.values)))
            for leaf, negated in found
            if isinstance(leaf, Among) and leaf.column == column
        }
        return "+".join(sorted(sets)) or "-"

    remarks = {("!" if negated else "") + type(c).__name__ for c, negated in found if isinstance(c, _REMARKS)}
    bounded = {leaf.measure for leaf, _ in found if isinstance(leaf, Within)} & set(_MOMENTS)
    began = bounded or ({"onset"} if q.began else set())
    elsewhere = any(
        negated
        and not isinstance(leaf, _REMARKS)
        and not (isinstance(leaf, Among) and leaf.column in _OWN_HEAD)
        for leaf, negated in found
    )
    number = "nth" if q.nth else "several" if q.limit and q.limit > 1 else ""
    ranked = "least" if q.least else "ranked" if q.ranked else ""
    more = {
        "each": bool(q.each) and q.ask is not Ask.CASE,
        "none": q.none is not None,
        "fewest": q.fewest > 1,
        "most": q.most is not None,
        "sides": bool(q.sides),
    }
    return {
        "ask": f"{q.ask.name}/{q.target.name}",
        "aspect": "-" if q.ask is not Ask.CASE else "several" if q.also else q.aspect.name,
        "order": f"{q.order.name if q.order else '-'}/{number}{ranked}",
        "by": (q.by or "-").split(":")[0],
        "statistic": f"{q.measure}/{q.statistic}" if q.ask is Ask.AGGREGATE else "-",
        "more": "+".join(name for name, there in more.items() if there) or "-",
        "moment": "+".join(sorted(began)) or "-",
        "negated": str(elsewhere),
        "status": among("status"),
        "severity": among("severity"),
        "seen_by": among("seen_by"),
        "remarks": "+".join(sorted(remarks)) or "-",
    }


def _leaves(condition: Condition, *, negated: bool) -> Iterator[tuple[Condition, bool]]:
    """Give every single condition of a tree, and whether it is negated."""
    match condition:
        case AllOf(parts) | AnyOf(parts):
            for part in parts:
                yield from _leaves(part, negated=negated)
        case Not(part):
            yield from _leaves(part, negated=not negated)
        case _:
            yield condition, negated
