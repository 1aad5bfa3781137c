"""What a message is on its way: Record -> Sample -> Scored (-> Incident -> Report, in `reports`).

A Record and a Sample are made for every message, so they are frozen msgspec structs: as a frozen dataclass
they cost 1.3 and 1.1 microseconds each, as a struct 0.06 and 0.07. They behave alike otherwise;
`msgspec.structs.replace` gives a changed copy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import SeriesWindow

if TYPE_CHECKING:  # it imports torch, which a command that scores nothing must not pay for
    from anomalyd.detectors.detector_pair import PairScores

Partition = tuple[str, int]
"""Topic and number of a partition."""


# gc=False: they can hold no cycle, and thousands alive at once would make the collector run often.
class Record(msgspec.Struct, frozen=True, gc=False):
    """Raw bytes from Kafka, and where they lay. `timestamp` is Kafka's, in seconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: float
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Sample(msgspec.Struct, frozen=True, gc=False):
    """What a record says of one entity at one (event) time: metric `values`, or a `map` (R, C).

    A missing metric is None, a masked cell or a place behind the end of a ragged row is NaN. `partial`:
    these are only some of the entity's metrics at that time, others come in other records. `counters`: which
    of the metrics only ever count up (`align` makes them rates), with the bits after which they wrap around,
    32 or 64, or 0 where that is not known. `aside`: of metrics with labels that stand not in their names
    (`label_collisions`), these, as `label=value`. `exposure`: luminosity or number of events behind a map,
    in any unit that stays the same. `topic`, `partition`, `offset` say where it came from.
    """

    entity: str
    time: float
    topic: str
    partition: int
    offset: int
    values: Mapping[str, float | None] | None = None
    map: NDArray[np.float32] | None = None
    run: int | None = None
    lumisection: int | None = None
    partial: bool = False
    counters: Mapping[str, int] | None = None
    aside: Mapping[str, tuple[str, ...]] | None = None
    exposure: float | None = None


class Reason(StrEnum):
    """Why a message cannot be used: the stable words of dead letters and of their counter."""

    EMPTY = "empty"
    TOO_LARGE = "too-large"
    SYNTAX = "syntax"
    FIELD = "field"
    ENTITY = "entity"
    TIME = "time"
    CLOCK = "clock"
    METRICS = "metrics"
    MAP = "map"
    INTERNAL = "internal"
    POISON = "poison"


class Outcome(StrEnum):
    """What decoding made of a record: samples, samples and a dead letter, a dead letter alone, or nothing; a
    canary is no sample.
    """

    DECODED = "decoded"
    PARTLY = "partly"
    DEAD = "dead-lettered"
    EMPTY = "empty"
    CANARY = "canary"


class Fate(StrEnum):
    """What became of a sample.

    `scored`: by one detector at least; `unscored`: watched, but no model takes it; `unwatched`: no detector
    watches its entity; `joined`: to another part of the same vector; `late`: dropped; `repeated`: read again,
    and dealt with before; `given-up`: to be read again.
    """

    SCORED = "scored"
    UNSCORED = "unscored"
    UNWATCHED = "unwatched"
    JOINED = "joined"
    LATE = "late"
    REPEATED = "repeated"
    GIVEN_UP = "given-up"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that could not be used: why (`reason`, a short stable word), and the record itself.

    Where only a part of it is bad, `broken` holds that part, as a message of the same format, and `where`
    says what it was in the record (`line 3`); None: all of it.
    """

    record: Record
    reason: str
    text: str
    broken: bytes | None = None
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Scored:
    """A window of samples of one entity with what one detector pair says of it.

    `samples` and `window` hold the same n samples, as they came and as the detectors saw them; `recent`
    (h, ...) with `recent_times` (h,) is what the entity sent just before. `late`: the samples are older than
    what was scored before them; they are scored on their own and nothing is remembered of them.
    """

    detector: str
    model: str
    samples: tuple[Sample, ...]
    window: SeriesWindow
    scores: PairScores
    recent_times: NDArray[np.float64]
    recent: NDArray[np.float32]
    late: bool = False

    @property
    def entity(self) -> str:
        """The entity whose samples these are."""
        return self.window.entity


class Suppression(StrEnum):
    """Why an anomalous sample may open no incident."""

    DIRECTION = "direction"
    DEVIATION = "deviation"
    QUIET_HOURS = "quiet-hours"
    MAINTENANCE = "maintenance"
