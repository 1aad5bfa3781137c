from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.drift_tubes import chamber_name, dt_chamber, dt_chambers
from anomalyd.detectors.maps.geometries.known import geometry_of


def test_there_are_250_chambers_with_names_of_their_own():
    chambers = dt_chambers()
    assert len({c.entity for c in chambers}) == len(chambers) == 250
    assert {chamber_name(w, "MB1", 4) for w in (-2, 0, 1)} == {
        "DT/W-2/MB1/S04",
        "DT/W0/MB1/S04",
        "DT/W+1/MB1/S04",
    }


def test_wires_range_over_the_detector_as_published():
    widths = [w for c in dt_chambers() for w in c.widths]
    assert (min(widths), max(widths)) == (47, 96)


def test_a_chamber_has_twelve_layers_in_three_superlayers():
    chamber = dt_chamber(-2, "MB1", 4)
    assert chamber.widths == (49, 49, 49, 48, 57, 57, 57, 56, 49, 49, 49, 48)
    assert [(u.name, u.view, u.start, u.stop) for u in chamber.units] == [
        ("SL1", "phi", 0, 4),
        ("SL2", "theta", 4, 8),
        ("SL3", "phi", 8, 12),
    ]
    assert chamber.shape == (12, 57)
    assert chamber.mask().sum() == sum(chamber.widths)
    assert not chamber.mask()[3, 48]


def test_mb4_has_no_theta_but_keeps_its_layer_numbers():
    chamber = dt_chamber(1, "MB4", 13)
    assert chamber.numbers == (1, 2, 3, 4, 9, 10, 11, 12)
    assert chamber.row_of(9) == 4
    assert chamber.sisters(4) == (5, 6, 7)
    with pytest.raises(ValueError, match="no layer 6"):
        chamber.row_of(6)


@pytest.mark.parametrize(("wheel", "station", "sector"), [(3, "MB1", 1), (0, "MB1", 13), (0, "MB5", 1)])
def test_a_chamber_that_is_not_there_is_refused(wheel, station, sector):
    with pytest.raises(ValueError, match="there"):
        dt_chamber(wheel, station, sector)


def test_geometry_is_found_by_entity_name():
    assert all(geometry_of(c.entity) is c for c in dt_chambers())
    assert geometry_of("DT/W0/MB1/S13") is None
    assert geometry_of("node17") is None


def test_every_row_belongs_to_one_unit():
    for chamber in dt_chambers():
        rows = np.concatenate([np.arange(u.start, u.stop) for u in chamber.units])
        assert rows.tolist() == list(range(chamber.shape[0]))
