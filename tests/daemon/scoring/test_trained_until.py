"""Up to when the models at work were trained: of several the one of the longest ago."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.scoring.trained_until import trained_until
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.maps.shipped import starting_pair
from anomalyd.detectors.registry import recommended_kind


def test_the_model_of_the_longest_ago_counts_and_none_that_is_untrained(
    experiment: Any, tmp_path: Path
) -> None:
    library = ModelLibrary(tmp_path)
    hosts, chambers, maps = (
        ActiveModel(DetectorConfig(name=name, kind=kind), library)
        for name, kind in (
            ("hosts", "vector-autoencoder"),
            ("chambers", "map-autoencoder"),
            ("maps", recommended_kind("map")),
        )
    )
    every = [hosts, chambers, maps]
    assert trained_until([]) is None
    assert trained_until(every) is None

    library.publish("maps", starting_pair(0.01, 7.0))
    assert maps.refresh()
    assert trained_until(every) is None  # it ships, and knows nothing of the topics

    library.publish("hosts", experiment.host_pair)
    assert hosts.refresh()
    assert trained_until(every) == 119.0

    library.publish("chambers", experiment.chamber_pair)
    assert chambers.refresh()
    assert trained_until(every) == 39.0
