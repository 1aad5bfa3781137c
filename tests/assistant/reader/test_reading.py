"""Spans, sentences, names: what the reader gives besides what its network says."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoTokenizer

from anomalyd.assistant.encoder import installed_folder
from anomalyd.assistant.reader.reader import Reader, Span, names_in
from anomalyd.assistant.reader.scoring import exact, f1
from anomalyd.assistant.reader.sentences import around, sentences
from anomalyd.assistant.reader.spans import best_span
from anomalyd.assistant.reader.windows import WindowShape, windows_of
from anomalyd.assistant.retrieval.passage import Hit, Passage, SourceKind


@pytest.fixture(scope="module")
def tokenizer() -> object:
    return AutoTokenizer.from_pretrained(installed_folder(), local_files_only=True)


@pytest.fixture(scope="module")
def shipped() -> Reader:
    return Reader.load()


def hit(text: str, score: float = 1.0, **fields: object) -> Hit:
    given = {"kind": SourceKind.REPORT, "id": "r1", "title": "", **fields}
    return Hit(Passage(text=text, **given), score, score, score)  # type: ignore[arg-type]


# -- sentences -----------------------------------------------------------------------------------


def test_sentences_end_where_a_person_would_end_them() -> None:
    text = "Dr. Lee moved it by 1.5 mm, e.g. in W+1. Do not reboot node17! Call Ada\n- first step\n- second"
    found = [text[a:b] for a, b in sentences(text)]
    assert found == [
        "Dr. Lee moved it by 1.5 mm, e.g. in W+1.",
        "Do not reboot node17!",
        "Call Ada",
        "- first step",
        "- second",
    ]


@given(st.text(alphabet="aB1. !?\n\"'", max_size=60))
def test_sentences_lose_nothing_but_space(text: str) -> None:
    bounds = sentences(text)
    assert "".join("".join(text[a:b].split()) for a, b in bounds) == "".join(text.split())
    assert all(a < b for a, b in bounds)
    assert all(b <= c for (_, b), (c, _) in itertools.pairwise(bounds))


def test_a_span_is_widened_to_its_sentence_with_its_not() -> None:
    text = "Look at the light. Do not pull the disk before it is out. Call Ada."
    start = text.index("pull")
    a, b = around(start, start + 4, sentences(text))
    assert text[a:b] == "Do not pull the disk before it is out."


# -- names ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "names"),
    [
        ("what happened to node17 yesterday?", {"node17"}),
        ("which flag did run 321905 get, and why?", {"321905"}),
        ("is disk.sda.write of host/storage1 high?", {"disk.sda.write", "host/storage1"}),
        ("which layer of DT/W-2/MB1/S05 lost hits?", {"DT/W-2/MB1/S05"}),
        ("the 3 worst of the last 24h, from 22:00 to 2am in 2026, on the 2nd, 5% or 1.5", set()),
        ("whom do I call about disks?", set()),
    ],
)
def test_names_in_a_question(question: str, names: set[str]) -> None:
    assert names_in(question) == names


def test_what_does_not_speak_of_the_named_entity_is_not_read(shipped: Reader) -> None:
    about_17 = hit("The fan of node17 was replaced by Ada.")
    by_field = hit("The fan was replaced by Bob.", entity="node1", id="r2")
    found = shipped.candidates("who replaced the fan of node1?", [about_17, by_field])
    assert [span.passage.id for span in found] == ["r2"]
    assert shipped.candidates("who replaced the fan?", [about_17], ["node99"]) == []
    assert len(shipped.candidates("who replaced the fan of node1?", [about_17], [])) == 1


# -- windows and spans ---------------------------------------------------------------------------


@settings(deadline=None)
@given(
    words=st.lists(
        st.sampled_from(["disk", "node17", "naïve", "x" * 9, "日本", "-"]), min_size=1, max_size=120
    )
)
def test_every_place_of_a_paragraph_is_in_a_window(tokenizer: object, words: list[str]) -> None:
    text = " ".join(words)
    shape = WindowShape(tokens=40, shared=10, question=20)
    (windows,) = windows_of([("what is it?", text)], tokenizer, shape)
    assert all(len(w.ids) <= 40 for w in windows)
    k = len(words) // 2
    start = len(" ".join(words[:k])) + (1 if k else 0)
    places = [(w, p) for w in windows if (p := w.place(start, start + len(words[k])))]
    assert places
    for window, (first, last) in places:
        offsets = window.offsets[[first - window.first, last - window.first]]
        assert (offsets[0, 0], offsets[1, 1]) == (start, start + len(words[k]))


def test_a_question_longer_than_a_window_is_cut(tokenizer: object) -> None:
    (windows,) = windows_of([("why " * 1000, "because")], tokenizer, WindowShape())
    assert len(windows) == 1
    assert len(windows[0].ids) < 80


def test_windows_without_room_are_refused() -> None:
    with pytest.raises(ValueError, match="no token is left"):
        WindowShape(tokens=64, shared=20, question=40)


def test_the_best_span_is_found_by_brute_force(tokenizer: object) -> None:
    (windows,) = windows_of([("who?", "Ada and Bob and Eve of the night shift")], tokenizer, WindowShape())
    (window,) = windows
    draw = np.random.default_rng(3)
    starts, ends = draw.normal(size=(2, len(window.ids))).astype(np.float32)
    guess = best_span(windows, [starts], [ends])
    places = range(window.first, window.first + len(window.offsets))
    score, i, j = max((starts[i] + ends[j], i, j) for i in places for j in places if i <= j)
    assert guess.start == window.offsets[i - window.first, 0]
    assert guess.end == window.offsets[j - window.first, 1]
    assert guess.margin == pytest.approx(score - starts[0] - ends[0])


# -- the whole -----------------------------------------------------------------------------------


def test_the_shipped_reader_answers_what_the_text_says(shipped: Reader) -> None:
    passages = [
        hit("The cooling of rack 4 failed on Monday. Ada Lovelace replaced the pump in the evening.", 0.9),
        hit("Backups are written every night. They are kept for thirty days on tape.", 0.8, id="r2"),
    ]
    first = shipped.candidates("Who replaced the pump?", passages)[0]
    assert "Ada Lovelace" in first.text
    assert first.sentence == "Ada Lovelace replaced the pump in the evening."
    second = shipped.candidates("How long are backups kept?", passages[1:])[0]
    assert "thirty days" in second.text
    silent = shipped.candidates("What is the capital of France?", passages)[0]
    assert silent.probability < min(first.probability, second.probability)


def test_the_threshold_decides_what_is_an_answer(shipped: Reader) -> None:
    passages = [hit("Ada Lovelace replaced the pump in the evening.")]
    found = shipped.candidates("Who replaced the pump?", passages)[0]
    for threshold, answered in ((found.probability, True), (found.probability + 1e-6, False)):
        reader = Reader(shipped._network, shipped._tokenizer, shipped._calibration, threshold)
        assert (reader.read("Who replaced the pump?", passages) == found) is answered
    assert shipped.read("Who replaced the pump?", []) is None


def test_a_heading_is_read_but_never_the_answer(shipped: Reader) -> None:
    document = hit("Call the night shift.", kind=SourceKind.DOCUMENT, title="Whom to call: Ada Lovelace")
    (found,) = shipped.candidates("Whom do I call?", [document])
    assert found.text in document.passage.text
    assert 0 <= found.start < found.end <= len(document.passage.text)


@settings(deadline=None, max_examples=25)
@given(question=st.text(max_size=60), text=st.text(max_size=200))
def test_any_text_is_only_read(shipped: Reader, question: str, text: str) -> None:
    for span in shipped.candidates(question, [hit(text)], []):
        assert isinstance(span, Span)
        assert span.text in span.sentence
        assert 0.0 <= span.probability <= 1.0


def test_scores_are_those_of_squad() -> None:
    assert exact("The  Pump!", ["a pump"])
    assert exact("", [])
    assert not exact("", ["x"])
    assert f1("the old pump", ["pump", "fan"]) == pytest.approx(2 / 3)
    assert f1("x", []) == 0.0
