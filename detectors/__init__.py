"""Arrays in, scores out: fit, score, calibrate, keep a trained model, measure it on labelled data.

Knows nothing of Kafka, reports, configuration files or the other rooms.
"""

from typing import TYPE_CHECKING

from anomalyd.lazy import lazy_exports

if TYPE_CHECKING:
    from anomalyd.detectors.detector import Detector, RawScores, Series, SeriesWindow, TrainingSet
    from anomalyd.detectors.detector_pair import DetectorPair, train_pair
    from anomalyd.detectors.library import ModelLibrary

__all__ = [
    "Detector",
    "DetectorPair",
    "ModelLibrary",
    "RawScores",
    "Series",
    "SeriesWindow",
    "TrainingSet",
    "train_pair",
]

__getattr__ = lazy_exports(
    __name__,
    {
        "Detector": "detector",
        "DetectorPair": "detector_pair",
        "ModelLibrary": "library",
        "RawScores": "detector",
        "Series": "detector",
        "SeriesWindow": "detector",
        "TrainingSet": "detector",
        "train_pair": "detector_pair",
    },
)
