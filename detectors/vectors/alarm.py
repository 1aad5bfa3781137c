"""From a stream of sums to alarms: units that follow the bulk, a jolt, a memory that an alarm is on.

The unit of a sum is what separates the upper quartile of the last 14 days from their median: half of the rows
would have to be anomalous before it moved much, so that an anomaly of two days cannot lift its own threshold.
An alarm that is on goes on down to a lower level (hysteresis), because an event wavers.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import State

_EVERY_S = 600.0
_KEPT = 14 * 144
"""One sum in ten minutes for 14 days: 2016 numbers give the quartile to a percent, and are 8 kB."""

_EACH_S = 3600.0
_LEAST_KEPT = 72
"""Half a day of the stream's own sums before they speak against those of training."""

_JOLT_RATE = 0.0015
_JOLT_STEP = 0.02
"""The quantile is followed by multiplication (a step up when exceeded, a small one down when not: Robbins and
Monro, 1951): 2 % a step follows a change within days, and one burst raises it little."""

LARGEST_JOLT = 10.0
"""A jolt counts for at most ten times the least one: how far a score rises for a single row."""

Floats = NDArray[np.float64]


def start(bulk: Floats, jolt: float) -> dict[str, NDArray[np.generic]]:
    """Give the state of an entity of which nothing was seen since training."""
    return {
        "sums": np.empty(0, dtype=np.float32),
        "bulk": np.array([bulk[0], bulk[1]]),
        # jolt threshold, sum's slot, bulk's hour, time since which an alarm is on, whether told "broken"
        "alarm": np.array([math.log(max(jolt, 1e-9)), -1.0, -1.0, np.nan, 0.0]),
    }


def follow(
    times: Floats, sums: Floats, jolts: Floats, state: State, open_at: float, close_at: float, accept_s: float
) -> tuple[Floats, int | None, dict[str, NDArray[np.generic]]]:
    """Follow n sums and jolts: the raw score (n,), the row at which a change is accepted, the state after.

    Where a change is accepted, an alarm having lasted for `accept_s` and nobody having called it broken, the
    rows behind it are not followed: they are to be looked at anew.
    """
    kept, bulk = list(np.asarray(state["sums"], dtype=np.float32)), np.asarray(state["bulk"])
    jolt, slot, hour, since, broken = (float(x) for x in np.asarray(state["alarm"]))
    low, unit = float(bulk[0]), max(float(bulk[1] - bulk[0]), 1e-3)
    raw = np.empty(len(sums))
    accepted = None
    for t, (time, value, move) in enumerate(zip(times.tolist(), sums.tolist(), jolts.tolist(), strict=True)):
        if time // _EACH_S > hour:
            hour = time // _EACH_S
            if len(kept) >= _LEAST_KEPT:
                low, high = (float(x) for x in np.quantile(np.array(kept), (0.5, 0.75)))
                unit = max(high - low, 1e-3)
        if time // _EVERY_S > slot:
            slot = time // _EVERY_S
            kept.append(np.float32(value))
            del kept[:-_KEPT]
        on = not math.isnan(since)
        height = (value - low) / unit
        # Called broken, it is on until it is nearly as usual again.
        keep = close_at if not broken else min(close_at, 1.5)
        raw[t] = height * open_at / keep if on else height
        if raw[t] > open_at:
            since = since if on else time
        elif on:
            since, broken = math.nan, 0.0
        over = move / math.exp(jolt)
        jolt += _JOLT_STEP * ((1.0 if over > 1.0 else 0.0) - _JOLT_RATE)
        if over > 1.0:
            raw[t] = max(raw[t], open_at * min(over, LARGEST_JOLT))
        if not broken and not math.isnan(since) and time - since >= accept_s:
            accepted, since = t, math.nan
            break
    after = {
        "sums": np.array(kept, dtype=np.float32),
        "bulk": np.array([low, low + unit]),
        "alarm": np.array([jolt, slot, hour, since, broken]),
    }
    return raw if accepted is None else raw[: accepted + 1], accepted, after


def told(state: State, *, broken: bool, since: float) -> dict[str, NDArray[np.generic]]:
    """Put an alarm on and keep it (`broken`), or end it."""
    alarm = np.array(state["alarm"])
    alarm[3], alarm[4] = (since, 1.0) if broken else (np.nan, 0.0)
    return {**state, "alarm": alarm}
