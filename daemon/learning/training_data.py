"""Samples as arrays, from files or from the store, and what a detector is trained on of them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.registry import detector_class
from anomalyd.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Block:
    """Samples of one entity in any order: `times` (n,) seconds since the epoch, `values` (n, F) or (n, R, C).

    `features` (F,) names the metrics; it is empty for maps. NaN is a missing metric or a masked cell.
    """

    entity: str
    times: NDArray[np.float64]
    values: NDArray[np.float32]
    features: tuple[str, ...] = ()


def training_set_of(blocks: Iterable[Block], detector: DetectorConfig, since: float = -np.inf) -> TrainingSet:
    """Join what one detector is to be trained on: the newest samples of the entities it watches.

    Nothing older than `since` is taken. Metrics stand in the order in which they are first met. Of an
    entity's samples of one time the first that came is kept, of its maps those of the shape it has most of.

    Raises:
        TrainingError: there are none; the text names entities that there are.

    """
    kind = detector_class(detector.kind).sample_kind
    fitting = [
        block
        for block in (_since(block, since) for block in blocks)
        if len(block.times) and (block.values.ndim == 3) == (kind == "map")
    ]
    by_entity: dict[str, list[Block]] = {}
    for block in fitting:
        if detector.watches(block.entity):
            by_entity.setdefault(block.entity, []).append(block)
    if not by_entity:
        others = sorted({block.entity for block in fitting})
        there_are = f"there are {kind}s of: {', '.join(others[:5])}" if others else f"there is no {kind}"
        raise TrainingError(
            f"detector {detector.name}: no {kind} of an entity like {', '.join(detector.entities)} to be "
            f"trained on; {there_are}"
        )
    features = tuple(dict.fromkeys(f for some in by_entity.values() for b in some for f in b.features))
    joined = {
        entity: _join(_of_one_shape(some) if kind == "map" else [_widened(b, features) for b in some])
        for entity, some in by_entity.items()
    }
    return TrainingSet(_newest(joined, detector.training.max_samples), features)


def _since(block: Block, since: float) -> Block:
    new = block.times >= since
    return block if new.all() else replace(block, times=block.times[new], values=block.values[new])


def _widened(block: Block, features: tuple[str, ...]) -> Block:
    """Put a block's metrics into the order of `features`, NaN for those that it does not have."""
    if block.features == features:
        return block
    values = np.full((len(block.times), len(features)), np.nan, dtype=np.float32)
    place = {name: f for f, name in enumerate(features)}
    values[:, [place[name] for name in block.features]] = block.values
    return Block(block.entity, block.times, values, features)


def _of_one_shape(blocks: list[Block]) -> list[Block]:
    """Keep the maps of the shape that an entity has most of."""
    samples: dict[tuple[int, ...], int] = {}
    for block in blocks:
        samples[block.values.shape[1:]] = samples.get(block.values.shape[1:], 0) + len(block.times)
    usual = max(samples, key=lambda shape: samples[shape])
    return [block for block in blocks if block.values.shape[1:] == usual]


def _join(blocks: list[Block]) -> Series:
    times, first = np.unique(np.concatenate([b.times for b in blocks]), return_index=True)
    return Series(times, np.concatenate([b.values for b in blocks])[first])


def _newest(series: dict[str, Series], most: int) -> dict[str, Series]:
    """Keep the newest samples of all entities together, `most` of them."""
    if sum(len(s.times) for s in series.values()) <= most:
        return series
    since = np.sort(np.concatenate([s.times for s in series.values()]))[-most]
    kept = {entity: s.times >= since for entity, s in series.items()}
    return {e: Series(s.times[kept[e]], s.values[kept[e]]) for e, s in series.items() if kept[e].any()}
