"""Training by itself: while a detector has no model, while the history of the one that was trained so still
grows, and from time to time where `training.every` is set; never where `training.automatic` is off.

A first model knows the quarter of an hour that there was. It is trained anew whenever the history has
doubled since, until it is what `training.history_s` asks for, or a week.

It trains in a process of its own, so that scoring goes on beside it, on what the topics hold. A new model is
published where there is none yet, or where it passes the gate (`promotion`); else it is kept as a candidate,
with its figures, in the folder `models-candidates`.
"""

from __future__ import annotations

import json
import logging
import multiprocessing
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from anomalyd.daemon.config.config import Config, DetectorConfig
from anomalyd.daemon.learning.promotion import Decision, decide, held_out
from anomalyd.daemon.learning.starting import trained_versions
from anomalyd.daemon.learning.training import opened_windows, read_trained_history, train_detector_pair
from anomalyd.detectors.detector import TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import ModelLibrary, candidates_folder
from anomalyd.errors import AnomalydError, ModelError, TrainingError

_log = logging.getLogger(__name__)

ENOUGH = 100
"""Samples of the usual entity from which on a first model is trained: a quarter of an hour at 10 s."""

_LOOK_S = 30.0

_BY_ITSELF = "by_itself"
"""Among the figures of a card: that nobody chose what the model was trained on."""

_MOST_S = 7 * 86_400.0
"""A history that holds each hour of each day of a week is long enough."""

_WHOLE, _LONGER = 0.8, 1.5
"""A history is whole from so much of what is asked for on (a tenth is held out), and does not grow where it
is not so much longer than that of the model before: then the topics keep no more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a training: the version that was published, or why none was."""

    version: str | None
    text: str


