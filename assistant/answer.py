"""The assistant: a question in plain words to an answer with its sources, or "I don't know"."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, tzinfo
from typing import Any

from anomalyd.assistant import case_answers, counting, health, listing, query_types
from anomalyd.assistant.encoder import Encoder
from anomalyd.assistant.interpretation import incidents
from anomalyd.assistant.query_types import Ask
from anomalyd.assistant.retrieve import Encodes, Hit, Retriever
from anomalyd.assistant.sentence import Sentence, Told, line
from anomalyd.assistant.times import Calendar
from anomalyd.assistant.understand import Understood, understand
from anomalyd.errors import QuestionError
from anomalyd.reports.queries import Order, Queries, Selection

SEARCHED = 1000
"""Reports in which a question is looked up: the latest of those that its names and times allow."""

MIN_EVIDENCE = 0.95
"""Evidence (`Hit.evidence`) from which a looked-up report counts as an answer.

Chosen on 29 questions that 40 reports answer and 33 that they do not: it answers 76 % and 0 %; on 22 and 27
others, written afterwards, 86 % and 4 %. A wrong answer costs more than an "I don't know".
"""

_SHOWN = 2

# No report says who a person is, how something is done, or what a word means.
_BEYOND_REPORTS = re.compile(
    r"^\W*(?:who|whom|whose|how (?:do|can|should|to|much)|should|where|define"
    r"|what (?:is|are|does) (?:an? |.* mean))",
    re.IGNORECASE,
)

_EXAMPLES = (
    "How many incidents were there since 14:00, per severity?",
    "Which hosts had incidents last night?",
    "What is the worst incident of the last 3 days?",
    "Is node17 fine?",
    "Why was node17 flagged?",
    "When did it start, how long did it last, who saw it?",
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its sentences, each with the reports it comes from.

    `understood` says how the question was read. `known` is False where the answer is that it is not known;
    `nearest` is then the id of the report nearest to the question, if there is one.
    """

    question: str
    understood: str
    sentences: tuple[Sentence, ...]
    known: bool
    nearest: str | None = None

    @property
    def text(self) -> str:
        """The sentences, one a line, each followed by its sources."""
        return "\n".join(
            f"{s.text} [{', '.join(s.sources)}]" if s.sources else s.text for s in self.sentences
        )

    def as_json(self) -> dict[str, Any]:
        """Give everything as what `json.dumps` takes."""
        return {**asdict(self), "text": self.text}


class Assistant:
    """Answers questions from the reports, offline.

    A question that the grammar understands is answered by a typed query; its facts come from the reports'
    fields. Any other is looked up in the reports' narratives, and answered only where one of them says it.
    """

    def __init__(
        self,
        queries: Queries,
        *,
        clock: Callable[[], float] = time.time,
        zone: tzinfo = UTC,
        encoder: Encodes | None = None,
    ) -> None:
        self._queries = queries
        self._clock = clock
        self._zone = zone
        self._encoder = encoder
        self._retriever = Retriever(self._load_encoder)

    def ask(self, question: str) -> Answer:
        """Answer a question.

        Raises:
            StoreError: the report store cannot be reached.
            ModelMissing: the question has to be looked up, and the sentence encoder is not installed.
            ModelDamaged: the same, and its weights are not the right ones.

        """
        calendar = Calendar(self._clock(), self._zone)
        try:
            understood = understand(question, self._queries, calendar)
        except QuestionError as error:
            return Answer(question, "not understood", (Sentence(str(error)),), known=False)
        if understood.ask is None:
            return self._look_up(question, understood, calendar)
        told = _tell(understood.ask, self._queries, calendar)
        return Answer(question, understood.words, told.sentences, told.known, told.nearest)

    def _look_up(self, question: str, understood: Understood, calendar: Calendar) -> Answer:
        """Look the question up in the reports that its names and times allow."""
        words = "looked up in the reports"
        if understood.selection != Selection():
            words += f": {incidents(understood.selection, calendar)}"
        reports = self._queries.reports(understood.selection, Order.LATEST, SEARCHED)
        if not reports:
            told = counting.none_recorded(understood.selection, self._queries, calendar)
            sentences = (Sentence("I don't know: I did not understand the question."), *told.sentences)
            return Answer(question, words, sentences, known=False)
        hits = self._retriever.find(question, understood.left, reports)
        told = _from_hits(hits, answerable=_BEYOND_REPORTS.search(question) is None, calendar=calendar)
        return Answer(question, words, told.sentences, told.known, told.nearest)

    def _load_encoder(self) -> Encodes:
        if self._encoder is None:
            self._encoder = Encoder.load()
        return self._encoder


# Which question is answered by what.
_TELLERS: dict[type[Any], Callable[[Any, Queries, Calendar], Told]] = {
    query_types.HowMany: counting.how_many,
    query_types.HowManyEntities: counting.how_many_entities,
    query_types.PerGroup: counting.per_group,
    query_types.Compare: counting.compare,
    query_types.MeanDuration: counting.mean_duration,
    query_types.Which: listing.which,
    query_types.WhichEntities: listing.which_entities,
    query_types.WithoutIncident: listing.without_incident,
    query_types.WhichRuns: listing.which_runs,
    query_types.Known: listing.known,
    query_types.AboutOne: case_answers.about_one,
    query_types.WhyNot: case_answers.why_not,
    query_types.IsFine: health.is_fine,
    query_types.StillGoingOn: health.still_going_on,
    query_types.LatestData: health.latest_data,
}


def _tell(ask: Ask, queries: Queries, calendar: Calendar) -> Told:
    if isinstance(ask, query_types.Help):
        return Told((Sentence("You can ask, for example:"), *(Sentence(example) for example in _EXAMPLES)))
    if isinstance(ask, query_types.Command):
        text = "I only answer questions about what was found: I do nothing, and nothing was done."
        latest = queries.reports(ask.selection, Order.LATEST, 1)
        nearest = latest[0].incident.id if latest else None
        return Told((Sentence(text),), known=False, nearest=nearest)
    return _TELLERS[type(ask)](ask, queries, calendar)


def _from_hits(hits: list[Hit], *, answerable: bool, calendar: Calendar) -> Told:
    """Tell what the best hits say if they are evidence enough; else that it is not known, and the nearest."""
    good = [hit for hit in hits if hit.evidence >= MIN_EVIDENCE][:_SHOWN] if answerable else []
    if good:
        head = Sentence("The question was looked up, not computed; these reports come nearest to it:")
        return Told((head, *(Sentence(hit.report.narrative, (hit.report.incident.id,)) for hit in good)))
    nearest = hits[0].report
    told = Sentence("I don't know: the reports do not say. The nearest report:", (nearest.incident.id,))
    return Told((told, line(nearest, calendar)), known=False, nearest=nearest.incident.id)
