"""Hidden units: ranked against chance, mapped to the input, kept beside the model."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anomalyd.daemon.cli.app import app
from anomalyd.detectors.detector import Series, SeriesWindow, TrainingSet
from anomalyd.detectors.detector_pair import train_pair
from anomalyd.detectors.maps.autoencoder.autoencoder import MapAutoencoder
from anomalyd.detectors.maps.simulate.faults import DeadBlock
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator
from anomalyd.detectors.model import save_model
from anomalyd.errors import ModelDamaged, TrainingError
from anomalyd.interpret.neurons.activations import FILE, UsualActivity, outputs_of
from anomalyd.interpret.neurons.ranking import rank_units
from anomalyd.interpret.neurons.sheet import draw_sheet
from anomalyd.interpret.neurons.study import study_units, unusual_units

PNG = b"\x89PNG"
F = 5


@pytest.fixture(scope="module")
def chamber():
    simulator = ElementSimulator("DT/W-2/MB1/S04", seed=1, mean_counts=40)
    maps = simulator.maps(range(20))
    training = TrainingSet({simulator.chamber.entity: Series(np.arange(20) * 23.3, maps)})
    return MapAutoencoder.fit(training, {"steps": 40}), simulator


def test_units_of_a_map_network_point_at_the_fault(chamber):
    detector, simulator = chamber
    fault = DeadBlock(layers=(1, 2, 3, 4), first=12, last=30)

    def window(counts):
        return SeriesWindow(simulator.chamber.entity, np.array([0.0]), counts[None])

    normal = [window(simulator.map(100 + k)) for k in range(20)]
    faulty = [window(simulator.map(200 + k, fault)) for k in range(8)]
    study = study_units(detector, normal, faulty, most=2)
    best = study.mapped[0]
    assert best.rank.area > 0.9
    assert best.rank.p < 0.05
    truth = fault.cells(simulator.chamber)
    assert truth.ravel()[np.nanargmax(best.occlusion)]
    assert np.abs(best.exciting).max() > 0
    assert draw_sheet(study.mapped, "units").startswith(PNG)
    encoded = detector.encode(faulty[0])
    assert outputs_of(detector, [encoded]).keys() == detector.hidden_layers().keys()
    fired = unusual_units(detector, study.usual, encoded)
    assert fired
    assert fired[0].separation > 0.9
    with pytest.raises(TrainingError, match="8 anomalous samples; at least"):
        study_units(detector, normal[:3], faulty)


def test_with_labels_at_random_no_unit_is_significant():
    chance = np.random.default_rng(5)
    ranked = rank_units(
        {"layer": chance.normal(size=(30, 200)).astype(np.float32)},
        {"layer": chance.normal(size=(30, 200)).astype(np.float32)},
    )
    assert ranked[0].area > 0.65  # the best of 200 looks good
    assert ranked[0].p > 0.05  # and is not


def rows(count, seed=0):
    chance = np.random.default_rng(seed)
    return (50 + chance.normal(size=(count, 1)) + chance.normal(size=(count, F))).astype(np.float32)


def labelled(folder: Path) -> Path:
    test, label = rows(400, 1), np.zeros(400, dtype=np.uint8)
    for start in range(60, 400, 40):
        test[start : start + 6, 2] += 40
        label[start : start + 6] = 1
    np.savez(folder / "host.npz", train=rows(600), test=test, label=label)
    return folder / "host.npz"


def test_the_command_ranks_draws_and_keeps(tmp_path):
    names = tuple(f"m{f}" for f in range(F))
    training = TrainingSet({"host": Series(np.arange(600) * 60.0, rows(600))}, names)
    pair = train_pair(training, kind="vector-autoencoder", parameters={"epochs": 3})
    folder = tmp_path / "model"
    save_model(pair.autoencoder, folder / "autoencoder")
    save_model(pair.classical, folder / "classical")
    data, out = labelled(tmp_path), tmp_path / "out"
    arguments = ["neurons", str(folder), "--data", str(data), "--out", str(out), "--most", "2"]
    found = CliRunner().invoke(app, [*arguments, "--samples", "24"])
    assert found.exit_code == 0, found.output
    assert "hidden units tell them apart" in found.output
    ranked = json.loads((out / "neurons.json").read_text())
    assert ranked[0]["area"] > 0.9
    assert (out / "neurons.png").read_bytes().startswith(PNG)
    usual = UsualActivity.load(folder / "autoencoder")
    assert usual is not None
    assert float(max(s.max() for s in usual.separation.values())) == pytest.approx(ranked[0]["area"])
    assert UsualActivity.load(tmp_path) is None
    (tmp_path / FILE).write_bytes(b"nothing")
    with pytest.raises(ModelDamaged, match="run `anomalyd neurons` again"):
        UsualActivity.load(tmp_path)
    refused = CliRunner().invoke(app, ["neurons", str(folder / "classical"), *arguments[2:]])
    assert "has no hidden layers" in str(refused.exception)
