"""Why a fault was missed: the detector looks at it again, and says what it came to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.demo.comparison import Injected
from anomalyd.daemon.learning.history import read_history
from anomalyd.detectors.calibration import ALERT
from anomalyd.detectors.detector import SeriesWindow, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.evaluation.figures import events_of
from anomalyd.detectors.library import ModelLibrary
from anomalyd.errors import AnomalydError

BUSY = "cpu_percent"
"""The metric that says how loaded a host is."""

_BUSY, _ALREADY = 30.0, 0.6
"""CPU in percent, and share of what it was under the fault, from which on a machine was loaded before."""

Scores = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Reached:
    """What came of the samples of a fault.

    `autoencoder`, `classical`: the highest score of each, NaN where it could not tell; of `samples` so many
    were `above` 1, at most `in_a_row`. `busy`: CPU of the host in percent, median while it learnt and under
    the fault; None of a map.
    """

    samples: int
    autoencoder: float
    classical: float
    above: int
    in_a_row: int
    busy: tuple[float, float] | None = None

    def text(self, open_after: int) -> str:
        """Put it into words; `open_after` alerts in a row make an incident."""
        if not self.samples:
            return "no sample of it was scored while it lasted"
        named = (("autoencoder", self.autoencoder), ("classical test", self.classical))
        scores = ", ".join(f"{name} {score:.2f}" for name, score in named if np.isfinite(score))
        if not scores:
            return f"neither detector could tell anything of its {self.samples} samples"
        says = f"highest of {self.samples} scores: {scores} (threshold 1)"
        if self.above:
            says += (
                f"; {self.above} above it, at most {self.in_a_row} in a row, {open_after} open an incident"
            )
        if self.busy is not None:
            before, under = self.busy
            loaded = before >= max(_BUSY, _ALREADY * under)
            says += f"; CPU {under:.0f} % under it, {before:.0f} % while it learnt what is normal" + (
                ": the machine was loaded already" if loaded else ""
            )
        return says


def look_again(config: Config, missed: Injected, tolerance_s: float) -> str:
    """Say why a fault was missed: its samples are read from the topics and scored as the daemon did.

    What cannot be found out is said, too: the demo goes on.
    """
    try:
        detector = next(d for d in config.detectors if d.watches(missed.entity))
        history = read_history(config, [detector])[detector.name]
        pair = ModelLibrary(Path(config.store.models)).load(detector.name).pair
        pair = replace(pair, alert_on=detector.alert.alert_on)
        return reached(pair, history, missed, tolerance_s).text(detector.alert.open_after)
    except AnomalydError as error:
        return f"why is not known: {error}"


def reached(pair: DetectorPair, history: TrainingSet, missed: Injected, tolerance_s: float) -> Reached:
    """Score what an entity sent since the models were trained, and see what the fault came to."""
    series = history.series.get(missed.entity)
    nothing = Reached(0, np.nan, np.nan, 0, 0)
    if series is None:
        return nothing
    card = pair.autoencoder.card
    since, learnt = series.times > card.trained_to, series.times <= card.trained_to
    learnt &= series.times >= card.trained_from
    times = series.times[since]
    under = (times >= missed.first) & (times <= missed.last + tolerance_s)
    if not under.any():
        return nothing
    (scores,) = pair.score([SeriesWindow(missed.entity, times, series.values[since])])
    above = np.nan_to_num(scores.score[under]) > ALERT
    busy = None
    if BUSY in history.features and learnt.any():
        column = series.values[:, history.features.index(BUSY)]
        lasting = (series.times >= missed.first) & (series.times <= missed.last)
        if lasting.any():
            busy = float(np.nanmedian(column[learnt])), float(np.nanmedian(column[lasting]))
    return Reached(
        int(under.sum()),
        _highest(scores.autoencoder.score[under]),
        _highest(scores.classical.score[under]),
        int(above.sum()),
        max((end - start for start, end in events_of(above.astype(np.uint8))), default=0),
        busy,
    )


def _highest(scores: Scores) -> float:
    told = scores[np.isfinite(scores)]
    return float(told.max()) if len(told) else float("nan")
