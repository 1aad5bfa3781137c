"""What an element's map usually looks like: its own profile, learnt from the summed counts of its maps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import TrainingSet
from anomalyd.detectors.maps.simulate.luminosity import Cells, Counts, block_sums, luminosity
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError

Origin = Literal["own", "shape", "other"]

MINIMUM_MAPS = 5
"""Fewer maps of an element give it no profile of its own: a neighbour's mean is then the better one."""

_DEAD_SHARE = 0.1  # a cell below a tenth of its row's usual rate was dead, or nearly, while learning
_DEAD_NEEDS = 5.0  # counts that a living cell would have: with fewer nobody can tell a dead one
_PSEUDO_COUNT = 0.5  # keeps the rate of a cell that happened to count nothing above 0
_DROPPED_MOST = 0.4  # no more of the training maps may be left out as faulty


@dataclass(frozen=True, slots=True)
class Reference:
    """What is expected of an element.

    `profile` (R, C): relative rate of each cell, mean 1 over the `usable` ones (R, C), those that lived while
    it was learnt. `exposure`: the luminosity (mean counts a cell) summed over the maps behind it, so that the
    relative Poisson error of a cell is 1 / sqrt(profile * exposure). `lowest`, `highest`: the luminosities
    seen. `origin`: learnt from the element itself, from elements of its shape, or only from others.
    """

    profile: Counts
    usable: Cells
    exposure: float
    lowest: float
    highest: float
    origin: Origin = "own"

    def luminosity_bounds(self) -> tuple[float, float]:
        """Give the luminosities to believe: within a factor 4 of those of the training.

        A chamber that went off altogether must not pass for one without beam; where maps without beam were in
        the training, `lowest` is 0 and they stay normal.
        """
        return self.lowest / 4, self.highest * 4


def learn_reference(maps: Counts) -> tuple[Reference, Cells] | None:
    """Learn an element's profile from its maps (T, R, C), leaving out those with a region that disagrees.

    Gives the profile and which maps (T,) it was learnt from; None where there are fewer than `MINIMUM_MAPS`,
    or not a single count.
    """
    seen = np.isfinite(maps)
    counts = np.where(seen, np.maximum(maps, 0), 0).astype(np.float32)
    if len(maps) < MINIMUM_MAPS or not counts.any():
        return None
    kept = np.ones(len(maps), dtype=np.bool_)
    light = counts.sum((1, 2), dtype=np.float64) / np.maximum(seen.sum((1, 2)), 1)
    profile, usable = _profile(counts, seen, light)
    for _ in range(3):
        weight = seen & usable
        light = luminosity(counts, np.broadcast_to(profile, counts.shape), weight, 0.05)
        kept = _agreeing(counts, profile, weight, light)
        profile, usable = _profile(counts[kept], seen[kept], light[kept])
        if not usable.any():
            return None
    scale = float(profile[usable].mean())
    light = light[kept] * scale
    learnt = Reference(
        (profile / scale).astype(np.float32),
        usable,
        float(light.sum()),
        float(light.min()),
        float(light.max()),
    )
    return learnt, kept


def _profile(counts: Counts, seen: Cells, light: NDArray[np.float64]) -> tuple[Counts, Cells]:
    """Rate of each cell (R, C) per unit of luminosity, and which cells lived."""
    exposure = np.einsum("t,trc->rc", light, seen.astype(np.float64))
    total = counts.sum(0, dtype=np.float64)
    rate = np.divide(total, exposure, out=np.full_like(total, np.nan), where=exposure > 0)
    usual = np.array([np.nanmedian(r) if np.isfinite(r).any() else 0.0 for r in rate])
    usual = np.where(usual > 0, usual, np.nan_to_num(rate).mean(1))[:, None]
    wanted = exposure * usual
    dead = (wanted >= _DEAD_NEEDS) & (total < _DEAD_SHARE * wanted)
    usable = (exposure > 0) & (usual > 0) & ~dead
    pseudo = np.where(usable, _PSEUDO_COUNT, 0)
    profile = np.divide(
        total + pseudo,
        exposure + np.divide(pseudo, usual, out=np.zeros_like(total), where=usual > 0),
        out=np.zeros_like(total),
        where=exposure > 0,
    )
    return profile.astype(np.float32), usable


def _agreeing(counts: Counts, profile: Counts, weight: Cells, light: NDArray[np.float64]) -> Cells:
    """Say which maps (T,) have no block of cells that disagrees with the profile: the rest are faulty."""
    observed = block_sums(counts * weight)
    expected = light[:, None] * block_sums(profile * weight)
    pull = np.abs(observed - expected) / np.sqrt(np.maximum(expected, 1))
    worst = pull.max(1)
    # Of some 100 blocks the worst of a normal map pulls 2.5 to 4; where the profile itself moves, more.
    limit = max(6.0, 2 * float(np.median(worst)), float(np.quantile(worst, 1 - _DROPPED_MOST)))
    agreeing: Cells = worst <= limit
    return agreeing


