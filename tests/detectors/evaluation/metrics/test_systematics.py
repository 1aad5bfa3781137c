"""Systematics: every strain is what it says, and the sums over series, seeds and choices are right."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.evaluation.metrics import systematics
from anomalyd.detectors.evaluation.metrics.competitor import OF_A_PAIR, Competitor
from anomalyd.detectors.evaluation.metrics.evaluate import evaluate_metrics
from anomalyd.detectors.evaluation.metrics.labelled import Labelled
from anomalyd.detectors.evaluation.metrics.systematics import UNSTRAINED, Strained, measure_systematics
from anomalyd.detectors.evaluation.metrics.systematics_plot import draw_systematics
from anomalyd.detectors.evaluation.tables import systematics_table

Make = Callable[..., NDArray[np.float32]]
QUICK = Competitor("vector-autoencoder", parameters={"epochs": 1})


@pytest.fixture
def series(make_metrics: Make) -> Labelled:
    """Two events: one in all metrics, so that anybody finds it, and one of nothing at all."""
    train, test = make_metrics(400, 1), make_metrics(300, 2)
    label = np.zeros(300, dtype=np.uint8)
    events = ((100, 120), (200, 210))
    for start, end in events:
        label[start:end] = 1
    test[100:120] += 60 * train.std(axis=0)
    return Labelled("one", train, test, label, events, np.zeros((2, 6), dtype=np.uint8), 60.0)


@pytest.fixture
def data(series: Labelled, tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    for name in ("one", "two"):
        np.savez(folder / f"{name}.npz", train=series.train, test=series.test, label=series.label)
    return folder


def row(rows: tuple[Strained, ...], condition: str, detector: str) -> Strained:
    (found,) = (r for r in rows if (r.condition, r.detector) == (condition, detector))
    return found


def test_every_condition_is_measured_for_each_detector(data: Path, tmp_path: Path) -> None:
    found = measure_systematics(data, tmp_path / "out", QUICK)
    conditions = list(dict.fromkeys(r.condition for r in found.rows))
    assert conditions == [
        *(UNSTRAINED, "25% of the training data", "50% of the training data"),
        *("5% of the values missing", "20% of the values missing", "noise of 5% sigma", "noise of 20% sigma"),
        *("one metric missing", "one metric missing, the worst of 4"),
    ]
    assert [r.detector for r in found.rows] == list(OF_A_PAIR) * len(conditions)
    # Seeds are for what is drawn by chance: a network differs, a median does not.
    assert row(found.rows, UNSTRAINED, "autoencoder").spread["auprc"] > 0
    assert row(found.rows, UNSTRAINED, "classical").spread["auprc"] == 0
    for detector in OF_A_PAIR:
        mean, worst = (row(found.rows, c, detector).figures for c in conditions[-2:])
        assert worst["auprc"] <= mean["auprc"]
        assert worst["false_alarms_per_day"] >= mean["false_alarms_per_day"]
    assert [(e.series, e.start, e.end, e.found_by) for e in found.events] == [
        (name, *event) for name in ("one", "two") for event in ((100, 120, "both"), (200, 210, "neither"))
    ]
    assert found.found_by == {"both": 2, "autoencoder": 0, "classical": 0, "neither": 2}
    assert found.failed == {}

    written = json.loads((tmp_path / "out" / "systematics.json").read_text())
    assert len(written["rows"]) == len(found.rows)
    assert written["rows"][0]["figures"]["hr100"] is None
    table = systematics_table(found)
    assert f"| {UNSTRAINED} | autoencoder | " in table
    assert " ± " in table.splitlines()[2]
    assert "| one | 100 | 120 | both |" in table
    assert "nan" not in table
    draw_systematics(found, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes().startswith(b"\x89PNG")


def test_without_strain_it_is_the_evaluation(data: Path, tmp_path: Path) -> None:
    competitor = Competitor("median-distance")
    found = measure_systematics(data, tmp_path / "out", competitor)
    plain = evaluate_metrics(data, tmp_path / "plain", competitor).rows[-1]
    assert dict(found.rows[0].figures) == pytest.approx(dict(plain.figures), nan_ok=True)
    assert found.found_by == {"median-distance": 2, "neither": 2}


def test_the_strains_are_what_they_say(series: Labelled) -> None:
    strained = {(c, choice): s for c, _, _, choice, s in systematics._strained_tests(series)}
    for level in ("5%", "20%"):
        share = int(level[:-1]) / 100
        holes = np.isnan(strained[f"{level} of the values missing", 0].test)
        assert holes.mean() == pytest.approx(share, abs=0.02)
        noise = strained[f"noise of {level} sigma", 0].test.astype(float) - series.test
        sigma = series.train.astype(float).std(axis=0)
        assert noise[:, :5].std(axis=0) == pytest.approx(share * sigma[:5], rel=0.2)
        assert (noise[:, 5] == 0).all()  # the constant metric has no sigma
    gone = [np.flatnonzero(np.isnan(strained["one metric missing", c].test).all(axis=0)) for c in range(4)]
    assert all(len(metrics) == 1 for metrics in gone)
    assert len({int(metrics[0]) for metrics in gone} - {5}) == 4
    for s in strained.values():
        assert s.train is series.train


def test_strains_are_the_same_in_each_run_and_differ_between_series(series: Labelled) -> None:
    def holes(of: Labelled) -> NDArray[np.bool_]:
        return np.isnan(next(systematics._strained_tests(of))[-1].test)

    np.testing.assert_array_equal(holes(series), holes(series))
    other = Labelled("two", *(getattr(series, f) for f in Labelled.__slots__[1:]))
    assert not np.array_equal(holes(series), holes(other))


def test_less_training_data_is_its_newest_part(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, series: Labelled
) -> None:
    seen: list[NDArray[np.float32]] = []
    train = Competitor.train

    def listen(self: Competitor, training: object, *rest: object) -> object:
        seen.append(next(iter(training.series.values())).values)  # type: ignore[attr-defined]
        return train(self, training, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(Competitor, "train", listen)
    measure_systematics(data / "one.npz", tmp_path / "out", Competitor("median-distance"))
    assert [len(values) for values in seen] == [400] * 5 + [100, 200]
    np.testing.assert_array_equal(seen[5], series.train[300:])


def test_what_is_too_little_for_a_part_of_the_data_is_said(
    series: Labelled, data: Path, tmp_path: Path
) -> None:
    np.savez(data / "brief.npz", train=series.train[:60], test=series.test, label=series.label)
    (data / "broken.npz").write_bytes(b"no zip")
    found = measure_systematics(data, tmp_path / "out", Competitor("median-distance"))
    assert list(found.failed) == ["broken", "brief, 25% of the training data"]
    assert "are needed" in found.failed["brief, 25% of the training data"]
    assert {e.series for e in found.events} == {"brief", "one", "two"}


@pytest.mark.parametrize(
    ("alerting", "who"),
    [
        ({"autoencoder"}, "autoencoder"),
        ({"classical"}, "classical"),
        ({"autoencoder", "classical"}, "both"),
        (set(), "neither"),
    ],
)
def test_who_found_an_event(series: Labelled, alerting: set[str], who: str) -> None:
    nothing = np.zeros((300, 6), dtype=np.float32)
    found = {name: (np.full(300, 2.0 if name in alerting else 1.0), nothing) for name in OF_A_PAIR}
    assert [e.found_by for e in systematics._who_found(series, found, OF_A_PAIR)] == [who, who]
