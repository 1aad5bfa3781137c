"""The memories of all entities: recalled from snapshot and journal when first asked for, and what changed.

Whatever a step changes goes into the transaction of its reports and offsets, so that a killed daemon goes on
exactly where the stored offsets say. Entities are recalled many at a time: their rows are scored in batches.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice

import numpy as np

from anomalyd.daemon.scoring.entity_state import (
    EntityState,
    Track,
    decode_state,
    decode_track,
    encode_state,
    encode_track,
)
from anomalyd.daemon.scoring.recent_rows import thinned
from anomalyd.daemon.scoring.state_journal import SNAPSHOT_EVERY, Rows, StateJournal, decode_rows, encode_rows
from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.library import LoadedPair
from anomalyd.reports import evidence as evidence_bytes
from anomalyd.reports.storage.repositories.entity_states import JournalPiece, StateChanges, StateSnapshot
from anomalyd.reports.storage.store import Store

_RECENT_TIMES, _RECENT = "recent.times", "recent.values"
"""Arrays of a snapshot beside the detectors', whose names begin with a member of the pair and a dot."""

_AT_ONCE = 256
"""Entities recalled in one batch: their states and rows are some ten megabytes."""


@dataclass(slots=True)
class _OfDetector:
    """What is held of one detector pair, and what the step in hand has changed of it."""

    journal: StateJournal
    held: dict[str, EntityState] = field(default_factory=dict)
    known: set[int] = field(default_factory=set)  # pieces that were read or written
    unclaimed: dict[str, list[tuple[int, Rows]]] = field(default_factory=dict)  # rows of who is not held
    rows: dict[str, list[Rows]] = field(default_factory=dict)
    snapshots: set[str] = field(default_factory=set)
    tracks: set[str] = field(default_factory=set)
    superseded: set[int] = field(default_factory=set)


