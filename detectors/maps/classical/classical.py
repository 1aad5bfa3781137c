"""The classical tests of an occupancy map: too many empty cells, and chi-square against a reference."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

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
from anomalyd.detectors.maps.batch import MapBatch, MapScores, score_by_shape
from anomalyd.detectors.maps.reference import References
from anomalyd.detectors.maps.training_maps import NormalMaps
from anomalyd.detectors.parameters import read_parameters
from anomalyd.errors import ModelDamaged

_MAD_TO_SIGMA = 1.4826


@dataclass(frozen=True, slots=True)
class NoParameters:
    """The classical tests have nothing to set."""


@dataclass(frozen=True, slots=True)
class _Compared:
    """Maps (N, R, C) beside the element's reference scaled to the same total.

    `variance`: Poisson's, with that of the reference's own counts, and the doubt in one that is not its own.
    """

    batch: MapBatch
    expected: NDArray[np.float32]
    variance: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Statistic:
    """A test's value (N,), about 0 with scatter 1 for normal maps, and each cell's part (N, R, C) in it."""

    value: NDArray[np.float64]
    part: NDArray[np.float32]


def _compare(batch: MapBatch) -> _Compared:
    total = (batch.counts * batch.usable).sum((1, 2), dtype=np.float64)
    usual = (batch.profile * batch.usable).sum((1, 2), dtype=np.float64)
    # Within the luminosities of the training, so that a chamber that is off does not agree with nothing.
    light = np.clip(
        np.divide(total, usual, out=np.zeros_like(total), where=usual > 0), batch.lowest, batch.highest
    )
    dispersion = 1 + light / batch.exposure
    # In single precision, which is twice as fast; sums over a map are in double.
    light, dispersion, doubt = (
        x.astype(np.float32)[:, None, None] for x in (light, dispersion, batch.doubt())
    )
    expected = light * batch.profile
    # A quarter of a count keeps the pull of a cell finite that was dead and counts again.
    return _Compared(batch, expected, np.maximum(expected, 0.25) * dispersion + (doubt * expected) ** 2)


def unexpected_zeros(compared: _Compared) -> _Statistic:
    """Count the empty cells beyond those that Poisson noise leaves empty.

    Cells that were dead when the reference was learnt do not count.
    """
    usable = compared.batch.usable
    chance = np.exp(-compared.expected) * usable
    empty = (compared.batch.counts == 0) & usable
    # A bright map has no empty cells by chance, but one more dead cell is no fault: the scatter of one.
    scatter = np.sqrt((chance * (1 - chance)).sum((1, 2), dtype=np.float64) + 1)
    beyond = empty.sum((1, 2)) - chance.sum((1, 2), dtype=np.float64)
    return _Statistic(beyond / scatter, np.where(empty, 1 - chance, np.float32(0)))


def profile_chi_square(compared: _Compared) -> _Statistic:
    """Sum the squared pulls of the cells, less the number of cells, in units of its scatter."""
    usable = compared.batch.usable
    squared = np.square(compared.batch.counts - compared.expected) / compared.variance * usable
    cells = usable.sum((1, 2))
    # Of Poisson counts chi-square varies by 2 + 1 / expected a cell.
    scatter = np.sqrt((usable * (2 + 1 / compared.variance)).sum((1, 2), dtype=np.float64))
    return _Statistic((squared.sum((1, 2), dtype=np.float64) - cells) / np.maximum(scatter, 1), squared)


class _ClassicalMapDetector(Detector):
    """What the classical tests share: the elements' references, and the scale of normal maps.

    `scale` (tests, 2): median and scatter of each test on normal maps, each beside a reference without it.
    """

    sample_kind: ClassVar[SampleKind] = "map"
    parameters_class = NoParameters

    def __init__(self, references: References, scale: Tensor) -> None:
        self.references = references
        self.scale = scale

    @classmethod
    @abstractmethod
    def _statistics(cls, compared: _Compared) -> list[_Statistic]:
        """Give the statistics of the tests this detector takes the largest of."""

    @classmethod
    def fit(
        cls,
        training: TrainingSet,
        parameters: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Learn the references and how the tests scatter on normal maps.

        Raises:
            TrainingError: no maps, no element with enough of them, or any parameter.

        """
        read_parameters(cls.kind, NoParameters, parameters)
        references, agreeing = References.fit(training, cls.kind)
        values = [
            np.stack([s.value for s in cls._statistics(_compare(batch))])
            for batch in NormalMaps(training, references, agreeing).in_order(unseen=False)
        ]
        together = np.concatenate(values, axis=1)
        middle = np.median(together, axis=1, keepdims=True)
        scatter = _MAD_TO_SIGMA * np.median(np.abs(together - middle), axis=1, keepdims=True)
        progress(f"learning the references of {cls.kind}", 1, 1)
        # Both tests scatter by 1 where the counts are Poisson; more where shapes move, never less.
        return cls(references, torch.from_numpy(np.hstack([middle, np.maximum(scatter, 1.0)])))

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score maps; each for itself, so that there is no state.

        Raises:
            ModelMismatch: no maps, or of a shape that was not trained on.

        """
        return score_by_shape(windows, self.references, self._score_batch)

    def _score_batch(self, batch: MapBatch) -> MapScores:
        compared = _compare(batch)
        statistics = self._statistics(compared)
        middle, scatter = self.scale.numpy().T[:, :, None]
        values = (np.stack([s.value for s in statistics]) - middle) / scatter
        leading = values.argmax(0)
        parts = np.stack([s.part for s in statistics])[leading, np.arange(len(leading))]
        raw = values.max(0)
        raw[~batch.usable.any((1, 2))] = np.nan
        return MapScores(
            raw,
            *(
                np.where(batch.missing, np.float32(np.nan), cells)
                for cells in (
                    (batch.counts - compared.expected) / np.sqrt(compared.variance),
                    compared.expected,
                    parts,
                )
            ),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Give the references and the scale of the tests."""
        return {**self.references.tensors(), "scale": self.scale}

    def config(self) -> dict[str, Any]:
        """Give the elements' names and shapes."""
        return self.references.config()

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again.

        Raises:
            ModelDamaged: tensors and configuration do not fit together.

        """
        if "scale" not in tensors or tensors["scale"].ndim != 2 or tensors["scale"].shape[1] != 2:
            raise ModelDamaged(f"{cls.kind}: no scale (tests, 2) among its tensors; train again")
        return cls(References.restore(tensors, config), tensors["scale"])


class ZeroCells(_ClassicalMapDetector):
    """The zero-cell fraction: how many more cells are empty than the reference lets expect.

    The production test of the drift tubes, as in A. A. Pol et al., arXiv:1808.00911.
    """

    kind: ClassVar[str] = "zero-cells"

    @classmethod
    def _statistics(cls, compared: _Compared) -> list[_Statistic]:
        return [unexpected_zeros(compared)]


class ReferenceChiSquare(_ClassicalMapDetector):
    """Chi-square against the element's reference, scaled to the same total."""

    kind: ClassVar[str] = "reference-chi-square"

    @classmethod
    def _statistics(cls, compared: _Compared) -> list[_Statistic]:
        return [profile_chi_square(compared)]


class MapClassical(_ClassicalMapDetector):
    """The larger of zero-cell fraction and reference chi-square: the peer of the map autoencoder."""

    kind: ClassVar[str] = "map-classical"

    @classmethod
    def _statistics(cls, compared: _Compared) -> list[_Statistic]:
        return [unexpected_zeros(compared), profile_chi_square(compared)]
