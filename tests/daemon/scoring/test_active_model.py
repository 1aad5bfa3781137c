"""One detector pair at work: the newest model that can be used, also while the daemon runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import ModelLibrary, Pin

CONFIG = DetectorConfig(name="hosts", kind="vector-autoencoder")


class Refusals(list[str]):
    def __call__(self, detector: str, why: str) -> None:
        assert detector == "hosts"
        self.append(why)


@pytest.fixture
def refusals() -> Refusals:
    return Refusals()


@pytest.fixture
def active_model(library: ModelLibrary, refusals: Refusals) -> ActiveModel:
    return ActiveModel(CONFIG, library, refusals)


@pytest.fixture(scope="session")
def pairs(experiment: Any) -> list[DetectorPair]:
    """Three pairs, each trained later than the one before."""
    return [experiment.train_hosts(experiment.begin + 60 * n) for n in range(3)]


def damage(root: Path, version: str) -> None:
    weights = root / "models" / "hosts" / version / "autoencoder" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])


def test_nothing_is_at_work_before_a_model_is_published(
    active_model: ActiveModel, library: ModelLibrary, pairs: list[DetectorPair]
) -> None:
    assert not active_model.refresh()
    assert active_model.loaded is None
    version = library.publish("hosts", pairs[0])
    assert active_model.refresh()
    assert active_model.loaded is not None
    assert active_model.loaded.version == version
    assert not active_model.refresh()


def test_the_newest_is_taken_and_a_newer_one_at_the_next_refresh(
    active_model: ActiveModel, library: ModelLibrary, pairs: list[DetectorPair]
) -> None:
    library.publish("hosts", pairs[0])
    second = library.publish("hosts", pairs[1])
    assert active_model.refresh()
    assert active_model.loaded is not None
    assert active_model.loaded.version == second
    third = library.publish("hosts", pairs[2])
    assert active_model.refresh()
    assert active_model.loaded.version == third


def test_damaged_models_are_refused_once_each_and_the_last_good_one_stays(
    active_model: ActiveModel,
    library: ModelLibrary,
    pairs: list[DetectorPair],
    refusals: Refusals,
    tmp_path: Path,
) -> None:
    good = library.publish("hosts", pairs[0])
    active_model.refresh()
    for n, pair in enumerate(pairs[1:], 1):
        damaged = library.publish("hosts", pair)
        damage(tmp_path, damaged)
        assert not active_model.refresh()
        assert not active_model.refresh()
        assert len(refusals) == n
        assert damaged in refusals[-1]
        assert active_model.loaded is not None
        assert active_model.loaded.version == good


def test_a_daemon_that_starts_beside_a_damaged_model_takes_the_last_good_one(
    active_model: ActiveModel,
    library: ModelLibrary,
    pairs: list[DetectorPair],
    refusals: Refusals,
    tmp_path: Path,
) -> None:
    good = library.publish("hosts", pairs[0])
    damage(tmp_path, library.publish("hosts", pairs[1]))
    assert active_model.refresh()
    assert active_model.loaded is not None
    assert active_model.loaded.version == good
    assert len(refusals) == 1


def test_where_no_model_can_be_used_none_is_at_work_and_it_is_said_why(
    active_model: ActiveModel,
    library: ModelLibrary,
    pairs: list[DetectorPair],
    refusals: Refusals,
    tmp_path: Path,
) -> None:
    damage(tmp_path, library.publish("hosts", pairs[0]))
    assert not active_model.refresh()
    assert active_model.loaded is None
    assert len(refusals) == 1
    assert "no version can be used" in refusals[0]


def test_a_model_of_another_kind_is_refused(
    active_model: ActiveModel,
    library: ModelLibrary,
    pairs: list[DetectorPair],
    refusals: Refusals,
    experiment: Any,
) -> None:
    good = library.publish("hosts", pairs[0])
    active_model.refresh()
    library.publish("hosts", experiment.chamber_pair)  # trained later
    assert not active_model.refresh()
    assert active_model.loaded is not None
    assert active_model.loaded.version == good
    assert len(refusals) == 1
    assert "'map-autoencoder'" in refusals[0]
    assert "anomalyd train" in refusals[0]


def test_an_earlier_version_is_rolled_back_to_while_the_daemon_runs(
    active_model: ActiveModel, library: ModelLibrary, pairs: list[DetectorPair]
) -> None:
    first, second = (library.publish("hosts", pair) for pair in pairs[:2])
    assert active_model.refresh()
    library.pin("hosts", Pin(first, "ada", "the new one is deaf", 0.0))
    assert active_model.refresh()
    assert active_model.loaded is not None
    assert active_model.loaded.version == first
    library.publish("hosts", pairs[2])
    assert not active_model.refresh()
    library.unpin("hosts")
    assert active_model.refresh()
    assert active_model.loaded.version not in (first, second)
