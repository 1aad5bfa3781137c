"""The assistant: a question in plain words to an answer with its sources, or "I don't know"."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, tzinfo
from typing import Any

from anomalyd.assistant.answers.compose import tell
from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.answers.sentence import NO_RESULT, Result, Sentence, Source, Told, line
from anomalyd.assistant.dialogue.orders import order_in
from anomalyd.assistant.dialogue.session import Session, follow_up
from anomalyd.assistant.language.calendar import Calendar
from anomalyd.assistant.language.names import Names
from anomalyd.assistant.understanding.interpretation import chips, interpretation
from anomalyd.assistant.understanding.question import Question
from anomalyd.assistant.understanding.understand import Understood, understand
from anomalyd.errors import QuestionError
from anomalyd.reports.queries import Order, Queries, Selection

_NAMES_S = 30.0
"""Names are collected anew after so long: a new host is known within half a minute."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its sentences, each with its sources, and its result as values.

    `understood` says how the question was read, `chips` the same part by part, `unused` which words were not
    understood. `known` is False where the answer is that it is not known; `nearest` is then the id of the
    report nearest to the question, if there is one. `corrections`: words taken for slips, and for what.
    """

    question: str
    understood: str
    sentences: tuple[Sentence, ...]
    known: bool
    nearest: str | None = None
    chips: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    corrections: tuple[tuple[str, str], ...] = ()
    result: Result = NO_RESULT

    @property
    def text(self) -> str:
        """The sentences, one a line, each followed by its sources."""
        return "\n".join(
            f"{s.text} [{'; '.join(map(str, s.sources))}]" if s.sources else s.text for s in self.sentences
        )

    def as_json(self) -> dict[str, Any]:
        """Give everything as what `json.dumps` takes."""
        return {**asdict(self), "text": self.text}


class Assistant:
    """Answers questions from the reports, offline; one conversation of one person.

    A question that the grammar understands is answered by a typed query; its facts come from the reports'
    fields. `session` remembers what was asked, so that "why?" and "and the chambers?" mean something.
    `groups`: name -> shell patterns of entities, from the configuration.
    """

    def __init__(
        self,
        queries: Queries,
        *,
        clock: Callable[[], float] = time.time,
        zone: tzinfo = UTC,
        groups: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        self._queries = queries
        self._clock = clock
        self._zone = zone
        self._groups = groups or {}
        self._names: tuple[float, Names] | None = None
        self.session = Session()

    def ask(self, question: str) -> Answer:
        """Answer a question.

        Raises:
            StoreError: the report store cannot be reached.

        """
        context = Context(self._queries, Calendar(self._clock(), self._zone), self._known_names())
        if (verb := order_in(question)) is not None:
            return _declined(question, verb)
        try:
            typed, understood = self._understood(question, context)
        except QuestionError as error:
            source = Source("query", "query", "names and times that are known")
            return Answer(question, "not understood", (Sentence(str(error), (source,)),), known=False)
        if typed is None:
            return self._not_understood(question, understood, context)
        told = tell(typed, context)
        self.session.remember(typed, told.result)
        return _answer(question, typed, understood, told)

    def _understood(self, question: str, context: Context) -> tuple[Question | None, Understood]:
        """Understand a question, in the light of what was asked before where it builds on that."""
        following = follow_up(question, self.session, context)
        if following is not None:
            return following
        understood = understand(question, self._queries, context.names, context.calendar)
        return understood.question, understood

    def _not_understood(self, question: str, understood: Understood, context: Context) -> Answer:
        """Say what was not understood, and the nearest that is known; nothing of it is passed off as an
        answer.
        """
        unused = ", ".join(f"“{word}”" for word in dict.fromkeys(understood.unused))
        why = f"I did not understand {unused}" if unused else "I did not understand what is asked"
        source = Source("query", "query", "what the grammar understands")
        sentences = [Sentence(f"I don't know: {why}.", (source,))]
        entities = [c for d, c in understood.parts if d == "ENT"]
        found = self._queries.reports(
            Selection(where=entities[0]) if entities else Selection(), Order.LATEST, 1
        )
        nearest = found[0].incident.id if found and entities else None
        if nearest:
            about = line(found[0], context.calendar)
            sentences.append(Sentence(f"The nearest that is known: {about.text}", about.sources))
        return Answer(
            question,
            "not understood",
            tuple(sentences),
            known=False,
            nearest=nearest,
            unused=understood.unused,
        )

    def _known_names(self) -> Names:
        now = time.monotonic()
        if self._names is None or now - self._names[0] > _NAMES_S:
            self._names = (now, Names.of(self._queries, self._groups))
        return self._names[1]


def _declined(question: str, verb: str) -> Answer:
    text = "I only answer questions about what was found: I do nothing, and nothing was done."
    source = Source("query", "query", f"an order: {verb}")
    return Answer(question, f"an order: {verb}", (Sentence(text, (source,)),), known=False)


def _answer(question: str, typed: Question, understood: Understood, told: Told) -> Answer:
    return Answer(
        question,
        interpretation(typed),
        told.sentences,
        told.known,
        told.nearest,
        chips(typed),
        understood.unused,
        tuple(understood.corrections.items()),
        told.result,
    )
