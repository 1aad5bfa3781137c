"""A question between its text and its type: conditions, cues, what is left of the text."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from anomalyd.assistant.language.systems import INCIDENTS
from anomalyd.assistant.language.times.interval import Interval
from anomalyd.assistant.understanding.atoms import Atom
from anomalyd.assistant.understanding.cues import Cues, nth_of
from anomalyd.assistant.understanding.question import Ask, Question
from anomalyd.assistant.understanding.scope import Scoped
from anomalyd.assistant.understanding.vocabulary import ORDERS
from anomalyd.reports.conditions import AnyOf, Condition, During, Not, Recurring, Within
from anomalyd.reports.queries import Order


@dataclass
class Reading:
    """A question between its text and its type."""

    cues: Cues
    scope: Scoped
    atoms: dict[str, Atom]
    now: bool = False
    none: Condition | None = None
    asked: str = ""
    """The text before cues were taken out of it."""
    said: str = ""
    """The text before properties (severity, who saw it, open) were taken, too."""

    @property
    def text(self) -> str:
        """What is left: placeholders, marks of cues, other words."""
        return " ".join(self.cues.text.split())

    def question(self, ask: Ask, **more: object) -> Question:
        """Make a question under the conditions read."""
        return Question(ask, self.scope.condition, **more)  # type: ignore[arg-type]

    def dimension(self, name: str) -> bool:
        """Say whether there is a condition of a dimension."""
        return any(d.rstrip("|") == name for d, _ in self.scope.parts)

    @property
    def past(self) -> bool:
        """Whether a time is named that is over."""
        times = (a.condition for a in self.atoms.values() if a.dimension == "TIME")
        return any(isinstance(time, During) and time.until is not None for time in times)

    def without(self, *dimensions: str) -> Scoped:
        """Leave out the conditions of some dimensions."""
        return Scoped(tuple(p for p in self.scope.parts if p[0] not in dimensions), self.scope.unused)


def onset_within(condition: Condition) -> Condition:
    """Make "went on during" to "began within"."""
    if isinstance(condition, AnyOf):
        return AnyOf(tuple(map(onset_within, condition.parts)))
    if isinstance(condition, Recurring):
        return replace(condition, words=f"began {condition.words}", began=True)
    if not isinstance(condition, During):
        return condition
    low = float("-inf") if condition.since is None else condition.since
    high = float("inf") if condition.until is None else condition.until
    return Within("onset", low, high, open_high=True, words=f"began {condition.words}")


def of_time(condition: Condition) -> bool:
    """Say whether a condition is that it went on at a time."""
    return isinstance(condition, During | Recurring)


def order_of(r: Reading) -> tuple[Order | None, int | None, int | None]:
    """Give order, number and place of what is asked for."""
    nth, from_last = nth_of(r.cues)
    r.cues.take("NTHLAST", "NTH")
    order = next((order for name, order in ORDERS.items() if name in r.cues), None)
    if from_last:
        return Order.LATEST, None, nth
    if nth is not None and order is Order.EARLIEST and "WORST" in r.cues:
        order = Order.WORST
    limit = None
    for name in ORDERS:
        if name in r.cues and ORDERS[name] is order:
            r.cues.take(name)
            limit = r.cues.number(name)
    return order, limit, nth


def several(r: Reading) -> bool:
    """Say whether an order is of several ("the worst incidents")."""
    return re.search(
        r"_[A-Z]+_ (?:SEV[0-9]+ |STAT[0-9]+ |ENT[0-9]+ )*(?:\w+s)\b(?<!\bis)(?<!\bwas)(?<!\bhas)", r.text
    ) is not None and (
        re.search(
            r"\b(?:incidents|alerts|alarms|anomalies|problems|faults|issues|reports|ones|cases"
            r"|detections|failures)\b",
            r.text,
        )
        is not None
    )


_LACKS = re.compile(
    r"(?:(?:with|had|have|has|having|got|but|yet|though|and|that|which|who|did|do|ever) )*"
    r"(?:_NEVER_|never|without|no|none of (?:them|these|those|which)|not|not (?:have|had))"
    r"(?: (?:one of (?:them|these|those|its)|hit|affected|troubled|struck|by|because of|any"
    r"|an?|had|have|has|went|go|been|seen|saw|raised|reached|got|became|show|showed|single))*"
    r" ((?:SEV|SEEN|SCORE|SPAN|CAUSE|STAT|TIME|RUN)[0-9]+)"
)
_ONLY = re.compile(
    r"\b(?:only|nothing but|just)(?: (?:had|have|with|ever))* ((?:SEV|SEEN|STAT|TIME|RUN)[0-9]+)"
)
_OF_INCIDENTS = re.compile(rf"{INCIDENTS} (?:that |which )?(?:were |are |was |is |had |have )*$")


def lacking(text: str, atoms: Mapping[str, Atom]) -> tuple[str, Condition | None]:
    """Read "hosts without criticals", "with only warnings": what an entity must have none of."""
    match = _LACKS.search(text)
    if match and (re.match(r"and|but", match[0]) or not _OF_INCIDENTS.search(text[: match.start()])):
        rest = re.sub(rf"^ {INCIDENTS}", " ", text[match.end() :])
        return f"{text[: match.start()]} {rest}", atoms[match[1]].condition
    match = _ONLY.search(text)
    if match and not _OF_INCIDENTS.search(text[: match.start()]):
        return text.replace(match[0], match[1], 1), Not(atoms[match[1]].condition)
    return text, None


def first_time(cues: Cues, intervals: Mapping[str, Interval]) -> Condition | None:
    """Read "which hosts alarmed today for the first time": an entity must have none that began before."""
    match = re.search(r" *\bfor the (?:very )?first time(?: ever)?\b", cues.text)
    since = [i.since for i in intervals.values() if i.since is not None]
    if match is None or len(intervals) != 1 or not since or not re.match(r"(?:which|what|who)\b", cues.text):
        return None
    cues.text = f"{cues.text[: match.start()]}{cues.text[match.end() :]}"
    return Within("onset", high=since[0], open_high=True, words="began before")
