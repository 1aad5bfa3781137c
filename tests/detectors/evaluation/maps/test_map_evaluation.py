from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from anomalyd.daemon.cli.app import app
from anomalyd.detectors.evaluation.maps.data import read_maps
from anomalyd.detectors.evaluation.maps.faults import ANY, LIMIT, MapTask, measure
from anomalyd.detectors.evaluation.maps.figures import auc, fdr_at_99, localisation
from anomalyd.detectors.evaluation.maps.normal_maps import normal_figures
from anomalyd.detectors.maps.classical.statistics import TESTS
from anomalyd.detectors.maps.geometries.known import load_type
from anomalyd.errors import TrainingError


def test_figures_of_a_perfect_a_blind_and_a_reversed_detector():
    low, high = np.arange(100.0), np.arange(100.0) + 200
    assert auc(low, high) == 1
    assert auc(high, low) == 0
    assert auc(np.zeros(50), np.zeros(50)) == 0.5
    assert fdr_at_99(low, high) == 0
    assert fdr_at_99(np.zeros(100), np.zeros(100)) == pytest.approx(0.9)


def test_one_missed_map_of_a_hundred_is_allowed_at_99_percent():
    faulty = np.r_[-1.0, np.full(99, 10.0)]
    assert fdr_at_99(np.zeros(100), faulty) == 0


def test_localisation_counts_what_was_shown_beside_what_is_true():
    true = np.zeros((1, 2, 4), dtype=bool)
    true[0, 0] = True
    shown = np.zeros_like(true)
    shown[0, :, :2] = True
    assert localisation(shown, true) == (0.5, pytest.approx(2 / 6))


def test_classical_tests_and_the_limit_are_measured_side_by_side():
    task = MapTask("dt", 15.0, 0, 60, 10, 0.0, (), ("layer 9", "dead wires"))
    found = measure(task)
    assert {r.detector for r in found.rows} == {*TESTS, ANY, LIMIT}
    assert {(r.fault, r.strength) for r in found.rows} == {
        *(("layer 9", s) for s in (0.9, 0.7, 0.05)),
        ("dead wires", 0.0),
    }
    by = {(r.detector, r.fault, r.strength): r for r in found.rows}
    assert by["sister ratio", "layer 9", 0.7].auc > 0.98
    assert by["variance", "layer 9", 0.9].auc < 0.7
    assert by[LIMIT, "layer 9", 0.9].auc == by["pull", "layer 9", 0.9].limit_auc
    assert all(r.auc <= r.limit_auc + 0.05 for r in found.rows)
    assert by[LIMIT, "dead wires", 0.0].iou > 0.9
    assert measure(task).rows == found.rows


def test_any_pays_for_all_tests():
    found = measure(MapTask("dt", 15.0, 1, 80, 10, 0.0, (), ("layer 9",)))
    by = {(r.detector, r.strength): r.auc for r in found.rows}
    assert by["sister ratio", 0.9] > by[ANY, 0.9] - 0.03


def test_without_history_there_is_still_a_reference():
    found = measure(MapTask("ecal-barrel", 15.0, 0, 30, 0, 0.0, (), ("supermodule",)))
    assert {r.history for r in found.rows} == {0}
    assert all(np.isfinite(r.auc) for r in found.rows)


def drawn(n: int = 40, seed: int = 0) -> dict[str, np.ndarray]:
    """Maps of a plain histogram, every other with a dead block."""
    rng = np.random.default_rng(seed)
    shape = 30 * rng.uniform(0.7, 1.3, (8, 20))
    maps = rng.poisson(shape, (n, 8, 20)).astype(float)
    labels = np.arange(n) % 2
    maps[labels == 1, 2:5, 6:12] = 0
    return {"maps": maps, "labels": labels, "train": rng.poisson(shape, (60, 8, 20)).astype(float)}


