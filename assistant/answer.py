"""The assistant: a question in plain words to an answer with its sources, or "I don't know"."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, tzinfo
from typing import Any

from anomalyd.assistant.answers.compose import tell
from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.answers.library import Library
from anomalyd.assistant.answers.sentence import NO_RESULT, Result, Sentence, Source, Told, line
from anomalyd.assistant.dialogue.actions import propose
from anomalyd.assistant.dialogue.continuation import about_last
from anomalyd.assistant.dialogue.ellipsis import named
from anomalyd.assistant.dialogue.follow_up import follow_up
from anomalyd.assistant.dialogue.orders import order_in
from anomalyd.assistant.dialogue.places import NothingAskedError
from anomalyd.assistant.dialogue.session import Session
from anomalyd.assistant.dialogue.unsupported import check_supported
from anomalyd.assistant.intent.opinion import SecondOpinion
from anomalyd.assistant.language.forms.thesaurus import exchanged
from anomalyd.assistant.language.general import is_general, names_alert, sounds_general
from anomalyd.assistant.language.names import Names
from anomalyd.assistant.language.spelling import plain
from anomalyd.assistant.language.systems import INCIDENTS
from anomalyd.assistant.language.times.time_meaning import Calendar
from anomalyd.assistant.understanding.account import unaccounted
from anomalyd.assistant.understanding.interpretation import chips, interpretation
from anomalyd.assistant.understanding.question import Ask, Question
from anomalyd.assistant.understanding.understand import Understood, understand
from anomalyd.errors import QuestionError
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.storage.store import Store

_RESET = re.compile(
    r"(?:please )?(?:reset|start over|new conversation|forget (?:that|it|everything|all))(?: "
    r"please)?",
    re.IGNORECASE,
)
_YES = re.compile(r"(?:yes|y|yep|ok|okay|do it|confirm(?:ed)?|sure|go ahead)(?:,? please)?", re.IGNORECASE)
_NO = re.compile(r"(?:no|n|nope|cancel|stop|don't|do not|never mind)", re.IGNORECASE)
_NAMES_S = 30.0
"""Names are collected anew after so long: a new host is known within half a minute."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its sentences, each with its sources, and its result as values.

    `understood` says how the question was read, `chips` the same part by part, `unused` which words were not
    understood. `known` is False where the answer is that it is not known; `nearest` is then the id of the
    report nearest to the question, if there is one. `corrections`: words taken for slips, and for what.
    `typed`: the question as it was understood, of which `dialogue.corrections.correctable` gives what may be
    changed. `awaits`: something is to be done, and waits for a yes or a no.
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
    typed: Question | None = None
    awaits: bool = False

    @property
    def text(self) -> str:
        """The sentences, one a line, each followed by its sources."""
        return "\n".join(
            f"{s.text} [{'; '.join(map(str, s.sources))}]" if s.sources else s.text for s in self.sentences
        )

    def as_json(self) -> dict[str, Any]:
        """Give everything as what `json.dumps` takes."""
        told = {**asdict(replace(self, typed=None)), "text": self.text}
        del told["typed"]
        return told


