"""The samples that detectors are trained on, while topics are read: never many more than they want."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.daemon.stages import Sample
from anomalyd.detectors.registry import detector_class

_MORE = 4
"""More than a quarter more than are wanted are not held."""


def wanted_by(detector: DetectorConfig, samples: Iterable[Sample], *, now: float) -> list[Sample]:
    """Give what one detector is trained on: its kind of samples of the entities that it watches, of the last
    `history_s`, of these the newest `max_samples`, in the order of event times."""
    kind = detector_class(detector.kind).sample_kind
    since = now - detector.training.history_s
    wanted = [
        s
        for s in samples
        if (s.map is not None) == (kind == "map") and s.time >= since and detector.watches(s.entity)
    ]
    wanted.sort(key=lambda s: s.time)
    return wanted[-detector.training.max_samples :]


class WantedSamples:
    """The samples that any of some detectors is trained on, in the order in which they came."""

    def __init__(self, detectors: Sequence[DetectorConfig], now: float) -> None:
        self._detectors, self._now = detectors, now
        self._samples: list[Sample] = []
        most = sum(detector.training.max_samples for detector in detectors)
        self._most = most + most // _MORE

    def add(self, samples: Iterable[Sample]) -> None:
        """Take some more; what nobody can want any longer is let go of now and then."""
        self._samples += samples
        if len(self._samples) > self._most:
            self._samples = self.kept()

    def kept(self) -> list[Sample]:
        """Give those that are wanted."""
        wanted = {
            id(sample)
            for detector in self._detectors
            for sample in wanted_by(detector, self._samples, now=self._now)
        }
        return [sample for sample in self._samples if id(sample) in wanted]
