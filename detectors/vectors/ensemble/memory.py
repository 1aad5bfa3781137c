"""What is remembered of an entity, by name: one packed record of small arrays, and what grows with the days.

The records of a batch lie behind each other in memory and are one structured array: every field is an array
over the entities. Packing and unpacking an entity is a copy of some ten kilobytes, whatever the fields. What
is large and seldom changes stays an array of each entity, which is replaced, never written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import State
from anomalyd.detectors.vectors.ensemble.rounding import SLOT_PARTS, rounded, slots_of, steps_of
from anomalyd.errors import ModelMismatch

WEEK_SLOTS = 7 * 96
"""Quarter hours of a week."""

RECENT_ROWS = 15
PATCH_ROWS = 29
"""Rows before the one that ends a patch."""

QUIET_ROWS = 10
"""Rows after which quick views have long been quiet."""

UNKNOWN_HEIGHT = 3.0
"""Where the bulk of the height is before half a day of rows is known."""

CHANNEL_COUNT, STEPS, BULKS = 10, 33, 5
LEAP_DAYS, LEAPS_A_DAY = 7, 128
"""With one row in a second a week's 99.9 % of leaps is the 600th largest of 896."""

SCALE = "scale."
"""Before the names of what `Scaling` remembers of an entity that training did not know."""


