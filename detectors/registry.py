"""Which kinds of detector there are: a whitelist, so that a model folder cannot name any other code."""

from __future__ import annotations

from importlib import import_module

from anomalyd.detectors.detector import Detector, SampleKind
from anomalyd.errors import TrainingError
from anomalyd.near_names import did_you_mean

_KINDS = {
    "vector-ensemble": "anomalyd.detectors.vectors.ensemble.detector:VectorEnsemble",
    "vector-autoencoder": "anomalyd.detectors.vectors.autoencoder:VectorAutoencoder",
    "median-distance": "anomalyd.detectors.vectors.distance:MedianDistance",
    "map-autoencoder": "anomalyd.detectors.maps.autoencoder.autoencoder:MapAutoencoder",
    "map-scan": "anomalyd.detectors.maps.likelihood.detector:MapScan",
    "map-classical": "anomalyd.detectors.maps.classical.classical:MapClassical",
    "map-tests": "anomalyd.detectors.maps.classical.any_test:MapTests",
    "zero-cells": "anomalyd.detectors.maps.classical.classical:ZeroCells",
    "reference-chi-square": "anomalyd.detectors.maps.classical.classical:ReferenceChiSquare",
}

_RECOMMENDED = {"vector": "vector-ensemble", "map": "map-scan"}
"""What measurements recommend (docs/validation.md): the kind of a detector that names none."""

_BASELINES = {
    "vector-ensemble": "median-distance",
    "vector-autoencoder": "median-distance",
    "map-autoencoder": "map-classical",
    "map-scan": "map-classical",
}


def kinds() -> tuple[str, ...]:
    """Name every kind of detector."""
    return tuple(_KINDS)


def detector_class(kind: str) -> type[Detector]:
    """Give the class of a kind; its module is imported only now.

    Raises:
        TrainingError: there is no such kind.

    """
    if kind not in _KINDS:
        raise TrainingError(
            f"unknown kind of detector {kind!r}; {did_you_mean(kind, _KINDS)}known: {', '.join(_KINDS)}"
        )
    module, _, name = _KINDS[kind].partition(":")
    found: type[Detector] = getattr(import_module(module), name)
    return found


def sample_kind_of(kind: str) -> SampleKind:
    """Say what a kind takes, by its folder, without importing it.

    A configuration is checked by commands that have no use for PyTorch, which takes seconds to import.

    Raises:
        TrainingError: there is no such kind.

    """
    if kind not in _KINDS:
        raise TrainingError(
            f"unknown kind of detector {kind!r}; {did_you_mean(kind, _KINDS)}known: {', '.join(_KINDS)}"
        )
    return "map" if _KINDS[kind].startswith("anomalyd.detectors.maps.") else "vector"


def recommended_kind(sample_kind: SampleKind) -> str:
    """Name the kind to take for metric vectors or for maps: the one that measurements recommend."""
    return _RECOMMENDED[sample_kind]


def autoencoder_kinds() -> tuple[str, ...]:
    """Name the kinds that have a classical baseline: those that a pair can be built around."""
    return tuple(_BASELINES)


def classical_baseline(kind: str) -> str:
    """Name the classical detector that runs beside an autoencoder kind unless another is asked for.

    Raises:
        TrainingError: it is not the kind of an autoencoder.

    """
    if kind not in _BASELINES:
        raise TrainingError(
            f"{kind!r} is not a kind of autoencoder; a pair is built around one of: {', '.join(_BASELINES)}"
        )
    return _BASELINES[kind]
