"""From evidence to alarms: one rule with hysteresis, for all intervals.

An alarm begins where the evidence rises above a height, and goes on down to a lower one. Two kinds of
evidence lead to it: the sum of all views, and turbulence alone, counted in the entity's own spreads, which
begins higher and lasts longer: what is busy for hours bursts every few minutes. A jump alarms for its own
row. When an alarm has lasted for `accept_s` and nobody has called it broken, it is taken for the new normal.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.patch.state import Clock, Stacked

_HOLD = 0.5
_RESTLESS_OPENS, _RESTLESS_HOLDS = 6.0, 3.0
_PACE, _PACE_S, _PACE_MOST_S = 0.35, 300.0, 60.0
"""Rows that come more often alarm more often: heights rise by this for each factor e, up to a row a
minute."""

_PER_RATE = 0.35
"""A rate e times smaller asks for so much more."""

RATE = 0.9e-3
_JUMP, _OF_A_JUMP = 6.5, 0.5
"""Nats of a jump that alarms, where the evidence is half of what an alarm needs."""

_QUIET_S = 3600.0
"""Called broken, an alarm is over when it would have been so by itself for an hour."""

_CERTAIN = 0.25
"""... and stands at least so high above its threshold; so does what is stuck."""

_LEAST = 1e-6

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Heights:
    """Where alarms begin: by the sum of views (B,), by restlessness, by jumps."""

    opens: Floats
    restless: float
    jump: float


def heights_at(height: float, rate: float, interval_s: Floats) -> Heights:
    """Give the heights for a rate of false alarms and rows that come every `interval_s` (B,) seconds."""
    rarer = math.log(RATE / rate)
    pace = _PACE * np.log(_PACE_S / np.clip(interval_s, _PACE_MOST_S, _PACE_S))
    opens = np.maximum(height + _PER_RATE * rarer + pace, 0.3)
    return Heights(opens, max(_RESTLESS_OPENS + 2.0 * rarer, 2.0), max(_JUMP + rarer, 3.0))


@dataclass(frozen=True, slots=True)
class Shown:
    """What rows (B, n) show: the sum of views, restlessness in spreads, jumps in nats, whether a metric is
    stuck, and whether anything was seen at all."""

    evidence: Floats
    restless: Floats
    jump: Floats
    stuck: Flags
    seen: Flags


def follow(
    states: Stacked, times: Floats, shown: Shown, heights: Heights, accept_s: float
) -> tuple[Floats, NDArray[np.int64]]:
    """Give how far rows (B, n) lie above the threshold, or below, and the first row of each at which an alarm
    is accepted (B,), or -1. The states move on."""
    clock = states.clock
    over = np.where(shown.seen, shown.evidence - heights.opens[:, None], -np.inf)
    restless = np.where(shown.seen, shown.restless, -np.inf)
    on = _hysteresis(over > 0.0, over <= -_HOLD, shown.seen, clock[:, Clock.ON] > 0)
    stirred = _hysteresis(
        restless > heights.restless,
        restless <= heights.restless - _RESTLESS_OPENS + _RESTLESS_HOLDS,
        shown.seen,
        clock[:, Clock.RESTLESS] > 0,
    )
    clock[:, Clock.ON], clock[:, Clock.RESTLESS] = on[:, -1], stirred[:, -1]
    known = np.logical_and.accumulate(shown.stuck & (clock[:, Clock.KNOWN_STUCK] > 0)[:, None], axis=1)
    clock[:, Clock.KNOWN_STUCK] = known[:, -1]
    stuck = shown.stuck & ~known
    alarm = on | stirred | stuck
    certain = stuck.copy()
    for b in np.flatnonzero(clock[:, Clock.BROKEN] > 0).tolist():
        certain[b] |= _broken(clock[b], times[b], alarm[b])
        alarm[b] |= certain[b]
    since = _since(alarm, times, clock[:, Clock.SINCE])
    clock[:, Clock.SINCE] = since[:, -1]
    ripe = alarm & (times - since >= accept_s) & (clock[:, Clock.BROKEN] == 0)[:, None]
    accepted = np.where(ripe.any(axis=1), np.argmax(ripe, axis=1), -1)
    excess = np.where(alarm, np.maximum(_softplus(over), _LEAST), np.minimum(over, 0.0))
    excess = np.where(certain, np.maximum(excess, _CERTAIN), excess)
    # A jump is an alarm; how high it is does not rank it among what lasts.
    jumps = shown.seen & (shown.jump > heights.jump) & (over > -_OF_A_JUMP * heights.opens[:, None])
    return np.where(jumps, np.maximum(excess, _LEAST), excess), accepted


def _hysteresis(opens: Flags, closes: Flags, seen: Flags, before: Flags) -> Flags:
    """Say where it is on (B, n): from each row that opens to the next one that closes."""
    settles = (opens | closes) & seen
    place = np.maximum.accumulate(np.where(settles, np.arange(opens.shape[1]), -1), axis=1)
    latest = np.take_along_axis(opens, np.maximum(place, 0), axis=1)
    found: Flags = np.where(place >= 0, latest, before[:, None])
    return found


def _since(alarm: Flags, times: Floats, before: Floats) -> Floats:
    """Give since when each row's alarm is on (B, n), NaN where none is."""
    earlier = np.concatenate([~np.isnan(before)[:, None], alarm[:, :-1]], axis=1)
    begins = np.maximum.accumulate(np.where(alarm & ~earlier, np.arange(alarm.shape[1]), -1), axis=1)
    own = np.take_along_axis(times, np.maximum(begins, 0), axis=1)
    return np.where(alarm, np.where(begins >= 0, own, before[:, None]), np.nan)


def _broken(clock: Floats, times: Floats, alarm: Flags) -> Flags:
    """Say where an alarm that an operator called broken goes on (n,): until it was quiet for an hour."""
    goes_on = np.ones(len(times), dtype=bool)
    for t, (time, on) in enumerate(zip(times.tolist(), alarm.tolist(), strict=True)):
        if on:
            clock[Clock.QUIET] = math.nan
        elif math.isnan(clock[Clock.QUIET]):
            clock[Clock.QUIET] = time
        elif time - clock[Clock.QUIET] >= _QUIET_S:
            clock[Clock.BROKEN], clock[Clock.QUIET] = 0.0, math.nan
            goes_on[t:] = False
            break
    return goes_on


def _softplus(values: Floats) -> Floats:
    return np.where(values > 30.0, values, np.log1p(np.exp(np.minimum(values, 30.0))))