def written(tmp_path, **arrays):
    file = tmp_path / "maps.npz"
    np.savez(file, **arrays)
    return file


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"labels": None}, "no array 'labels'"),
        ({"labels": np.full(40, 2)}, "labels"),
        ({"maps": np.zeros((40, 8, 2, 2))}, r"maps \(40, 8, 2, 2\)"),
        ({"maps": np.full((40, 8, 20), -1.0)}, "maps holds values below 0"),
        ({"maps": np.full((40, 8, 20), 0.25)}, "maps holds 0.25, and counts are whole numbers"),
        ({"train": np.full((60, 8, 20), np.inf)}, "train holds values below 0 or without end"),
        ({"run": np.zeros(3, dtype=int)}, r"run \(3,\)"),
        ({"train": np.zeros((5, 8, 21))}, "train"),
        ({"mask": np.ones((3, 3))}, "mask"),
        ({"element": np.array(["a", "b", "c"])}, "element has 3"),
        ({"geometry": np.array("dt")}, "no element of shape"),
        ({"maps": np.array([["x"]])}, "maps is of type"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(tmp_path, change, named):
    arrays = {name: a for name, a in (drawn() | change).items() if a is not None}
    with pytest.raises(TrainingError, match=named):
        read_maps(written(tmp_path, **arrays))


def test_one_array_and_arrays_of_objects_are_refused_with_what_to_do(tmp_path):
    np.save(tmp_path / "maps.npy", np.zeros((4, 3, 3)))
    with pytest.raises(TrainingError, match="is one array; maps and labels are needed"):
        read_maps(tmp_path / "maps.npy")
    ragged = np.empty(2, dtype=object)
    ragged[:] = [np.zeros((2, 3)), np.zeros((3, 4))]
    np.savez(tmp_path / "objects.npz", maps=ragged, labels=np.array([0, 1]))
    with pytest.raises(TrainingError, match="pad maps of several shapes with NaN"):
        read_maps(tmp_path / "objects.npz")


def test_histograms_of_one_row_and_maps_of_one_run(tmp_path):
    np.savez(
        tmp_path / "row.npz",
        maps=np.ones((4, 30)),
        labels=np.array([0, 0, 1, 1]),
        element=np.array(["a", "a", "b", "b"]),
        run=np.array([7, 8, 7, 7]),
    )
    data = read_maps(tmp_path / "row.npz")
    assert data.maps.shape == (4, 1, 30)
    first, later, same, next_ = data.times
    assert first == same < next_ < later


def test_masked_cells_do_not_count(tmp_path):
    mask = np.ones((8, 20), dtype=bool)
    mask[0, :5] = False
    data = read_maps(written(tmp_path, **drawn(), mask=mask))
    assert np.isnan(data.maps[:, 0, :5]).all()
    assert np.isfinite(data.maps[:, 1]).all()


def test_elements_name_their_training_maps(tmp_path):
    arrays = drawn()
    names = np.array(["a"] * 60 + ["b"] * 40)
    data = read_maps(written(tmp_path, **arrays, element=names))
    assert set(data.trained) == {"a"}
    assert set(data.element) == {"b"}


@pytest.mark.parametrize("with_train", [True, False])
def test_anybodys_maps_are_judged_from_the_command_line(tmp_path, with_train):
    arrays = drawn(60)
    if not with_train:
        del arrays["train"]
        # Most maps of a detector are normal.
        keep = np.flatnonzero((arrays["labels"] == 0) | (np.arange(60) % 12 == 5))
        arrays = {name: a[keep] for name, a in arrays.items()}
    out = tmp_path / "out"
    done = CliRunner().invoke(
        app, ["evaluate", "maps", "--data", str(written(tmp_path, **arrays)), "--out", str(out)]
    )
    assert done.exit_code == 0, done.output
    rows = {r["detector"]: r for r in json.loads((out / "results.json").read_text())}
    assert rows["map-scan"]["auc"] == 1
    assert rows["map-scan"]["limit_auc"] is None
    with np.load(out / "scores.npz") as held:
        faulty = arrays["labels"] == 1
        assert held["score"].shape == (len(faulty),)
        assert held["cells"].shape == arrays["maps"].shape
        block = held["cells"][faulty][:, 2:5, 6:12]
        assert (block < 0).mean() > 0.95
        # Without training maps, too, though every seventh is faulty then.
        assert (held["score"][faulty] > 1).all()


def test_normal_maps_are_like_the_published_ones():
    figures = {f.group: f for f in normal_figures(load_type("dt"), most=12)}
    assert set(figures) == {"MB1", "MB2", "MB3", "MB4"}
    for found in figures.values():
        assert found.chi2 == pytest.approx(1.0, abs=0.03)
        assert 0.002 < found.dead < 0.009
    assert figures["MB1"].units == pytest.approx((1.13, 0.885, 0.984), abs=0.05)
    assert 4 < figures["MB3"].counts < 7
    (barrel,) = normal_figures(load_type("ecal-barrel"), most=2)
    assert barrel.counts == pytest.approx(291, rel=0.001)


def test_either_a_geometry_or_data_is_wanted(tmp_path):
    done = CliRunner().invoke(app, ["evaluate", "maps", "--out", str(tmp_path)])
    assert done.exit_code == 2
    assert "either" in done.output


def test_alarms_of_normal_maps_are_counted_by_noise_counts_and_earlier_maps(tmp_path):
    given = ["--geometry", "dt", "--alarms", "--noise", "2.6", "--counts", "15", "--maps", "20"]
    done = CliRunner().invoke(app, ["evaluate", "maps", *given, "--out", str(tmp_path)])
    assert done.exit_code == 0, done.output
    head, _, *lines = (tmp_path / "alarms.md").read_text().splitlines()
    assert [cell.strip() for cell in head.strip("| ").split("|")][3:] == [
        *(f"after {n} maps" for n in (0, 1, 5, 20)),
        "of all",
    ]
    (line,) = lines
    assert [cell.strip() for cell in line.strip("| ").split("|")][:2] == ["2.6", "15"]
    assert line.count(" of 20") == 4
