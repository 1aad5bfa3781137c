"""What one step of the daemon leaves in the store, all of it or nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from anomalyd.reports.adaptation import Adapted, AnsweredUndo
from anomalyd.reports.feedback import AppliedFeedback
from anomalyd.reports.quality import Look
from anomalyd.reports.report import Evidence, Incident, Provenance
from anomalyd.reports.storage.repositories.entity_states import StateChanges
from anomalyd.reports.storage.repositories.samples import Piece


@dataclass(frozen=True, slots=True)
class Point:
    """The score's course: the calibrated scores of one sample at event time `time`; None: could not tell."""

    time: float
    autoencoder: float | None
    classical: float | None


@dataclass(frozen=True, slots=True)
class StoredChange:
    """An incident as it stands after this step.

    `evidence` None keeps what is stored; `points` are added to the stored ones.
    """

    incident: Incident
    narrative: str
    evidence: Evidence | None = None
    points: tuple[Point, ...] = ()
    provenance: Provenance = field(default_factory=Provenance)


@dataclass(frozen=True, slots=True)
class OutboxEntry:
    """A Kafka message that is to be sent once the transaction that holds it is committed."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An outbox entry and its number; numbers rise and are never used twice."""

    id: int
    entry: OutboxEntry


@dataclass(frozen=True, slots=True)
class Activity:
    """What an entity sent: how many samples, event times `first` to `last` in seconds since the epoch."""

    sample_kind: str
    first: float
    last: float
    samples: int


CanaryKind = Literal["healthy", "faulty"]


@dataclass(frozen=True, slots=True)
class CanaryCheck:
    """What became of a canary: a synthetic sample that was sent through the real topic.

    `sent` (seconds since the epoch) to stored took `latency_s`. `score`: the pair's, above 1 an alert; None
    where it could not tell. `right`: a healthy one gave no alert, a faulty one gave one.
    """

    detector: str
    kind: CanaryKind
    sent: float
    latency_s: float
    score: float | None
    right: bool


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a consumer group: what was read, what was found, what is remembered, what is to be sent.

    `moves`: (topic, partition) -> (stored offset that this step started from, None if there was none; the
    next offset to read). `states`: what changed of what is remembered. `activity`: what each entity sent in
    this step. `adaptations`: what detectors changed of themselves, in order. `words` and
    `undos`: the operators' words and requests to undo that this step applies; each is applied once only, the
    step is refused if another daemon has done it. `samples`: what is kept to train on. `lumisections`: (run,
    system, lumisection) -> what this step saw of each of its elements, by name. `canaries`: those that came
    back.
    """

    group: str
    moves: Mapping[tuple[str, int], tuple[int | None, int]] = field(default_factory=dict)
    stored_changes: tuple[StoredChange, ...] = ()
    states: StateChanges = field(default_factory=StateChanges)
    outbox: tuple[OutboxEntry, ...] = ()
    activity: Mapping[str, Activity] = field(default_factory=dict)
    adaptations: tuple[Adapted, ...] = ()
    words: tuple[AppliedFeedback, ...] = ()
    undos: tuple[AnsweredUndo, ...] = ()
    samples: tuple[Piece, ...] = ()
    lumisections: Mapping[tuple[int, str, int], Mapping[str, Look]] = field(default_factory=dict)
    canaries: tuple[CanaryCheck, ...] = ()
