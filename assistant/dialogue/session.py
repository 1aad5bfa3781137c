"""What was asked before, and what was told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from anomalyd.assistant.answers.sentence import Result
from anomalyd.assistant.understanding.interpretation import chips
from anomalyd.assistant.understanding.question import LEDGER, Ask, Question
from anomalyd.reports.conditions import Among

if TYPE_CHECKING:
    from anomalyd.reports.storage.store import Store


@dataclass(frozen=True)
class Proposal:
    """What would be done, in words that name who does it; `do` does it and says what was done."""

    words: str
    do: Callable[[Store], str]


@dataclass
class Session:
    """The last question and its result; `listed`: the reports told last, in order; `place`: the one told
    of.
    """

    question: Question | None = None
    result: Result = field(default_factory=Result)
    listed: tuple[str, ...] = ()
    place: int = 0
    proposed: Proposal | None = None
    """What would be done once it is confirmed."""
    earlier: Question | None = None
    """The question before the last one."""
    meant: Question | None = None
    """What was asked back whether it is meant."""

    def remember(self, question: Question, result: Result) -> None:
        """Keep a question and its result for what follows."""
        before = self.question
        if before is not None and question.ask in LEDGER and _names_report(question):
            return  # what was done about the incident told last leaves it the one told last
        if before is not None and question.ask in (Ask.CASE, Ask.ONGOING) and _of_one(question):
            # What was told of one incident leaves what had been asked as it was: "and the night before?"
            question = replace(question, where=before.where, order=before.order)
        self.earlier = before
        self.question, self.result = question, result
        if len(result.reports) > 1 or (question.ask not in (Ask.CASE, Ask.ONGOING) and result.reports):
            self.listed, self.place = result.reports, 0
        elif question.ask not in (Ask.CASE, Ask.ONGOING):
            self.listed, self.place = (), 0
        elif result.reports and result.reports[0] in self.listed:
            self.place = self.listed.index(result.reports[0])

    def reset(self) -> None:
        """Forget everything."""
        self.question, self.result, self.listed, self.place = None, Result(), (), 0
        self.proposed = self.meant = None
        self.earlier = None

    @property
    def chips(self) -> tuple[str, ...]:
        """Say what is remembered."""
        return chips(self.question) if self.question else ()


def _names_report(question: Question) -> bool:
    return any(isinstance(part, Among) and part.column == "id" for part in question.where.parts)


def _of_one(question: Question) -> bool:
    parts = question.where.parts
    return len(parts) == 1 and isinstance(parts[0], Among) and parts[0].column == "id"
