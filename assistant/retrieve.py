"""Look a question up in the reports: BM25 and the sentence encoder, fused."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from anomalyd.reports.report import Report

# Fusion weights of the comparison in which 0.6 x cosine + 0.4 x BM25 / max found the right one of 2,067
# paragraphs first in 80.3 % (BM25 alone 76.8 %, encoder alone 62.5 %).
_COSINE, _BM25 = 0.6, 0.4

CANDIDATES = 64
"""Reports encoded for one question, the best by BM25; one core encodes some 40 a second."""

_STOPWORD_LINES = """
a about an and any are as at be been but by can could did do does for from had has have how i if in into
is it its me my no not of on one or our please shall should so some tell than that the their them then
there these they this those to us was we were what when where which who whom whose why will with would you
your report reports incident incidents anomaly anomalies host hosts machine machines node nodes chamber
chambers
"""
_STOPWORDS = frozenset(_STOPWORD_LINES.split())


class Encodes(Protocol):
    """What is needed of an encoder."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode n texts as vectors of length 1, (n, size)."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A report that a question may be about.

    `score` is the fused one and orders the hits of one question. `evidence` (-1 to 2) can be compared between
    questions: the cosine, plus the share of the words asked about that the report has too.
    """

    report: Report
    score: float
    evidence: float


class Retriever:
    """Finds reports by what they say. Vectors are kept, so that a text is encoded once."""

    def __init__(self, encoder: Callable[[], Encodes]) -> None:
        self._encoder = encoder
        self._vectors: dict[str, NDArray[np.float32]] = {}

    def find(
        self, question: str, about: Sequence[str], reports: Sequence[Report], limit: int = 3
    ) -> list[Hit]:
        """Give the `limit` best of the reports, best first; fewer if there are fewer.

        `about` are the words of the question that name neither an entity nor a time: a report of the right
        host that says nothing of them is no evidence.

        Raises:
            ModelMissing: the encoder is not installed.
            ModelDamaged: its weights are not the right ones.

        """
        if not reports:
            return []
        texts = [text_of(report) for report in reports]
        documents = [stems(text) for text in texts]
        lexical = _bm25(stems(question), documents)
        candidates = [int(k) for k in np.argsort(-lexical, kind="stable")[:CANDIDATES]]
        cosine = self._encoded([texts[k] for k in candidates]) @ self._encoder().encode([question])[0]
        fused = _COSINE * cosine + _BM25 * lexical[candidates] / max(lexical.max(), 1e-9)
        wanted = set(stems(" ".join(about)))
        return [
            Hit(
                reports[candidates[k]],
                score=float(fused[k]),
                evidence=float(cosine[k]) + _covered(wanted, set(documents[candidates[k]])),
            )
            for k in np.argsort(-fused, kind="stable")[:limit]
        ]

    def _encoded(self, texts: Sequence[str]) -> NDArray[np.float32]:
        new = list(dict.fromkeys(text for text in texts if text not in self._vectors))
        if new:
            self._vectors |= zip(new, self._encoder().encode(new), strict=True)
        return np.stack([self._vectors[text] for text in texts])


def text_of(report: Report) -> str:
    """Give what a report says of itself: whose it is, and its narrative."""
    i = report.incident
    return f"{i.entity} {i.detector}. {report.narrative}"


def stems(text: str) -> list[str]:
    """Give the stems of the words that mean something, for comparison by word."""
    import Stemmer

    words = [word for word in re.findall(r"[a-z0-9]+", text.lower()) if word not in _STOPWORDS]
    stemmed: list[str] = Stemmer.Stemmer("english").stemWords(words)
    return stemmed


def _bm25(words: Sequence[str], documents: list[list[str]]) -> NDArray[np.float64]:
    """Score each of n documents (Robertson and Zaragoza 2009), (n,)."""
    import bm25s

    known = {word for document in documents for word in document}
    asked = [word for word in dict.fromkeys(words) if word in known]
    if not asked:
        return np.zeros(len(documents))
    index = bm25s.BM25()
    index.index(documents, show_progress=False)
    return np.asarray(index.get_scores(asked), dtype=np.float64)


def _covered(wanted: set[str], has: set[str]) -> float:
    """Give the share of the wanted stems that are there; metrics abbreviate: `mem` is there for "memory"."""
    short = tuple(word for word in has if len(word) >= 3 and word.isalpha())
    there = [word for word in wanted if word in has or word.startswith(short)]
    return len(there) / max(1, len(wanted))
