"""The figures on a model's card are those of the weights that were kept."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.model import CARD, Model, load_model, read_card, save_model
from anomalyd.detectors.training import train_model
from anomalyd.detectors.training_log import TrainingLog
from anomalyd.errors import ModelDamaged, ModelMissing


def test_everything_is_passed_on_and_the_best_is_kept() -> None:
    told: list[tuple[Any, ...]] = []
    course = TrainingLog(lambda *what: told.append(what))
    steps: list[tuple[str, int, int, Mapping[str, float] | None]] = [
        ("fit", 1, 9, {"loss": 3.0, "validation": 2.0}),
        ("fit", 2, 9, {"loss": 2.0, "validation": 1.0}),
        ("fit", 3, 9, {"loss": 1.0, "validation": 1.5}),
        ("references", 1, 1, None),
    ]
    for step in steps:
        course(*step)
    assert told == steps
    assert course.figures() == {"loss": 2.0, "validation": 1.0, "steps": 3.0}
    course("levels", 5, 5, {"loss": 9.0})
    course("levels", 6, 6, {"loss": 8.0})
    assert course.figures() == {
        "fit: loss": 2.0,
        "fit: validation": 1.0,
        "fit: steps": 3.0,
        "levels: loss": 8.0,
        "levels: steps": 6.0,
    }


def test_without_figures_there_are_none() -> None:
    assert TrainingLog(lambda *_: None).figures() == {}


@pytest.fixture(scope="module")
def model() -> Model:
    def ticks() -> Iterator[float]:
        yield from (100.0, 107.5)

    clock = ticks()
    values = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    return train_model(
        TrainingSet({"a": Series(np.arange(200.0), values)}, ("x", "y", "z")),
        kind="vector-autoencoder",
        parameters={"epochs": 2, "window": 4, "warmup": 10},
        false_alarms=AlertRate(0.1),
        seed=0,
        code_version="test",
        created=0.0,
        stopwatch=lambda: next(clock),
    )


def test_a_trained_model_says_how_it_went(model: Model, tmp_path: Path) -> None:
    figures = model.card.figures
    assert {"loss", "validation", "steps", "held_out_rate", "seconds"} <= figures.keys()
    assert figures["seconds"] == 7.5
    assert 1 <= figures["steps"] <= 2
    assert 0.0 <= figures["held_out_rate"] <= 0.3  # wanted: a tenth, of 50 samples
    save_model(model, tmp_path)
    assert load_model(tmp_path).card == model.card
    card, calibration, sha256 = read_card(tmp_path)
    assert (card, calibration) == (model.card, model.calibration)
    assert sha256 == json.loads((tmp_path / CARD).read_text())["weights_sha256"]


def test_a_card_of_before_has_no_figures(model: Model, tmp_path: Path) -> None:
    from anomalyd.detectors.model import _sha256_of

    save_model(model, tmp_path)
    written = json.loads((tmp_path / CARD).read_text())
    del written["sha256"], written["card"]["figures"]
    (tmp_path / CARD).write_text(json.dumps({**written, "sha256": _sha256_of(written)}))
    assert load_model(tmp_path).card.figures == {}
    assert read_card(tmp_path)[0].figures == {}


def test_a_card_alone_is_refused_as_with_its_weights(model: Model, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing):
        read_card(tmp_path)
    save_model(model, tmp_path)
    content = (tmp_path / CARD).read_text()
    (tmp_path / CARD).write_text(content.replace('"seed": 0', '"seed": 1'))
    with pytest.raises(ModelDamaged, match="edited"):
        read_card(tmp_path)