@dataclass(frozen=True)
class Batch:
    """What is remembered of E entities of F metrics, before or after a step; event times in seconds.

    All but the lists are views of the entities' records: they are written to, never bound anew.

    What a row is compared with (`reference_windows`): `recent` (E, 15, F) rows before, in usual widths;
    `slot` (E,) number of the quarter hour that goes on, counted since the epoch, -1 before the first;
    `slot_sum`, `slot_count` (E, F) of the values in it; `hours6`, `day`, `profile` (E, F) medians of the
    quarter hours before it; `slots` E times (672, F) means of the quarter hours of a week, of number s at s
    modulo 672, NaN where unknown; `offset` (E, F) how far the normal of now lies from that of training.

    What the network is told (`feature_extraction`): `quick`, `slow` (E, F) means of turbulence; `known`
    (E, 7F) what was known after the row before.

    Views: `levels` (E, C) smoothed, NaN before the first row; `quiet` (E,) rows since the quick mean was last
    high, ten at most; `moved` (E, F) blame of the row before, NaN before the first; `runs` (E, F) how often
    each metric repeated itself.

    How rare they are (`tail_probability`): `steps` (E, C, 33), `tail` (E, C) as measured on `rarity_day`
    (E,); `half_hour` (E,) the newest of which a value was kept, `shown` E times (P, C) those values.

    Spikes: `leaps` (E, 7, 128) largest of each day, rising, the newest day first; `leap_rows` (E, 7) rows of
    those days; `leap_day`, `leap_measured` (E,) numbers of the newest day, and of the three hours in which
    `leap_threshold` (E,) was measured.

    Alarms of the views: `restless` (E, H) flags of the rows before (`sustained_activity`); `bulk` (E, 5, 2)
    median and upper quartile of agreement and of sustained activity, measured in the three hours of number
    `bulk_measured` (E,); `kept_slot` (E,) ten minutes of the newest row kept; `since` (E,) since when an
    alarm is on, or NaN; `broken` (E,) whether an operator called it broken, `quiet_since` (E,) since when
    nothing would keep it on, or NaN; `stuck_known` (E,) whether what is stuck is accepted; `agreed`,
    `stirred` (E,) which way the alarm is on; `deaf` (E,) whether sustained activity is not listened to until
    the bulk is measured. `week` E times (k, 5) rows kept, `week_of` E times (k,) what each is of.

    `newest` (E,) event time of the row before, NaN before the first; `learns_since` (E,) since when an entity
    that training did not know learns what is usual of it, NaN where it does not.

    References that do not follow the entity (`fusion`): `patch_rows` (E, 29, F) rows before, without gaps or
    offset; `fresh_rows` (E,) how many came since the beginning or the last silence; `new_means` (E, 3) how
    they stand to the references, smoothed, NaN before the first; `charts` (E, 4, F) centre line, level, mean
    and excess of variance of each metric (`control_chart`), `residual_charts` (E, 4, F) of what its
    regression leaves over; `height_bulk` (E, 2) median and upper quartile of the height, measured in the
    three hours of number `height_measured` (E,); `height_slot` (E,) ten minutes of the newest row kept;
    `height_on` (E,) whether the height alarms. `height_week` E times (k,) those kept.
    Alarms of a week (`recurring_alarms`): `alarms` E times (k, 4) quarter hour, metric,
    height, distance; `above` (E,) rows in a row above the threshold until now.
    """

    record: NDArray[np.void]
    recent: NDArray[np.float32]
    slot: NDArray[np.int64]
    slot_sum: NDArray[np.float64]
    slot_count: NDArray[np.float64]
    hours6: NDArray[np.float32]
    day: NDArray[np.float32]
    profile: NDArray[np.float32]
    offset: NDArray[np.float32]
    quick: NDArray[np.float64]
    slow: NDArray[np.float64]
    known: NDArray[np.float32]
    levels: NDArray[np.float32]
    quiet: NDArray[np.int32]
    moved: NDArray[np.float32]
    runs: NDArray[np.int32]
    steps: NDArray[np.float32]
    tail: NDArray[np.float32]
    rarity_day: NDArray[np.float64]
    half_hour: NDArray[np.float64]
    leaps: NDArray[np.float32]
    leap_rows: NDArray[np.float64]
    leap_day: NDArray[np.float64]
    leap_measured: NDArray[np.float64]
    leap_threshold: NDArray[np.float64]
    restless: NDArray[np.uint8]
    bulk: NDArray[np.float64]
    bulk_measured: NDArray[np.float64]
    kept_slot: NDArray[np.float64]
    since: NDArray[np.float64]
    broken: NDArray[np.bool_]
    quiet_since: NDArray[np.float64]
    stuck_known: NDArray[np.bool_]
    agreed: NDArray[np.bool_]
    stirred: NDArray[np.bool_]
    deaf: NDArray[np.bool_]
    newest: NDArray[np.float64]
    learns_since: NDArray[np.float64]
    patch_rows: NDArray[np.float32]
    fresh_rows: NDArray[np.int32]
    new_means: NDArray[np.float64]
    charts: NDArray[np.float64]
    residual_charts: NDArray[np.float64]
    height_bulk: NDArray[np.float64]
    height_measured: NDArray[np.float64]
    height_slot: NDArray[np.float64]
    height_on: NDArray[np.bool_]
    above: NDArray[np.int32]
    slots: list[NDArray[np.float16]]
    shown: list[NDArray[np.float16]]
    week: list[NDArray[np.float16]]
    week_of: list[NDArray[np.int8]]
    height_week: list[NDArray[np.float16]]
    alarms: list[NDArray[np.int32]]

    def one(self, b: int) -> Batch:
        """Give what is remembered of one entity, the same views of its record, and its large arrays."""
        record = self.record[b : b + 1]
        return _batch(record, *([getattr(self, name)[b]] for name in LARGE))


LARGE: Mapping[str, type[np.generic]] = {
    "slots": np.float16,
    "shown": np.float16,
    "week": np.float16,
    "week_of": np.int8,
    "height_week": np.float16,
    "alarms": np.int32,
}
"""Fields of an entity that lie outside of its record, and what their numbers are."""

SLOTS = "slot_steps"
"""Under this name quarter hours are stored (`rounding`); before they were stored as they are, as `slots`."""

ALARMS = "alarms"

OFTEN = ("newest", "learns_since", "fresh_rows")
"""Fields of the record that are looked at before an entity is put into a batch."""


