"""What is made of an explanation: how far to trust it, what would have to change, which cases are alike."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from anomalyd.reports.json_values import without_nan

_ALIKE = 0.6
"""Cosine from which two cases are alike: of two causes, at least the first is then the same."""

_NEAREST = 3


@dataclass(frozen=True, slots=True)
class Counterfactual:
    """The smallest set that was found of parts that, put to the expectation, bring the score under 1.

    `parts`: names of metrics, or of a map's hardware units and places in words; `score`: the calibrated score
    without them; `enough`: whether it is below 1 (not where a detector remembers what came before, or judges
    what is in no part, as a rate). `observed`: the score as it was; `whole`: where everything is as expected;
    `since`: the event time from which metrics were put back, NaN of a map. `total`: of a map whose counts
    as a whole raised the score, those that were expected: with them and its own shape it has `score`; else
    NaN.
    """

    parts: tuple[str, ...]
    score: float
    enough: bool
    observed: float = math.nan
    whole: float = math.nan
    since: float = math.nan
    total: float = math.nan


@dataclass(frozen=True, slots=True)
class UnusualUnit:
    """A hidden unit that fired unusually: `sigmas` from its mean over normal samples.

    `separation` is the area under its ROC curve between anomalous and normal samples, as it was ranked.
    """

    layer: str
    unit: int
    sigmas: float
    separation: float


@dataclass(frozen=True, slots=True)
class Interpretation:
    """What was made of a report's explanations; `trust` a plain word a method ("good", "fair", "weak").

    `fingerprint`: share of the blame by metric, or by place of a map, below 0 where less was seen than
    expected; cases are compared by it.
    """

    trust: Mapping[str, str] = field(default_factory=dict)
    fingerprint: Mapping[str, float] = field(default_factory=dict)
    counterfactual: Counterfactual | None = None
    units: tuple[UnusualUnit, ...] = ()


@dataclass(frozen=True, slots=True)
class SimilarCase:
    """An earlier case that is alike, with what was concluded about it: words and comments of operators."""

    report: str
    entity: str
    onset: float
    severity: str
    similarity: float
    concluded: tuple[str, ...]


def to_json(interpretation: Interpretation) -> str:
    """Write it, with null for what is not finite."""
    return json.dumps(without_nan(asdict(interpretation)), allow_nan=False)


def from_json(text: str) -> Interpretation:
    """Read what `to_json` wrote; what earlier versions did not write is empty."""
    about: dict[str, Any] = json.loads(text)
    counterfactual = about.get("counterfactual")
    return Interpretation(
        trust=about.get("trust", {}),
        fingerprint=about.get("fingerprint", {}),
        counterfactual=None
        if counterfactual is None
        else Counterfactual(
            tuple(counterfactual["parts"]),
            _number(counterfactual["score"]),
            counterfactual["enough"],
            *(_number(counterfactual.get(name)) for name in ("observed", "whole", "since", "total")),
        ),
        units=tuple(
            UnusualUnit(u["layer"], u["unit"], _number(u["sigmas"]), _number(u["separation"]))
            for u in about.get("units", ())
        ),
    )


def similarity(a: Mapping[str, float], b: Mapping[str, float]) -> float:
    """Give the cosine of two fingerprints, 0 where either is empty."""
    scale = math.sqrt(sum(x * x for x in a.values()) * sum(x * x for x in b.values()))
    return sum(x * b.get(name, 0.0) for name, x in a.items()) / scale if scale > 0 else 0.0


def nearest(own: Mapping[str, float], earlier: Mapping[str, Mapping[str, float]]) -> list[tuple[str, float]]:
    """Give the three earlier reports that are most alike, with the cosine of fingerprints, if any are."""
    found = [(report, similarity(own, other)) for report, other in earlier.items()]
    alike = [each for each in found if each[1] >= _ALIKE]
    return sorted(alike, key=lambda each: (-each[1], each[0]))[:_NEAREST]


def _number(value: float | None) -> float:
    return math.nan if value is None else float(value)
