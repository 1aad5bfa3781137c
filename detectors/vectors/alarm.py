"""From a stream of means to alarms: a height above the stream's bulk, a jolt, a memory that an alarm is on.

The height of a mean is counted from above the bulk of the last seven days of undisturbed rows, so that an
entity that is always restless is not always in alarm. An alarm that is on goes on down to a lower height
(hysteresis), because an event wavers. While it is on, nothing of it goes into the bulk; when it has lasted
for `accept_s` and nobody has called it broken, it is taken for the new normal, all of it at once.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import State

_EVERY_S = 600.0
_KEPT = 7 * 144
"""One mean in ten minutes for seven days: 1008 numbers give the quantile to a percent, and are 4 kB."""

_EACH_S = 3 * 3600.0
"""How often the bulk is measured anew: a week changes little in three hours."""

_LEAST_KEPT = 72
"""Half a day of the stream's own means before they speak against those of training."""

_QUANTILES = (0.5, 0.75)
_OVER = 1.0
"""The bulk ends as far above the upper quartile as that lies above the median: restless entities spread
wider, and a quarter of all rows may be disturbed. This and the heights were chosen on three folders of
labelled servers; what they give on each stands in docs/validation.md."""

_WITHIN = 30
_LAG = 0.4
"""A slow mean is believed while a quick one was at most so many nats higher within the last thirty rows: else
it still tells of what is over (half of the false alarms outlived their event)."""

_JOLT_STEP = 0.02
"""The quantile of jolts is followed by multiplication (a step up when exceeded, a small one down when not:
Robbins and Monro, 1951): 2 % a step follows a change within days, and one burst raises it little."""

LARGEST_JOLT = 10.0
"""A jolt counts for at most ten times the least one: how far a score rises for a single row."""

_CERTAIN = 0.25
"""Told "broken", or stuck, an alarm stands at least so high above its threshold, whatever the views see."""

_QUIET_S = 3600.0
"""... and is over when it would have been so by itself for an hour."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heights:
    """An alarm begins above `open`, and stays while the height is above `open` - `hold`.

    After `accept_s` it is taken for normal. `jolts`: share of rows that may be jolts.
    """

    open: float
    hold: float
    accept_s: float
    jolts: float


def bulk_of(means: NDArray[np.generic]) -> Floats:
    """Give median and upper quartile (2,) of means."""
    found: Floats = np.quantile(means.astype(np.float64), _QUANTILES)
    return found


def end_of(bulk: Floats) -> float:
    """Give where the bulk ends: heights are counted from here."""
    return float(bulk[1] + _OVER * (bulk[1] - bulk[0]))


def believed(slow: Floats, quick: Floats, before: NDArray[Any] | None) -> tuple[Floats, Floats]:
    """Hold slow means (n,) down where no quick one (n,) of late comes near; and the quick ones to remember.

    `before` (29,): the quick means before, or None.
    """
    past = np.full(_WITHIN - 1, -np.inf) if before is None else np.asarray(before, dtype=np.float64)
    joined = np.concatenate([past, quick])
    highest = np.lib.stride_tricks.sliding_window_view(joined, _WITHIN).max(axis=1)
    return np.minimum(slow, highest - _LAG), joined[1 - _WITHIN :]


def start(bulk: Floats, jolt: float) -> dict[str, NDArray[np.generic]]:
    """Give the state of an entity of which nothing was seen since training."""
    return {
        "means": np.empty(0, dtype=np.float32),
        "aside": np.empty(0, dtype=np.float32),
        "bulk": np.array([bulk[0], bulk[1]]),
        # jolt threshold, slot of the newest mean, when the bulk was measured, since when an alarm is on, told
        # "broken", quiet since, whether what is stuck is known and accepted
        "alarm": np.array([math.log(max(jolt, 1e-9)), -1.0, -1.0, math.nan, 0.0, math.nan, 0.0]),
    }


def follow(
    times: Floats,
    means: Floats,
    jolts: Floats,
    stuck: NDArray[np.bool_],
    state: State,
    heights: Heights,
) -> tuple[Floats, list[int], dict[str, NDArray[np.generic]]]:
    """Follow n means and jolts, and whether any metric is stuck.

    Gives the raw scores (n,), the rows at which a change was accepted, and the state after.
    """
    kept, aside = np.asarray(state["means"]).tolist(), np.asarray(state["aside"]).tolist()
    bulk = np.asarray(state["bulk"], dtype=np.float64)
    jolt, slot, measured, since, broken, quiet, known = (float(x) for x in np.asarray(state["alarm"]))
    end, accepted = end_of(bulk), list[int]()
    raw = np.empty(len(means))
    series = zip(times.tolist(), means.tolist(), jolts.tolist(), stuck.tolist(), strict=True)
    for t, (time, value, move, still) in enumerate(series):
        if time // _EACH_S > measured:
            measured = time // _EACH_S
            if len(kept) >= _LEAST_KEPT:
                bulk = bulk_of(np.array(kept))
                end = end_of(bulk)
        on = not math.isnan(since)
        height = value - end + (heights.hold if on else 0.0)
        by_itself = height > heights.open
        known = known if still else 0.0
        if broken or still > known:
            height = max(height, heights.open + _CERTAIN)
        if broken:
            quiet = math.nan if by_itself else time if math.isnan(quiet) else quiet
            if time - quiet >= _QUIET_S and not still:
                broken, quiet, height = 0.0, math.nan, value - end
        if height <= heights.open:
            since = math.nan
            aside.clear()
        elif not on:
            since = time
        if time // _EVERY_S > slot and not broken:
            slot = time // _EVERY_S
            (kept if math.isnan(since) else aside).append(value)
        if not broken and time - since >= heights.accept_s:
            accepted.append(t)
            kept, aside, since, known = _with(kept, aside or [value]), [], math.nan, float(still)
            bulk = bulk_of(np.array(kept))
            end = end_of(bulk)
        del kept[:-_KEPT]
        over = move / math.exp(jolt)
        jolt += _JOLT_STEP * ((1.0 if over > 1.0 else 0.0) - heights.jolts)
        # The least amount above: a jolt is an alarm, how far above the threshold of a rare one it may say.
        if over > 1.0:
            height = max(height, heights.open + 1e-6 + math.log(min(over, LARGEST_JOLT)))
        raw[t] = height
    after: dict[str, NDArray[np.generic]] = {
        "means": np.array(kept, dtype=np.float32),
        "aside": np.array(aside, dtype=np.float32),
        "bulk": bulk,
        "alarm": np.array([jolt, slot, measured, since, broken, quiet, known]),
    }
    return raw, accepted, after


def told(state: State, *, broken: bool, since: float) -> dict[str, NDArray[np.generic]]:
    """Put an alarm on and keep it (`broken`), or end it and take what it was about for normal."""
    alarm = np.array(state["alarm"])
    alarm[3:] = (since, 1.0, math.nan, 0.0) if broken else (math.nan, 0.0, math.nan, 1.0)
    out = {**state, "alarm": alarm, "aside": np.empty(0, dtype=np.float32)}
    aside = np.asarray(state["aside"]).tolist()
    if not broken and aside:
        kept = np.array(_with(np.asarray(state["means"]).tolist(), aside), dtype=np.float32)
        out |= {"means": kept, "bulk": bulk_of(kept)}
    return out


def _with(kept: list[float], aside: list[float]) -> list[float]:
    """Add what was set aside; of the days before it so few are kept that it makes a third: the upper one."""
    return (kept[-2 * len(aside) :] + aside)[-_KEPT:]
