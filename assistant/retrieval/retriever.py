"""Find the passages that may answer a question: by their words and by what they mean, fused."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from anomalyd.assistant.retrieval.index import Index, Item
from anomalyd.assistant.retrieval.passage import Filters, Hit, Passage, SourceKind
from anomalyd.assistant.retrieval.source import Source
from anomalyd.assistant.retrieval.vectors import Vectors

COSINE, LEXICAL = 0.6, 0.4
"""Weights of the fusion, 0.6 x cosine + 0.4 x BM25 / max: the best of those compared on questions about the
paragraphs of encyclopedia articles (see docs/assistant.md), better than reciprocal rank fusion."""

_CANDIDATES = 100  # of each kind of search, from which the fusion chooses
_RERANKED = 20  # hits that a reranker, if there is one, orders anew
_READ_AT_ONCE = 500  # items
_ENCODED_AT_ONCE = 64  # passages

T = TypeVar("T")


class Encodes(Protocol):
    """What is needed of an encoder. `fingerprint` tells its vectors from those of another one."""

    size: int

    @property
    def fingerprint(self) -> str:
        """A short text that no other encoder has."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Encode n texts as vectors of length 1, (n, size)."""


class Orders(Protocol):
    """What is needed of a reranker."""

    def order(self, question: str, hits: Sequence[Hit]) -> list[Hit]:
        """Give the hits in another order, best first."""


class Retriever:
    """Searches an index, and keeps it like its sources.

    A search never waits for the index: a passage whose vector is not there yet is found by its words.
    """

    def __init__(
        self, index: Index, sources: Sequence[Source], encoder: Encodes, reranker: Orders | None = None
    ) -> None:
        self._index = index
        self._sources = sources
        self._encoder = encoder
        self._reranker = reranker
        self._vectors = Vectors(index, encoder.size)

    @classmethod
    def open(
        cls,
        folder: Path,
        sources: Sequence[Source],
        encoder: Encodes,
        reranker: Orders | None = None,
    ) -> Self:
        """Open the index in a folder, an empty one if there is none."""
        return cls(Index(folder, encoder.fingerprint), sources, encoder, reranker)

    def close(self) -> None:
        """Close the index."""
        self._index.close()

    def refresh(self, seconds: float | None = None, stopwatch: Callable[[], float] = time.monotonic) -> int:
        """Take up what changed in the sources, and give the number of items that did.

        The words come first, all of them; then vectors, the documents' and the latest first, until the
        `seconds` are over. What is left is done by the next call.

        Raises:
            StoreError: the report store cannot be reached.

        """
        began = stopwatch()
        changed = sum(self._refresh_source(source) for source in self._sources)
        while seconds is None or stopwatch() - began < seconds:
            if not self._encode_some():
                break
        return changed

    def search(self, question: str, filters: Filters = Filters(), k: int = 5) -> list[Hit]:
        """Give the k passages that fit the question best, best first, of those that pass the filters."""
        among = self._index.numbers(filters)
        if not question.strip() or (among is not None and not len(among)):
            return []
        lexical = self._index.lexical(question, _CANDIDATES, among)
        vector = self._encoder.encode([question])[0]
        nearest = self._vectors.best(vector, _CANDIDATES, among)
        # What one search found, the other may only have ranked lower.
        lexical |= self._index.lexical(question, len(nearest), np.array(nearest, dtype=np.int64))
        numbers = np.array(sorted({*lexical, *nearest}), dtype=np.int64)
        cosine = self._vectors.cosines(vector, numbers)
        best = max(lexical.values(), default=0.0) or 1.0
        fused = [
            (COSINE * cosine.get(n, 0.0) + LEXICAL * lexical.get(n, 0.0) / best, n, passage)
            for n, passage in self._index.passages(numbers.tolist()).items()
        ]
        fused.sort(key=lambda hit: (-hit[0], -hit[1]))
        hits = [
            Hit(passage, score, cosine.get(n, 0.0), lexical.get(n, 0.0) / best)
            for score, n, passage in fused[: k if self._reranker is None else max(k, _RERANKED)]
        ]
        return hits if self._reranker is None else self._reranker.order(question, hits)[:k]

    def documents(self) -> list[Passage]:
        """Give every passage of the documents."""
        numbers = self._index.numbers(Filters(kinds=(SourceKind.DOCUMENT,)))
        if numbers is None:
            return []
        chunks = _chunks(numbers.tolist(), _READ_AT_ONCE)
        return [passage for some in chunks for passage in self._index.passages(some).values()]

    def _refresh_source(self, source: Source) -> int:
        wanted, known = source.versions(), self._index.versions(source.name)
        gone = [item for item in known if item not in wanted]
        changed = [item for item, version in wanted.items() if known.get(item) != version]
        for some in _chunks(gone, _READ_AT_ONCE):
            self._index.replace(source.name, [], some)
        for some in _chunks(changed, _READ_AT_ONCE):
            items = [Item(name, wanted[name], passages) for name, passages in source.read(some)]
            self._index.replace(source.name, items)
        return len(gone) + len(changed)

    def _encode_some(self) -> bool:
        """Encode passages that have no vector yet, if there are any."""
        waiting = self._index.without_vector(8 * _ENCODED_AT_ONCE)
        # Texts of like length go together, because a batch is as long as its longest.
        waiting.sort(key=lambda pair: len(pair[1].text))
        for numbers, texts in _parted(waiting):
            self._index.put_vectors(numbers, self._encode(texts))
        return bool(waiting)

    def _encode(self, texts: list[str]) -> NDArray[np.float32]:
        """Encode each different text once: reports of one fault often differ in nothing but numbers."""
        different = list(dict.fromkeys(texts))
        vectors = dict(zip(different, self._encoder.encode(different), strict=True))
        return np.stack([vectors[text] for text in texts])


def _parted(waiting: list[tuple[int, Passage]]) -> Iterator[tuple[list[int], list[str]]]:
    for some in _chunks(waiting, _ENCODED_AT_ONCE):
        yield [number for number, _ in some], [p.gist or f"{p.title}\n{p.text}" for _, p in some]


def _chunks(values: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    return (values[k : k + size] for k in range(0, len(values), size))
