"""The paragraphs most similar to a question, by BM25 (Robertson and Zaragoza 2009)."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np


class Neighbours:
    """Finds the paragraphs that share most words with a question."""

    def __init__(self, texts: Sequence[str]) -> None:
        import bm25s

        documents = [_stems(text) for text in texts]
        self._known = {word for document in documents for word in document}
        self._index = bm25s.BM25()
        if self._known:
            self._index.index(documents, show_progress=False)

    def best(self, question: str, count: int) -> list[int]:
        """Give the places of the best `count` texts, best first."""
        asked = [word for word in dict.fromkeys(_stems(question)) if word in self._known]
        if not asked:
            return []
        scores = np.asarray(self._index.get_scores(asked), dtype=np.float64)
        return [int(k) for k in np.argsort(-scores, kind="stable")[:count]]


def _stems(text: str) -> list[str]:
    import Stemmer

    stemmed: list[str] = Stemmer.Stemmer("english").stemWords(re.findall(r"[a-z0-9]+", text.lower()))
    return stemmed
