"""Made-up plants: each fault lies where it is said to, and the figures are those of all rows together."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from anomalyd.detectors.evaluation.metrics.competitor import Competitor
from anomalyd.detectors.evaluation.metrics.plant_results import PLANT_FIGURES, evaluate_plants
from anomalyd.detectors.evaluation.metrics.plants import FAULTS, SENSORS, TEST_ROWS, TRAINING_ROWS, make_plant
from anomalyd.detectors.evaluation.tables import plants_table


@pytest.mark.parametrize("fault", FAULTS)
def test_a_plant_is_made_of_its_seed_and_its_fault_makes_up_half_of_what_follows(fault: str) -> None:
    one, again, other = make_plant(fault, 1), make_plant(fault, 1), make_plant(fault, 2)
    np.testing.assert_array_equal(one.test, again.test)
    assert not np.array_equal(one.test, other.test)
    assert one.train.shape == (TRAINING_ROWS, SENSORS)
    assert one.label.shape == (TEST_ROWS,)
    assert 0.35 < one.label.mean() < 0.6


def test_a_stuck_valve_moves_no_more_and_a_shifted_level_stands_elsewhere() -> None:
    def of(fault: str) -> float:
        plant = make_plant(fault, 3)
        during, width = plant.test[plant.begin + 40 : plant.end], plant.train.std(axis=0)
        if fault == "sticking valve":
            return float((during.std(axis=0) / width).min())
        return float(
            (np.abs(during.mean(axis=0) - plant.train.mean(axis=0)) / width)[[0, 1, 2, 3, 6, 7]].max()
        )

    assert of("sticking valve") < 0.1
    assert of("level shift") > 1.0


def test_plants_are_measured_and_written(tmp_path: Path) -> None:
    rows = evaluate_plants(tmp_path, Competitor("median-distance"), plants=1)
    assert [row.fault for row in rows] == [*FAULTS, "all"]
    assert set(rows[-1].figures) == set(PLANT_FIGURES)
    assert 0.3 < rows[-1].figures["auprc"] < 1.0
    written = json.loads((tmp_path / "plants.json").read_text())
    assert written[-1]["detector"] == "median-distance"
    assert written[-1]["f1_at_1"] == pytest.approx(rows[-1].figures["f1_at_1"])
    assert "| growing oscillation | median-distance |" in plants_table(rows)
