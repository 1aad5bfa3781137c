"""How often a question finds its paragraph."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from anomalyd.assistant.retrieval.passage import Hit, Passage, SourceKind
from anomalyd.assistant.retrieval.retriever import Encodes, Retriever

_DEPTHS = (1, 5, 10)
_SEEN = 50


@dataclass(frozen=True, slots=True)
class SearchFigures:
    """Shares of the questions whose paragraph is among the first k, by kind of search and k.

    `words` and `vectors` order the fused search's hits by one of the two alone. `milliseconds`: CPU time of a
    search, mean.
    """

    questions: int
    passages: int
    recall: Mapping[str, Mapping[int, float]]
    milliseconds: float


def evaluate_search(
    pairs: Sequence[tuple[str, str]], texts: Sequence[str], encoder: Encodes
) -> SearchFigures:
    """Search each question's paragraph among `texts`; `pairs` are (question, paragraph)."""
    source = _Texts(list(dict.fromkeys(texts)))
    ranks: dict[str, list[int]] = {"fused": [], "words": [], "vectors": []}
    with TemporaryDirectory() as folder:
        retriever = Retriever.open(Path(folder), [source], encoder)
        retriever.refresh()
        began = time.process_time()
        for question, text in pairs:
            hits = retriever.search(question, k=_SEEN)
            ranks["fused"].append(_rank(hits, text))
            ranks["words"].append(_rank(sorted(hits, key=lambda h: -h.lexical), text))
            ranks["vectors"].append(_rank(sorted(hits, key=lambda h: -h.cosine), text))
        seconds = time.process_time() - began
        retriever.close()
    recall = {
        name: {k: sum(rank < k for rank in found) / len(found) for k in _DEPTHS}
        for name, found in ranks.items()
    }
    return SearchFigures(len(pairs), len(source.texts), recall, 1000 * seconds / len(pairs))


def _rank(hits: Sequence[Hit], text: str) -> int:
    return next((k for k, hit in enumerate(hits) if hit.passage.text == text), _SEEN)


class _Texts:
    """Texts as passages without a title."""

    name = "texts"

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts = texts

    def versions(self) -> Mapping[str, str]:
        return {str(k): "1" for k in range(len(self.texts))}

    def read(self, items: Sequence[str]) -> Iterator[tuple[str, list[Passage]]]:
        for item in items:
            text = self.texts[int(item)]
            yield item, [Passage(SourceKind.DOCUMENT, item, "", text, gist=text)]