class AutoTraining:
    """Looks now and then whether a detector needs a model, in a thread of its own.

    `train` is what trains one detector by name: `train_one_anew` in another process.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Callable[[], float] = time.time,
        train: Callable[[Config, str], Outcome] | None = None,
        look_s: float = _LOOK_S,
    ) -> None:
        self._config = config
        self._library = ModelLibrary(Path(config.store.models))
        self._clock = clock
        self._train = train or _in_another_process
        self._look_s = look_s
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="auto-training", daemon=True)
        self._next: dict[str, float] = {}
        self._said: dict[str, str] = {}

    def start(self) -> None:
        """Begin to look; the first time after a while, for most daemons have their models."""
        self._thread.start()

    def stop(self) -> None:
        """Begin no other training; one that is under way is left to itself."""
        self._stopping.set()

    def status(self, detector: str) -> str | None:
        """Say how the training of a detector stands, None where nothing is to be said."""
        return self._said.get(detector)

    def look(self) -> None:
        """Train what is due."""
        for detector in self._config.detectors:
            if self._stopping.is_set():
                return
            if self._due(detector):
                self._take(detector)

    def _run(self) -> None:
        while not self._stopping.wait(self._look_s):
            try:
                self.look()
            except Exception:
                _log.exception("training by itself failed; trying again")

    def _due(self, detector: DetectorConfig) -> bool:
        if not detector.training.automatic:
            return False
        now = self._clock()
        if now < self._next.get(detector.name, 0.0):
            return False
        versions = trained_versions(self._library, detector.name)
        if not versions:
            return True
        every = detector.training.every
        if every is None:
            every = self._until_doubled(detector, versions)
        return every is not None and now - _created(versions[-1]) >= every

    def _until_doubled(self, detector: DetectorConfig, versions: Sequence[str]) -> float | None:
        """Give how many seconds of history the newest model knows; None where more would change nothing."""
        known = [self._known_s(detector.name, version) for version in versions[-2:]]
        newest, most = known[-1], min(detector.training.history_s, _MOST_S)
        if newest is None or newest >= _WHOLE * most:
            return None
        before = known[0] if len(known) > 1 else None
        return newest if before is None or newest >= _LONGER * before else None

    def _known_s(self, name: str, version: str) -> float | None:
        """Give the seconds of history of a model that was trained by itself; None of others."""
        try:
            card = self._library.cards(name, version)["autoencoder"].card
        except ModelError:
            return None
        return card.trained_to - card.trained_from if _BY_ITSELF in card.figures else None

    def _take(self, detector: DetectorConfig) -> None:
        outcome = self._train(self._config, detector.name)
        versions = trained_versions(self._library, detector.name)
        if outcome.version is None and versions:
            now = self._clock()
            # The history that was not good enough doubles once more.
            again = detector.training.every or max(now - _created(versions[-1]), self._look_s)
            self._next[detector.name] = now + again
        if self._said.get(detector.name) != outcome.text:
            (_log.info if outcome.version else _log.warning)("detector %s: %s", detector.name, outcome.text)
        self._said[detector.name] = outcome.text


def _created(version: str) -> float:
    """Give when a version was trained (s since the epoch)."""
    return datetime.strptime(version.partition("-")[0], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()


def _marked(pair: DetectorPair) -> DetectorPair:
    """Say on its card that nobody chose what it was trained on."""
    card = pair.autoencoder.card
    card = replace(card, figures={**card.figures, _BY_ITSELF: 1.0})
    return replace(pair, autoencoder=replace(pair.autoencoder, card=card))


def train_one_anew(config: Config, name: str, clock: Callable[[], float] = time.time) -> Outcome:
    """Train one detector on what the topics hold, and publish it if it is the first or passes the gate."""
    try:
        return _train(config, name, clock)
    except AnomalydError as error:
        return Outcome(None, str(error))


def _train(config: Config, name: str, clock: Callable[[], float]) -> Outcome:
    detector = next(d for d in config.detectors if d.name == name)
    models = Path(config.store.models)
    library = ModelLibrary(models)
    training = read_trained_history(config, [detector], clock=clock)[name]
    first = not trained_versions(library, name)
    if first:
        _wait_for_enough(detector, training)
    opened = opened_windows(config.store.url.get_secret_value())
    gated = not first and detector.training.promote == "gate"
    part = held_out(training) if gated else training
    pair = _marked(train_detector_pair(detector, part, opened=opened, created=clock()))
    if not gated:
        return Outcome(version := library.publish(name, pair), f"model {version} was trained by itself")
    try:
        old = replace(library.load(name).pair, alert_on=detector.alert.alert_on)
    except ModelError:
        old = None
    decision = decide(pair, old, training)
    folder = candidates_folder(models)
    kept = (library if decision.promoted else ModelLibrary(folder)).publish(name, pair)
    (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / name / f"{kept}.json").write_text(json.dumps(decision.as_dict(), indent=1), encoding="utf-8")
    if decision.promoted:
        return Outcome(kept, f"model {kept} passed the gate: {_told(decision)}")
    return Outcome(
        None, f"candidate {kept} is kept in {folder} and not promoted: {decision.why}; {_told(decision)}"
    )


def _wait_for_enough(detector: DetectorConfig, training: TrainingSet) -> None:
    """Refuse to train on the first minutes.

    Raises:
        TrainingError: says when there will be enough.

    """
    counts = [len(series.times) for series in training.series.values()]
    usual = int(np.median(counts)) if counts else 0
    if usual >= ENOUGH:
        return
    gaps = [gap for series in training.series.values() for gap in np.diff(series.times).tolist()]
    when = f"in about {(ENOUGH - usual) * float(np.median(gaps)):.0f} s" if gaps else "later"
    raise TrainingError(
        f"it trains by itself {when}: {usual} samples of the usual entity so far, {ENOUGH} are waited for "
        "(`anomalyd train` takes what there is)"
    )


def _told(decision: Decision) -> str:
    def of(who: str, alert_rate: float, found: float) -> str:
        return f"{who} alerts at {alert_rate:.2%} and finds {found:.0%} of the injected faults"

    told = [of("the new one", decision.candidate.alert_rate, decision.candidate.faults_found)]
    if decision.old is not None:
        told.append(of("the old one", decision.old.alert_rate, decision.old.faults_found))
    return ", ".join(told)


def _in_another_process(config: Config, name: str) -> Outcome:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(train_one_anew, config, name).result()
