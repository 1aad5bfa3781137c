from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.detector import SeriesWindow, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.evaluation.metrics.competitor import OF_A_PAIR, Competitor, stream
from anomalyd.detectors.evaluation.metrics.evaluate import FIGURES, evaluate_metrics
from anomalyd.detectors.evaluation.metrics.labelled import read_labelled
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.registry import detector_class, kinds
from anomalyd.errors import TrainingError

Make = Callable[..., NDArray[np.float32]]
QUICK = Competitor("vector-autoencoder", parameters={"epochs": 3})
CLASSICAL = Competitor("median-distance")


@pytest.fixture
def labelled(make_metrics: Make) -> dict[str, Any]:
    """Make 500 rows to train on, 700 to test, two events that two metrics and one metric tell."""
    train, test = make_metrics(500, 1), make_metrics(700, 2)
    label = np.zeros(700, dtype=np.uint8)
    root_cause = np.zeros((2, 6), dtype=np.uint8)
    for e, (start, end, metrics) in enumerate([(200, 230, [1, 3]), (500, 510, [4])]):
        label[start:end] = 1
        root_cause[e, metrics] = 1
        test[start:end, metrics] += 30 * train.std(axis=0)[metrics]
    segments = np.array([[200, 230], [500, 510]], dtype=np.int32)
    return {"train": train, "test": test, "label": label, "segments": segments, "root_cause": root_cause}


def save(folder: Path, name: str, arrays: dict[str, Any]) -> Path:
    folder.mkdir(exist_ok=True)
    np.savez(folder / f"{name}.npz", **arrays)
    return folder / f"{name}.npz"


def test_a_folder_gives_scores_blame_and_a_table(labelled: dict[str, Any], tmp_path: Path) -> None:
    save(tmp_path / "data", "one", labelled)
    save(tmp_path / "data", "two", {name: labelled[name] for name in ("train", "test", "label")})
    steps: list[tuple[str, int, int]] = []
    measured = evaluate_metrics(
        tmp_path / "data",
        tmp_path / "out",
        QUICK,
        progress=lambda what, step, total, figures=None: steps.append((what, step, total)),
    )
    rows = measured.rows
    assert measured.failed == {}
    assert [(r.series, r.detector) for r in rows] == [
        (s, d) for s in ("one", "two", "mean") for d in OF_A_PAIR
    ]
    assert all(tuple(row.figures) == FIGURES for row in rows)
    found = rows[0].figures
    assert found["auprc"] > 0.8
    assert found["events_found"] == 1.0
    assert found["hr150"] > 0.6
    assert math.isnan(rows[2].figures["hr100"])  # nobody said what to blame there
    assert rows[4].figures["hr100"] == found["hr100"]
    assert [(step, total) for what, step, total in steps if what == "evaluate"] == [(1, 2), (2, 2)]
    with np.load(tmp_path / "out" / "one.npz") as kept:
        assert kept["score"].shape == (700,)
        assert kept["contribution"].shape == (700, 6)
        assert np.isfinite(kept["score"]).all()
        assert set(np.argsort(-kept["contribution"][200:230].max(axis=0))[:2]) == {1, 3}
    written = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(written) == 6
    assert written[0]["auprc"] == found["auprc"]
    assert written[2]["hr100"] is None


def test_a_score_uses_nothing_later_than_its_row(labelled: dict[str, Any], tmp_path: Path) -> None:
    def scores(name: str, rows: int) -> NDArray[np.float64]:
        cut = {**labelled, "test": labelled["test"][:rows], "label": labelled["label"][:rows]}
        cut["segments"], cut["root_cause"] = labelled["segments"][:1], labelled["root_cause"][:1]
        file = save(tmp_path / "data", name, cut)
        evaluate_metrics(file, tmp_path / "out", QUICK)
        with np.load(tmp_path / "out" / f"{name}.npz") as kept:
            return np.asarray(kept["score"])

    np.testing.assert_allclose(scores("short", 300), scores("long", 700)[:300], rtol=1e-3)


