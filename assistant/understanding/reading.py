"""A question between its text and its type: conditions, cues, what is left of the text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from anomalyd.assistant.understanding.atoms import Atom
from anomalyd.assistant.understanding.cues import Cues, nth_of
from anomalyd.assistant.understanding.question import Ask, Question
from anomalyd.assistant.understanding.scope import Scoped
from anomalyd.assistant.understanding.vocabulary import ORDERS
from anomalyd.reports.conditions import AnyOf, Condition, During, Within
from anomalyd.reports.queries import Order


@dataclass
class Reading:
    """A question between its text and its type."""

    cues: Cues
    scope: Scoped
    atoms: dict[str, Atom]
    now: bool = False

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

    def without(self, *dimensions: str) -> Scoped:
        """Leave out the conditions of some dimensions."""
        return Scoped(tuple(p for p in self.scope.parts if p[0] not in dimensions), self.scope.unused)


def onset_within(condition: Condition) -> Condition:
    """Make "went on during" to "began within"."""
    if isinstance(condition, AnyOf):
        return AnyOf(tuple(map(onset_within, condition.parts)))
    if not isinstance(condition, During):
        return condition
    low = float("-inf") if condition.since is None else condition.since
    high = float("inf") if condition.until is None else condition.until
    return Within("onset", low, high, open_high=True, words=f"began {condition.words}")


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
            r"\b(?:incidents|alerts|alarms|anomalies|problems|faults|issues|reports|ones|cases|detections|failures)\b",
            r.text,
        )
        is not None
    )