class EntityStates:
    """The memory of every (detector, entity) that was asked for since the last `forget_all`."""

    snapshot_every = SNAPSHOT_EVERY

    def __init__(self, store: Store, *, new_id: Callable[[], int] = lambda: uuid.uuid4().int >> 66) -> None:
        self._store = store
        self._new_id = new_id
        self._detectors: dict[str, _OfDetector] = {}

    def load(self, detector: str, entities: Iterable[str], loaded: LoadedPair | None) -> None:
        """Recall entities that are not held, with the pair at work; an unknown one has an empty memory.

        Without a pair the state is that of the snapshot: good for nothing but the course of the incident.

        Raises:
            StoreError: they cannot be read, or are damaged.

        """
        ours = self._of(detector)
        missing = iter(sorted({entity for entity in entities if entity not in ours.held}))
        while some := list(islice(missing, _AT_ONCE)):
            # The journal first: what another daemon drops of it in between is in its snapshots.
            self._read_journal(detector, ours)
            snapshots = self._store.states.snapshots(detector, some)
            tracks = self._store.states.tracks(detector, some)
            recalled = [self._recall(ours, entity, snapshots, tracks) for entity in some]
            _score_again(recalled, loaded)
            ours.held |= {each.entity: each.entity_state for each in recalled}

    def get(self, detector: str, entity: str) -> EntityState:
        """Give the memory of an entity that was loaded.

        Raises:
            KeyError: it was not.

        """
        return self._detectors[detector].held[entity]

    def put(self, detector: str, entity: str, entity_state: EntityState) -> None:
        """Remember an entity with a state that does not follow from its rows: it is stored as a whole."""
        ours = self._of(detector)
        ours.held[entity] = entity_state
        ours.snapshots.add(entity)

    def advance(self, detector: str, rows: Rows, entity_state: EntityState) -> None:
        """Remember an entity with the state that its detectors had after these rows."""
        ours = self._of(detector)
        ours.held[rows.entity] = entity_state
        ours.rows.setdefault(rows.entity, []).append(rows)
        if rows.values.ndim != 2:
            # Maps: scoring one again takes longer than writing the state.
            ours.snapshots.add(rows.entity)

    def track(self, detector: str, entity: str, track: Track) -> None:
        """Remember the course of an entity's incident."""
        ours = self._of(detector)
        before = ours.held[entity]
        ours.held[entity] = EntityState(before.model, before.state, track, before.recent_times, before.recent)
        if track.incident is not None or before.track.incident is not None:
            ours.tracks.add(entity)

    def changes(self) -> StateChanges:
        """Give, once, what is to be stored of all that was remembered since the last call."""
        snapshots: list[StateSnapshot] = []
        journal: list[JournalPiece] = []
        superseded: list[int] = []
        tracks: dict[tuple[str, str], bytes | None] = {}
        for detector, ours in self._detectors.items():
            piece = self._new_id()
            rows = [_joined(some) for some in ours.rows.values()]
            plan = ours.journal.plan(piece, rows, ours.snapshots)
            if plan.rows:
                ours.known.add(piece)
                journal.append(JournalPiece(piece, detector, encode_rows(plan.rows)))
            snapshots += [
                snapshot
                for entity in plan.snapshots
                if (snapshot := _snapshot(detector, entity, ours.held[entity])) is not None
            ]
            superseded += [*plan.superseded, *ours.superseded]
            tracks |= {(detector, entity): encode_track(ours.held[entity].track) for entity in ours.tracks}
            ours.rows, ours.tracks, ours.superseded = {}, set(), set()
            # What no row was scored of yet has none to be stored; it gets one with its first.
            ours.snapshots = {e for e in ours.snapshots if not np.isfinite(ours.held[e].track.newest)}
        return StateChanges(tuple(snapshots), tuple(journal), tuple(superseded), tracks)

    def put_back(self, detector: str, entity: str, before: EntityState, changes: StateChanges) -> None:
        """Remember an entity as it was: the store did not keep these changes."""
        ours = self._of(detector)
        self.put(detector, entity, before)
        ours.tracks |= {name for of, name in changes.tracks if of == detector}
        ours.superseded |= set(changes.superseded)

    def holds(self, detector: str, entity: str) -> bool:
        """Say whether an entity was asked for since the last `forget_all`."""
        return detector in self._detectors and entity in self._detectors[detector].held

    def forget_all(self) -> None:
        """Forget everything, so that it is fetched from the store again."""
        self._detectors.clear()

    def _of(self, detector: str) -> _OfDetector:
        ours = self._detectors.get(detector)
        if ours is None:
            ours = self._detectors[detector] = _OfDetector(StateJournal(self.snapshot_every))
        return ours

    def _read_journal(self, detector: str, ours: _OfDetector) -> None:
        """Read the pieces that were not seen yet: all at first, then only what another daemon wrote."""
        new = self._store.states.journal_ids(detector) - ours.known
        if not new:
            return
        times = self._store.states.snapshot_times(detector)
        for piece in self._store.states.journal(new):
            needed = [
                rows for rows in decode_rows(piece.data) if rows.newest > times.get(rows.entity, -np.inf)
            ]
            for rows in needed:
                ours.unclaimed.setdefault(rows.entity, []).append((piece.id, rows))
            if needed:
                ours.journal.found(piece.id, len(needed))
            else:
                ours.superseded.add(piece.id)
        ours.known |= new

    def _recall(
        self,
        ours: _OfDetector,
        entity: str,
        snapshots: Mapping[str, StateSnapshot],
        tracks: Mapping[str, bytes],
    ) -> _Recalled:
        snapshot = snapshots.get(entity)
        if snapshot is None:
            return _Recalled(entity, EntityState(), [])
        later = [(id_, rows) for id_, rows in ours.unclaimed.pop(entity, ()) if rows.newest > snapshot.until]
        later.sort(key=lambda each: each[1].newest)
        ours.journal.recalled(entity, sum(len(rows.times) for _, rows in later), [id_ for id_, _ in later])
        track = decode_track(tracks[entity], entity) if entity in tracks else Track()
        if track.incident is not None and track.opened:
            evidence = self._store.states.evidence(track.incident.id)
            track = replace(track, evidence=None if evidence is None else evidence_bytes.decode(evidence))
        track = replace(track, newest=later[-1][1].newest if later else snapshot.until)
        arrays = dict(decode_state(snapshot.state))
        recent_times, recent = arrays.pop(_RECENT_TIMES, np.empty(0)), arrays.pop(_RECENT, None)
        learnt = [rows for _, rows in later if len(rows.times)]
        for rows in learnt:
            if recent is None or recent.shape[1:] != rows.values.shape[1:]:
                recent_times, recent = np.empty(0), rows.values[:0]
            recent_times, recent = thinned(recent_times, recent, rows.times, rows.values)
        return _Recalled(entity, EntityState(snapshot.model, arrays, track, recent_times, recent), learnt)


@dataclass(slots=True)
class _Recalled:
    """An entity as its snapshot says, and the rows that are to be scored again."""

    entity: str
    entity_state: EntityState
    rows: list[Rows]


def _score_again(recalled: Sequence[_Recalled], loaded: LoadedPair | None) -> None:
    """Bring states up to date with their rows; what another model had learnt begins anew in any case."""
    if loaded is None:
        return
    some = [each for each in recalled if each.rows and each.entity_state.model == loaded.version]
    windows = []
    for each in some:
        rows = _joined(each.rows)
        windows.append(SeriesWindow(each.entity, rows.times, rows.values.copy(), each.entity_state.state))
    if not windows:
        return
    for each, scores in zip(some, loaded.pair.score(windows), strict=True):
        each.entity_state = replace(each.entity_state, state=scores.state)


def _joined(some: Sequence[Rows]) -> Rows:
    """Join the rows of one entity."""
    if len(some) == 1:
        return some[0]
    learnt = [each for each in some if len(each.times)] or [some[-1]]
    times, values = (np.concatenate([getattr(each, name) for each in learnt]) for name in ("times", "values"))
    return Rows(some[-1].entity, some[-1].newest, times, values)


def _snapshot(detector: str, entity: str, held: EntityState) -> StateSnapshot | None:
    """Give what is stored of a memory; None if nothing was ever scored."""
    if not np.isfinite(held.track.newest):
        return None
    arrays = dict(held.state)
    if held.recent is not None:
        arrays |= {_RECENT_TIMES: held.recent_times, _RECENT: held.recent}
    return StateSnapshot(detector, entity, held.model, held.track.newest, encode_state(arrays))