class Layout:
    """Where each field lies in the record of an entity of F metrics; an hour has up to H rows."""

    def __init__(self, metrics: int, hour: int) -> None:
        self.metrics, self.hour = metrics, hour
        sizes: dict[str, tuple[str, tuple[int, ...]]] = {
            "slot_sum": ("f8", (metrics,)),
            "slot_count": ("f8", (metrics,)),
            "quick": ("f8", (metrics,)),
            "slow": ("f8", (metrics,)),
            "bulk": ("f8", (BULKS, 2)),
            "leap_rows": ("f8", (LEAP_DAYS,)),
            "new_means": ("f8", (3,)),
            "charts": ("f8", (4, metrics)),
            "residual_charts": ("f8", (4, metrics)),
            "height_bulk": ("f8", (2,)),
            "slot": ("i8", ()),
            **dict.fromkeys(
                (
                    "rarity_day",
                    "half_hour",
                    "leap_day",
                    "leap_measured",
                    "leap_threshold",
                    "bulk_measured",
                    "kept_slot",
                    "since",
                    "quiet_since",
                    "height_measured",
                    "height_slot",
                    "newest",
                    "learns_since",
                ),
                ("f8", ()),
            ),
            "recent": ("f4", (RECENT_ROWS, metrics)),
            "patch_rows": ("f4", (PATCH_ROWS, metrics)),
            "hours6": ("f4", (metrics,)),
            "day": ("f4", (metrics,)),
            "profile": ("f4", (metrics,)),
            "offset": ("f4", (metrics,)),
            "known": ("f4", (7 * metrics,)),
            "levels": ("f4", (CHANNEL_COUNT,)),
            "moved": ("f4", (metrics,)),
            "runs": ("i4", (metrics,)),
            "fresh_rows": ("i4", ()),
            "quiet": ("i4", ()),
            "above": ("i4", ()),
            "steps": ("f4", (CHANNEL_COUNT, STEPS)),
            "tail": ("f4", (CHANNEL_COUNT,)),
            "leaps": ("f4", (LEAP_DAYS, LEAPS_A_DAY)),
            "restless": ("u1", (hour,)),
            **dict.fromkeys(("broken", "stuck_known", "agreed", "stirred", "deaf", "height_on"), ("?", ())),
        }
        self.dtype = np.dtype([(name, kind, shape) for name, (kind, shape) in sizes.items()], align=True)
        self.names = (*sizes, SLOTS, *(name for name in LARGE if name != "slots"))

    def blank(self) -> Batch:
        """Give what is remembered of one entity of which nothing was seen, nor is known from training."""
        record = np.zeros(1, dtype=self.dtype)
        nothing = np.zeros((WEEK_SLOTS, self.metrics), dtype=np.float16)
        week = np.empty((0, BULKS), dtype=np.float16)
        nothing[:] = np.nan
        batch = _batch(
            record,
            [nothing],
            [np.empty((0, CHANNEL_COUNT), dtype=np.float16)],
            [week],
            [np.empty(0, dtype=np.int8)],
            [np.empty(0, dtype=np.float16)],
            [_no_alarms()],
        )
        for unknown in (batch.recent, batch.hours6, batch.day, batch.profile, batch.levels, batch.moved):
            unknown[:] = np.nan
        for never in (batch.slot, batch.half_hour, batch.leap_day, batch.leap_measured):
            never[:] = -1
        for never in (batch.bulk_measured, batch.kept_slot, batch.rarity_day):
            never[:] = -1
        batch.since[:] = batch.quiet_since[:] = np.nan
        batch.quiet[:] = QUIET_ROWS
        batch.leaps[:] = -np.inf
        batch.leap_threshold[:] = np.inf
        batch.height_measured[:] = batch.height_slot[:] = -1
        batch.new_means[:] = batch.newest[:] = batch.learns_since[:] = np.nan
        batch.height_bulk[:] = UNKNOWN_HEIGHT
        return batch

    def join(self, memories: Sequence[Memory]) -> Batch:
        """Join what is remembered of entities, as copies but for what is large."""
        record = np.frombuffer(bytearray().join([m.record for m in memories]), dtype=self.dtype)
        return _batch(
            record,
            [m.slots for m in memories],
            [m.shown for m in memories],
            [m.week for m in memories],
            [m.week_of for m in memories],
            [m.height_week for m in memories],
            [m.alarms for m in memories],
        )

    def part(self, batch: Batch, scales: Sequence[State]) -> list[Memory]:
        """Give what is remembered of each entity; `scales`: and by its scaling."""
        size, whole = self.dtype.itemsize, memoryview(batch.record.view(np.uint8).data)
        large = (getattr(batch, name) for name in LARGE)
        looked = (getattr(batch, name).tolist() for name in OFTEN)
        return [
            Memory(self, bytes(whole[b * size : (b + 1) * size]), *each)
            for b, each in enumerate(zip(*large, scales, *looked, strict=True))
        ]

    def pack(self, entity: str, state: State) -> Memory:
        """Pack named arrays as they come from a store.

        Raises:
            ModelMismatch: they are of another model.

        """
        scale = scale_of(state)
        if SLOTS in state:
            state = {**state, "slots": slots_of(np.asarray(state[SLOTS], dtype=np.uint16))}
        if "residual_charts" not in state and "charts" in state:
            # Of a model of earlier versions, which has no regression: all is left over.
            state = {**state, "residual_charts": state["charts"]}
        if ALARMS not in state:  # it is of a version that did not remember them
            state = {**state, ALARMS: _no_alarms(), "above": np.zeros((), dtype=np.int32)}
        kept = {*(self.dtype.names or ()), *LARGE}
        if {name for name in state if not name.startswith(SCALE)} - {SLOTS} != kept:
            raise ModelMismatch(_mismatch(entity))
        record = np.zeros(1, dtype=self.dtype)
        for name in self.dtype.names or ():
            if np.shape(state[name]) != record[name].shape[1:]:
                raise ModelMismatch(_mismatch(entity))
            record[name][0] = state[name]
        large = [np.asarray(state[name], dtype=kind) for name, kind in LARGE.items()]
        large[0] = rounded(large[0], SLOT_PARTS)  # those of before were finer
        if large[0].shape != (WEEK_SLOTS, self.metrics):
            raise ModelMismatch(_mismatch(entity))
        rest: list[Any] = [*large, scale, *(record[name][0].item() for name in OFTEN)]
        return Memory(self, record.tobytes(), *rest)


