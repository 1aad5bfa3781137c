"""Train what is configured on what the topics hold, and publish it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from pydantic import SecretStr

from anomalyd import __version__
from anomalyd.daemon.config.alert_config import AlertPolicy
from anomalyd.daemon.config.config import Config, DetectorConfig
from anomalyd.daemon.learning.training import refuse_too_few, train_detectors
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.library import ModelLibrary
from anomalyd.errors import ConfigError, TrainingError
from anomalyd.reports.storage.repositories.maintenance import Window
from anomalyd.reports.storage.store import Store

SECONDS = 60


@pytest.fixture
def config(tmp_path: Path) -> Config:
    small = {"parameters": {"epochs": 1}, "alert": {"false_alarm_rate": 0.05}, "training": {"seed": 3}}
    return Config.model_validate(
        {
            "inputs": [{"topic": "metrics"}],
            "detectors": [
                {"name": "one", "kind": "vector-autoencoder", "entities": ["host/a"], **small},
                {"name": "two", "kind": "vector-autoencoder", "entities": ["host/b"], **small},
            ],
            "store": {"models": str(tmp_path / "models")},
        }
    )


class Reader:
    """A consumer of one partition that holds these messages."""

    def __init__(self, messages: list[bytes], time: float) -> None:
        self._raws = [
            SimpleNamespace(offset=n, timestamp=int(time * 1000), key=None, value=value, headers=[])
            for n, value in enumerate(messages)
        ]
        self._at = 0

    def partitions_for_topic(self, topic: str) -> set[int]:
        return {0}

    def assign(self, places: list[Any]) -> None:
        (self._place,) = places

    def end_offsets(self, places: list[Any]) -> dict[Any, int]:
        return {self._place: len(self._raws)}

    def offsets_for_times(self, times: dict[Any, int]) -> dict[Any, Any]:
        return {self._place: SimpleNamespace(offset=0)}

    def seek(self, place: Any, offset: int) -> None:
        self._at = offset

    def position(self, place: Any) -> int:
        return self._at

    def poll(self, timeout_ms: int) -> dict[Any, list[Any]]:
        found, self._at = self._raws[self._at :], len(self._raws)
        return {self._place: found}

    def close(self) -> None:
        pass


def train(config: Config, experiment: Any, name: str | None = None, seconds: int = SECONDS) -> Any:
    messages = [experiment.message(host, s) for s in range(seconds) for host in experiment.hosts]
    end = experiment.begin + seconds
    return train_detectors(
        config, name, consumer_factory=lambda **_: Reader(messages, end), clock=lambda: end
    )


def test_every_detector_is_trained_on_its_entities_and_published(config: Config, experiment: Any) -> None:
    trained = train(config, experiment)
    library = ModelLibrary(Path(config.store.models))
    assert list(trained) == ["one", "two"]
    for (name, (version, card)), entity in zip(trained.items(), ("host/a", "host/b"), strict=True):
        loaded = library.load(name)
        assert (loaded.version, loaded.pair.autoencoder.card) == (version, card)
        assert card.entities == (entity,)
        assert card.features == experiment.metrics
        assert (card.samples, card.trained_from) == (SECONDS, experiment.begin)
        assert (card.seed, card.code_version, card.created) == (3, __version__, experiment.begin + SECONDS)
        # The score is the autoencoder's alone: the baseline is calibrated for as much, beside it.
        assert loaded.pair.classical.calibration.false_alarm_rate == 0.05


def test_one_alone_may_be_trained(config: Config, experiment: Any) -> None:
    assert list(train(config, experiment, "two")) == ["two"]
    assert ModelLibrary(Path(config.store.models)).versions("one") == ()


def test_an_unknown_detector_is_refused_with_the_known_names(config: Config) -> None:
    def no_consumer(**_: Any) -> None:
        raise AssertionError("Kafka is not asked")

    with pytest.raises(ConfigError, match=r"no detector 'three' .* there are: one, two"):
        train_detectors(config, "three", consumer_factory=no_consumer)


def test_too_little_data_is_refused_and_nothing_is_published(config: Config, experiment: Any) -> None:
    with pytest.raises(TrainingError, match="wait for more data"):
        train(config, experiment, seconds=3)
    assert ModelLibrary(Path(config.store.models)).versions("one") == ()


def test_what_the_policy_does_not_learn_is_left_out(config: Config, experiment: Any, tmp_path: Path) -> None:
    """An ignored metric; ten seconds of planned maintenance, and ten that an operator opened."""
    begin = experiment.begin
    store = Store.open(f"sqlite:///{tmp_path}/reports.db")
    store.maintenance.add(Window(("host/a",), begin + 10, begin + 20, detector="one"))
    store.close()
    planned = {"from": datetime.fromtimestamp(begin, UTC), "to": datetime.fromtimestamp(begin + 10, UTC)}
    alert = {"ignore": ["disk"], "maintenance": [planned], "alarms_per_day": 100.0}
    changed = [d.model_copy(update={"alert": AlertPolicy.model_validate(alert)}) for d in config.detectors]
    stored = config.store.model_copy(update={"url": SecretStr(f"sqlite:///{tmp_path}/reports.db")})
    config = config.model_copy(update={"detectors": changed, "store": stored})
    ((_, card), (_, other)) = train(config, experiment).values()
    assert card.features == ("cpu", "memory", "net")
    assert (card.samples, card.trained_from) == (SECONDS - 20, begin + 20)
    assert (other.samples, other.trained_from) == (SECONDS - 10, begin + 10)
    assert card.alarms_per_day == 100.0


def test_too_few_samples_are_said_before_any_training() -> None:
    config = DetectorConfig.model_validate({"name": "hosts", "kind": "vector-autoencoder"})
    times = np.arange(18) * 10.0
    few = TrainingSet({"h": Series(times, np.ones((18, 2), np.float32))}, ("a", "b"))
    with pytest.raises(TrainingError) as caught:
        refuse_too_few(config, few)
    said = str(caught.value)
    assert "detector hosts: 18 samples of 1 entities, and at least 25 are needed" in said
    assert "one of each comes every 10 s" in said
    assert "wait for more data (70 s)" in said
    for setting in ("training.history_s", "inputs[].grid_s"):
        assert setting in said
    two = TrainingSet({e: Series(times, np.ones((18, 2), np.float32)) for e in "ab"}, ("a", "b"))
    refuse_too_few(config, two)
