"""Wanted against realised: what is asked for, what is counted, and how it is summed up."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from anomalyd.detectors.detector import Progress, TrainingSet, silent
from anomalyd.detectors.evaluation.figures import ALARM_GAP
from anomalyd.detectors.evaluation.metrics import rates
from anomalyd.detectors.evaluation.metrics.competitor import Competitor, Trained
from anomalyd.detectors.evaluation.metrics.rates import RealisedRate, measure_rates
from anomalyd.detectors.evaluation.tables import rates_table
from anomalyd.detectors.false_alarm_target import AlarmsPerDay
from anomalyd.errors import TrainingError

CLASSICAL = Competitor("median-distance")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two series of white noise, two weeks of minutes each: nothing but false alarms."""
    folder = tmp_path / "data"
    folder.mkdir()
    for seed, name in enumerate(("one", "two")):
        values = np.random.default_rng(seed).normal(size=(24_000, 3)).astype(np.float32)
        label = np.zeros(20_000, dtype=np.uint8)
        np.savez(folder / name, train=values[:4000], test=values[4000:], label=label)
    return folder


def test_on_white_noise_about_what_was_wanted_is_realised(data: Path, tmp_path: Path) -> None:
    found = measure_rates(data, tmp_path / "out", CLASSICAL)
    assert [(r.series, r.wanted) for r in found.rows] == [
        (series, wanted) for series in ("one", "two") for wanted in (0.1, 1.0, 5.0)
    ]
    assert [s.wanted for s in found.summaries] == [0.1, 1.0, 5.0]
    realised = [s.pooled for s in found.summaries]
    assert realised == sorted(realised)
    assert 5 / 3 < realised[2] < 15
    assert realised[1] < 3  # the tail is extrapolated as heavier than it is: fewer is the safer error
    assert found.summaries[0].days == pytest.approx(2 * 20_000 / 1440)
    assert found.summaries[0].series == 2

    written = json.loads((tmp_path / "out" / "rates.json").read_text())
    assert written["summaries"][2]["pooled"] == realised[2]
    assert len(written["rows"]) == 6
    assert f"| 5.000 | median-distance | {realised[2]:.3f} |" in rates_table(found)


def test_each_of_a_pair_is_asked_for_the_same(data: Path, tmp_path: Path) -> None:
    found = measure_rates(
        data / "one.npz",
        tmp_path / "out",
        Competitor("vector-autoencoder", parameters={"epochs": 1}),
        wanted=[1.0],
    )
    assert [(r.detector, r.wanted) for r in found.rows] == [
        ("autoencoder", 1.0),
        ("classical", 1.0),
    ]


def test_alarms_are_asked_for_as_they_are_counted(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    train = Competitor.train

    def listen(self: Competitor, training: TrainingSet, progress: Progress = silent) -> Trained:
        asked.append(self.false_alarms)
        return train(self, training, progress)

    monkeypatch.setattr(Competitor, "train", listen)
    measure_rates(data / "one.npz", tmp_path / "out", CLASSICAL, interval_s=300, wanted=[0.5, 7.0])
    assert asked == [AlarmsPerDay(0.5, close_after=ALARM_GAP), AlarmsPerDay(7.0, close_after=ALARM_GAP)]


def test_a_folder_is_pooled_by_days() -> None:
    summary = rates._summary(
        [RealisedRate("one", "d", 1.0, 4.0, days=1.0), RealisedRate("two", "d", 1.0, 0.0, days=3.0)]
    )
    assert (summary.pooled, summary.median, summary.least, summary.most) == (1.0, 2.0, 0.0, 4.0)
    assert (summary.series, summary.days) == (2, 4.0)


def test_what_cannot_be_measured_is_named(data: Path, tmp_path: Path) -> None:
    (data / "broken.npz").write_bytes(b"no zip")
    found = measure_rates(data, tmp_path / "out", CLASSICAL, wanted=[1.0])
    assert list(found.failed) == ["broken"]
    assert [r.series for r in found.rows] == ["one", "two"]
    with pytest.raises(TrainingError, match=r"broken\.npz: cannot be read"):
        measure_rates(data / "broken.npz", tmp_path / "out", CLASSICAL)
