"""Blocks of samples from several places become one training set."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.daemon.learning.training_data import Block, training_set_of
from anomalyd.errors import TrainingError


def detector(**settings: Any) -> DetectorConfig:
    kind = settings.pop("kind", "vector-autoencoder")
    return DetectorConfig(name="hosts", kind=kind, entities=["host/*"], **settings)


def block(entity: str, times: list[float], features: str, values: list[list[float]]) -> Block:
    return Block(entity, np.array(times, dtype=float), np.float32(values), tuple(features))


def test_blocks_are_joined_in_time_and_by_metric() -> None:
    found = training_set_of(
        [
            block("host/a", [3, 1], "xy", [[3, 30], [1, 10]]),
            block("host/a", [2, 1], "yz", [[20, 200], [-1, -1]]),  # of time 1 the first is kept
            block("host/b", [5], "z", [[7]]),
            block("other", [5], "w", [[7]]),
        ],
        detector(),
    )
    assert found.features == ("x", "y", "z")
    assert list(found.series) == ["host/a", "host/b"]
    nan = np.nan
    np.testing.assert_array_equal(found.series["host/a"].times, [1, 2, 3])
    np.testing.assert_array_equal(
        found.series["host/a"].values, np.float32([[1, 10, nan], [nan, 20, 200], [3, 30, nan]])
    )
    np.testing.assert_array_equal(found.series["host/b"].values, np.float32([[nan, nan, 7]]))


def test_the_newest_of_all_entities_are_taken() -> None:
    blocks = [
        block("host/a", list(range(30)), "x", [[n] for n in range(30)]),
        block("host/b", list(range(20, 30)), "x", [[n] for n in range(10)]),
        block("host/old", [0], "x", [[0]]),
    ]
    found = training_set_of(blocks, detector(training={"max_samples": 20}))
    assert {e: s.times.tolist() for e, s in found.series.items()} == {
        "host/a": list(range(20, 30)),
        "host/b": list(range(20, 30)),
    }


def test_of_maps_those_of_the_usual_shape_are_taken() -> None:
    maps = [
        Block("host/a", np.arange(2.0), np.ones((2, 3, 4), dtype=np.float32)),
        Block("host/a", np.arange(2.0, 7.0), np.ones((5, 2, 2), dtype=np.float32)),
        block("host/a", [1], "x", [[1]]),
    ]
    found = training_set_of(maps, detector(kind="map-autoencoder"))
    assert found.features == ()
    assert found.series["host/a"].values.shape == (5, 2, 2)


def test_where_there_is_nothing_it_is_said_what_there_is() -> None:
    blocks = [block("db/1", [1], "x", [[1]])]
    with pytest.raises(TrainingError, match=r"no vector of an entity like host/\* .* vectors of: db/1"):
        training_set_of(blocks, detector())
    with pytest.raises(TrainingError, match="there is no map"):
        training_set_of(blocks, detector(kind="map-autoencoder"))
