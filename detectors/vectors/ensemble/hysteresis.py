"""From what a stream shows to alarms: where views agree, where commotion begins and lasts, and a memory.

Two ways lead to an alarm. Views agree: the mean of how rare they are rises above the stream's own bulk, the
last seven days of undisturbed rows. Or there is commotion: more goes on than usual by many of the entity's
own spreads (`commotion`). Either goes on down to a lower height (hysteresis), because an event wavers, and
commotion also while it is seen to last. When an alarm has lasted for `accept_s` and nobody has called it
broken, it is taken for the new normal, all of it at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import State
from anomalyd.detectors.vectors.ensemble import sustained_activity
from anomalyd.detectors.vectors.ensemble.time_bins import runs_of

_EVERY_S = 600.0
_KEPT = 7 * 144
"""One row in ten minutes for seven days: 1008 of them give the quantile to a percent, and are 20 kB."""

_EACH_S = 3 * 3600.0
"""How often the bulk is measured anew: a week changes little in three hours."""

_LEAST_KEPT = 72
"""Half a day of the stream's own rows before they speak against those of training."""

_QUANTILES = (0.5, 0.75)
_OVER = 1.0
"""The bulk ends as far above the upper quartile as that lies above the median: restless entities spread
wider, and a quarter of all rows may be disturbed. This and the heights were chosen on three folders of
labelled servers; what they give on each stands in docs/validation.md."""

_WITHIN = 30
_LAG = 0.4
"""A slow mean is believed while a quick one was at most so many nats higher within the last thirty rows: else
it still tells of what is over (half of the false alarms outlived their event)."""

_CERTAIN = 0.25
"""Told "broken", or stuck, an alarm stands at least so high above its threshold, whatever the views see."""

_QUIET_S = 3600.0
"""... and is over when it would have been so by itself for an hour."""

LARGEST_JOLT = math.log(10.0)
"""A jolt counts for at most ten times the least one: how far a score rises for a single row."""

_LEAST = 1e-6

_REMEMBERED = ("week", "of", "bulk", "restless", "alarm")