def test_it_scores_as_the_daemon_does(pair: DetectorPair, make_metrics: Make) -> None:
    values, times = make_metrics(1200, 4), np.arange(1200.0)
    (at_once,) = pair.score([SeriesWindow("a", times, values)])
    found = stream(pair, "a", times, values)
    np.testing.assert_allclose(found["autoencoder"][0], at_once.autoencoder.score, rtol=1e-4)
    np.testing.assert_array_equal(found["classical"][1], at_once.classical.contribution)


def test_a_single_kind_is_streamed_as_its_place_in_a_pair(
    training: TrainingSet, pair: DetectorPair, make_metrics: Make
) -> None:
    values, times = make_metrics(600, 4), np.arange(600.0)
    alone = Competitor("median-distance", {"warmup": 12}, false_alarms=AlertRate(0.01)).train(training)
    ((name, (score, _)),) = stream(alone, "a", times, values).items()
    assert name == "median-distance"
    np.testing.assert_array_equal(score, stream(pair, "a", times, values)["classical"][0])


def test_where_nothing_can_be_told_the_score_is_zero(pair: DetectorPair, make_metrics: Make) -> None:
    values = make_metrics(30, 4)
    values[20] = np.nan
    for score, _ in stream(pair, "never seen", np.arange(30.0), values).values():
        assert score[:12].tolist() == [0.0] * 12  # the warm-up
        assert score[20] == 0.0
        assert (np.delete(score[12:], 8) > 0).all()


@pytest.mark.parametrize(
    "kind",
    [kind for kind in kinds() if detector_class(kind).sample_kind == "vector"],
)
def test_any_units_constant_and_missing_columns(kind: str, make_metrics: Make, tmp_path: Path) -> None:
    units = np.array([1e-9, 1e9, 1.0, 1e3, 1e-3, 1.0], dtype=np.float32)
    train, test = make_metrics(500, 1) * units, make_metrics(300, 2) * units
    train[:, 2], test[:, 2], test[:150, 3] = 0.0, 0.0, np.nan
    train[:, 1], test[:, 1], train[:, 4] = np.nan, np.nan, np.nan
    test[40] = np.nan
    label = np.zeros(300, dtype=bool)
    file = save(tmp_path / "data", "odd", {"train": train, "test": test, "label": label})
    known = detector_class(kind).parameters_class
    quick = {n: 3 for n in ("epochs", "steps") if known and n in known.__dataclass_fields__}
    rows = evaluate_metrics(file, tmp_path / "out", Competitor(kind, quick), interval_s=300).rows
    figures = rows[-1].figures
    assert figures["fpr_at_1"] < 0.05
    assert math.isnan(figures["auprc"])  # there is no event to find
    with np.load(tmp_path / "out" / "odd.npz") as kept:
        assert np.isfinite(kept["score"]).all()
        assert kept["score"][40] <= 1.0


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"label": None}, "no array 'label'"),
        ({"train": np.zeros((50, 5))}, r"train \(50, 5\) and test \(700, 6\)"),
        ({"train": np.zeros(50)}, "same F"),
        ({"label": np.zeros(699)}, "one entry for each of the 700 rows"),
        ({"label": np.full(700, 2)}, r"0 \(normal\) and 1"),
        ({"label": np.full(700, "no")}, "numbers are needed"),
        ({"segments": np.array([[690, 701], [1, 2]])}, "within the 700 rows"),
        ({"segments": np.array([[5, 5], [1, 2]])}, "start before its end"),
        ({"segments": np.zeros(4)}, r"must be \(S, 2\)"),
        ({"root_cause": np.zeros((3, 6))}, "events by metrics"),
        ({"test": np.array([object()])}, "plain arrays"),
    ],
)
def test_what_does_not_fit_is_named_and_the_others_are_measured(
    labelled: dict[str, Any], tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    save(tmp_path / "data", "good", labelled)
    arrays = {name: array for name, array in {**labelled, **change}.items() if array is not None}
    save(tmp_path / "data", "bad", arrays)
    measured = evaluate_metrics(tmp_path / "data", tmp_path / "out", CLASSICAL)
    assert list(measured.failed) == ["bad"]
    assert re.search(rf"bad\.npz: .*{says}", measured.failed["bad"])
    assert [(r.series, r.detector) for r in measured.rows] == [
        ("good", "median-distance"),
        ("mean", "median-distance"),
    ]
    assert json.loads((tmp_path / "out" / "failed.json").read_text()) == measured.failed


def test_too_little_to_train_on_is_a_reason_and_leaves_no_old_scores(
    labelled: dict[str, Any], tmp_path: Path
) -> None:
    save(tmp_path / "data", "good", labelled)
    save(tmp_path / "data", "brief", {**labelled, "train": labelled["train"][:9]})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "brief.npz").write_bytes(b"of an earlier run")
    measured = evaluate_metrics(tmp_path / "data", tmp_path / "out", CLASSICAL)
    assert "brief.npz: " in measured.failed["brief"]
    assert "are needed" in measured.failed["brief"]
    assert not (tmp_path / "out" / "brief.npz").exists()


