"""The vectors of an index in memory, for the cosine with a question."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.assistant.retrieval.index import Index

_PIECE = 256
"""Vectors that are read or multiplied at once: all of them would take several times what is kept."""
_STEPS = 127
"""The largest component of a vector is so many steps of eight bits."""


class Vectors:
    """What the index holds, by number of the passage; looked at again whenever the index changed.

    Eight bits a component, with a scale for each vector: 100,000 take 39 MB, and the cosines that choose
    candidates are off by .001. Those that rank the candidates are of the vectors as the index has them.
    """

    def __init__(self, index: Index, size: int) -> None:
        self._index = index
        self._numbers = np.empty(0, dtype=np.int64)
        self._rows = np.empty((0, size), dtype=np.int8)
        self._scales = np.empty(0, dtype=np.float32)
        self._seen: int | None = None

    def best(
        self, question: NDArray[np.float32], limit: int, among: NDArray[np.int64] | None = None
    ) -> list[int]:
        """Give the numbers of the passages nearest to a question, in no order; `among` some, or all."""
        self._update()
        places = np.arange(len(self._numbers)) if among is None else self._places(among)
        if not len(places):
            return []
        rough = np.empty(len(places), dtype=np.float32)
        for k in range(0, len(places), _PIECE):
            some = slice(k, k + _PIECE) if among is None else places[k : k + _PIECE]
            rough[k : k + _PIECE] = self._rows[some].astype(np.float32) @ question * self._scales[some]
        top = np.argpartition(-rough, min(limit, len(rough)) - 1)[:limit]
        return [int(n) for n in self._numbers[places[top]]]

    def cosines(self, question: NDArray[np.float32], numbers: NDArray[np.int64]) -> dict[int, float]:
        """Give the cosines of passages with a question; of those that have no vector yet, none."""
        found, vectors = self._index.vectors(numbers)
        if not len(found):
            return {}
        exact = vectors.astype(np.float32) @ question
        return {int(n): float(c) for n, c in zip(found, exact, strict=True)}

    def _places(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the rows of those numbers that are here."""
        if not len(self._numbers):
            return np.empty(0, dtype=np.int64)
        places = np.minimum(np.searchsorted(self._numbers, numbers), len(self._numbers) - 1)
        found: NDArray[np.int64] = places[self._numbers[places] == numbers]
        return found

    def _update(self) -> None:
        changes = self._index.changes()
        if changes == self._seen:
            return
        numbers = self._index.numbers_with_vector()
        rows = np.empty((len(numbers), self._rows.shape[1]), dtype=np.int8)
        scales = np.empty(len(numbers), dtype=np.float32)
        kept = self._places(numbers)
        at = np.searchsorted(numbers, self._numbers[kept])
        rows[at], scales[at] = self._rows[kept], self._scales[kept]
        new = np.delete(np.arange(len(numbers)), at)
        here = np.ones(len(numbers), dtype=np.bool_)
        for k in range(0, len(new), _PIECE):
            found, vectors = self._index.vectors(numbers[new[k : k + _PIECE]])
            places = np.searchsorted(numbers, found)
            if len(found):
                rows[places], scales[places] = _in_eight_bits(vectors.astype(np.float32))
            here[np.setdiff1d(new[k : k + _PIECE], places, assume_unique=True)] = False
        if not here.all():  # deleted by another process meanwhile
            numbers, rows, scales = numbers[here], rows[here], scales[here]
        self._numbers, self._rows, self._scales, self._seen = numbers, rows, scales, changes


def _in_eight_bits(vectors: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Round vectors (n, size) to steps of their largest component: (n, size) and the step of each, (n,)."""
    scales = np.maximum(np.abs(vectors).max(axis=1), np.finfo(np.float32).tiny) / _STEPS
    return np.rint(vectors / scales[:, None]).astype(np.int8), scales.astype(np.float32)
