"""The words of passages, for BM25 (Robertson and Zaragoza 2009), kept by Tantivy."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from anomalyd.extras import extra

_HEAP = 32_000_000  # bytes, while writing


class Words:
    """Texts by number, found by the stems of their words (Snowball, English)."""

    def __init__(self, index: Any) -> None:
        self._index = index

    @classmethod
    def open(cls, folder: Path) -> Self:
        """Open what is kept in a folder; nothing, if there is nothing or it cannot be read.

        What cannot be read is made again from the sources by whoever finds it empty.
        """
        folder.mkdir(parents=True, exist_ok=True)
        try:
            return cls(_tantivy().Index(_schema(), path=str(folder)))
        except ValueError:
            shutil.rmtree(folder)
            folder.mkdir()
            return cls(_tantivy().Index(_schema(), path=str(folder)))

    def __len__(self) -> int:
        return int(self._index.searcher().num_docs)

    def reload(self) -> None:
        """See what another process wrote."""
        self._index.reload()

    def replace(self, added: Sequence[tuple[int, str]], gone: Sequence[int]) -> None:
        """Add texts with their numbers, and drop others. A number that is here already is replaced."""
        writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        old = [*gone, *(number for number, _ in added)]
        writer.delete_documents_by_query(_tantivy().Query.term_set_query(_schema(), "number", old))
        for number, text in added:
            writer.add_document(_tantivy().Document(number=number, text=text))
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def clear(self) -> None:
        """Drop everything."""
        writer = self._index.writer(heap_size=_HEAP, num_threads=1)
        writer.delete_all_documents()
        writer.commit()
        writer.wait_merging_threads()
        self._index.reload()

    def best(self, question: str, limit: int, among: NDArray[np.int64] | None = None) -> dict[int, float]:
        """Give the numbers and scores of the best texts, best first; `among` some numbers, or all."""
        words = self._index.parse_query_lenient(_plain(question), ["text"])[0]
        if among is not None:
            if not len(among):
                return {}
            allowed = _tantivy().Query.term_set_query(_schema(), "number", among.tolist())
            silent = _tantivy().Query.const_score_query(allowed, 0.0)
            words = _tantivy().Query.boolean_query(
                [(_tantivy().Occur.Must, words), (_tantivy().Occur.Must, silent)]
            )
        searcher = self._index.searcher()
        found = searcher.search(words, limit, count=False).hits
        return {searcher.doc(address)["number"][0]: float(score) for score, address in found}


def _schema() -> Any:
    builder = _tantivy().SchemaBuilder()
    builder.add_integer_field("number", stored=True, indexed=True, fast=True)
    builder.add_text_field("text", tokenizer_name="en_stem", index_option="freq")
    return builder.build()


def _tantivy() -> Any:
    with extra("assistant", "looking up words"):
        import tantivy
    return tantivy


def _plain(question: str) -> str:
    """Leave words only: nothing in a question is an order to the search engine."""
    return " ".join("".join(c if c.isalnum() else " " for c in question).split()).lower()
