"""What is remembered of an entity between two steps: the detectors' state and the incident's course."""

from __future__ import annotations

import json
import math
import zlib
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from anomalyd.daemon import remembered
from anomalyd.daemon.remembered import Remembered
from anomalyd.detectors.detector import State
from anomalyd.errors import StoreError
from anomalyd.reports import evidence as evidence_bytes
from anomalyd.reports.report import Evidence, Incident
from anomalyd.reports.step import Point

_STATE_VERSION = "1"

_COMPRESSED = b"anomaly2"
"""Before a compressed state. None that is not begins so: the length of a header in front says 10^18 bytes."""

_FORMERLY = b"anomalyd"
"""... and before one of a version that took every number for one of four bytes."""

_LEVEL = 3
"""Higher ones save little more, and take longer."""

_PLANES = 4
"""Bytes that such a version put apart from each other."""

_DAMAGED = (SafetensorError, zlib.error, ArithmeticError, ValueError, LookupError, TypeError, AttributeError)


@dataclass(frozen=True, slots=True)
class Track:
    """The course of one entity under one detector pair.

    `newest`: event time of the newest sample scored. `incident`: the open one, or, while `opened` is False,
    the one that may come of the anomalous samples seen so far; `evidence` its worst sample, `points` its
    course as long as it is not opened. `quiet`: quiet samples in a row since its last anomalous one. `notes`:
    sentences on what was assumed of it, and what people said.
    """

    newest: float = -np.inf
    opened: bool = False
    quiet: int = 0
    incident: Incident | None = None
    evidence: Evidence | None = None
    points: tuple[Point, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EntityState:
    """All that is remembered of one entity under one detector pair.

    `model` is the version that `state` belongs to. `recent` (h, F) and `recent_times` (h,) are what it
    sent lately (metrics only; see `recent_rows`): what was usual before an incident is measured on them.
    """

    model: str = ""
    state: State = field(default_factory=dict)
    track: Track = Track()
    recent_times: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))
    recent: NDArray[np.float32] | None = None

    def for_model(self, version: str) -> EntityState:
        """Give the memory for another model version: the course goes on, the state begins anew."""
        return self if version == self.model else replace(self, model=version, state={})


class StoredTrack(Remembered, frozen=True):
    """A track as it is stored, all but `newest`.

    `evidence`: of an incident that is not opened yet; that of an open one is in the store with its report.
    """

    opened: bool
    quiet: int
    incident: Incident
    evidence: bytes | None
    points: tuple[Point, ...]
    notes: tuple[str, ...]


def encode_track(track: Track) -> bytes | None:
    """Turn the course of an incident into bytes; None if none goes on."""
    if track.incident is None:
        return None
    aside = track.evidence is None or track.opened
    return remembered.encode(
        StoredTrack(
            opened=track.opened,
            quiet=track.quiet,
            incident=track.incident,
            evidence=None if aside or track.evidence is None else evidence_bytes.encode(track.evidence),
            points=track.points,
            notes=track.notes,
        )
    )


def decode_track(blob: bytes, entity: str) -> Track:
    """Give the track that `encode_track` was given, without `newest` and without what stands with the report.

    Raises:
        StoreError: the bytes are damaged, or a newer version wrote them.

    """
    stored = remembered.decode(blob, StoredTrack, f"the course of an incident of {entity}")
    return Track(
        opened=stored.opened,
        quiet=stored.quiet,
        incident=stored.incident,
        evidence=None if stored.evidence is None else evidence_bytes.decode(stored.evidence),
        points=stored.points,
        notes=stored.notes,
    )


def encode_state(state: State) -> bytes:
    """Turn the detectors' state into bytes (safetensors, compressed without loss)."""
    arrays = {name: np.asarray(array, order="C") for name, array in state.items()}
    whole = bytes(save(arrays, metadata={"version": _STATE_VERSION}))
    return _COMPRESSED + zlib.compress(_turned(whole, back=False), _LEVEL)


def _turned(whole: bytes, *, back: bool) -> bytes:
    """Put the first bytes of all numbers of one size together, then the second ones, and so on, or `back`:
    signs and exponents of neighbours are alike."""
    start = 8 + int.from_bytes(whole[:8], "little")
    tensors = [each for name, each in json.loads(whole[8:start]).items() if name != "__metadata__"]
    sizes = dict[int, int]()  # where the numbers of one size end: safetensors puts them together
    for each in sorted(tensors, key=lambda each: each["data_offsets"]):
        begin, end = each["data_offsets"]
        if end > begin:
            sizes[(end - begin) // math.prod(each["shape"])] = end
    parts, begin = [whole[:start]], start
    for size, end in sizes.items():
        numbers = np.frombuffer(whole[begin : start + end], dtype=np.uint8)
        parts.append(numbers.reshape((size, -1) if back else (-1, size)).T.tobytes())
        begin = start + end
    return b"".join(parts)


def _whole(blob: bytes) -> bytes:
    """Give what was compressed; versions before 0.4 did not."""
    if blob.startswith(_COMPRESSED):
        return _turned(zlib.decompress(blob[len(_COMPRESSED) :]), back=True)
    if not blob.startswith(_FORMERLY):
        return blob
    head = len(_FORMERLY) + 8
    planes = np.frombuffer(zlib.decompress(blob[head:]), dtype=np.uint8)
    length = int.from_bytes(blob[len(_FORMERLY) : head], "little")
    return planes.reshape(_PLANES, -1).T.tobytes()[:length]


def decode_state(blob: bytes) -> State:
    """Give the state that `encode_state` was given.

    Raises:
        StoreError: the bytes are damaged, or a newer version wrote them.

    """
    try:
        blob = _whole(blob)
        # Copied, because `load` gives views that cannot be written and torch warns of those.
        arrays = {name: array.copy() for name, array in load(blob).items()}
        header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
        # Version 0.3 and before wrote none, and what they kept for undoing is still read.
        version = header.get("__metadata__", {}).get("version", _STATE_VERSION)
    except _DAMAGED as error:
        raise StoreError(
            f"a stored state of a detector is damaged: {error!r}; restore the database from a copy"
        ) from error
    if version != _STATE_VERSION:
        raise StoreError(
            f"a stored state of a detector has version {version}, this anomalyd reads version "
            f"{_STATE_VERSION}: it was written by a newer one; upgrade anomalyd"
        )
    return arrays
