"""Two versions of a model beside each other, as people ask for it on the dashboard or by `models compare`."""

from __future__ import annotations

import json
import logging
import multiprocessing
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path

from anomalyd.daemon.config.chosen_detectors import chosen_detectors
from anomalyd.daemon.config.config import Config, DetectorConfig
from anomalyd.daemon.learning.promotion import Decision, decide
from anomalyd.daemon.learning.training import read_trained_history
from anomalyd.detectors.detector import TrainingSet
from anomalyd.detectors.library import ModelLibrary, candidates_folder
from anomalyd.errors import AnomalydError
from anomalyd.reports.storage.store import Store

_log = logging.getLogger(__name__)

LOOK_S = 5.0
"""How often to look whether somebody asked."""


class AskedComparisons:
    """Makes the comparisons that wait in the store, one at a time.

    Arguments:
        config: the daemon's.
        store: where they wait.
        compare: makes one, and gives why it could not, "" if it could; by default in a process of its own,
            so that scoring goes on beside it.

    """

    def __init__(
        self, config: Config, store: Store, compare: Callable[[Config, str, str, str], str] | None = None
    ) -> None:
        self._config = config
        self._store = store
        self._compare = compare or _in_another_process

    def look(self) -> str | None:
        """Make the one that waits longest; says what kept it from looking, None if nothing did."""
        try:
            asked = self._store.comparisons.begin(tuple(d.name for d in self._config.detectors))
            if asked is None:
                return None
            outcome = self._compare(self._config, asked.detector, asked.candidate, asked.old)
            self._store.comparisons.end(asked, outcome)
        except AnomalydError as error:
            _log.warning("models are compared later: %s", error)
            return str(error)
        told = f"detector {asked.detector}: {asked.candidate} beside {asked.old}, asked for by {asked.who}"
        (_log.warning if outcome else _log.info)("%s: %s", told, outcome or "compared")
        return None


def compare_versions(config: Config, detector: str, candidate: str, old: str) -> str:
    """Compare two versions on what the topics hold; says why that could not be, "" if it could."""
    try:
        [about] = chosen_detectors(config, detector)
        compared(config, about, candidate, old)
    except (AnomalydError, OSError) as error:
        return str(error)
    return ""


def compared(
    config: Config, detector: DetectorConfig, candidate: str, old: str, samples: TrainingSet | None = None
) -> Decision:
    """Score the newest tenth of the samples by two versions, and keep for the dashboard where they differ.

    `candidate` is a published version or a candidate, `old` a published one. Without `samples` those that the
    topics hold.

    Raises:
        ModelError: there is no such version, or it cannot be used.
        TrainingError: there are no samples.

    """
    models = Path(config.store.models)
    folder = candidates_folder(models)
    published = ModelLibrary(models)
    is_published = candidate in published.versions(detector.name)
    new = (published if is_published else ModelLibrary(folder)).load(detector.name, candidate).pair
    before = published.load(detector.name, old).pair
    if samples is None:
        samples = read_trained_history(config, [detector], clock=time.time)[detector.name]
    decision = replace(decide(new, before, samples), promoted=is_published)
    (folder / detector.name).mkdir(parents=True, exist_ok=True)
    told = json.dumps(decision.as_dict() | {"old_version": old}, indent=1)
    (folder / detector.name / f"{candidate}.json").write_text(told, encoding="utf-8")
    return decision


def _in_another_process(config: Config, detector: str, candidate: str, old: str) -> str:
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(compare_versions, config, detector, candidate, old).result()
