"""A map beside the training maps that are nearest to it in shape and total.

Where nothing in a map lies beside anything alike (a plain histogram), and its shape moves with conditions,
the element's newest maps are no reference: of other conditions a normal map differs from them by hundreds of
nats. Many training maps hold maps of like conditions; one that is far from all of them is strange.

Source: S. Ramaswamy, R. Rastogi, K. Shim, "Efficient algorithms for mining outliers from large data sets",
SIGMOD 2000, for the distance to the k nearest; the square root of shares makes it Hellinger's distance.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Series
from anomalyd.detectors.maps.neighbours.evidence import Price
from anomalyd.detectors.maps.places.places import Counts

Doubles = NDArray[np.float64]

FEWEST_MAPS = 500
"""Training maps of a shape from which they stand for all conditions. Of real histograms 500 find what 4,000
do (AUC .78 and .79; found at 1 % of the good .36 and .36); 200 find less (.77; .25), 100 little (.76; .11).
"""

_MOST_MAPS = 4000  # training maps that are kept: with at most 32 groups of cells half a megabyte
_MOST_GROUPS = 32

_NEAREST_SHARE, _FEWEST_NEAREST = 200, 5
"""One training map in so many is near, and at least so many are."""

_TOTAL = 2.0
"""What a standard deviation of the logarithmic total counts beside one of the shape."""

_STRETCHES = 20
"""Stretches of a training stream that are left out in turn: maps of one stretch are of like conditions."""

_FEWEST_ELEMENTS = 5
"""Elements of a shape from which they may share their training maps, with those never seen, too."""

_ALIKE = 2.0
"""Elements share them if maps of the others are at most so much farther than an element's own."""

_BULK, _TAIL = 0.5, 0.99
"""Quantiles of normal maps between which the tail of a distance is measured: from the median, which a few
hundred maps tell well."""

_STEEPEST = 0.01
_LEAST = 1e-6
_LEAST_SCATTER = 1e-3

_WEIGHTS = {"whole": 0.95, "group": 0.05}
"""Prior shares of "the map as a whole is far" and "one group of cells is"."""

_ARRAYS = ("places", "scatter", "element", "stretch", "time")

_BATCH = 256
_TOLD = 3  # nearest training maps that are named


@dataclass(frozen=True, slots=True)
class NearestEvidence:
    """What maps (N, R, C) look like beside their nearest training maps.

    `odds` (N,): log odds that a map is broken; `expected` (N, R, C): counts of the nearest maps, on the scale
    of the map, or on their own where it is the total that is strange; `blame` (N, R, C): below 0 where counts
    are lost; `nearest` (N, K): which training maps, the nearest first.
    """

    odds: Doubles
    expected: Counts
    blame: Counts
    nearest: NDArray[np.int64]


class WrittenNearest(msgspec.Struct, forbid_unknown_fields=True):
    """What stands of nearest training maps in a model's configuration."""

    weight: float
    names: tuple[str, ...]
    prices: dict[str, Price]


