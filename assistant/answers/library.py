"""Answers that stand in writing: documents, and what people said; opened when a question first needs them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Protocol

from anomalyd.assistant.answers.coverage import Rarity, content_words, coverage, full_text, heading
from anomalyd.assistant.answers.sentence import NO_RESULT, Sentence, Source, Told
from anomalyd.assistant.language.general import is_general, sounds_general
from anomalyd.assistant.language.spelling import plain
from anomalyd.assistant.retrieval.passage import Filters, Hit, Passage, SourceKind
from anomalyd.errors import ModelMissing

_READ = 3  # passages that the reader is given: the number that was measured best
_REFRESH_S = 8.0
_FOUND = 20  # passages that are looked at, by how much of the question they speak of
_COVERED, _TITLED = 0.2, 0.3
"""What the share of the words of a question in a passage, and in its headings, adds to its score. With one
passage of a file, the right file is among the first three for 145 of 157 questions on documents (139 with
neither that nor the rarity of words, from which these were chosen).
"""
_GENERAL, _SOUNDS, _COSINE, _TEXT, _HEADING, _UNSEEN, _BIAS = 1.96, 2.80, 6.44, 2.16, 3.48, -2.07, -5.32
_PROBABLE, _NEAR = 0.6, 0.12
"""Logistic regression of whether documents hold the answer, on those questions and on 53 that nobody can
answer and that come this far: by the form of the question (two kinds), the cosine, the weighted share of its
words in the best passage and in its headings, and the share that stands in no document. Cross-validated over
ten parts: 138 of 157 answered rightly, 10 wrongly. `_NEAR`: the cosine below which nothing is.
"""
_SPEAKS = (0.45, 0.25)
"""Retrieval score and cosine from which what a person said is an answer; it must speak of all that is asked.
"""

_SPOKEN = (
    SourceKind.WORD,
    SourceKind.COMMENT,
    SourceKind.ADAPTATION,
    SourceKind.MAINTENANCE,
    SourceKind.FLAG,
)


class Searches(Protocol):
    """What is needed of a retriever."""

    def refresh(self, seconds: float | None = None) -> int:
        """Take up what changed."""

    def search(self, question: str, filters: Filters = Filters(), k: int = 5) -> list[Hit]:
        """Find passages, best first."""

    def documents(self) -> Sequence[Passage]:
        """Give every passage of the documents."""


class SpanLike(Protocol):
    """What is needed of a span that a reader found."""

    @property
    def passage(self) -> Passage:
        """Where it stands."""

    @property
    def sentence(self) -> str:
        """The whole sentence around it."""


class Reads(Protocol):
    """What is needed of a reader."""

    def read(
        self, question: str, hits: Sequence[Hit], entities: Sequence[str] | None = None
    ) -> SpanLike | None:
        """Give the best answer that the passages hold, None if none is probable enough."""


class Library:
    """Searches and reads; both are opened for the first question that needs them."""

    def __init__(self, open_retriever: Callable[[], Searches], open_reader: Callable[[], Reads]) -> None:
        self._open_retriever = open_retriever
        self._open_reader = open_reader
        self._retriever: Searches | None = None
        self._reader: Reads | None = None
        self._no_reader = False
        self._rarity: Rarity | None = None

    def answer(self, question: str, entities: Sequence[str] = (), *, of_documents: bool) -> Told:
        """Answer from what is written, or say what comes nearest.

        `of_documents`: what a word means or how a thing is done, which documents say. Else it is about what
        happened, of which people may have written something.

        Raises:
            ModelMissing: the sentence encoder is not installed.

        """
        kinds = (SourceKind.DOCUMENT,) if of_documents else _SPOKEN
        words = content_words(question)
        hits = self._searched(question, words, Filters(kinds=kinds, entities=tuple(entities)))
        if not hits:
            return Told((Sentence("I don't know: nothing that is written speaks of this."),), known=False)
        speaks = self._holds(question, words, hits[0]) if of_documents else _is_said(words, hits[0])
        reader = self._reading() if speaks else None
        if reader is not None:
            span = reader.read(question, hits[:_READ])
            if span is not None:
                rest = [hit for hit in hits[:_READ] if hit.passage != span.passage]
                first = Sentence(" ".join(span.sentence.split()), (_source(span.passage),))
                also = _shown(question, rest).sentences if of_documents else ()
                return Told((first, *also))
        if of_documents and speaks:
            return _shown(question, hits[:_READ])
        nearest = hits[0].passage
        text = f"I don't know: what is written does not say. The nearest is “{nearest.title}”."
        return Told((Sentence(text, (_source(nearest),)),), known=False, result=NO_RESULT)

    def _searched(self, question: str, words: tuple[str, ...], filters: Filters) -> list[Hit]:
        """Give passages, best first; of each document the best one."""
        if self._retriever is None:
            self._retriever = self._open_retriever()
        self._retriever.refresh(_REFRESH_S)
        if self._rarity is None:
            self._rarity = Rarity(self._retriever.documents())
        found = self._retriever.search(question, filters, _FOUND)
        rarity = self._rarity

        def rank(hit: Hit) -> float:
            text, title = full_text(hit.passage), heading(hit.passage)
            added = _COVERED * coverage(words, text, rarity) + _TITLED * coverage(words, title, rarity)
            return -(hit.score + added)

        best: dict[str, Hit] = {}
        for hit in sorted(found, key=rank):
            best.setdefault(hit.passage.id.partition("#")[0], hit)
        return list(best.values())

    def _holds(self, question: str, words: tuple[str, ...], hit: Hit) -> bool:
        """Say whether the best passage of the documents probably answers a question."""
        text = plain(question)
        general = is_general(text)
        odds = (
            _BIAS
            + _GENERAL * general
            + _SOUNDS * (general or sounds_general(text))
            + _COSINE * hit.cosine
            + _TEXT * coverage(words, full_text(hit.passage), self._rarity)
            + _HEADING * coverage(words, heading(hit.passage), self._rarity)
            + _UNSEEN * (0.0 if self._rarity is None else self._rarity.unseen(words))
        )
        return hit.cosine >= _NEAR and 1.0 / (1.0 + math.exp(-odds)) >= _PROBABLE

    def _reading(self) -> Reads | None:
        if self._reader is None and not self._no_reader:
            try:
                self._reader = self._open_reader()
            except ModelMissing:
                self._no_reader = True
        return self._reader


def _is_said(words: tuple[str, ...], hit: Hit) -> bool:
    score, cosine = _SPEAKS
    spoken = coverage(words, f"{hit.passage.title} {hit.passage.text}")
    return hit.score >= score and hit.cosine >= cosine and spoken >= 1.0


def _shown(question: str, hits: Sequence[Hit]) -> Told:
    """Show of each section what is nearest to the question."""
    texts = [(hit.passage, _nearest_sentences(question, hit.passage.text)) for hit in hits]
    return Told(tuple(Sentence(" ".join(text.split()), (_source(passage),)) for passage, text in texts))


def _source(passage: Passage) -> Source:
    return Source(str(passage.kind), passage.id, passage.title)


def _nearest_sentences(question: str, text: str) -> str:
    """Give the sentence of a section that shares most words with the question, and the one after it."""
    sentences = [s for s in re.split(r"(?<=[.!?:])\s+|\n{2,}", text) if s.strip()]
    asked = {word[:5] for word in re.findall(r"[a-z_]{3,}", question.lower())}
    scores = [len(asked & {word[:5] for word in re.findall(r"[a-z_]{3,}", s.lower())}) for s in sentences]
    best = max(range(len(sentences)), key=lambda k: (scores[k], -k), default=0)
    return " ".join(sentences[best : best + 2])
