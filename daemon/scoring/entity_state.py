"""What is remembered of an entity between two steps: the detectors' state and the incident's course.

It is written in the same transaction as the reports and the offsets, so that a killed daemon goes on exactly
where the stored offsets say.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from anomalyd.detectors.detector import State
from anomalyd.errors import StoreError
from anomalyd.reports import evidence as evidence_bytes
from anomalyd.reports.report import Evidence, Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Point
from anomalyd.reports.storage.store import Store


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


class EntityStates:
    """The memories of every (detector, entity), fetched from the store when first asked for."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._held: dict[tuple[str, str], EntityState] = {}

    def get(self, detector: str, entity: str) -> EntityState:
        """Recall an entity; an unknown one has an empty memory."""
        held = self._held.get((detector, entity))
        if held is None:
            blob = self._store.entity_state(detector, entity)
            held = EntityState() if blob is None else decode(blob)
            self._held[detector, entity] = held
        return held

    def put(self, detector: str, entity: str, entity_state: EntityState) -> None:
        """Remember an entity."""
        self._held[detector, entity] = entity_state

    def holds(self, detector: str, entity: str) -> bool:
        """Say whether an entity was asked for since the last `forget_all`."""
        return (detector, entity) in self._held

    def forget(self, detector: str, entity: str) -> None:
        """Forget one entity, so that it is fetched from the store again."""
        self._held.pop((detector, entity), None)

    def forget_all(self) -> None:
        """Forget everything, so that it is fetched from the store again."""
        self._held.clear()


def encode(entity_state: EntityState) -> bytes:
    """Turn a memory into bytes (safetensors, its metadata holds the rest as JSON)."""
    track = entity_state.track
    arrays = {f"state.{name}": np.asarray(array, order="C") for name, array in entity_state.state.items()}
    if entity_state.recent is not None:
        arrays |= {"recent": entity_state.recent, "recent_times": entity_state.recent_times}
    if track.evidence is not None:
        arrays["evidence"] = np.frombuffer(evidence_bytes.encode(track.evidence), dtype=np.uint8)
    about = {
        "model": entity_state.model,
        "newest": track.newest if np.isfinite(track.newest) else None,
        "opened": track.opened,
        "quiet": track.quiet,
        "incident": None if track.incident is None else asdict(track.incident),
        "points": [(p.time, p.autoencoder, p.classical) for p in track.points],
        "notes": track.notes,
    }
    return bytes(save(arrays, metadata={"json": json.dumps(about)}))


def decode(blob: bytes) -> EntityState:
    """Give the memory that `encode` was given.

    Raises:
        StoreError: the bytes are damaged.

    """
    try:
        arrays = {name: array.copy() for name, array in load(blob).items()}
        header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
        about = json.loads(header["__metadata__"]["json"])
        evidence = arrays.pop("evidence", None)
        recent, recent_times = arrays.pop("recent", None), arrays.pop("recent_times", np.empty(0))
        track = Track(
            newest=-np.inf if about["newest"] is None else float(about["newest"]),
            opened=about["opened"],
            quiet=about["quiet"],
            incident=None if about["incident"] is None else _incident(about["incident"]),
            evidence=None if evidence is None else evidence_bytes.decode(evidence.tobytes()),
            points=tuple(Point(*p) for p in about["points"]),
            notes=tuple(map(str, about.get("notes", ()))),  # none in what an earlier version wrote
        )
        return EntityState(
            model=about["model"],
            state={name.removeprefix("state."): array for name, array in arrays.items()},
            track=track,
            recent_times=recent_times,
            recent=recent,
        )
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise StoreError(
            f"what was remembered of an entity is damaged: {error!r}; restore the database from a copy"
        ) from error


def encode_state(state: State) -> bytes:
    """Turn the detectors' state alone into bytes (safetensors)."""
    return bytes(save({name: np.asarray(array, order="C") for name, array in state.items()}))


def decode_state(blob: bytes) -> State:
    """Give the state that `encode_state` was given.

    Raises:
        StoreError: the bytes are damaged.

    """
    try:
        return {name: array.copy() for name, array in load(blob).items()}
    except (SafetensorError, ValueError, KeyError) as error:
        raise StoreError(
            f"a state kept for undoing is damaged: {error!r}; restore the database from a copy"
        ) from error


def _incident(about: Mapping[str, Any]) -> Incident:
    return Incident(
        **{
            **about,
            "severity": Severity(about["severity"]),
            "status": Status(about["status"]),
            "seen_by": SeenBy(about["seen_by"]),
            "causes": tuple(about["causes"]),
        }
    )
