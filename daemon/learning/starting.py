"""What watches maps before there is enough to train on: the map scan as it ships.

It is published like any model, so that reports name it and explanations find it, and is none to training by
itself, which begins as if there were no model yet.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence

from anomalyd.daemon.config.config import Config
from anomalyd.detectors.false_alarm_target import DEFAULT
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.model import STARTING
from anomalyd.detectors.registry import recommended_kind
from anomalyd.errors import ModelError

_log = logging.getLogger(__name__)


def publish_starting_models(
    config: Config, library: ModelLibrary, clock: Callable[[], float] = time.time
) -> None:
    """Publish a model for each detector of maps of the recommended kind that has none, and trains itself."""
    for detector in config.detectors:
        if detector.kind != recommended_kind("map") or not detector.training.automatic:
            continue
        if library.versions(detector.name):
            continue
        from anomalyd.detectors.maps.shipped import starting_pair

        rate = detector.alert.false_alarm_rate or DEFAULT.rate
        try:
            version = library.publish(detector.name, starting_pair(rate, clock()))
        except (ModelError, OSError) as error:
            _log.warning("detector %s: begins when it is trained: %s", detector.name, error)
            continue
        _log.info(
            "detector %s: begins with what ships (%s): maps are judged by their neighbours, sisters and own "
            "history; it trains by itself once there is enough",
            detector.name,
            version,
        )


def trained_versions(library: ModelLibrary, name: str) -> Sequence[str]:
    """Name the versions of a pair that were trained on the user's data, newest last."""
    found = []
    for version in library.versions(name):
        try:
            figures = library.cards(name, version)["autoencoder"].card.figures
        except ModelError:
            figures = {}
        if STARTING not in figures:
            found.append(version)
    return found