class Assistant:
    """Answers questions from the reports, offline; one conversation of one person.

    A question that the grammar understands is answered by a typed query; its facts come from the reports'
    fields. `session` remembers what was asked, so that "why?" and "and the chambers?" mean something.
    `groups`: name -> shell patterns of entities, from the configuration. `library`: what is written. `act`
    runs something with the store to write to; without it nothing is ever done. `user` is who does it.
    `opinion` doubts what the grammar may have understood wrongly: that is asked back.
    """

    def __init__(
        self,
        queries: Queries,
        *,
        clock: Callable[[], float] = time.time,
        zone: tzinfo = UTC,
        groups: Mapping[str, Sequence[str]] | None = None,
        library: Library | None = None,
        user: str = "",
        act: Callable[[Callable[[Store], str]], str] | None = None,
        opinion: SecondOpinion | None = None,
    ) -> None:
        self._queries = queries
        self._clock = clock
        self._zone = zone
        self._groups = groups or {}
        self._library = library
        self._user = user
        self._act = act
        self._opinion = opinion
        self._names: tuple[float, Names] | None = None
        self.session = Session()

    def ask(self, question: str) -> Answer:
        """Answer a question.

        Raises:
            StoreError: the report store cannot be reached.

        """
        context = Context(self._queries, Calendar(self._clock(), self._zone), self._known_names())
        if _RESET.fullmatch(question.strip(" .!")):
            self.session.reset()
            return _simple(question, "a new conversation", "What was asked before is forgotten.", known=True)
        if (acted := self._acted(question, context)) is not None:
            return acted
        meant, self.session.meant = self.session.meant, None
        if meant is not None and _YES.fullmatch(question.strip(" .!")):
            return self.again(meant)
        if (verb := order_in(question)) is not None:
            return _declined(question, verb)
        try:
            typed, understood = self._understood_somehow(question, context)
        except NothingAskedError as error:
            # "it" may be the daemon
            about = sounds_general(plain(question))
            told = self._written(question, Understood(None)) if about else None
            if told is not None and told.known:
                return Answer(question, "looked up in what is written", told.sentences, told.known)
            return _simple(question, "not understood", str(error), known=False)
        except QuestionError as error:
            source = Source("query", "query", "names and times that are known")
            return Answer(question, "not understood", (Sentence(str(error), (source,)),), known=False)
        if understood.doubted is not None:
            self.session.meant = understood.doubted
            return _asked_back(question, understood.doubted)
        if typed is None:
            return self._not_understood(question, understood, context)
        told = tell(typed, context)
        self.session.remember(typed, told.result)
        return _answer(question, typed, understood, told)

    def _acted(self, question: str, context: Context) -> Answer | None:
        """Show what an order would do, or do what was shown and is confirmed now; None if it is no such
        order.
        """
        if self._act is None:
            return None
        proposed, self.session.proposed = self.session.proposed, None
        if proposed is not None and _YES.fullmatch(question.strip(" .!")):
            return _simple(question, "confirmed", self._act(proposed.do), known=True)
        if proposed is not None and _NO.fullmatch(question.strip(" .!")):
            return _simple(question, "not confirmed", "Nothing was done.", known=True)
        try:
            self.session.proposed = propose(question, self._user, self.session, context)
        except QuestionError as error:
            return _simple(question, "an order", str(error), known=False)
        if (shown := self.session.proposed) is None:
            return None
        text = f"{shown.words} Shall I? (yes or no)"
        return replace(_simple(question, "an order", text, known=True), awaits=True)

    def again(self, typed: Question) -> Answer:
        """Answer a typed question: one that was understood before, with a part of it corrected.

        Raises:
            StoreError: the report store cannot be reached.

        """
        context = Context(self._queries, Calendar(self._clock(), self._zone), self._known_names())
        told = tell(typed, context)
        self.session.remember(typed, told.result)
        return _answer(interpretation(typed), typed, Understood(typed), told)

    def _understood_somehow(self, question: str, context: Context) -> tuple[Question | None, Understood]:
        """Understand a question as it stands; where that fails, with its words exchanged for those known."""
        failed: QuestionError | Understood
        if self.session.question is None and is_general(plain(question)):
            # Nothing was told, so "it" is the daemon: "how is it installed?"
            return None, Understood(None, unused=("how or what in general",), definition=True)
        try:
            typed, understood = self._accounted(question, context)
            if typed is not None and self._doubts(typed, understood):
                return None, replace(understood, doubted=typed)
            if typed is not None or understood.definition:
                return typed, understood
            failed = understood
        except QuestionError as error:
            failed = error
        text = plain(question)
        other, changed = exchanged(text)
        if other != text:
            try:
                typed, understood = self._accounted(other, context)
            except QuestionError:
                typed = None
            if typed is not None:
                if isinstance(failed, Understood) and self._doubts(typed, failed):
                    return None, replace(failed, doubted=typed)
                return typed, replace(understood, corrections={**changed, **understood.corrections})
        if isinstance(failed, QuestionError):
            raise failed
        return None, failed

    def _doubts(self, typed: Question, understood: Understood) -> bool:
        """Say whether the second opinion doubts a question that stands for itself."""
        return (
            self._opinion is not None and not understood.follows and self._opinion.doubts(typed, understood)
        )

    def _accounted(self, question: str, context: Context) -> tuple[Question | None, Understood]:
        """Understand a question, and look whether every word of it has its place in what was understood."""
        typed, understood = self._understood(question, context)
        if typed is not None and (lost := unaccounted(understood.marked, typed, understood.atoms)):
            return None, replace(understood, unused=lost)
        return typed, understood

    def _understood(self, question: str, context: Context) -> tuple[Question | None, Understood]:
        """Understand a question, in the light of what was asked before where it builds on that."""
        question = named(question, self.session, context)
        following = follow_up(question, self.session, context)
        if following is not None:
            return following[0], replace(following[1], follows=True)
        check_supported(plain(question))
        understood = understand(question, self._queries, context.names, context.calendar)
        typed = understood.question
        if typed is not None and typed.ask is Ask.CASE and not typed.where.parts and typed.order is None:
            typed = about_last(typed, self.session)
            understood = replace(understood, follows=typed != understood.question)
        return typed, understood

    def _not_understood(self, question: str, understood: Understood, context: Context) -> Answer:
        """Say what was not understood, and the nearest that is known; nothing of it is passed off as an
        answer.
        """
        if (told := self._written(question, understood)) is not None:
            return Answer(question, "looked up in what is written", told.sentences, told.known, told.nearest)
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

    def _written(self, question: str, understood: Understood) -> Told | None:
        """Answer from documents, or from what people said; None where nothing written could say it."""
        if self._library is None:
            return None
        text = plain(question)
        if understood.definition or names_alert(text):
            told = self._library.answer(question, of_documents=True)
            return told.citing(Source("query", "query", "what is written"))
        if any(d == "TIME" for d, _ in understood.parts):
            return None
        of_what_happened = _OF_WHAT_HAPPENED.search(text) or _CONCRETE.search(text)
        counting = understood.cues & {"HOWMANY", "AVERAGE", "PERCENT", "RECUR", "BY", "SUM", "MEDIAN"}
        counted = counting and (not sounds_general(text) or re.search(rf"\b{INCIDENTS}\b", text))
        if not of_what_happened and not counted:
            told = self._library.answer(question, of_documents=True)
            if told.known:
                return told
        if counting or not understood.parts:
            return None
        told = self._library.answer(question, of_documents=False)
        return told if told.known else None

    def _known_names(self) -> Names:
        now = time.monotonic()
        if self._names is None or now - self._names[0] > _NAMES_S:
            self._names = (now, Names.of(self._queries, self._groups))
        return self._names[1]