def test_where_all_fail_it_is_an_error(labelled: dict[str, Any], tmp_path: Path) -> None:
    for name in ("one", "two"):
        save(tmp_path / "data", name, {**labelled, "label": np.zeros(3)})
    with pytest.raises(TrainingError, match=r"all 2 files failed; the first: .*one\.npz: label"):
        evaluate_metrics(tmp_path / "data", tmp_path / "out", CLASSICAL)


def test_the_data_is_never_written_over(labelled: dict[str, Any], tmp_path: Path) -> None:
    file = save(tmp_path, "one", labelled)
    before = file.read_bytes()
    with pytest.raises(TrainingError, match="name another folder"):
        evaluate_metrics(tmp_path, tmp_path / ".", CLASSICAL)
    assert file.read_bytes() == before


def test_several_processes_give_what_one_gives(labelled: dict[str, Any], tmp_path: Path) -> None:
    for name in ("one", "two", "three"):
        save(tmp_path / "data", name, labelled)
    save(tmp_path / "data", "bad", {**labelled, "label": np.zeros(3)})
    competitor = Competitor("vector-autoencoder", parameters={"epochs": 1})
    alone = evaluate_metrics(tmp_path / "data", tmp_path / "alone", competitor)
    together = evaluate_metrics(tmp_path / "data", tmp_path / "together", competitor, jobs=2)
    assert repr(together) == repr(alone)
    for name in ("results.json", "failed.json"):
        assert (tmp_path / "together" / name).read_text() == (tmp_path / "alone" / name).read_text()


@pytest.mark.parametrize(
    ("kind", "says"), [("gremlins", "unknown kind"), ("map-autoencoder", "is a detector of maps")]
)
def test_a_kind_that_scores_no_vectors_is_refused_at_once(
    labelled: dict[str, Any], tmp_path: Path, kind: str, says: str
) -> None:
    save(tmp_path / "data", "one", labelled)
    with pytest.raises(TrainingError, match=says):
        evaluate_metrics(tmp_path / "data", tmp_path / "out", Competitor(kind))
    assert not (tmp_path / "out").exists()


def test_a_folder_without_files_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TrainingError, match=r"no \.npz file"):
        evaluate_metrics(tmp_path, tmp_path / "out")


LONE_ARRAY = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f4', 'fortran_order': False, 'shape': (0,), }".ljust(127) + b"\n"
)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 and then nothing", b"text", LONE_ARRAY])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.npz").write_bytes(content)
    with pytest.raises(TrainingError, match=r"broken\.npz: cannot be read"):
        evaluate_metrics(tmp_path, tmp_path / "out")


def test_a_real_server_is_scored_better_than_by_chance(tmp_path: Path) -> None:
    shared = Path(os.environ.get("ANOMALYD_SHARED", Path(__file__).parents[5] / "shared"))
    file = shared / "data" / "smd" / "machine-2-8.npz"
    if not file.is_file():
        pytest.skip("no labelled servers: set ANOMALYD_SHARED to a folder with data/smd/machine-2-8.npz")
    measured = evaluate_metrics(
        file, tmp_path / "out", Competitor("vector-autoencoder", parameters={"epochs": 5})
    )
    figures = measured.rows[OF_A_PAIR.index("autoencoder")].figures
    share = float(read_labelled(file).label.mean())
    assert figures["auprc"] > 20 * share
    assert figures["auroc"] > 0.9
