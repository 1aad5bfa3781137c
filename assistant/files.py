"""The files that the assistant works with: its index, what it reads, and the networks that read it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from anomalyd.assistant.encoder import Encoder
from anomalyd.assistant.reader.reader import Reader
from anomalyd.assistant.retrieval.documents import DocumentSource, ModelCardSource, shipped_documents
from anomalyd.assistant.retrieval.reranker import Reranker
from anomalyd.assistant.retrieval.retriever import Retriever
from anomalyd.assistant.retrieval.store_sources import store_sources
from anomalyd.reports.queries import Queries


@dataclass(frozen=True, slots=True)
class AssistantFiles:
    """Where things are.

    `index` is made if it is not there. `documents` are folders of Markdown and text, `models` that of the
    trained models. `encoder`, `reader` and `reranker` are folders in Hugging Face's layout that take the
    place of what is shipped; no reranker is. `min_probability`: from which the reader's answer counts as one.
    """

    index: Path
    documents: tuple[Path, ...] = ()
    models: Path | None = None
    encoder: Path | None = None
    reader: Path | None = None
    reranker: Path | None = None
    min_probability: float = 0.5

    def open_retriever(self, queries: Queries, *, reports: bool = True) -> Retriever:
        """Open the index over the store and the documents; it takes seconds, because of the encoder.

        Without `reports` their narratives are left out, of which there may be many.

        Raises:
            MissingExtra: what the assistant needs is not installed.
            ModelError: a network cannot be loaded.

        """
        sources = [source for source in store_sources(queries) if reports or source.name != "reports"]
        sources.append(shipped_documents())
        sources += [DocumentSource(str(folder), folder) for folder in self.documents]
        if self.models is not None:
            sources.append(ModelCardSource(self.models))
        reranker = None if self.reranker is None else Reranker.load(self.reranker)
        return Retriever.open(self.index, sources, Encoder.load(self.encoder), reranker)

    def open_reader(self) -> Reader:
        """Load the reader.

        Raises:
            MissingExtra: what the assistant needs is not installed.
            ModelError: it cannot be loaded.

        """
        return Reader.load(self.reader, self.min_probability)