@dataclass(slots=True, eq=False)
class Memory(Mapping[str, NDArray[Any]]):
    """What is remembered of one entity: a mapping of named arrays, for a store; see `Batch`.

    `scale`: what its scaling remembers of an entity that training did not know; `newest`, `learns_since`,
    `fresh_rows`: as in the record, for whoever asks them of each of a thousand entities. Nothing of it is
    ever written to.
    """

    layout: Layout
    record: bytes
    slots: NDArray[np.float16]
    shown: NDArray[np.float16]
    week: NDArray[np.float16]
    week_of: NDArray[np.int8]
    height_week: NDArray[np.float16]
    alarms: NDArray[np.int32]
    scale: State
    newest: float
    learns_since: float
    fresh_rows: int

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name == SLOTS:
            found: NDArray[Any] = steps_of(self.slots)
        elif name in LARGE:
            found = getattr(self, name)
        elif name.startswith(SCALE):
            found = self.scale[name.removeprefix(SCALE)]
        else:
            found = np.asarray(np.frombuffer(self.record, dtype=self.layout.dtype)[name][0])
        return found

    def __iter__(self) -> Iterator[str]:
        yield from self.layout.names
        yield from (SCALE + name for name in self.scale)

    def __len__(self) -> int:
        return len(self.layout.names) + len(self.scale)


def scale_of(state: State) -> dict[str, NDArray[Any]]:
    """Give what the scaling remembers, of a state of named arrays."""
    return {name.removeprefix(SCALE): each for name, each in state.items() if name.startswith(SCALE)}


def _no_alarms() -> NDArray[np.int32]:
    return np.empty((0, 4), dtype=np.int32)


def _mismatch(entity: str) -> str:
    return f"entity {entity!r}: its remembered state is of another model; start it without"


def _batch(record: NDArray[np.void], *large: list[NDArray[Any]]) -> Batch:
    fields: dict[str, Any] = {name: record[name] for name in record.dtype.names or ()}
    fields |= dict(zip(LARGE, large, strict=True))
    return Batch(record=record, **fields)
