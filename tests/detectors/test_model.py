from __future__ import annotations

import hashlib
import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.model import CARD, WEIGHTS, Model, load_model, save_model
from anomalyd.errors import ModelDamaged, ModelMismatch, ModelMissing


@pytest.fixture(params=["autoencoder", "classical"])
def model(request: pytest.FixtureRequest, pair: DetectorPair) -> Model:
    chosen: Model = getattr(pair, request.param)
    return chosen


@pytest.fixture
def folder(model: Model, tmp_path: Path) -> Path:
    save_model(model, tmp_path / "kept")
    return tmp_path / "kept"


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None], *, sign: bool = True) -> None:
    """Change the card, and give it the right hash again unless not asked to."""
    written = json.loads((folder / CARD).read_text())
    given = written.pop("sha256")
    change(written)
    text = json.dumps(written, sort_keys=True, separators=(",", ":"))
    written["sha256"] = hashlib.sha256(text.encode()).hexdigest() if sign else given
    (folder / CARD).write_text(json.dumps(written))


def test_a_loaded_model_is_the_saved_one(
    model: Model, folder: Path, make_metrics: Callable[..., NDArray[np.float32]]
) -> None:
    loaded = load_model(folder)
    assert loaded.card == model.card
    assert loaded.calibration == model.calibration
    windows = [SeriesWindow(entity, np.arange(30.0), make_metrics(30, 9)) for entity in ("a", "never seen")]
    for before, after in zip(model.score(windows), loaded.score(windows), strict=True):
        np.testing.assert_array_equal(before.score, after.score)
        np.testing.assert_array_equal(before.expectation, after.expectation)
        np.testing.assert_array_equal(before.contribution, after.contribution)


def test_laying_the_card_out_anew_does_not_matter(folder: Path) -> None:
    rewrite(folder, lambda card: None)
    load_model(folder)


@pytest.mark.parametrize("name", [WEIGHTS, CARD])
@pytest.mark.parametrize(
    "damage",
    [
        lambda content: content[: len(content) // 2],
        lambda content: b"",
        lambda content: content[:-9] + bytes([content[-9] ^ 1]) + content[-8:],
        lambda content: pickle.dumps({"weights": [1.0]}),
        lambda content: b"[" * 100_000,
    ],
    ids=["truncated", "empty", "one bit", "pickle", "deep"],
)
def test_damage_is_refused(folder: Path, name: str, damage: Callable[[bytes], bytes]) -> None:
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    with pytest.raises(ModelDamaged, match=rf"{name}.*train it again"):
        load_model(folder)


def test_an_edited_card_is_refused(folder: Path) -> None:
    def raise_threshold(card: dict[str, Any]) -> None:
        card["calibration"]["threshold"] *= 2

    rewrite(folder, raise_threshold, sign=False)
    with pytest.raises(ModelDamaged, match="edited"):
        load_model(folder)


def test_weights_that_are_no_safetensors_are_refused_even_with_the_right_hash(folder: Path) -> None:
    content = pickle.dumps({"weights": [1.0]})
    (folder / WEIGHTS).write_bytes(content)
    rewrite(folder, lambda card: card.update(weights_sha256=hashlib.sha256(content).hexdigest()))
    with pytest.raises(ModelDamaged, match="do not fit together"):
        load_model(folder)


@pytest.mark.parametrize("part", ["card", "calibration", "config", "weights_sha256"])
def test_a_card_without_a_part_is_refused(folder: Path, part: str) -> None:
    rewrite(folder, lambda card: card.pop(part))
    with pytest.raises(ModelDamaged):
        load_model(folder)


def test_an_unknown_kind_and_an_unknown_format_are_refused(folder: Path) -> None:
    rewrite(folder, lambda card: card["card"].update(kind="subprocess:run"))
    with pytest.raises(ModelMismatch, match=r"subprocess:run.*known: vector-ensemble"):
        load_model(folder)
    rewrite(folder, lambda card: card.update(format=2))
    with pytest.raises(ModelMismatch, match=r"format 2, this version reads format 1"):
        load_model(folder)


def test_the_weights_of_another_kind_are_refused(pair: DetectorPair, tmp_path: Path) -> None:
    for member in ("autoencoder", "classical"):
        save_model(getattr(pair, member), tmp_path / member)
    weights = (tmp_path / "classical" / WEIGHTS).read_bytes()
    (tmp_path / "autoencoder" / WEIGHTS).write_bytes(weights)
    digest = hashlib.sha256(weights).hexdigest()
    rewrite(tmp_path / "autoencoder", lambda card: card.update(weights_sha256=digest))
    with pytest.raises(ModelDamaged, match="weights and sizes differ"):
        load_model(tmp_path / "autoencoder")


@pytest.mark.parametrize("gone", [WEIGHTS, CARD, ""])
def test_what_is_not_there_is_missing(folder: Path, gone: str) -> None:
    shutil.rmtree(folder) if not gone else (folder / gone).unlink()
    with pytest.raises(ModelMissing, match="no such file"):
        load_model(folder)


def test_check_names_what_does_not_fit(model: Model) -> None:
    model.check(features=("m0", "m1", "m2", "m3", "m4", "m5"))
    with pytest.raises(ModelMismatch, match=r"missing: m5; not known to it: cpu"):
        model.check(features=("m0", "m1", "m2", "m3", "m4", "cpu"))
    with pytest.raises(ModelMismatch, match="in another order"):
        model.check(features=("m1", "m0", "m2", "m3", "m4", "m5"))
    with pytest.raises(ModelMismatch, match="vector samples, not on map"):
        model.check(sample_kind="map")
