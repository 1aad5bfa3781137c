"""Keep what is scored in the store, to train on later: `store.keep_samples_s`."""

from __future__ import annotations

import json
import time
import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from anomalyd.daemon.config.config import Config, DetectorConfig
from anomalyd.daemon.learning.training_data import Block, training_set_of
from anomalyd.daemon.scoring.score import vectors
from anomalyd.daemon.stages import Sample
from anomalyd.detectors.detector import TrainingSet
from anomalyd.errors import StoreError, TrainingError
from anomalyd.reports.storage.repositories.samples import Piece
from anomalyd.reports.storage.store import Store

_PIECE_BYTES = 65_536
_PIECE_PARTS = 64
"""While an entity sends, each step keeps a small piece; when they are so large together, or so many, they
become one: a row of the store for each second would be ten times the size of what is in it."""

_PRUNE_S = 300.0


@dataclass(slots=True)
class _Open:
    """The small pieces of one entity that are not yet joined, in what they hold and by their ids."""

    blocks: list[Block] = field(default_factory=list)
    ids: list[str] = field(default_factory=list)


class SampleRetention:
    """Turns the samples of a step into pieces for the same transaction.

    The samples of an entity that no detector watches are not kept. What is open in memory is in the store
    already; after a restart it stays there in small pieces.
    """

    def __init__(
        self,
        config: Config,
        store: Store,
        *,
        clock: Callable[[], float] = time.time,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
    ) -> None:
        self._keep_s = config.store.keep_samples_s
        self._detectors = config.detectors
        self._store = store
        self._clock = clock
        self._new_id = new_id
        self._watched: dict[str, bool] = {}
        self._open: dict[str, _Open] = {}
        self._next_prune = -np.inf

    def keep(self, samples: Sequence[Sample]) -> tuple[Piece, ...]:
        """Give the pieces to store with this step: one for each entity and shape of its samples."""
        if not self._keep_s:
            return ()
        groups: dict[tuple[str, tuple[object, ...]], list[Sample]] = {}
        for sample in samples:
            if self._is_watched(sample.entity):
                shape = tuple(sample.values or ()) if sample.map is None else sample.map.shape
                groups.setdefault((sample.entity, shape), []).append(sample)
        return tuple(self._piece(_block(some)) for some in groups.values())

    def forget(self) -> None:
        """Drop what is in memory: a step was not kept."""
        self._open.clear()

    def prune(self) -> None:
        """Drop from the store what is older than is to be kept; asks it every few minutes only.

        Raises:
            StoreError: the store cannot be reached.

        """
        now = self._clock()
        if now >= self._next_prune:
            self._next_prune = now + _PRUNE_S
            self._store.samples.forget_before(now - self._keep_s)

    def _is_watched(self, entity: str) -> bool:
        if entity not in self._watched:
            self._watched[entity] = any(detector.watches(entity) for detector in self._detectors)
        return self._watched[entity]

    def _piece(self, block: Block) -> Piece:
        """Make a piece of new samples, or of these and the open ones when there are enough."""
        opened = self._open.get(block.entity)
        if opened is None or not _alike(opened.blocks[0], block):
            opened = self._open[block.entity] = _Open()
        opened.blocks.append(block)
        id_ = self._new_id()
        size = sum(b.values.nbytes for b in opened.blocks)
        if size < _PIECE_BYTES and len(opened.blocks) < _PIECE_PARTS:
            opened.ids.append(id_)
            return _encoded(id_, block)
        del self._open[block.entity]
        whole = Block(
            block.entity,
            np.concatenate([b.times for b in opened.blocks]),
            np.concatenate([b.values for b in opened.blocks]),
            block.features,
        )
        return _encoded(id_, whole, tuple(opened.ids))


def _alike(one: Block, other: Block) -> bool:
    """Say whether two blocks have the same metrics, or maps of the same shape."""
    return one.features == other.features and one.values.shape[1:] == other.values.shape[1:]


def kept_history(store: Store, detectors: Sequence[DetectorConfig], now: float) -> dict[str, TrainingSet]:
    """Give what each detector (by name) is to be trained on of what the store holds: its `history_s`.

    Raises:
        StoreError: it cannot be read.
        TrainingError: it holds nothing that a detector watches.

    """
    pieces = store.samples.pieces(now - max(d.training.history_s for d in detectors))
    if not pieces:
        raise TrainingError(
            "the store holds no samples of that time; set store.keep_samples_s and let the daemon run, or "
            "train from the topics"
        )
    blocks = [decode(piece) for piece in pieces]
    return {d.name: training_set_of(blocks, d, now - d.training.history_s) for d in detectors}


def decode(piece: Piece) -> Block:
    """Give the samples of a piece.

    Raises:
        StoreError: its bytes are damaged.

    """
    try:
        blob = zlib.decompress(piece.data)
        arrays = load(blob)
        header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
        features = tuple(json.loads(header["__metadata__"]["features"]))
        return Block(piece.entity, arrays["times"], arrays["values"], features)
    except (zlib.error, SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"kept samples of {piece.entity} are damaged: {error!r}; restore the database from a copy, or "
            "train from the topics"
        ) from error


def _encoded(id_: str, block: Block, replaces: tuple[str, ...] = ()) -> Piece:
    arrays: dict[str, NDArray[np.generic]] = {
        "times": np.ascontiguousarray(block.times),
        "values": np.ascontiguousarray(block.values),
    }
    data = zlib.compress(save(arrays, metadata={"features": json.dumps(block.features)}), level=1)
    kind = "map" if block.values.ndim == 3 else "vector"
    first, last = float(block.times.min()), float(block.times.max())
    return Piece(id_, block.entity, kind, first, last, len(block.times), data, replaces)


def _block(samples: Sequence[Sample]) -> Block:
    times = np.array([sample.time for sample in samples])
    maps = [sample.map for sample in samples if sample.map is not None]
    if maps:
        return Block(samples[0].entity, times, np.stack(maps))
    features = tuple(samples[0].values or ())
    return Block(samples[0].entity, times, vectors(features, samples), features)
