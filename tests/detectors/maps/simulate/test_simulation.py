from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.drift_tubes import dt_chambers
from anomalyd.detectors.maps.simulate.faults import (
    FAULT_KINDS,
    DeadBlock,
    DeadLayer,
    DeadRegion,
    HotWires,
    LowEfficiency,
    LowVoltage,
    random_fault,
)
from anomalyd.detectors.maps.simulate.simulation import (
    FILL_LUMISECTIONS,
    ElementSimulator,
    LuminositySimulator,
)

CHAMBER = "DT/W-2/MB1/S04"


def chi2_per_cell(simulator: ElementSimulator, lumisections: range) -> float:
    expected = np.stack([simulator.expected(ls) for ls in lumisections])
    alive = expected > 0
    maps = simulator.maps(lumisections)
    return float((((maps - expected) ** 2)[alive] / expected[alive]).mean())


@pytest.mark.parametrize("counts", [5.0, 50.0])
def test_counts_are_poisson_around_the_profile(counts):
    # 100 maps x 625 wires: the mean of chi2 scatters by less than .01
    assert chi2_per_cell(ElementSimulator(CHAMBER, 3, counts), range(100)) == pytest.approx(1, abs=0.03)


def test_superlayers_have_the_published_means():
    means = []
    for chamber in dt_chambers():
        if "/MB1/" in chamber.entity:
            profile = ElementSimulator(chamber, 0, 50.0).profile
            assert profile[chamber.mask()].mean() == pytest.approx(50)
            means.append(
                [profile[u.start : u.stop][chamber.mask()[u.start : u.stop]].mean() for u in chamber.units]
            )
    assert np.mean(means, axis=0) / 50 == pytest.approx([1.13, 0.885, 0.984], abs=0.03)


def test_theta_layers_slope_outwards():
    rising, falling = (
        ElementSimulator(f"DT/{wheel}/MB2/S01", 0, 50.0).profile[5, 5:50] for wheel in ("W+2", "W-2")
    )
    assert rising[-10:].mean() > 1.1 * rising[:10].mean()
    assert falling[:10].mean() > 1.1 * falling[-10:].mean()


def test_chambers_of_a_station_spread_about_its_published_counts():
    means = [ElementSimulator(c, 0).profile[c.mask()].mean() for c in dt_chambers() if "/MB1/" in c.entity]
    assert np.mean(means) == pytest.approx(53, rel=0.2)
    assert 15 < np.std(means) < 35


def test_luminosity_has_mean_one_spreads_and_decays_over_a_fill():
    luminosity = LuminositySimulator(5)
    fill = np.array([luminosity(ls) for ls in range(FILL_LUMISECTIONS)])
    assert fill.mean() == pytest.approx(1, abs=0.03)
    early, late = fill[:200], fill[-200:]
    assert late.mean() / early.mean() == pytest.approx(0.53, abs=0.06)
    assert early.std() / early.mean() == pytest.approx(0.2, abs=0.05)


def test_chambers_see_the_same_luminosity():
    a, b = (ElementSimulator(c, 1) for c in ("DT/W0/MB1/S01", "DT/W+2/MB4/S13"))
    assert [a.luminosity(ls) for ls in range(5)] == [b.luminosity(ls) for ls in range(5)]


def test_dead_wires_are_few_isolated_and_stay():
    share = []
    for chamber in dt_chambers():
        simulator = ElementSimulator(chamber, 2, 50.0)
        rows, columns = np.nonzero(simulator.dead)
        share.append(len(rows) / chamber.mask().sum())
        for r, c in zip(rows, columns, strict=True):
            assert simulator.dead[max(r - 1, 0) : r + 2, max(c - 1, 0) : c + 2].sum() == 1
    assert 0.003 < np.mean(share) < 0.007
    simulator = ElementSimulator(CHAMBER, 2, 50.0)
    assert (simulator.maps(range(20))[:, simulator.dead] == 0).all()


def test_the_same_seed_chamber_and_lumisection_give_the_same_map():
    fault = HotWires(3, 7, 7, 5.0)
    one, other = ElementSimulator(CHAMBER, 1), ElementSimulator(CHAMBER, 1)
    other.map(11)  # what was drawn before must not matter
    assert np.array_equal(one.map(12, fault), other.map(12, fault), equal_nan=True)
    for different in (
        ElementSimulator(CHAMBER, 2).map(12),
        ElementSimulator("DT/W-2/MB1/S05", 1).map(12),
        one.map(13),
    ):
        assert not np.array_equal(one.map(12), different, equal_nan=True)


def test_only_places_behind_ragged_ends_are_nan():
    simulator = ElementSimulator(CHAMBER, 1)
    drawn = simulator.map(0)
    assert drawn.dtype == np.float32
    assert np.array_equal(np.isfinite(drawn), simulator.chamber.mask())


@pytest.mark.parametrize(
    ("fault", "cells", "share"),
    [
        (DeadRegion(2, 5, 9), 5, 0.0),
        (DeadBlock((1, 2, 3, 4, 9, 10, 11, 12), 16, 32), 8 * 17, 0.0),
        (DeadLayer(4), 48, 0.0),
        (LowEfficiency((5, 6, 7, 8), 10, 40, 0.6), 4 * 31, 0.6),
        (LowVoltage(), 49, 0.7),
        (LowVoltage(efficiency=0.05), 49, 0.05),
        (HotWires(3, 7, 8, 6.0), 2, 6.0),
    ],
)
def test_a_fault_changes_its_cells_by_its_factor_and_no_others(fault, cells, share):
    simulator = ElementSimulator(CHAMBER, 1, 50.0)
    where = fault.cells(simulator.chamber)
    assert where.sum() == cells
    normal, faulty = simulator.maps(range(60)), simulator.maps(range(60), fault)
    assert np.array_equal(normal[:, ~where], faulty[:, ~where], equal_nan=True)
    expected = sum(simulator.expected(ls)[where].sum() for ls in range(60))
    assert faulty[:, where].sum() / expected == pytest.approx(share, rel=0.03, abs=1e-9)


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_random_faults_fit_every_chamber(kind):
    rng = np.random.default_rng(0)
    for chamber in dt_chambers():
        fault = random_fault(kind, chamber, rng)
        cells = fault.cells(chamber)
        assert fault.kind == kind
        assert cells.any()
        assert not (cells & ~chamber.mask()).any()


def test_impossible_wishes_are_refused():
    with pytest.raises(ValueError, match="not of a known geometry"):
        ElementSimulator("node17", 0)
    with pytest.raises(ValueError, match="above 0"):
        ElementSimulator(CHAMBER, 0, 0.0)
    with pytest.raises(ValueError, match="dead-region"):
        random_fault("dull", dt_chambers()[0], np.random.default_rng(0))
