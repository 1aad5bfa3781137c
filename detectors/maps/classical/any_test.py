"""All classical tests behind one alarm, each against the element's own earlier maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import (
    Detector,
    Progress,
    RawScores,
    SampleKind,
    SeriesWindow,
    TrainingSet,
    silent,
)
from anomalyd.detectors.maps.classical.classical import NoParameters
from anomalyd.detectors.maps.classical.statistics import TESTS, Beside, Statistic, tests_of
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.history.history import History
from anomalyd.detectors.parameters import read_parameters
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError

_LEVELS = 4
"""Levels of counts at which the usual values of the tests are measured."""

_USUAL, _RARE = 0.5, 0.998

_LEAST_EXPECTED = 0.25  # counts: keeps the pull of a cell finite that was dead and counts again


class MapTests(Detector):
    """The classical tests as the field runs them (`statistics.TESTS`); the rarest of their values counts.

    A value is measured in steps from the median to the 99.8 % quantile of normal maps at like counts. The
    reference is the sum of the element's earlier maps that no test found strange; its first map has none.
    """

    kind: ClassVar[str] = "map-tests"
    sample_kind: ClassVar[SampleKind] = "map"
    parameters_class = NoParameters

    def __init__(self, scale: Tensor, levels: Tensor, geometries: tuple[Geometry, ...] = ()) -> None:
        self.scale = scale
        self.levels = levels
        self.geometries = geometries

    @classmethod
    def fit(
        cls,
        training: TrainingSet,
        parameters: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Measure how the tests scatter on normal maps, by counts.

        Raises:
            TrainingError: no element with two maps, or any parameter.

        """
        read_parameters(cls.kind, NoParameters, parameters)
        counts: list[NDArray[np.float64]] = []
        values: list[NDArray[np.float64]] = []
        for number, (entity, series) in enumerate(training.series.items(), 1):
            maps = series.values
            if maps.ndim != 3 or len(maps) < 2:
                continue
            geometry = _geometry(entity, maps.shape[1:], training.geometries)
            whole = np.nan_to_num(maps).sum(0, dtype=np.float64)
            beside = _beside(maps, whole - np.nan_to_num(maps), geometry)
            values.append(np.stack([TESTS[name](beside).value for name in TESTS], axis=1))
            counts.append(_level(maps))
            progress(cls.kind, number, len(training.series))
        if not values:
            raise TrainingError(f"{cls.kind}: no element has two maps to train on")
        level, value = np.concatenate(counts), np.concatenate(values)
        edges = np.quantile(level, np.linspace(0, 1, _LEVELS + 1))
        scale, centres = [], []
        for low, high in pairwise(edges.tolist()):
            some = value[(level >= low) & (level <= high)]
            usual, rare = np.quantile(some, (_USUAL, _RARE), axis=0)
            scale.append(np.stack([usual, np.maximum(rare - usual, 1e-6)]))
            centres.append((low + high) / 2)
        usual_values, levels = (torch.from_numpy(np.array(a)) for a in (scale, centres))
        return cls(usual_values, levels, training.geometries)

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score maps one after another, each against those before it.

        Raises:
            ModelMismatch: values that are no maps.

        """
        return [self._stream(window) for window in windows]

    def _stream(self, window: SeriesWindow) -> RawScores:
        maps = window.values
        if maps.ndim != 3:
            raise ModelMismatch(f"{window.entity}: {maps.shape[1:]} is not the shape of a map")
        geometry = _geometry(window.entity, maps.shape[1:], self.geometries)
        history = History.of(window.state, maps.shape[1:])
        raw = np.full(len(maps), np.nan)
        error, expectation, blame = (np.full(maps.shape, np.nan, dtype=np.float32) for _ in range(3))
        for k, drawn in enumerate(maps):
            reference = history.reference()
            trusted = True
            if reference.any() and np.isfinite(drawn).any():
                beside = _beside(drawn[None], reference[None].astype(np.float64), geometry)
                raw[k], leading = self._judge(beside, geometry)
                trusted = raw[k] <= 1
                expected = np.where(beside.mask[0], beside.expected[0], np.nan)
                expectation[k] = expected
                error[k] = (drawn - expected) / np.sqrt(np.maximum(expected, _LEAST_EXPECTED))
                blame[k] = np.where(beside.mask[0], leading.cells[0], np.nan)
            history = history.after(drawn, trusted)
        return RawScores(raw, error, expectation, blame, history.state())

    def _judge(self, beside: Beside, geometry: Geometry) -> tuple[float, Statistic]:
        level = float(_level(beside.counts)[0])
        place = int(np.argmin(np.abs(self.levels.numpy() - level)))
        usual, step = self.scale[place].numpy()
        found = {name: TESTS[name](beside) for name in tests_of(geometry)}
        rarity = {
            name: (float(found[name].value[0]) - usual[i]) / step[i]
            for i, name in enumerate(TESTS)
            if name in found
        }
        leading = max(rarity, key=rarity.__getitem__)
        return rarity[leading], found[leading]

    def tensors(self) -> dict[str, Tensor]:
        """Give the usual values of the tests."""
        return {"scale": self.scale, "levels": self.levels}

    def config(self) -> dict[str, Any]:
        """Give the geometries that a user added."""
        return {"geometries": [msgspec.to_builtins(g) for g in self.geometries]}

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again.

        Raises:
            ModelDamaged: tensors and configuration do not fit together.

        """
        try:
            scale, levels = tensors["scale"], tensors["levels"]
            geometries = msgspec.convert(config["geometries"], tuple[Geometry, ...])
        except (KeyError, msgspec.ValidationError) as error:
            raise ModelDamaged(f"{cls.kind}: {error!r}; train again") from error
        if scale.shape != (len(levels), 2, len(TESTS)):
            raise ModelDamaged(f"{cls.kind}: usual values of {tuple(scale.shape)}; train again")
        return cls(scale, levels, geometries)


def _geometry(entity: str, shape: tuple[int, ...], added: tuple[Geometry, ...]) -> Geometry:
    known = geometry_of(entity, added)
    return known if known is not None and known.shape == shape else Geometry.of(entity, (shape[0], shape[1]))


def _level(maps: NDArray[np.floating]) -> NDArray[np.float64]:
    """Logarithm of the mean counts (N,) of a map's cells."""
    mean = np.nan_to_num(maps).mean((1, 2), dtype=np.float64)
    level: NDArray[np.float64] = np.log(np.maximum(mean, 1e-3))
    return level


def _beside(maps: NDArray[np.floating], reference: NDArray[np.float64], geometry: Geometry) -> Beside:
    mask = np.isfinite(maps) & geometry.mask()
    counts = np.where(mask, np.nan_to_num(maps), 0).clip(0).astype(np.float64)
    return Beside(counts, np.where(mask, reference, 0.0), mask, geometry)
