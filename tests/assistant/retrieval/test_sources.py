"""What the store and folders say in words becomes passages."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from anomalyd.assistant.retrieval.documents import DocumentSource, ModelCardSource, shipped_documents
from anomalyd.assistant.retrieval.passage import SourceKind
from anomalyd.assistant.retrieval.store_sources import ReportSource, store_sources
from anomalyd.reports.feedback import Verdict
from anomalyd.reports.quality import Flag, Override
from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Incident
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.repositories.flag_repository import FlagBook
from anomalyd.reports.storage.repositories.maintenance import MaintenanceBook, Window
from anomalyd.reports.storage.store import Store


def test_every_report_is_a_passage_about_its_entity(
    queries: Queries, all_incidents: tuple[Incident, ...]
) -> None:
    source = ReportSource(queries)
    versions = source.versions()
    assert set(versions) == {i.id for i in all_incidents}
    read = dict(source.read(list(versions)))
    for incident in all_incidents:
        (passage,) = read[incident.id]
        assert (passage.id, passage.entity) == (incident.id, incident.entity)
        assert (passage.since, passage.until) == (incident.onset, incident.closed)
        assert passage.text == queries.report(incident.id).narrative
        assert all(cause in passage.gist for cause in incident.causes)


def test_what_people_said_is_found_with_who_and_why(tmp_path: Path, now: float) -> None:
    url = f"sqlite:///{tmp_path / 'reports.db'}"
    store = Store.open(url, clock=lambda: now)
    store.ledger.record_word("hosts", "node17", Verdict.BROKEN, since=None, who="ada", reason="no fan")
    store.close()
    database = Database.open(url)
    MaintenanceBook(database, lambda: now).add(Window(("node17",), now, now + 60, "new fan"))
    FlagBook(database, lambda: now).say(Override(7, "DT", 3, 9, Flag.BAD, "bob", "high voltage off"))
    database.close()
    queries = Queries.open(url)
    sources = {source.name: source for source in store_sources(queries)}
    texts = {
        name: [p for _, some in source.read(list(source.versions())) for p in some]
        for name, source in sources.items()
    }
    queries.close()
    (word,), (window,), (flag,) = texts["words"], texts["maintenance"], texts["flags"]
    assert "ada said" in word.text
    assert "no fan" in word.text
    assert (window.entity, window.since, window.until) == ("node17", now, now + 60)
    assert "new fan" in window.text
    assert flag.text == "bob set the flag bad for DT in run 7, lumisections 3 to 9: high voltage off."


def test_documents_are_followed_by_time_and_size(tmp_path: Path) -> None:
    source = DocumentSource("mine", tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / ".hidden" / "no.md").write_text("# no")
    disks = tmp_path / "inner" / "disks.md"
    disks.write_text("# Disks\nCall Ada.")
    before = source.versions()
    assert list(before) == ["inner/disks.md"]
    ((item, (passage,)),) = source.read(list(before))
    assert (item, passage.id, passage.text) == (item, "inner/disks.md#disks", "Call Ada.")
    disks.write_text("# Disks\nCall Bob.")
    os.utime(disks, ns=(1, 1))
    assert source.versions() != before
    disks.unlink()
    assert source.versions() == {}
    assert list(source.read(["inner/disks.md"])) == []


def test_a_file_that_is_no_text_or_too_large_harms_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = DocumentSource("mine", tmp_path)
    (tmp_path / "a.md").write_bytes(bytes(range(256)))
    assert dict(source.read(["a.md"]))["a.md"]
    monkeypatch.setattr("anomalyd.assistant.retrieval.documents._LARGEST", 10)
    assert dict(source.read(["a.md"]))["a.md"] == []


def test_the_documentation_is_shipped() -> None:
    source = shipped_documents()
    assert "architecture.md" in source.versions()
    ((_, passages),) = source.read(["config.md"])
    assert all(p.kind is SourceKind.DOCUMENT and p.title for p in passages)


def test_model_cards_are_told_and_damaged_ones_are_left(tmp_path: Path) -> None:
    card = {
        "kind": "pca", "sample_kind": "vector", "features": ["cpu.user"], "shapes": {"node17": [1]},
        "trained_from": 0.0, "trained_to": 86400.0, "samples": 900, "code_version": "1.0", "seed": 3,
        "parameters": {"components": 2}, "created": 90000.0, "figures": {"loss": 0.25},
    }  # fmt: skip
    for name, text in (("hosts/v1", json.dumps({"card": card})), ("hosts/v2", "{"), ("hosts/v3", "[]")):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "model.json").write_text(text)
    source = ModelCardSource(tmp_path)
    read = dict(source.read([*source.versions(), "hosts/gone"]))
    assert set(read) == {"hosts/v1", "hosts/v2", "hosts/v3"}
    assert read["hosts/v2"] == read["hosts/v3"] == []
    (passage,) = read["hosts/v1"]
    assert "trained on 900 samples of 1 entities, from 1970-01-01 00:00 UTC" in passage.text
    assert "components 2" in passage.text
