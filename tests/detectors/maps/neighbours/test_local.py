from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.neighbours.cleaning import clean
from anomalyd.detectors.maps.neighbours.evidence import Price, price_of
from anomalyd.detectors.maps.neighbours.local import local_evidence
from anomalyd.detectors.maps.neighbours.wide import UnitProfiles
from anomalyd.detectors.maps.simulate.noise import Noise, draw_counts

CHAMBER = geometry_of("DT/W0/MB1/S04")
BARREL = geometry_of("EB")
assert CHAMBER is not None
assert BARREL is not None


def chambers(n: int, counts: float, variance: float = 1.8) -> np.ndarray:
    rng = np.random.default_rng(1)
    mean = np.where(CHAMBER.mask(), counts, 0.0)
    maps = draw_counts(np.broadcast_to(mean, (n, *mean.shape)), CHAMBER, Noise(variance), rng)
    return np.where(CHAMBER.mask(), maps, np.nan).astype(np.float32)


def towers(n: int, counts: float, cells: float) -> np.ndarray:
    mean = np.full((n, *BARREL.shape), counts)
    return draw_counts(mean, BARREL, Noise(cells=cells), np.random.default_rng(2)).astype(np.float32)


def evidence(maps: np.ndarray, geometry: Geometry) -> dict[str, np.ndarray]:
    units = UnitProfiles.flat(geometry, 0.04) if geometry.units else None
    found = local_evidence(maps, geometry, units, None)
    assert found is not None
    return {c.name: c.nats for c in found.classes}


@pytest.mark.parametrize(
    ("rows", "columns", "factor", "name"),
    [
        (slice(8, 9), slice(0, 49), 0.7, "layer"),
        (slice(5, 6), slice(10, 26), 0.5, "interval"),
        (slice(2, 3), slice(20, 23), 0.0, "short"),
        (slice(0, 4), slice(15, 35), 0.5, "wide"),
        (slice(4, 8), slice(0, 57), 0.6, "ratio"),
    ],
)
def test_a_loss_is_seen_by_the_class_that_is_made_for_it(rows, columns, factor, name):
    maps = chambers(20, 40.0)
    broken = maps.copy()
    part = broken[:, rows, columns]
    known = np.isfinite(part)
    part[known] = np.random.default_rng(3).binomial(part[known].astype(int), factor)
    normal, found = evidence(maps, CHAMBER), evidence(broken, CHAMBER)
    assert np.median(found[name]) > normal[name].max() + 3


def test_the_noise_of_a_map_is_read_off_the_map():
    for variance in (1.0, 1.8, 2.6):
        found = local_evidence(chambers(60, 30.0, variance), CHAMBER, UnitProfiles.flat(CHAMBER, 0.04), None)
        assert found is not None
        assert np.median(found.noise.value) == pytest.approx(variance, rel=0.2)


def test_dead_and_hot_cells_are_replaced_by_what_their_neighbours_count():
    maps = chambers(1, 50.0)
    maps[0, 3, 20], maps[0, 7, 30] = 4, 400
    maps[0, 1, 10:13] = 0  # three in a row are a fault
    cleaned = clean(maps, CHAMBER)
    assert {(3, 20), (7, 30)} <= {(r, c) for _, r, c in np.argwhere(cleaned.odd).tolist()}
    assert cleaned.counts[0, 3, 20] == pytest.approx(50, rel=0.3)
    assert (cleaned.counts[0, 1, 10:13] == 0).all()


def test_a_missing_supermodule_stands_out_whatever_the_noise_of_its_towers():
    for cells in (1.0, 11.0):
        maps = towers(6, 290.0, cells)
        broken = maps.copy()
        broken[:, 0:17, 8:12] = np.rint(0.5 * broken[:, 0:17, 8:12])
        normal, found = evidence(maps, BARREL), evidence(broken, BARREL)
        assert np.median(found["unit"]) > normal["unit"].max() + 5


def test_a_plain_histogram_has_nothing_to_be_compared_with():
    assert local_evidence(np.ones((1, 4, 9), np.float32), Geometry.of("h", (4, 9)), None, None) is None


def test_a_price_is_what_normal_maps_reach_by_chance():
    nats = np.random.default_rng(1).exponential(1.5, 100_000) - 2
    price = price_of(nats)
    assert price.slope == pytest.approx(1.5, rel=0.1)
    assert price.bulk == pytest.approx(-2, abs=0.3)
    assert price != Price(0.0, 1.2)


def test_counts_scatter_as_they_are_told_to():
    rng = np.random.default_rng(1)
    mean = np.broadcast_to(np.where(CHAMBER.mask(), 20.0, 0.0), (600, *CHAMBER.shape))
    for variance in (1.0, 1.8, 2.6):
        drawn = draw_counts(mean, CHAMBER, Noise(variance), rng)
        assert drawn.mean() == pytest.approx(mean.mean(), rel=0.01)
        columns = drawn[:, :4, 5:40].sum(1)
        assert columns.var(0).mean() / columns.mean() == pytest.approx(variance, rel=0.08)
        assert drawn[:, 0, 5:40].var(0).mean() / 20 == pytest.approx(1, rel=0.1)
    cells = draw_counts(np.full((2000, 3, 4), 50.0), BARREL, Noise(cells=8.0), rng)
    assert cells.var() / cells.mean() == pytest.approx(8, rel=0.1)
