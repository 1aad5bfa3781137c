"""Classes of places side by side: the evidence of each, its price, and the odds of all together."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32] | NDArray[np.float64]
Doubles = NDArray[np.float64]
Cells = NDArray[np.bool_]

_BULK, _TAIL = 0.9, 0.99
"""Quantiles of normal maps between which the exponential tail of a class is measured."""

_FLATTEST, _STEEPEST = 4.0, 0.65
"""Nats of evidence that make one nat of rarity: never fewer than whole layers were measured to need."""

_WEIGHTS: dict[str, float] = {
    "layer": 0.20,
    "unit": 0.20,
    "wide": 0.15,
    "ratio": 0.14,
    "bump": 0.12,
    "interval": 0.10,
}
_USUAL_WEIGHT, _HOT_WEIGHT = 0.05, 0.02
"""Prior share of the classes among faults; they were chosen on real drift tubes and on simulation."""


@dataclass(frozen=True, slots=True)
class ClassEvidence:
    """The likeliest place of one class in each of N maps.

    `nats` (N,): its log likelihood ratio, less the logarithm of the number of places; `lost` (N,): whether it
    counts too little; `cells`: gives the place's cells (R, C) in map i.
    """

    name: str
    nats: Doubles
    lost: Cells
    cells: Callable[[int], Cells]


@dataclass(frozen=True, slots=True)
class Overdispersed:
    """Variance over Poisson's of what an element's noise is told by: `value` (N,), the cells behind it (N,).

    Of rows with sisters it is that of the sums over a unit's rows, else that of single cells.
    """

    value: Doubles
    worth: Doubles


@dataclass(frozen=True, slots=True)
class LocalEvidence:
    """What maps (N, R, C) say of themselves.

    `classes`: the likeliest place of each class; `expected` (N, R, C): what its neighbours let expect of each
    cell; `odd` (N, R, C): single cells that are dead or hot; `noise`: how wide the maps scatter.
    """

    classes: list[ClassEvidence]
    expected: NDArray[np.float32]
    odd: Cells
    noise: Overdispersed


@dataclass(frozen=True, slots=True)
class Price:
    """What normal maps reach in a class by chance: above `bulk` once in e^((x - bulk) / slope) maps."""

    bulk: float
    slope: float


FREE = Price(0.0, 1.2)
"""The price of a class that was never measured."""

_LEAST: dict[str, Price] = {
    "wide": Price(-1.5, 1.3),
    "wide hot": Price(0.0, 2.2),
    "bump": Price(0.0, 1.5),
    "bump all": Price(-1.0, 1.6),
    "bump all hot": Price(0.0, 2.2),
    "scattered hot": Price(2.0, 0.65),
}
"""What good real chambers reach, in the classes where they reach further than simulated ones."""


def price_of(nats: Doubles) -> Price:
    """Measure the price of a class on normal maps (N,), by the exponential tail of its maximum."""
    bulk, tail = np.quantile(nats, (_BULK, _TAIL))
    slope = float(np.clip((tail - bulk) / np.log((1 - _BULK) / (1 - _TAIL)), _STEEPEST, _FLATTEST))
    return Price(float(bulk) + slope * float(np.log(1 - _BULK)), slope)


def at_least(name: str, price: Price) -> Price:
    """Raise a price to what was seen on real elements."""
    least = _LEAST.get(name)
    if least is None:
        return price
    return Price(max(price.bulk, least.bulk), max(price.slope, least.slope))


def weight_of(name: str) -> float:
    """Give the prior share of a class, by the first word that it is known by."""
    if "hot" in name:
        return _HOT_WEIGHT
    return next((w for word, w in _WEIGHTS.items() if word in name), _USUAL_WEIGHT)


def rarity(classes: Sequence[ClassEvidence], prices: Mapping[str, Price]) -> Doubles:
    """Give the log odds (N, K) of each class: how rare it is among normal maps, and its prior share."""
    columns = []
    for c in classes:
        price = at_least(c.name, prices.get(c.name, _LEAST.get(c.name, FREE)))
        columns.append((c.nats - price.bulk) / price.slope + np.log(weight_of(c.name)))
    return np.stack(columns, axis=1)


def together(odds: Doubles) -> Doubles:
    """Add the odds (N, K) of all classes up: their logarithm (N,)."""
    top = odds.max(1)
    return np.asarray(top + np.log(np.exp(odds - top[:, None]).sum(1)))
