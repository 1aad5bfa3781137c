"""What a part brings is told from what the whole reaches without it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from anomalyd.detectors.evaluation.metrics import ablation
from anomalyd.detectors.evaluation.metrics.ablation import measure_ablation
from anomalyd.detectors.evaluation.metrics.competitor import Competitor, Streamed
from anomalyd.detectors.evaluation.tables import ablation_table
from anomalyd.detectors.registry import detector_class
from anomalyd.detectors.vectors.ensemble.views import VIEWS
from anomalyd.errors import TrainingError

QUICK = Competitor("vector-ensemble", {"steps": 5})


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two machines of noise; every 400th row is labelled."""
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, name in enumerate(("one", "two")):
        values = np.random.default_rng(seed).normal(size=(2000, 3)).astype(np.float32)
        label = np.zeros(1000, dtype=np.uint8)
        label[200::400] = 1
        np.savez(folder / name, train=values[:1000], test=values[1000:], label=label)
    return folder


def test_every_part_is_left_out_once(data: Path, tmp_path: Path) -> None:
    found = measure_ablation(data, tmp_path / "out", QUICK, seeds=1)
    assert [row.part for row in found.rows] == ["", *detector_class("vector-ensemble").parts]
    of_turbulence = found.rows[1]
    assert any(abs(of_turbulence.figures[name]) > 0.0 for name in ("auprc", "auroc", "vus_pr"))
    assert not found.failed
    written = json.loads((tmp_path / "out" / "ablation.json").read_text())
    assert written["rows"][0]["figures"]["auprc"] == found.rows[0].figures["auprc"]


def test_what_only_one_part_finds_is_lost_without_it(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Competitor] = []
    monkeypatch.setattr(Competitor, "train", lambda self, training, progress: asked.append(self))

    def stream(trained: object, entity: str, times: object, values: np.ndarray) -> Streamed:
        """Find every event; without jolts none on one machine, and half of them with the odd seed."""
        score = np.zeros(len(values))
        blind = "jolts" in asked[-1].parameters and entity == "one"
        score[200 :: 800 if asked[-1].seed % 2 else 400] = 0.5 if blind else 2.0
        return {"vector-ensemble": (score, np.zeros_like(values))}

    monkeypatch.setattr(ablation, "stream", stream)
    found = measure_ablation(data, tmp_path / "out", QUICK, seeds=2)
    parts = {row.part: row for row in found.rows}
    whole, without = parts[""], parts["jolts"]
    # Two events, of which the odd seed finds one.
    assert whole.figures["events_found"] == pytest.approx((1 + 1 / 2) / 2)
    assert whole.spread["events_found"] == pytest.approx((1 - 1 / 2) / np.sqrt(2))
    assert without.figures["events_found"] == pytest.approx(-(1 + 1 / 2) / 4)
    assert (without.worse["events_found"], without.moved["events_found"]) == (1, 1)
    assert (parts["profile"].worse["events_found"], parts["profile"].moved["events_found"]) == (0, 0)

    lines = ablation_table(found).splitlines()
    assert lines[2].startswith("| whole | ")
    assert lines[-1].startswith("| without jolts | ")
    assert "-0.375 ± 0.177 (1/1)" in lines[-1]


def test_a_detector_without_parts_is_refused(data: Path, tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match="no parts"):
        measure_ablation(data, tmp_path / "out", Competitor("median-distance"))


def test_a_series_too_short_is_named(data: Path, tmp_path: Path) -> None:
    np.savez(data / "short", train=np.zeros((3, 3)), test=np.zeros((9, 3)), label=np.zeros(9))
    found = measure_ablation(data, tmp_path / "out", QUICK, seeds=1)
    assert list(found.failed) == ["short"]


def test_one_view_has_to_stay(data: Path, tmp_path: Path) -> None:
    nothing = dict.fromkeys(VIEWS, 0.0)
    with pytest.raises(TrainingError, match="leave one of them"):
        measure_ablation(data, tmp_path / "out", Competitor("vector-ensemble", parameters=nothing))
