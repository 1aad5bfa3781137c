"""Passages are found by words and meaning, within the filters, and the index follows its sources."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.assistant.retrieval.passage import Filters, Passage, SourceKind
from anomalyd.assistant.retrieval.reranker import Reranker
from anomalyd.assistant.retrieval.retriever import COSINE, LEXICAL, Retriever
from anomalyd.assistant.retrieval.words import Words


class LetterEncoder:
    """Texts of the same letters have the same vector; it counts what it encoded."""

    size = 26

    def __init__(self, fingerprint: str = "letters") -> None:
        self.fingerprint = fingerprint
        self.encoded: list[str] = []

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        self.encoded += texts
        counts = np.array(
            [[text.lower().count(chr(97 + k)) + 0.01 for k in range(26)] for text in texts], dtype=np.float32
        )
        return counts / np.linalg.norm(counts, axis=1, keepdims=True)


@dataclass
class MemorySource:
    """Passages by item, each with a version."""

    name: str = "memory"
    items: dict[str, tuple[str, list[Passage]]] = field(default_factory=dict)
    reads: list[str] = field(default_factory=list)

    def put(self, item: str, text: str, version: str = "1", **fields: object) -> None:
        passage = Passage(SourceKind.REPORT, item, item, text, **fields)  # type: ignore[arg-type]
        self.items[item] = (version, [passage])

    def versions(self) -> dict[str, str]:
        return {item: version for item, (version, _) in self.items.items()}

    def read(self, items: Sequence[str]) -> Iterator[tuple[str, list[Passage]]]:
        self.reads += items
        yield from ((item, self.items[item][1]) for item in items)


@pytest.fixture
def letters() -> LetterEncoder:
    return LetterEncoder()


@pytest.fixture
def source() -> MemorySource:
    made = MemorySource()
    made.put("r1", "the disk of node17 was slow", entity="node17", since=100.0, until=200.0)
    made.put("r2", "the network of node17 lost packets", entity="node17", since=300.0)
    made.put("r3", "the disk of node02 was full", entity="node02", since=150.0, until=250.0)
    made.put("d1", "how to replace a disk")
    return made


@pytest.fixture
def retriever(tmp_path: Path, source: MemorySource, letters: LetterEncoder) -> Iterator[Retriever]:
    opened = Retriever.open(tmp_path / "index", [source], letters)
    opened.refresh()
    yield opened
    opened.close()


def ids(retriever: Retriever, question: str, filters: Filters = Filters()) -> list[str]:
    return [hit.passage.id for hit in retriever.search(question, filters)]


def test_the_best_comes_first_and_scores_fall(retriever: Retriever) -> None:
    hits = retriever.search("slow disk on node17")
    assert hits[0].passage.id == "r1"
    assert hits[0].lexical == 1.0
    assert [h.score for h in hits] == sorted((h.score for h in hits), reverse=True)
    for hit in hits:
        assert hit.score == pytest.approx(COSINE * hit.cosine + LEXICAL * hit.lexical)


def test_stems_are_compared(retriever: Retriever) -> None:
    assert ids(retriever, "node17: every packet")[0] == "r2"


@pytest.mark.parametrize(
    ("filters", "wanted"),
    [
        (Filters(entities=("node17",)), {"r1", "r2", "d1"}),
        (Filters(entities=("node17", "node02")), {"r1", "r2", "r3", "d1"}),
        (Filters(since=220.0), {"r2", "r3", "d1"}),
        (Filters(until=150.0), {"r1", "d1"}),
        (Filters(since=200.0, until=300.0), {"r1", "r3", "d1"}),
        (Filters(ids=("r3",)), {"r3"}),
        (Filters(kinds=(SourceKind.DOCUMENT,)), set()),
        (Filters(entities=("nobody",), kinds=(SourceKind.REPORT,), since=0.0), {"d1"}),
    ],
)
def test_filters_hold(retriever: Retriever, filters: Filters, wanted: set[str]) -> None:
    assert set(ids(retriever, "disk network node17", filters)) == wanted


def test_filters_that_many_passages_pass_hold_too(
    retriever: Retriever, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = retriever.search("disk of node17", Filters(until=280.0))
    monkeypatch.setattr("anomalyd.assistant.retrieval.index._FEW", 0)
    assert retriever.search("disk of node17", Filters(until=280.0)) == wanted
    assert {hit.passage.id for hit in wanted} == {"r1", "r3", "d1"}


def test_a_reranker_has_the_last_word(tmp_path: Path, source: MemorySource) -> None:
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    from anomalyd.assistant.encoder import installed_folder
    from anomalyd.errors import ModelMissing

    with pytest.raises(ModelMissing, match="no reranker"):
        Reranker.load(tmp_path / "nowhere")
    tokenizer = AutoTokenizer.from_pretrained(installed_folder(), local_files_only=True)
    tokenizer.save_pretrained(tmp_path / "cross")
    config = BertConfig(hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16)
    BertForSequenceClassification(config).save_pretrained(tmp_path / "cross")
    reranker = Reranker.load(tmp_path / "cross")
    plain = Retriever.open(tmp_path / "index", [source], LetterEncoder())
    plain.refresh()
    hits = plain.search("disk", k=4)
    again = Retriever.open(tmp_path / "index", [source], LetterEncoder(), reranker)
    assert again.search("disk", k=2) == reranker.order("disk", hits)[:2]
    assert sorted(h.passage.id for h in reranker.order("disk", hits)) == ["d1", "r1", "r2", "r3"]
    assert reranker.order("disk", []) == []


def test_what_changed_is_read_again_and_nothing_else(
    retriever: Retriever, source: MemorySource, letters: LetterEncoder
) -> None:
    source.reads.clear()
    letters.encoded.clear()
    source.put("r1", "the fan of node17 stood still", version="2", entity="node17")
    source.put("r4", "humidity in the hall", entity="hall")
    del source.items["r2"]
    assert retriever.refresh() == 3
    assert sorted(source.reads) == ["r1", "r4"]
    assert len(letters.encoded) == 2
    assert ids(retriever, "fan")[0] == "r1"
    assert ids(retriever, "humidity")[0] == "r4"
    assert "r2" not in ids(retriever, "network of node17 lost packets")
    assert retriever.refresh() == 0


def test_words_find_what_has_no_vector_yet(tmp_path: Path, source: MemorySource) -> None:
    letters = LetterEncoder()
    opened = Retriever.open(tmp_path / "index", [source], letters)
    assert opened.refresh(seconds=0) == 4
    assert letters.encoded == []
    hit = opened.search("slow disk")[0]
    assert (hit.passage.id, hit.cosine) == ("r1", 0.0)
    opened.refresh()
    assert opened.search("slow disk")[0].cosine > 0.5


def test_it_is_kept_on_disk(tmp_path: Path, retriever: Retriever, source: MemorySource) -> None:
    source.reads.clear()
    letters = LetterEncoder()
    again = Retriever.open(tmp_path / "index", [source], letters)
    assert again.refresh() == 0
    assert source.reads == letters.encoded == []
    assert ids(again, "slow disk")[0] == "r1"


def test_another_encoder_makes_vectors_again_but_reads_nothing(
    tmp_path: Path, retriever: Retriever, source: MemorySource
) -> None:
    source.reads.clear()
    other = LetterEncoder("another")
    again = Retriever.open(tmp_path / "index", [source], other)
    again.refresh()
    assert len(other.encoded) == 4
    assert source.reads == []


def test_an_index_of_another_layout_is_made_again(
    tmp_path: Path, retriever: Retriever, source: MemorySource
) -> None:
    retriever.close()
    with sqlite3.connect(tmp_path / "index" / "passages.db") as db:
        db.execute("UPDATE settings SET value = '0' WHERE name = 'format'")
    again = Retriever.open(tmp_path / "index", [source], LetterEncoder())
    assert again.search("disk") == []
    assert again.refresh() == 4
    assert len(again.search("disk")) >= 3


def test_others_over_the_same_folder_see_what_changed(
    tmp_path: Path, retriever: Retriever, source: MemorySource
) -> None:
    other = Retriever.open(tmp_path / "index", [source], LetterEncoder())
    assert ids(other, "humidity in the hall")[0] != "r4"
    source.put("r4", "humidity in the hall")
    retriever.refresh()
    assert ids(other, "humidity in the hall")[0] == "r4"
    assert other.search("humidity in the hall")[0].lexical == 1.0


def test_an_interruption_before_the_commit_loses_and_doubles_nothing(
    retriever: Retriever, source: MemorySource, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.put("r4", "humidity in the hall")
    real = Words.replace

    def torn(self: Words, *args: object) -> None:
        real(self, *args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    monkeypatch.setattr(Words, "replace", torn)
    with pytest.raises(KeyboardInterrupt):
        retriever.refresh()
    monkeypatch.undo()
    retriever.refresh()
    assert ids(retriever, "humidity in the hall").count("r4") == 1
    assert len(retriever.search("disk", k=50)) == 5


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Words:
    made = Words.open(tmp_path_factory.mktemp("words"))
    made.replace([(1, "the disk was slow")], [])
    return made


@settings(deadline=None)
@given(question=st.text(max_size=80))
def test_any_question_is_only_text(words: Words, question: str) -> None:
    assert set(words.best(question, 5)) <= {1}
    assert set(words.best(f"disk {question}", 5)) == {1}
