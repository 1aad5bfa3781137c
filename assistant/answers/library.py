"""Answers that stand in writing: documents, and what people said; opened when a question first needs them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Protocol

from anomalyd.assistant.answers.coverage import content_words, coverage
from anomalyd.assistant.answers.sentence import NO_RESULT, Sentence, Source, Told
from anomalyd.assistant.retrieval.passage import Filters, Hit, Passage, SourceKind
from anomalyd.errors import ModelMissing

_READ = 3  # passages that the reader is given: the number that was measured best
_REFRESH_S = 8.0
_FOUND = 20  # passages that are looked at, by how much of the question they speak of
_COVERED, _TITLED = 0.2, 0.2
"""What the share of the words of a question in a passage, and in its title, adds to its score. Chosen on
61 questions on documents: the right file is the first for 41 of them, 33 by the retrieval score alone.
"""
_GENERAL, _OTHER = (0.40, 0.12, 0.5), (0.45, 0.25, 0.66)
"""Retrieval score, cosine and share of the question's words from which a section of documents is an answer.

The first for questions of the kind that documents answer ("what is", "how do I"), the second for others.
Chosen on those questions, and on 230 that nobody can answer.
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

    def answer(
        self, question: str, entities: Sequence[str] = (), *, of_documents: bool, general: bool = True
    ) -> Told:
        """Answer from what is written, or say what comes nearest.

        `of_documents`: what a word means or how a thing is done, which documents say. Else it is about what
        happened, of which people may have written something. `general`: it is asked as such things are.

        Raises:
            ModelMissing: the sentence encoder is not installed.

        """
        kinds = (SourceKind.DOCUMENT,) if of_documents else _SPOKEN
        words = content_words(question)
        hits = self._searched(question, words, Filters(kinds=kinds, entities=tuple(entities)))
        if not hits:
            return Told((Sentence("I don't know: nothing that is written speaks of this."),), known=False)
        score, cosine, share = _GENERAL if general else _OTHER
        if not of_documents:
            share = 1.0  # what people said must speak of all that is asked
        speaks = hits[0].score >= score and hits[0].cosine >= cosine and _covered(words, hits[0]) >= share
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
        if self._retriever is None:
            self._retriever = self._open_retriever()
        self._retriever.refresh(_REFRESH_S)
        found = self._retriever.search(question, filters, _FOUND)

        def rank(hit: Hit) -> float:
            title = _TITLED * coverage(words, hit.passage.title)
            return -(hit.score + _COVERED * _covered(words, hit) + title)

        return sorted(found, key=rank)

    def _reading(self) -> Reads | None:
        if self._reader is None and not self._no_reader:
            try:
                self._reader = self._open_reader()
            except ModelMissing:
                self._no_reader = True
        return self._reader


def _covered(words: tuple[str, ...], hit: Hit) -> float:
    return coverage(words, f"{hit.passage.title} {hit.passage.text}")


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
