"""The study of a detector's hidden units on labelled samples: ranked, and the best mapped to input space."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyd.detectors.detector import Encoded, Explainable, Layered, SeriesWindow
from anomalyd.errors import TrainingError
from anomalyd.interpret.analytical.integrated_gradients import integrate
from anomalyd.interpret.attribution import fold
from anomalyd.interpret.budget import Budget
from anomalyd.interpret.neurons.activations import UsualActivity, outputs_of, responses
from anomalyd.interpret.neurons.input_space import HiddenUnit, exciting_input
from anomalyd.interpret.neurons.ranking import RankedUnit, rank_units
from anomalyd.interpret.occlusion import occlusion
from anomalyd.reports.cases.interpretation import UnusualUnit

LEAST = 6
"""Normal and anomalous samples below which nothing can be ranked."""

_SIGNIFICANT = 0.05
_STEPS = 16
_UNUSUAL = 5.0
_NAMED = 3

Cells = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class MappedUnit:
    """A unit with what it looks for, each (F,) or (R, C).

    `sample`: the departure of the sample that excites it most; `exciting`: that of an input climbed to;
    `occlusion`, `gradient`: which parts of the sample it responds to.
    """

    rank: RankedUnit
    sample: Cells
    exciting: Cells
    occlusion: Cells
    gradient: Cells


@dataclass(frozen=True, slots=True)
class NeuronStudy:
    """All units by how well they separate, the best mapped, and what is usual of all."""

    ranked: tuple[RankedUnit, ...]
    mapped: tuple[MappedUnit, ...]
    usual: UsualActivity


def study_units(
    detector: Layered, normal: Sequence[SeriesWindow], anomalous: Sequence[SeriesWindow], most: int = 8
) -> NeuronStudy:
    """Rank the hidden units by the last samples of windows, and map the best `most` to input space.

    What is usual is measured on every second normal window, the others are ranked against.

    Raises:
        TrainingError: too few windows of either kind.

    """
    if len(normal) < 2 * LEAST or len(anomalous) < LEAST:
        raise TrainingError(
            f"{len(normal)} normal and {len(anomalous)} anomalous samples; at least {2 * LEAST} and {LEAST}"
            " are needed to rank hidden units; give more labelled data"
        )
    assert isinstance(detector, Explainable)
    reference, others, faulty = (
        [detector.encode(window) for window in part] for part in (normal[::2], normal[1::2], anomalous)
    )
    usual = UsualActivity.of(outputs_of(detector, reference))
    of_faulty = responses(usual, outputs_of(detector, faulty))
    ranked = rank_units(responses(usual, outputs_of(detector, others)), of_faulty)
    for unit in ranked:
        usual.separation[unit.layer][unit.unit] = unit.area
        usual.significant[unit.layer][unit.unit] = float(unit.p < _SIGNIFICANT)
    mapped = []
    for unit in ranked[:most]:
        best = int(np.argmax(unit.side * of_faulty[unit.layer][:, unit.unit]))
        mapped.append(_mapped(detector, usual, unit, faulty[best], anomalous[best]))
    return NeuronStudy(tuple(ranked), tuple(mapped), usual)


def _mapped(
    detector: Layered, usual: UsualActivity, rank: RankedUnit, encoded: Encoded, window: SeriesWindow
) -> MappedUnit:
    unit = HiddenUnit(detector, usual, rank.layer, rank.unit, rank.side)
    present = np.isfinite(window.values[-1])
    shape, size = present.shape, present.size
    occluded = occlusion(unit, encoded, present, Budget(60.0, time.monotonic)).values
    gradient = fold(integrate(unit, encoded, _STEPS), encoded.feature, size)
    sample = fold(encoded.inputs - encoded.baseline, encoded.feature, size)
    return MappedUnit(
        rank,
        sample.reshape(shape),
        exciting_input(unit, encoded, size).reshape(shape),
        occluded.astype(np.float64),
        gradient.reshape(shape),
    )


def unusual_units(
    detector: Layered, usual: UsualActivity, encoded: Encoded, most: int = _NAMED
) -> tuple[UnusualUnit, ...]:
    """Name the units that a sample makes fire unusually, furthest first, of those that tell faults."""
    with torch.no_grad():
        fired = responses(usual, outputs_of(detector, [encoded]))
    found = [
        UnusualUnit(layer, unit, round(float(away), 2), round(float(usual.separation[layer][unit]), 4))
        for layer, of_layer in fired.items()
        for unit, away in enumerate(of_layer[0])
        if abs(away) >= _UNUSUAL and usual.significant[layer][unit]
    ]
    return tuple(sorted(found, key=lambda unit: -abs(unit.sigmas))[:most])
