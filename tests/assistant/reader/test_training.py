"""Files, made unanswerable questions, a loop that is taken up where it was left, and what is written."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import AutoTokenizer

from anomalyd.assistant.encoder import installed_folder
from anomalyd.assistant.reader.calibration import (
    Calibration,
    expected_calibration_error,
    fit_calibration,
    reliability,
)
from anomalyd.assistant.reader.evaluation import Read, figures
from anomalyd.assistant.reader.network import untrained
from anomalyd.assistant.reader.reader import Reader
from anomalyd.assistant.reader.recipe import Course, Recipe, fold_of
from anomalyd.assistant.reader.squad import Example, Gold, read_squad
from anomalyd.assistant.reader.training import Sample, Stage, train_stage
from anomalyd.assistant.reader.unanswerable import made_unanswerable
from anomalyd.assistant.reader.weights import applied, difference, load_reader, save_reader
from anomalyd.assistant.reader.windows import WindowShape, windows_of
from anomalyd.detectors.detector import silent
from anomalyd.errors import ModelDamaged, ModelMissing, TrainingError

CONTEXT = (
    "In 1901 the northern tower was built by Ada Lovelace near the river. It stood for 90 years and was sold "
    "to the town of Bern. The southern tower was never finished because the money was spent on a bridge."
)


def squad(*questions: dict[str, Any]) -> dict[str, Any]:
    return {"data": [{"title": "T", "paragraphs": [{"context": CONTEXT, "qas": list(questions)}]}]}


def question(number: int, text: str, *answers: str, start: int | None = None) -> dict[str, Any]:
    golds = [{"text": a, "answer_start": CONTEXT.find(a) if start is None else start} for a in answers]
    return {"id": f"q{number}", "question": text, "answers": golds}


def examples(count: int = 6) -> list[Example]:
    texts = [
        "In what year was the northern tower built?",
        "Who built the first tower near Bern?",
        "Where to?",
    ]
    wanted = ["1901", "Ada Lovelace", "Bern"]
    found = []
    for k in range(count):
        context = f"{CONTEXT} Article {k} ends here, with words number {k}."
        gold = Gold(wanted[k % 3], context.index(wanted[k % 3]))
        found.append(Example(f"q{k}", f"article {k % 3}", texts[k % 3], context, (gold,)))
    return found


# -- files ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("zipped", [False, True])
def test_squad_is_read(tmp_path: Path, zipped: bool) -> None:
    data = json.dumps(squad(question(1, "Who?", "Ada Lovelace"), question(2, "Why?"))).encode()
    path = tmp_path / "questions.json"
    path.write_bytes(gzip.compress(data) if zipped else data)
    first, second = read_squad(path)
    assert (first.article, first.question, second.answers) == ("T", "Who?", ())
    (gold,) = first.answers
    assert CONTEXT[gold.start : gold.end] == "Ada Lovelace"


def test_an_answer_at_another_place_is_taken_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "q.json"
    path.write_text(json.dumps(squad(question(1, "Who?", "Bern", start=0))))
    assert read_squad(path)[0].answers[0].start == CONTEXT.index("Bern")


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("{", "JSON"),
        ("[]", "no object"),
        ('{"data": []}', "no question"),
        ('{"data": [{"paragraphs": [{"qas": [{"id": 1}]}]}]}', "context"),
        (json.dumps(squad(question(7, "Who?", "Nobody", start=3))), "'q7'.*'Nobody'"),
    ],
)
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, match: str) -> None:
    path = tmp_path / "q.json"
    path.write_text(text)
    with pytest.raises(TrainingError, match=match):
        read_squad(path)


# -- made unanswerable ---------------------------------------------------------------------------


def test_made_questions_have_no_answer_and_stay_near() -> None:
    given = examples(12)
    made = list(made_unanswerable(given, 9, seed=1))
    assert made == list(made_unanswerable(given, 9, seed=1))
    assert {e.id.rpartition("-")[2] for e in made} == {"exchanged", "without"}  # neighbours have the answers
    before = {e.id: e for e in given}
    for e in made:
        origin, _, how = e.id.rpartition("-")
        assert e.answers == ()
        if how == "exchanged":
            assert e.question != before[origin].question
        else:
            assert before[origin].answers[0].text not in e.context
            assert len(e.context) < len(before[origin].context)


# -- training ------------------------------------------------------------------------------------


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network of one layer, because the loop is the same."""
    import transformers

    real = transformers.AutoModelForQuestionAnswering.from_config

    def thin(config: Any, **options: Any) -> Any:
        config.num_hidden_layers = 1
        return real(config, **options)

    monkeypatch.setattr(transformers.AutoModelForQuestionAnswering, "from_config", thin)


def stage(name: str = "first", seed: int = 1) -> Stage:
    tokenizer = AutoTokenizer.from_pretrained(installed_folder(), local_files_only=True)
    shape = WindowShape(tokens=64, shared=8, question=24)
    samples = []
    for e in examples(9):
        gold = e.answers[0]
        ((window, *_),) = windows_of([(e.question, e.context)], tokenizer, shape)
        place = window.place(gold.start, gold.end)
        samples.append(Sample(window, *(place or (0, 0))))
    return Stage(name, samples, 1e-3, warm=1, seed=seed, tokens=128)


def weights(network: Any) -> np.ndarray:
    parts = [p.detach().numpy().ravel() for p in network.parameters() if p.requires_grad]
    return np.concatenate(parts)