@dataclass(frozen=True, slots=True)
class NearestMaps:
    """The training maps of one element, or of several that are alike, of one shape (R, C).

    `places` (M, G + 1): of each the square roots of the shares of G groups of neighbouring cells, and the
    weighted logarithm of its total; `weight`: that weight; `scatter` (G,): how far groups of normal maps lie
    from the mean of their nearest; `element` (M,): whose they are, of `names`, `stretch` (M,): of which
    part of the training, `time` (M,): when they were taken; `prices`: what normal maps reach that were
    left out.
    """

    shape: tuple[int, int]
    places: NDArray[np.float32]
    weight: float
    scatter: NDArray[np.float32]
    element: NDArray[np.int64]
    stretch: NDArray[np.int64]
    time: Doubles
    names: tuple[str, ...]
    prices: Mapping[str, Price]

    @classmethod
    def learn(cls, series: Mapping[str, Series], shape: tuple[int, int]) -> tuple[NearestMaps, ...]:
        """Keep the training maps of elements of one shape: of all together if they are alike, else of each.

        Elements that have fewer than `FEWEST_MAPS` are left out.
        """
        if len(series) >= _FEWEST_ELEMENTS:
            together = cls._of(series, shape, _MOST_MAPS)
            if together is not None:
                return (together,)
        enough = [n for n, s in series.items() if len(s.times) >= FEWEST_MAPS]
        most = _MOST_MAPS // max(len(enough), 1)
        own = [cls._of({name: series[name]}, shape, most) for name in enough if most >= FEWEST_MAPS]
        return tuple(each for each in own if each is not None)

    @classmethod
    def _of(cls, series: Mapping[str, Series], shape: tuple[int, int], most: int) -> NearestMaps | None:
        """Keep the maps of some elements; None where they are too few, or the elements are not alike."""
        names = tuple(series)
        lengths = [len(series[n].times) for n in names]
        owner = np.repeat(np.arange(len(names)), lengths)
        stretch = owner * _STRETCHES + np.concatenate([np.arange(n) * _STRETCHES // n for n in lengths])
        time = np.concatenate([series[e].times for e in names])
        maps = np.concatenate([series[e].values for e in names])
        kept = np.flatnonzero(np.nansum(maps, axis=(1, 2)) > 0)
        if len(kept) < FEWEST_MAPS:
            return None
        kept = kept[np.linspace(0, len(kept) - 1, min(len(kept), most)).astype(np.int64)]
        roots, total = _roots_of(maps[kept]), np.log(np.nansum(maps[kept], axis=(1, 2), dtype=np.float64))
        spread = float(np.sqrt(((roots - roots.mean(0)) ** 2).sum(1).mean()))
        weight = _TOTAL * spread / max(float(total.std()), _LEAST)
        places = np.column_stack([roots, weight * total]).astype(np.float32)
        distance, off = _left_out(places, stretch[kept])
        if len(names) > 1:
            # One that was never seen is to be judged as these are, so that a whole element is left out.
            usual = float(np.median(distance))
            distance, off = _left_out(places, owner[kept])
            if float(np.median(distance)) > _ALIKE * usual:
                return None
        scatter = np.maximum(np.sqrt((off**2).mean(0)), _LEAST_SCATTER)
        farthest = np.abs(off / scatter).max(1)
        return cls(
            shape,
            places,
            weight,
            scatter.astype(np.float32),
            owner[kept],
            stretch[kept],
            time[kept],
            names,
            {"whole": _price_of(distance), "group": _price_of(farthest)},
        )

    def knows(self, entity: str) -> bool:
        """Say whether an element is judged by these: it was trained on, or several of its like were."""
        return entity in self.names or len(self.names) > 1

    def judge(self, maps: Counts) -> NearestEvidence:
        """Compare maps (N, R, C), NaN where missing, with the training maps that are nearest to them."""
        counts = np.nan_to_num(maps)
        total = counts.sum((1, 2), dtype=np.float64)
        roots = _roots_of(maps)
        own = np.column_stack([roots, self.weight * np.log(np.maximum(total, 0.5))]).astype(np.float32)
        nearest, distance = _nearest(own, self.places, _how_many(len(self.places)))
        middle = self.places[nearest].mean(1)
        off = own - middle
        pulls = off[:, :-1] / self.scatter
        strange_total = off[:, -1] ** 2 > (off[:, :-1] ** 2).sum(1)
        usual = np.exp(middle[:, -1].astype(np.float64) / self.weight)
        shares = self._cells_of(np.square(middle[:, :-1]), maps)
        expected = shares * np.where(strange_total, usual, total)[:, None, None]
        blame = self._cells_of(pulls, None)
        blame = np.where(strange_total[:, None, None], np.sign(off[:, -1])[:, None, None], blame)
        return NearestEvidence(
            self._odds(distance, pulls), expected.astype(np.float32), blame.astype(np.float32), nearest
        )

    def _odds(self, distance: Doubles, pulls: NDArray[np.float32]) -> Doubles:
        """Give the log odds (N,) of maps at these distances (N,), whose groups pull so far (N, G)."""
        whole = _rarity(distance, self.prices["whole"]) + np.log(_WEIGHTS["whole"])
        group = _rarity(np.abs(pulls).max(1), self.prices["group"]) + np.log(_WEIGHTS["group"])
        return np.asarray(np.logaddexp(whole, group))

    def left_out(self) -> dict[str, Doubles]:
        """Give the log odds of each element's training maps, each by those of other stretches."""
        distance, off = _left_out(self.places, self.stretch if len(self.names) == 1 else self.element)
        odds = self._odds(distance, (off / self.scatter).astype(np.float32))
        return {name: odds[self.element == k] for k, name in enumerate(self.names)}

    def arrays(self) -> dict[str, NDArray[Any]]:
        """Write what is stored as tensors."""
        return {part: getattr(self, part) for part in _ARRAYS}

    def written(self) -> dict[str, Any]:
        """Write everything else, for JSON."""
        prices = {name: asdict(price) for name, price in self.prices.items()}
        return {"weight": self.weight, "names": list(self.names), "prices": prices}

    @classmethod
    def restored(
        cls, shape: tuple[int, int], tensors: Mapping[str, Tensor], prefix: str, written: WrittenNearest
    ) -> NearestMaps:
        """Read it again.

        Raises:
            KeyError: a tensor is missing.
            ValueError: what there is does not fit together.

        """
        places, scatter, element, stretch, time = (tensors[f"{prefix}.{part}"].numpy() for part in _ARRAYS)
        groups = int(_groups(shape).max()) + 1
        shapes = (len(time), groups + 1), (groups,), time.shape, time.shape
        if shapes != (places.shape, scatter.shape, element.shape, stretch.shape):
            raise ValueError(f"{prefix}: places {places.shape} of {groups} groups of cells")
        if set(written.prices) != set(_WEIGHTS) or int(element.max(initial=-1)) >= len(written.names):
            raise ValueError(f"{prefix}: prices or names are missing")
        return cls(
            shape, places, written.weight, scatter, element, stretch, time, written.names, written.prices
        )

    def _cells_of(self, groups: NDArray[np.float32], maps: Counts | None) -> Counts:
        """Spread what groups of cells (N, G) hold over their cells: evenly, or as much to each for None."""
        rows, columns = self.shape
        group = _groups(self.shape)
        found = groups[:, group].reshape(len(groups), rows, columns)
        if maps is None:
            return found
        there = np.isfinite(maps).reshape(len(maps), -1).astype(np.float32)
        cells = np.zeros((len(maps), groups.shape[1]), dtype=np.float32)
        np.add.at(cells.T, group, there.T)
        return np.asarray(found / np.maximum(cells, 1)[:, group].reshape(found.shape), dtype=np.float32)

    def say(self, evidence: NearestEvidence, number: int) -> str:
        """Say which training maps are nearest to map `number`, and how far away it is for a normal one."""
        told = ", ".join(
            f"{self.names[self.element[k]]} at {datetime.fromtimestamp(self.time[k], UTC):%Y-%m-%d %H:%M:%S}"
            for k in evidence.nearest[number, :_TOLD].tolist()
        )
        return (
            f"the nearest of {len(self.places)} training maps in shape and total: {told}; log odds that "
            f"it is unlike all of them {evidence.odds[number]:.1f}"
        )


def _how_many(maps: int) -> int:
    return max(_FEWEST_NEAREST, maps // _NEAREST_SHARE)


def _groups(shape: tuple[int, int]) -> NDArray[np.int64]:
    """Say which group each cell (R * C,) belongs to: neighbouring cells of a row, as alike in number as can
    be.
    """
    rows, columns = shape
    each = max(1, min(columns, _MOST_GROUPS // rows))
    along = np.arange(columns) * each // columns
    together = np.arange(rows) if rows <= _MOST_GROUPS else np.arange(rows) * _MOST_GROUPS // rows
    return np.asarray((together[:, None] * each + along).ravel())


def _roots_of(maps: Counts) -> NDArray[np.float32]:
    """Give the square roots of the shares (N, G) of groups of cells in maps (N, R, C)."""
    group = _groups((maps.shape[1], maps.shape[2]))
    sums = np.zeros((len(maps), int(group.max()) + 1))
    np.add.at(sums.T, group, np.nan_to_num(maps).reshape(len(maps), -1).T)
    shares = sums / np.maximum(sums.sum(1, keepdims=True), 1)
    return np.asarray(np.sqrt(shares), dtype=np.float32)


def _nearest(
    own: NDArray[np.float32], places: NDArray[np.float32], k: int, apart: NDArray[np.bool_] | None = None
) -> tuple[NDArray[np.int64], Doubles]:
    """Find the k nearest of `places` (M, D) to each of `own` (N, D): which (N, k), and their mean distance.

    The distance is squared; `apart` (N, M) is true where a pair does not count.
    """
    squared = (own**2).sum(1)[:, None] + (places**2).sum(1) - 2 * own @ places.T
    if apart is not None:
        squared[apart] = np.inf
    found = np.argpartition(squared, k, axis=1)[:, :k]
    near = np.take_along_axis(squared, found, 1)
    order = np.argsort(near, axis=1)
    mean = np.maximum(near, 0).mean(1, dtype=np.float64)
    return np.take_along_axis(found, order, 1), mean


def _left_out(places: NDArray[np.float32], apart: NDArray[np.int64]) -> tuple[Doubles, Doubles]:
    """Give the distance (M,) of each training map to those of other stretches, and how far its groups lie off
    (M, G).
    """
    k = _how_many(len(places))
    distances, off = [], []
    for start in range(0, len(places), _BATCH):
        own = places[start : start + _BATCH]
        nearest, distance = _nearest(own, places, k, apart[start : start + _BATCH, None] == apart)
        distances.append(distance)
        off.append((own - places[nearest].mean(1))[:, :-1])
    return np.concatenate(distances), np.concatenate(off).astype(np.float64)


def _price_of(value: Doubles) -> Price:
    """Measure the tail of what normal maps (N,) reach: exponential in the logarithm of the value."""
    bulk, tail = np.quantile(np.log(np.maximum(value, _LEAST)), (_BULK, _TAIL))
    slope = max(float(tail - bulk) / float(np.log((1 - _BULK) / (1 - _TAIL))), _STEEPEST)
    return Price(float(bulk) + slope * float(np.log(1 - _BULK)), slope)


def _rarity(value: Doubles | NDArray[np.float32], price: Price) -> Doubles:
    """Say how rare such values (N,) are among normal maps, in nats."""
    return np.asarray((np.log(np.maximum(value, _LEAST)) - price.bulk) / price.slope, dtype=np.float64)
