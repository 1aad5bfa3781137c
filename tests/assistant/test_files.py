"""The configuration's section gives a retriever over everything that can be read, and a reader."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomalyd.assistant.files import AssistantFiles
from anomalyd.assistant.retrieval.passage import Filters, SourceKind
from anomalyd.daemon.config.assistant_config import AssistantConfig
from anomalyd.reports.queries import Queries


def test_reports_and_documents_are_searched_together(tmp_path: Path, queries: Queries) -> None:
    (tmp_path / "runbooks").mkdir()
    (tmp_path / "runbooks" / "disks.md").write_text("# Disks\nBefore you pull a disk, call Ada Lovelace.")
    files = AssistantFiles(
        index=tmp_path / "index", documents=(tmp_path / "runbooks",), models=tmp_path / "m"
    )
    retriever = files.open_retriever(queries)
    retriever.refresh(seconds=0)
    best = retriever.search("whom do I call before I pull a disk?", k=3)[0]
    assert (best.passage.id, best.passage.title) == ("disks.md#disks", "Disks")
    kinds = Filters(kinds=(SourceKind.REPORT,), entities=("host/storage1",))
    found = retriever.search("disk write", kinds, k=20)
    assert {hit.passage.entity for hit in found} == {"host/storage1"}
    retriever.close()
    span = files.open_reader().candidates("Whom do I call before I pull a disk?", [best])[0]
    assert span.text == "Ada Lovelace"


def test_the_section_names_folders() -> None:
    given = AssistantConfig(documents=["runbooks"], reader="mine", min_probability=0.7)
    files = given.files("models")
    assert files.documents == (Path("runbooks"),)
    assert (files.reader, files.encoder, files.models) == (Path("mine"), None, Path("models"))
    assert files.min_probability == pytest.approx(0.7)
