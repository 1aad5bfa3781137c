"""Where two models differ: which samples and entities one alerts on and the other does not."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from anomalyd.daemon.learning.disagreement import MOST_SAMPLES, disagreement
from anomalyd.detectors.detector import Series, SeriesWindow, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair


class Above:
    """A pair that scores the first metric against a threshold."""

    features = ("a",)

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def score(self, windows: list[SeriesWindow]) -> list[Any]:
        class Scores:
            score = windows[0].values[:, 0] / self.threshold

        return [Scores()]


def pair(threshold: float) -> DetectorPair:
    return cast("DetectorPair", Above(threshold))


def test_each_sample_and_entity_on_which_they_differ() -> None:
    times = np.arange(100.0)
    quiet, loud = np.zeros((100, 1), np.float32), np.zeros((100, 1), np.float32)
    loud[95:, 0] = [1.5, 2.5, 3.5, 1.5, np.nan]
    training = TrainingSet({"quiet": Series(times, quiet), "loud": Series(times, loud)}, ("a",))
    found = disagreement(pair(1.0), pair(2.0), training, share=0.1)
    assert (found.samples, found.since, found.until) == (20, 90.0, 99.0)
    assert (found.candidate, found.old, found.both) == (2, 0, 2)
    (entity,) = found.entities
    assert (entity.entity, entity.candidate, entity.old, entity.both) == ("loud", 2, 0, 2)
    assert [(each.entity, each.time) for each in found.differing] == [("loud", 95.0), ("loud", 98.0)]
    turned = disagreement(pair(2.0), pair(1.0), training, share=0.1)
    assert (turned.candidate, turned.old) == (0, 2)
    assert turned.as_dict()["entities"][0]["old"] == 2


def test_of_many_the_worst_are_named() -> None:
    times = np.arange(1000.0)
    rising = np.linspace(1.1, 1.9, 1000, dtype=np.float32)[:, None]
    training = TrainingSet({"e": Series(times, rising)}, ("a",))
    found = disagreement(pair(1.0), pair(2.0), training, share=1.0)
    assert found.candidate == 1000
    assert len(found.differing) == MOST_SAMPLES
    assert found.differing[0].time == 999.0
