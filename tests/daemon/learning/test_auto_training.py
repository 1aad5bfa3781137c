"""Training by itself: when it is due, what it waits for, and which models pass the gate."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.learning import auto_training as module
from anomalyd.daemon.learning.auto_training import AutoTraining, Outcome, train_one_anew
from anomalyd.daemon.learning.promotion import decide, held_out
from anomalyd.daemon.learning.training import train_detector_pair
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import ModelLibrary

NOW = 1_795_288_500.0


def configured(root: Path, parameters: dict[str, Any] | None = None, **training: Any) -> Config:
    return Config.model_validate(
        {
            "inputs": [{"topic": "t"}],
            "detectors": [
                {
                    "name": "hosts",
                    "kind": "vector-autoencoder",
                    "training": training,
                    "parameters": parameters or {},
                    "alert": {"false_alarm_rate": 0.01},
                }
            ],
            "store": {"url": f"sqlite:///{root}/s.db", "models": str(root / "models")},
        }
    )


def data(samples: int = 400, *, shift: float = 0.0, seed: int = 0, until: float = NOW) -> TrainingSet:
    rng = np.random.default_rng(seed)
    times = until - 10.0 * np.arange(samples, 0, -1)
    values = rng.normal(0, 1, (samples, 6)).astype(np.float32)
    values[-samples // 10 :] += shift
    return TrainingSet({"h": Series(times, values)}, tuple("abcdef"))


@pytest.fixture
def topics(monkeypatch: pytest.MonkeyPatch) -> dict[str, TrainingSet]:
    """What the topics hold."""
    held = {"hosts": data()}
    monkeypatch.setattr(module, "read_trained_history", lambda config, detectors, clock: held)
    return held


def test_it_waits_until_there_is_enough_and_says_when(tmp_path: Path, topics: dict[str, TrainingSet]) -> None:
    topics["hosts"] = data(40)
    outcome = train_one_anew(configured(tmp_path), "hosts", lambda: NOW)
    assert outcome.version is None
    assert "trains by itself in about 600 s: 40 samples of the usual entity so far" in outcome.text


def test_the_first_model_is_published_and_the_next_must_pass_the_gate(
    tmp_path: Path, topics: dict[str, TrainingSet]
) -> None:
    config = configured(tmp_path, every=3600.0)
    library = ModelLibrary(tmp_path / "models")
    first = train_one_anew(config, "hosts", lambda: NOW)
    assert library.versions("hosts") == (first.version,)
    assert library.cards("hosts", str(first.version))["autoencoder"].card.figures["by_itself"] == 1.0

    second = train_one_anew(config, "hosts", lambda: NOW + 3600)
    assert second.version in library.versions("hosts")
    assert "passed the gate: the new one alerts at" in second.text
    assert "the old one alerts at" in second.text

    topics["hosts"] = data(shift=30.0)  # the newest hours are nothing like what it was trained on
    third = train_one_anew(config, "hosts", lambda: NOW + 7200)
    candidates = tmp_path / "models-candidates"
    if third.version is None:  # unless the old one alerts as often
        assert "is kept in" in third.text
        (kept,) = ModelLibrary(candidates).versions("hosts")
        figures = json.loads((candidates / "hosts" / f"{kept}.json").read_text())
        assert figures["promoted"] is False
    always = configured(tmp_path, every=3600.0, promote="always")
    assert train_one_anew(always, "hosts", lambda: NOW + 9000).version in library.versions("hosts")


def test_the_gate(tmp_path: Path) -> None:
    detector = configured(tmp_path).detectors[0]
    training = data()
    part = held_out(training)
    assert len(part.series["h"].times) == 360
    good = train_detector_pair(detector, part, created=NOW)
    decision = decide(good, good, training)
    assert decision.promoted, decision
    assert decision.candidate == decision.old
    assert decision.candidate.faults == 3
    assert decision.candidate.faults_found == 1.0

    restless = decide(good, None, data(shift=30.0))
    assert not restless.promoted
    assert "of the last samples alert, at most" in restless.why

    wide = TrainingSet({"h": replace(part.series["h"], values=part.series["h"].values * 100)}, part.features)
    blind = decide(train_detector_pair(detector, wide, created=NOW), good, training)
    assert not blind.promoted
    assert "finds 0% of the injected faults, at least 80%" in blind.why


def test_an_old_model_of_other_metrics_is_no_bar(tmp_path: Path) -> None:
    detector = configured(tmp_path).detectors[0]
    training = data()
    other = TrainingSet(training.series, tuple("uvwxyz"))
    old = train_detector_pair(detector, held_out(other), created=NOW)
    good = train_detector_pair(detector, held_out(training), created=NOW)
    assert decide(good, old, training).promoted


def test_when_a_training_is_due(tmp_path: Path, topics: dict[str, TrainingSet]) -> None:
    now, trained = [NOW], []

    def train(config: Config, name: str) -> Outcome:
        trained.append(now[0] - NOW)
        return train_one_anew(config, name, lambda: now[0])

    topics["hosts"] = data(40)
    config = configured(tmp_path, every=1000.0)
    auto = AutoTraining(config, clock=lambda: now[0], train=train)
    assert auto.status("hosts") is None
    auto.look()
    assert "trains by itself in about" in str(auto.status("hosts"))
    topics["hosts"] = data()
    now[0] += 30
    auto.look()  # there is none yet: at once
    now[0] += 900
    auto.look()  # too early for another
    now[0] += 200
    auto.look()
    assert trained == [0, 30, 1130]

    whole = AutoTraining(configured(tmp_path, history_s=4000.0), clock=lambda: NOW + 10**9, train=train)
    whole.look()
    assert len(trained) == 3


@pytest.fixture(scope="module")
def pair() -> DetectorPair:
    """A pair that is published with other dates on its card."""
    config = configured(Path(), parameters={"epochs": 1, "hidden": 4})
    return module._marked(train_detector_pair(config.detectors[0], data(100), created=NOW))


class Growing:
    """Topics that keep up to `kept_s` of what came since a while before `NOW`, and a clock."""

    def __init__(self, root: Path, pair: DetectorPair, kept_s: float, **training: Any) -> None:
        self.now = NOW
        self.tried: list[float] = []
        self.refused = 0
        self._library = ModelLibrary(root / "models")
        self._pair, self._kept_s = pair, kept_s
        config = configured(root, **training)
        self._auto = AutoTraining(config, clock=lambda: self.now, train=self._train)

    def go_on(self, seconds: float) -> list[float]:
        """Look every hundred seconds; gives when it was trained, after `NOW`."""
        for _ in range(int(seconds / 100.0)):
            self._auto.look()
            self.now += 100.0
        return self.tried

    def _train(self, config: Config, name: str) -> Outcome:
        self.tried.append(self.now - NOW)
        if len(self.tried) > 1 and self.refused:
            self.refused -= 1
            return Outcome(None, "refused")
        known_s = min(self.now - NOW + 1000.0, self._kept_s)
        own = self._pair.autoencoder.card
        card = replace(own, created=self.now, trained_from=self.now - known_s, trained_to=self.now)
        pair = replace(self._pair, autoencoder=replace(self._pair.autoencoder, card=card))
        return Outcome(self._library.publish(name, pair), "trained")


def test_a_model_that_knows_little_is_trained_anew_when_its_history_has_doubled(
    tmp_path: Path, pair: DetectorPair
) -> None:
    growing = Growing(tmp_path, pair, np.inf, history_s=10_000.0)
    # 1,000 s of history at first; with eight tenths of what is asked for it is enough.
    assert growing.go_on(30_000.0) == [0.0, 1000.0, 3000.0, 7000.0]


def test_where_the_topics_keep_no_more_it_is_left_at_that(tmp_path: Path, pair: DetectorPair) -> None:
    growing = Growing(tmp_path, pair, 1200.0, history_s=10_000.0)
    assert growing.go_on(10_000.0) == [0.0, 1000.0]


def test_after_a_candidate_that_is_refused_the_history_doubles_once_more(
    tmp_path: Path, pair: DetectorPair
) -> None:
    growing = Growing(tmp_path, pair, np.inf)
    growing.refused = 2
    assert growing.go_on(9_000.0) == [0.0, 1000.0, 2000.0, 4000.0]


def test_what_somebody_trained_is_left_alone(tmp_path: Path, pair: DetectorPair) -> None:
    config = configured(tmp_path)
    card = replace(pair.autoencoder.card, figures={})
    chosen = replace(pair, autoencoder=replace(pair.autoencoder, card=card))
    ModelLibrary(tmp_path / "models").publish("hosts", chosen)
    auto = AutoTraining(config, clock=lambda: NOW + 10**9, train=pytest.fail)
    auto.look()
    assert auto.status("hosts") is None


def test_where_it_is_off_nothing_is_trained(tmp_path: Path) -> None:
    auto = AutoTraining(configured(tmp_path, automatic=False), clock=lambda: NOW, train=pytest.fail)
    auto.look()
    assert auto.status("hosts") is None
