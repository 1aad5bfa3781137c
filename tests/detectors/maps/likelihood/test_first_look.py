from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.geometries.known import shipped
from anomalyd.detectors.maps.likelihood.first_look import SUSPICIOUS, suspicion
from anomalyd.detectors.maps.likelihood.place_odds import scan
from anomalyd.detectors.maps.places.layouts import places_of
from anomalyd.detectors.maps.simulate.elements import elements_of, faulty_maps

ALERT = 4.6
ELEMENTS, EARLIER, COUNTS = 24, 20, 15.0


@pytest.mark.parametrize(("name", "noise"), [("dt", 1.0), ("dt", 2.0), ("ecal-barrel", 1.0)])
def test_the_first_look_rules_most_normal_maps_out_and_loses_nothing_that_alerts(name, noise):
    kind = shipped(name)
    elements = elements_of(kind, ELEMENTS, 3)
    places = places_of(elements.geometry)
    rng = np.random.default_rng(0)
    reference = np.nan_to_num(elements.maps(COUNTS, EARLIER, rng)).sum(1).astype(np.float32)
    spread = np.full((ELEMENTS, len(places.names)), 0.01, dtype=np.float32)
    wide = np.full_like(spread, noise)

    def both(maps):
        counts = np.nan_to_num(maps)
        looked = suspicion(counts, reference, places, spread, wide) > SUSPICIOUS
        return looked, scan(counts, reference, places, spread, noise=wide).score

    normal, score = both(elements.drawn(elements.expected(COUNTS, rng), rng))
    assert normal.mean() < 0.4
    found = 0
    for faulty in faulty_maps(kind, elements, COUNTS, rng):
        looked, score = both(faulty.maps)
        assert looked[score > ALERT].all()
        found += int((score > ALERT).sum())
    assert found > 40
