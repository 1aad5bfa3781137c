"""One detector pair at work: the newest model that can be used, also while the daemon runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.daemon.scoring.active_model import Watch
from anomalyd.detectors.detector_pair import Pair
from anomalyd.detectors.library import ModelLibrary

CONFIG = DetectorConfig(name="hosts", kind="vector-autoencoder")


class Refusals(list[str]):
    def __call__(self, detector: str, why: str) -> None:
        assert detector == "hosts"
        self.append(why)


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


@pytest.fixture
def watch(library: ModelLibrary, refusals: Refusals) -> Watch:
    return Watch(CONFIG, library, refusals)


@pytest.fixture(scope="session")
def pairs(experiment: Any) -> list[Pair]:
    """Three pairs, each trained later than the one before."""
    return [experiment.train_hosts(experiment.begin + 60 * n) for n in range(3)]


def damage(root: Path, version: str) -> None:
    weights = root / "models" / "hosts" / version / "autoencoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


def test_nothing_is_at_work_before_a_model_is_published(
    watch: Watch, library: ModelLibrary, pairs: list[Pair]
) -> None:
    assert not watch.refresh()
    assert watch.loaded is None
    version = library.publish("hosts", pairs[0])
    assert watch.refresh()
    assert watch.loaded is not None
    assert watch.loaded.version == version
    assert not watch.refresh()


def test_the_newest_is_taken_and_a_newer_one_at_the_next_refresh(
    watch: Watch, library: ModelLibrary, pairs: list[Pair]
) -> None:
    library.publish("hosts", pairs[0])
    second = library.publish("hosts", pairs[1])
    assert watch.refresh()
    assert watch.loaded is not None
    assert watch.loaded.version == second
    third = library.publish("hosts", pairs[2])
    assert watch.refresh()
    assert watch.loaded.version == third


def test_damaged_models_are_refused_once_each_and_the_last_good_one_stays(
    watch: Watch, library: ModelLibrary, pairs: list[Pair], refusals: Refusals, tmp_path: Path
) -> None:
    good = library.publish("hosts", pairs[0])
    watch.refresh()
    for n, pair in enumerate(pairs[1:], 1):
        damaged = library.publish("hosts", pair)
        damage(tmp_path, damaged)
        assert not watch.refresh()
        assert not watch.refresh()
        assert len(refusals) == n
        assert damaged in refusals[-1]
        assert watch.loaded is not None
        assert watch.loaded.version == good


def test_a_daemon_that_starts_beside_a_damaged_model_takes_the_last_good_one(
    watch: Watch, library: ModelLibrary, pairs: list[Pair], refusals: Refusals, tmp_path: Path
) -> None:
    good = library.publish("hosts", pairs[0])
    damage(tmp_path, library.publish("hosts", pairs[1]))
    assert watch.refresh()
    assert watch.loaded is not None
    assert watch.loaded.version == good
    assert len(refusals) == 1


def test_where_no_model_can_be_used_none_is_at_work_and_it_is_said_why(
    watch: Watch, library: ModelLibrary, pairs: list[Pair], refusals: Refusals, tmp_path: Path
) -> None:
    damage(tmp_path, library.publish("hosts", pairs[0]))
    assert not watch.refresh()
    assert watch.loaded is None
    assert len(refusals) == 1
    assert "no version can be used" in refusals[0]


def test_a_model_of_another_kind_is_refused(
    watch: Watch, library: ModelLibrary, pairs: list[Pair], refusals: Refusals, experiment: Any
) -> None:
    good = library.publish("hosts", pairs[0])
    watch.refresh()
    library.publish("hosts", experiment.chamber_pair)  # trained later
    assert not watch.refresh()
    assert watch.loaded is not None
    assert watch.loaded.version == good
    assert len(refusals) == 1
    assert "'map-autoencoder'" in refusals[0]
    assert "anomalyd train" in refusals[0]