_CONCRETE = re.compile(r"(?<![\w/+-])(?![0-9](?: |$))[\w/+-]*[0-9][\w/+.-]*")
"""A name, a number or a time: documents tell of none."""
_OF_WHAT_HAPPENED = re.compile(
    rf"^(?:and )?(?:who|whom|whose|why(?! do(?:es)? )|how (?:many|much) (?:of )?(?:the )?{INCIDENTS}"
    rf"|list(?! of (?!{INCIDENTS}))|will|compare)\b|\b(?:would|will|could have|my"
    rf"|yesterday|today|tonight|tomorrow)\b"
    rf"|^(?:which|show|what|when|were|was|did)\b.*\b{INCIDENTS}\b(?<!alert)(?<!alerts)"
)
"""What documents cannot say: what happened, what will, and who did it."""


def _declined(question: str, verb: str) -> Answer:
    text = "I only answer questions about what was found: I do nothing, and nothing was done."
    return _simple(question, f"an order: {verb}", text, known=False)


def _asked_back(question: str, meant: Question) -> Answer:
    text = f"I don't know whether I understand that. Do you mean: {interpretation(meant)}? (yes or no)"
    return replace(_simple(question, "not understood for sure", text, known=False), chips=chips(meant))


def _simple(question: str, understood: str, text: str, *, known: bool) -> Answer:
    source = Source("query", "query", understood)
    return Answer(question, understood, (Sentence(text, (source,)),), known)


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
        typed,
    )