def test_interrupted_training_comes_to_the_same_weights(
    tmp_path: Path, small: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("anomalyd.assistant.reader.training._SAVED_EVERY", 2)
    straight = untrained(5)
    train_stage(straight, stage(), 0, tmp_path / "a", silent)

    def interrupting(what: str, step: int, total: int, figures: object = None) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_stage(untrained(5), stage(), 0, tmp_path / "b", interrupting)
    seen: list[int] = []
    again = untrained(5)
    train_stage(again, stage(), 0, tmp_path / "b", lambda what, step, total, figures=None: seen.append(step))
    assert seen[0] == 3
    np.testing.assert_array_equal(weights(again), weights(straight))
    with pytest.raises(TrainingError, match="other questions"):
        train_stage(untrained(5), stage(seed=2), 0, tmp_path / "b", silent)


def test_training_lowers_the_loss_and_leaves_the_embeddings(tmp_path: Path, small: None) -> None:
    losses: list[float] = []
    network = untrained(5)
    before = network.bert.embeddings.word_embeddings.weight.clone()
    for k in range(6):
        train_stage(
            network, stage(f"s{k}"), 0, tmp_path, lambda w, s, t, figures=None: losses.append(figures["loss"])
        )
    assert losses[-1] < 0.7 * losses[0]
    assert torch.equal(before, network.bert.embeddings.word_embeddings.weight)


def test_a_stage_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no samples"):
        train_stage(None, Stage("first", [], 1e-3), 0, tmp_path, silent)


def test_the_learning_rate_rises_and_falls_to_where_it_is_handed_over() -> None:
    given = Stage("first", [], 2.0, last_rate=1.0, warm=4)
    rates = [given.rate_at(k, 24) for k in range(25)]
    assert rates[:4] == pytest.approx([0.5, 1.0, 1.5, 2.0])
    assert rates[24] == pytest.approx(1.0)
    assert np.diff(rates[4:]) == pytest.approx(-1.0 / 20)


def test_a_course_trains_both_stages(tmp_path: Path, small: None) -> None:
    tokenizer = AutoTokenizer.from_pretrained(installed_folder(), local_files_only=True)
    course = Course(examples(9), Recipe(made=3, steps=2, warm=1, replayed=2), tokenizer, tmp_path, silent)
    first = course.first()
    before = weights(first).copy()
    second = course.second(first, examples(3), "second")
    assert not np.array_equal(before, weights(second))


def test_an_article_is_in_one_fold() -> None:
    assert fold_of(examples(9), 2) == {"article 0": 0, "article 1": 1, "article 2": 0}


# -- what is written -----------------------------------------------------------------------------


def test_a_difference_of_full_rank_gives_the_network_back(tmp_path: Path, small: None) -> None:
    network = untrained(5)
    draw = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.requires_grad:
            parameter.data += 0.01 * torch.randn(parameter.shape, generator=draw)
    save_reader(tmp_path, difference(network, 384), Calibration(0.5, -1.0), {"rank": 384})
    found, calibration = load_reader(tmp_path)
    assert calibration == Calibration(0.5, -1.0)
    np.testing.assert_allclose(weights(found), weights(network), atol=2e-3)
    thin = applied(difference(network, 8))
    assert 0.0 < np.abs(weights(thin) - weights(network)).mean() < 0.02


def test_readers_that_do_not_hold_together_are_refused(tmp_path: Path, small: None) -> None:
    with pytest.raises(ModelMissing, match="train-reader"):
        load_reader(tmp_path)
    save_reader(tmp_path, difference(untrained(5), 2), Calibration(1.0, 0.0), {})
    path = tmp_path / "reader.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelDamaged, match="card"):
        load_reader(tmp_path)
    (tmp_path / "reader.json").write_text("{}")
    with pytest.raises(ModelDamaged, match="calibration"):
        load_reader(tmp_path)
    with pytest.raises(ModelMissing):
        Reader.load(tmp_path / "nowhere")


# -- calibration ---------------------------------------------------------------------------------


def test_calibration_finds_the_curve_that_the_data_come_from() -> None:
    draw = np.random.default_rng(0)
    margins = draw.normal(0, 3, 20_000)
    right = draw.random(20_000) < 1 / (1 + np.exp(-(0.7 * margins - 1.2)))
    found = fit_calibration(margins, right)
    assert (found.slope, found.intercept) == pytest.approx((0.7, -1.2), abs=0.06)
    assert expected_calibration_error(reliability(found.probability(margins), right)) < 0.02
    assert found.probability(-np.inf) == 0.0


def test_separable_data_give_a_finite_slope() -> None:
    found = fit_calibration([-1.0, -2.0, 3.0, 4.0], [False, False, True, True])
    assert 0 < found.slope < 50


def test_figures_of_a_reader_that_knows_when_it_is_right() -> None:
    reads = [
        Read(
            f"article {k % 4}",
            k % 2 == 0,
            5.0 if k % 2 == 0 else -5.0,
            float(k % 2 == 0),
            k % 2 == 0,
            k % 2 == 0,
        )
        for k in range(200)
    ]
    found = figures(reads)
    assert (found.f1, found.exact, found.f1_at_zero, found.forced, found.sentence) == (1, 1, 1, 1, 1)
    assert -5.0 <= found.margin < 5.0
    assert found.ece < 0.03
    worse = figures([*reads, *[Read("article 9", True, 9.0, 0.5, False, False)] * 100])
    assert worse.forced == pytest.approx((100 + 50) / 200)
    assert worse.sentence == pytest.approx(0.5)
    assert worse.f1 == pytest.approx((200 + 50) / 300)