class References:
    """The references of all elements, with something to fall back on for an element never seen."""

    def __init__(self, own: Mapping[str, Reference]) -> None:
        self._own = dict(own)
        self._fallbacks: dict[tuple[int, int], Reference] = {}
        shapes = [r.profile.shape for r in self._own.values()]
        self.largest = (max((s[0] for s in shapes), default=0), max((s[1] for s in shapes), default=0))
        for shape in sorted(set(shapes)):
            same = [r for r in self._own.values() if r.profile.shape == shape]
            self._fallbacks[shape] = mean_reference(same, "shape")

    @classmethod
    def fit(cls, training: TrainingSet, kind: str) -> tuple[References, dict[str, Cells]]:
        """Learn the reference of every element that has enough maps, and say from which maps (T,) of each.

        Raises:
            TrainingError: values that are no maps, or no element with enough of them.

        """
        for entity, series in training.series.items():
            if series.values.ndim != 3:
                raise TrainingError(
                    f"{kind}: {entity} has values of shape {series.values.shape}; maps are (T, R, C)"
                )
        learnt = {e: learn_reference(s.values) for e, s in training.series.items()}
        found = {e: r for e, r in learnt.items() if r is not None}
        if not found:
            raise TrainingError(
                f"{kind}: no element has {MINIMUM_MAPS} maps with counts in them; train on a longer history"
            )
        return cls({e: r for e, (r, _) in found.items()}), {e: kept for e, (_, kept) in found.items()}

    def others(self, entity: str) -> Reference | None:
        """Give what an element never seen would be expected to be; None if this one is alone in its shape."""
        own = self._own[entity]
        same = [r for e, r in self._own.items() if e != entity and r.profile.shape == own.profile.shape]
        return mean_reference(same, "shape") if same else None

    def of(self, entity: str, shape: tuple[int, ...]) -> Reference:
        """Give what is expected of an element's maps: its own profile, else the mean of its shape, or of all.

        Raises:
            ModelMismatch: no map, another shape than the element had, or larger than any that was trained on.

        """
        if len(shape) != 2:
            raise ModelMismatch(f"{entity}: samples of shape {shape}, this model is for maps (R, C)")
        own = self._own.get(entity)
        if own is not None:
            if own.profile.shape != shape:
                raise ModelMismatch(
                    f"{entity}: a map of {shape}, but the model was trained on its maps of "
                    f"{own.profile.shape}; train again"
                )
            return own
        rows, columns = shape
        if rows > self.largest[0] or columns > self.largest[1]:
            raise ModelMismatch(
                f"{entity}: a map of {shape}, larger than any that the model was trained on "
                f"({self.largest}); train again with maps of this element"
            )
        if (rows, columns) not in self._fallbacks:
            return self._stretched(rows, columns)
        return self._fallbacks[rows, columns]

    def _stretched(self, rows: int, columns: int) -> Reference:
        """Stretch the mean profile of maps with as many rows to these columns; flat without such maps."""
        near = [r for s, r in self._fallbacks.items() if s[0] == rows]
        every = list(self._fallbacks.values())
        flat = np.ones((rows, columns), dtype=np.float32)
        if near:
            source = max(near, key=lambda r: r.exposure)
            at = np.linspace(0, 1, columns)
            profile = np.stack(
                [
                    np.interp(at, np.linspace(0, 1, int(u.sum())), row[u]) if u.any() else np.ones(columns)
                    for row, u in zip(source.profile, source.usable, strict=True)
                ]
            ).astype(np.float32)
        else:
            profile = flat
        return Reference(
            profile / float(profile.mean()),
            flat > 0,
            sum(r.exposure for r in near or every),
            min(r.lowest for r in every),
            max(r.highest for r in every),
            "other",
        )

    def tensors(self) -> dict[str, Tensor]:
        """Everything learnt, padded to the largest shape."""
        profile = np.zeros((len(self._own), *self.largest), dtype=np.float32)
        usable = np.zeros(profile.shape, dtype=np.uint8)
        for i, r in enumerate(self._own.values()):
            rows, columns = r.profile.shape
            profile[i, :rows, :columns] = r.profile
            usable[i, :rows, :columns] = r.usable
        light = np.array([[r.exposure, r.lowest, r.highest] for r in self._own.values()])
        return {
            "reference.profile": torch.from_numpy(profile),
            "reference.usable": torch.from_numpy(usable),
            "reference.luminosity": torch.from_numpy(light),
        }

    def config(self) -> dict[str, Any]:
        """The elements' names and shapes."""
        return {"entities": {e: list(r.profile.shape) for e, r in self._own.items()}}

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> References:
        """Build them again from `tensors` and `config`.

        Raises:
            ModelDamaged: they do not fit together.

        """
        try:
            profile = tensors["reference.profile"].numpy()
            usable = tensors["reference.usable"].numpy().astype(np.bool_)
            light = tensors["reference.luminosity"].numpy()
            entities: dict[str, list[int]] = config["entities"]
            if not len(profile) == len(usable) == len(light) == len(entities):
                raise ModelDamaged(
                    f"references: {len(profile)} profiles, {len(usable)} masks, {len(light)} luminosities "
                    f"for {len(entities)} elements; train again"
                )
            own = {}
            for i, (entity, (rows, columns)) in enumerate(entities.items()):
                if rows > profile.shape[1] or columns > profile.shape[2] or usable.shape != profile.shape:
                    raise ModelDamaged(
                        f"references: {entity} is {rows} x {columns}, the profiles are only "
                        f"{profile.shape[1:]}, the masks {usable.shape[1:]}; train again"
                    )
                exposure, lowest, highest = (float(x) for x in light[i])
                own[entity] = Reference(
                    profile[i, :rows, :columns].copy(),
                    usable[i, :rows, :columns].copy(),
                    exposure,
                    lowest,
                    highest,
                )
        except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
            raise ModelDamaged(f"references: {error!r}; train again") from error
        return cls(own)


def mean_reference(references: list[Reference], origin: Origin) -> Reference:
    """Average the profiles of elements of one shape, each cell over those where it lived."""
    profiles = np.stack([r.profile for r in references])
    usable = np.stack([r.usable for r in references])
    lived = usable.sum(0)
    mean = np.where(usable, profiles, 0).sum(0) / np.maximum(lived, 1)
    return Reference(
        (mean / mean[lived > 0].mean()).astype(np.float32),
        lived > 0,
        sum(r.exposure for r in references),
        min(r.lowest for r in references),
        max(r.highest for r in references),
        origin,
    )
