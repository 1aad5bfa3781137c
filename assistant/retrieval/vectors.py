"""The vectors of an index in memory, for the cosine with a question."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from anomalyd.assistant.retrieval.index import Index

_PIECE = 8192
"""Vectors that are read at once."""


class Vectors:
    """What the index holds, by number of the passage; looked at again whenever the index changed.

    bfloat16, because 100,000 vectors then take 77 MB and are gone through in a few milliseconds.
    """

    def __init__(self, index: Index, size: int) -> None:
        import torch

        self._index = index
        self._numbers = np.empty(0, dtype=np.int64)
        self._rows = torch.empty((0, size), dtype=torch.bfloat16)
        self._seen: int | None = None

    def best(
        self, question: NDArray[np.float32], limit: int, among: NDArray[np.int64] | None = None
    ) -> list[int]:
        """Give the numbers of the passages nearest to a question, in no order; `among` some, or all."""
        import torch

        self._update()
        places = np.arange(len(self._numbers)) if among is None else self._places(among)
        if not len(places):
            return []
        # The products are rounded to 8 bits, which is enough to choose many candidates.
        rows = self._rows if among is None else self._rows[torch.from_numpy(places)]
        rough = (rows @ torch.from_numpy(question).to(torch.bfloat16)).float().numpy()
        top = np.argpartition(-rough, min(limit, len(rough)) - 1)[:limit]
        return [int(n) for n in self._numbers[places[top]]]

    def cosines(self, question: NDArray[np.float32], numbers: NDArray[np.int64]) -> dict[int, float]:
        """Give the cosines of passages with a question; of those that have no vector yet, none."""
        import torch

        places = self._places(numbers)
        exact = (self._rows[torch.from_numpy(places)].float() @ torch.from_numpy(question)).tolist()
        return {int(n): c for n, c in zip(self._numbers[places], exact, strict=True)}

    def _places(self, numbers: NDArray[np.int64]) -> NDArray[np.int64]:
        """Give the rows of those numbers that are here."""
        if not len(self._numbers):
            return np.empty(0, dtype=np.int64)
        places = np.minimum(np.searchsorted(self._numbers, numbers), len(self._numbers) - 1)
        found: NDArray[np.int64] = places[self._numbers[places] == numbers]
        return found

    def _update(self) -> None:
        import torch

        changes = self._index.changes()
        if changes == self._seen:
            return
        now = self._index.numbers_with_vector()
        new = np.setdiff1d(now, self._numbers, assume_unique=True)
        kept = np.isin(self._numbers, now, assume_unique=True)
        numbers, rows = self._numbers[kept], self._rows[torch.from_numpy(kept)]
        if len(new):
            pieces: list[torch.Tensor] = []
            # In pieces: all of them at once would take several times what is kept.
            for k in range(0, len(new), _PIECE):
                found, vectors = self._index.vectors(new[k : k + _PIECE])
                numbers = np.concatenate([numbers, found])
                pieces.append(torch.from_numpy(vectors).to(torch.bfloat16))
            rows = torch.cat([rows, *pieces])
            del pieces
            order = np.argsort(numbers)
            numbers, rows = numbers[order], rows[torch.from_numpy(order)]
        self._numbers, self._rows, self._seen = numbers, rows, changes