_USUAL, _DURING, _AFTER = 0, 1, 2
"""What a kept row is of: no alarm, the one that is on, one that is over."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heights:
    """Where alarms begin and end.

    Views agree above `agree` nats over the bulk, and from then on above `agree` - `hold`; there is commotion
    above `stir` spreads, and from then on above `settle` or, where `lasting`, while it lasts. After
    `accept_s` an alarm is taken for normal.
    """

    agree: float
    hold: float
    stir: float
    settle: float
    lasting: bool
    accept_s: float


@dataclass(frozen=True, slots=True)
class Shown:
    """What n rows show: how far views agree (n,), what is measured of commotion (n, 4), jolts as logs over
    their threshold (n,), and whether any metric is stuck (n,)."""

    agreement: Floats
    commotion: Floats
    jolts: Floats
    stuck: NDArray[np.bool_]


def bulk_of(values: NDArray[np.generic]) -> Floats:
    """Give median and upper quartile (C, 2) of values (P, C)."""
    return np.ascontiguousarray(np.quantile(values.astype(np.float64), _QUANTILES, axis=0).T)


def end_of(bulk: Floats) -> float:
    """Give where the bulk of agreement ends, from its median and upper quartile: heights count from it."""
    return float(bulk[1] + _OVER * (bulk[1] - bulk[0]))


def believed(slow: Floats, quick: Floats, before: NDArray[Any] | None) -> tuple[Floats, Floats]:
    """Hold slow means (n,) down where no quick one (n,) of late comes near; and the quick ones to remember.

    `before` (29,): the quick means before, or None.
    """
    past = np.full(_WITHIN - 1, -np.inf) if before is None else np.asarray(before, dtype=np.float64)
    joined = np.concatenate([past, quick])
    highest = np.lib.stride_tricks.sliding_window_view(joined, _WITHIN).max(axis=1)
    return np.minimum(slow, highest - _LAG), joined[1 - _WITHIN :]


def start(bulk: Floats) -> dict[str, NDArray[np.generic]]:
    """Give the state of an entity of which nothing was seen since training, of its `bulk` (5, 2) there."""
    return {
        "week": np.empty((0, 1 + sustained_activity.COLUMNS), dtype=np.float32),
        "of": np.empty(0, dtype=np.int8),
        "bulk": np.array(bulk, dtype=np.float64),
        "restless": np.empty(0),
        # slot of the newest row kept, when the bulk was measured, since when an alarm is on, told "broken",
        # quiet since, whether what is stuck is known and accepted; whether views agree, whether there is
        # commotion, whether it is not listened to until the bulk is measured
        "alarm": np.array([-1.0, -1.0, math.nan, 0.0, math.nan, 0.0, 0.0, 0.0, 0.0]),
    }


def is_broken(state: State) -> bool:
    """Say whether an operator called what the entity does broken: nothing is learnt of it."""
    return "alarm" in state and bool(np.asarray(state["alarm"])[3] > 0)


def follow(
    times: Floats, shown: Shown, state: State, heights: Heights, interval_s: float
) -> tuple[Floats, list[int], dict[str, NDArray[np.generic]]]:
    """Follow n rows that come every `interval_s` seconds.

    Gives how far each is above the threshold (n,), or below; the rows at which a change was accepted; and the
    state after.
    """
    over, accepted = np.empty(len(times)), list[int]()
    after = {name: np.asarray(state[name]) for name in _REMEMBERED}
    slots = times // _EACH_S
    for part in runs_of(slots):
        if slots[part.start] > after["alarm"][1]:
            after |= _measured(after, float(slots[part.start]))
        over[part], found, after = _follow(times[part], shown, part, after, heights, interval_s)
        accepted += [part.start + row for row in found]
    return over, accepted, after


def _measured(state: State, slot: float) -> dict[str, NDArray[Any]]:
    """Measure the bulk of the rows kept: of agreement where no alarm was on, of commotion of them all."""
    week, of, alarm = np.asarray(state["week"]), np.asarray(state["of"]), np.array(state["alarm"])
    bulk = np.array(state["bulk"])
    alarm[1], alarm[8] = slot, 0.0
    if len(week) >= _LEAST_KEPT:
        bulk[1:] = bulk_of(week[:, 1:])
        if np.count_nonzero(of == _USUAL) >= _LEAST_KEPT:
            bulk[0] = bulk_of(week[of == _USUAL, :1])[0]
    return {"bulk": bulk, "alarm": alarm}


def _follow(
    times: Floats, shown: Shown, part: slice, state: State, heights: Heights, interval_s: float
) -> tuple[Floats, list[int], dict[str, NDArray[Any]]]:
    week, of = np.asarray(state["week"]), np.asarray(state["of"])
    bulk = np.asarray(state["bulk"], dtype=np.float64)
    alarm = (float(x) for x in np.asarray(state["alarm"]))
    slot, measured, since, broken, quiet, known, agreed, stirred, deaf = alarm
    counted = sustained_activity.spreads(shown.commotion[part], bulk[1:])
    lasts, restless = sustained_activity.lasting(counted, np.asarray(state["restless"]), interval_s)
    agreement, jolts = shown.agreement[part], np.minimum(shown.jolts[part], LARGEST_JOLT)
    end, accepted = end_of(bulk[0]), list[int]()
    kept, kept_of = list[int](), of.tolist()
    over = np.empty(len(times))
    each = zip(
        times.tolist(),
        (agreement - end).tolist(),
        counted[:, 0].tolist(),
        (lasts & heights.lasting).tolist(),
        shown.stuck[part].tolist(),
        strict=True,
    )
    lowered = 0.0
    for t, (time, value, stir, last, still) in enumerate(each):
        height = value - lowered
        agreed = height > heights.agree - (heights.hold if agreed else 0.0)
        stirred = not deaf and (stir > heights.stir or bool(stirred and (stir > heights.settle or last)))
        known = known if still else 0.0
        certain = broken or still > known
        on = agreed or stirred
        if broken:
            quiet = math.nan if on else time if math.isnan(quiet) else quiet
            if time - quiet >= _QUIET_S and not still:
                broken, quiet, certain = 0.0, math.nan, False
        excess = height - heights.agree
        if on or certain:
            since = time if math.isnan(since) else since
            # Ranks stay as views agree, however the alarm began.
            excess = max(_LEAST, math.log1p(math.exp(excess)) if excess < 30.0 else excess)
            excess = max(excess, _CERTAIN) if certain else excess
        else:
            excess = min(excess, 0.0)
            if not math.isnan(since):
                kept_of = [_AFTER if one == _DURING else one for one in kept_of]
            since = math.nan
        if time // _EVERY_S > slot and not broken:
            slot = time // _EVERY_S
            kept.append(t)
            kept_of.append(_USUAL if math.isnan(since) else _DURING)
        over[t] = excess
        if not broken and time - since >= heights.accept_s:
            accepted.append(t)
            rows = np.concatenate([week, _rows(shown, part)[kept]])
            week, kept_of, fresh = _taken(rows, kept_of, bulk)
            kept, lowered = [], end_of(fresh[0]) - end
            bulk = fresh
            since, known, agreed, stirred, deaf = math.nan, float(still), 0.0, 0.0, 1.0
    # The least amount above: a jolt is an alarm, how far above the threshold of a rare one it may say.
    over = np.where(jolts > 0.0, np.maximum(over, _LEAST + jolts), over)
    week = np.concatenate([week, _rows(shown, part)[kept]])[-_KEPT:]
    after: dict[str, NDArray[Any]] = {
        "week": week,
        "of": np.array(kept_of[-_KEPT:], dtype=np.int8),
        "bulk": bulk,
        "restless": restless,
        "alarm": np.array([slot, measured, since, broken, quiet, known, agreed, stirred, deaf]),
    }
    return over, accepted, after


def apply_feedback(state: State, *, broken: bool, since: float) -> dict[str, NDArray[np.generic]]:
    """Put an alarm on and keep it (`broken`), or end it and take what it was about for normal."""
    alarm = np.array(state["alarm"])
    of = np.asarray(state["of"])
    if broken:
        alarm[2:6] = since, 1.0, math.nan, 0.0
        return {**state, "alarm": alarm, "of": np.where(of == _DURING, _AFTER, of).astype(np.int8)}
    alarm[2:8] = math.nan, 0.0, math.nan, 1.0, 0.0, 0.0
    week, kept, bulk = _taken(np.asarray(state["week"]), of.tolist(), np.asarray(state["bulk"]))
    return {**state, "alarm": alarm, "week": week, "of": np.array(kept, dtype=np.int8), "bulk": bulk}


def _taken(week: NDArray[Any], of: list[int], bulk: Floats) -> tuple[NDArray[Any], list[int], Floats]:
    """Take what the alarm was about for usual; of the days before it so few rows are kept that it makes a
    third: the upper one. No spread of commotion becomes smaller by it."""
    during = of.count(_DURING)
    if not during:
        return week, of, bulk
    week = week[-3 * during :]
    kept = [_USUAL if one == _DURING else one for one in of[-3 * during :]]
    usual = np.array(kept) == _USUAL
    fresh = np.concatenate([bulk_of(week[usual, :1]), bulk_of(week[:, 1:])])
    fresh[1:, 1] = np.maximum(fresh[1:, 1], fresh[1:, 0] + (bulk[1:, 1] - bulk[1:, 0]))
    return week, kept, fresh


def _rows(shown: Shown, part: slice) -> NDArray[np.float32]:
    rows = np.concatenate([shown.agreement[part, None], shown.commotion[part]], axis=1)
    return rows.astype(np.float32)
