"""One height of all evidence, and the alarm over it: when it opens and when it ends.

    over + worth (new rows + new patches) + 0.05 (new patches + plane)

`over`: how far the ensemble's own views lie above their bulk. What training never showed counts by what its
memory is worth: much after a short training and where metrics are switches, hardly after weeks of a server
whose load drifts. The plane of training counts a little everywhere.

Beside the alarm of the ensemble's own views the height itself alarms, far above the bulk of its own last
seven days.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.alarm.target_rate import PER_HEIGHT, RATE
from anomalyd.detectors.vectors.ensemble.fusion.references import Referred
from anomalyd.detectors.vectors.ensemble.memory import UNKNOWN_HEIGHT, Batch
from anomalyd.detectors.vectors.ensemble.rounding import PARTS, rounded
from anomalyd.detectors.vectors.ensemble.time_bins import runs_of
from anomalyd.detectors.vectors.novelty.control_chart import ALARM
from anomalyd.detectors.vectors.novelty.memory import moving_of

_LEAST_OVER, _BEYOND = -2.0, 0.01
"""Far below the bulk nothing is told apart by views, and hardly anything is."""

_A_LITTLE = 0.05
"""Of patches and plane, whatever the memory weighs."""

_BRIEF_S, _LONG_S = 2 * 3600.0, 6 * 3600.0
_BRIEF_ROWS, _LONG_ROWS = 500.0, 1000.0
"""Of a training shorter than the first of each the views know no hours, or hardly a row of each: control
charts stand in the place of all else. From the second on they are not looked at."""

_MOVING = 0.5
"""Of few rows charts stand for all else only where more of the metrics are no switches, which have no level
to chart."""

_HEIGHT, _HOLD = 5.5, 1.5
"""The height alarms so many nats above the upper quartile of its bulk, and goes on down to so many less.
Chosen on the telemetry; on the other folders it hardly ever alarms by itself."""

_PER_CHART = _HOLD / 0.3
"""An alarm of charts goes on until they are a factor e^.3 below: chosen on made plants."""

_FIRST_ALARM = UNKNOWN_HEIGHT + _HEIGHT
"""Where the height alarms before anything is known of its bulk; charts are laid so that they alarm there."""

_CENTRE = 2.0
"""The height around which raw scores tell usual rows from others. Of charts alone it is where they alarm: a
usual row lies nearer to that than the views' usual row to theirs."""
_LEAST, _CERTAIN = 1e-6, 0.25
_MOSTLY = 0.5
"""With a training so brief the views alarm no more by themselves."""

_EVERY_S, _EACH_S = 600.0, 3 * 3600.0
_KEPT, _LEAST_KEPT = 7 * 144, 72

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What rows of E entities show, (E, n) each: `over` of the ensemble, whether its quick views have long
    been `quiet`, whether an alarm is certain (stuck, or called broken), and how they stand to references."""

    over: Floats
    quiet: Flags
    certain: Flags
    referred: Referred


def brief_of(rows: Floats, interval_s: Floats, worth: Floats) -> Floats:
    """Give how brief trainings of so many rows (E,) were: 1 up to two hours or five hundred rows, 0 from six
    hours and a thousand rows on; `worth` (E,): of their memories."""
    of_hours = (_LONG_S - rows * interval_s) / (_LONG_S - _BRIEF_S)
    of_rows = (_LONG_ROWS - rows) / (_LONG_ROWS - _BRIEF_ROWS)
    moving = moving_of(rows, worth) > _MOVING
    return np.clip(np.where(moving, np.maximum(of_hours, of_rows), of_hours), 0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Rule:
    """What heights are made of and judged by.

    `worth` (E,): of the entities' memories; `brief` (E,): how brief their training was (`brief_of`); the
    wanted `rate`, and after how many seconds an alarm is taken for normal.
    """

    worth: Floats
    brief: Floats
    rate: float
    accept_s: float

    def at(self, of: slice) -> Rule:
        """Give that of some entities."""
        return Rule(self.worth[of], self.brief[of], self.rate, self.accept_s)


def follow(
    times: Floats, shown: Evidence, memory: Batch, rule: Rule, accepted: Sequence[Sequence[int]]
) -> Floats:
    """Give how far rows at times (E, n) lie above the threshold, or below (E, n); `memory` moves on.

    `accepted`: of each entity, the rows at which what goes on was taken for normal.
    """
    slots = times // _EACH_S
    rarer = math.log(RATE / rule.rate) / PER_HEIGHT
    if (slots[:, -1] == slots[:, 0]).all() and not any(accepted):
        return _part(times, shown, memory, rule, rarer)
    excess = np.empty(times.shape)
    for b in range(len(times)):
        of, one = slice(b, b + 1), memory.one(b)
        after = np.isin(np.arange(times.shape[1]) - 1, accepted[b]).cumsum()
        for part in runs_of(slots[b] + after / (2.0 * len(after))):
            excess[of, part] = _part(times[of, part], _cut(shown, of, part), one, rule.at(of), rarer)
            if part.stop - 1 in accepted[b]:
                accept(one, 0, rule.accept_s)
        memory.height_week[b] = one.height_week[0]
    return excess


def _cut(shown: Evidence, of: slice, part: slice) -> Evidence:
    referred = Referred(*(getattr(shown.referred, name)[of, part] for name in Referred.__slots__))
    return Evidence(shown.over[of, part], shown.quiet[of, part], shown.certain[of, part], referred)


def _part(times: Floats, shown: Evidence, memory: Batch, rule: Rule, rarer: float) -> Floats:
    """Follow rows (E, n) that lie in three hours: the bulk is the same for all of them."""
    for b in np.flatnonzero(times[:, 0] // _EACH_S > memory.height_measured).tolist():
        # After a brief training an event of hours would soon be half of what the stream showed.
        least = _KEPT if rule.brief[b] >= _MOSTLY else _LEAST_KEPT
        _measure(memory, b, float(times[b, 0] // _EACH_S), least)
    height = _height(shown, rule)
    opens = (memory.height_bulk[:, 1] + _HEIGHT + rarer)[:, None]
    on = _hysteresis(height > opens, height <= opens - _HOLD, memory.height_on)
    memory.height_on[:] = on[:, -1]
    _keep(times, height, memory)
    views = (shown.over > 0.0) & (~shown.quiet | shown.certain) & (rule.brief < _MOSTLY)[:, None]
    alarm = views | on
    above = height - _CENTRE - rule.brief[:, None] * (_FIRST_ALARM - _CENTRE)
    # Ranks stay as the height says within what alarms, and within what does not.
    excess = np.where(alarm, np.logaddexp(0.0, above) + _LEAST, -np.logaddexp(0.0, -above))
    return np.where(shown.certain & alarm, np.maximum(excess, _CERTAIN), excess)


def _height(shown: Evidence, rule: Rule) -> Floats:
    referred = shown.referred
    new = rule.worth[:, None] * (referred.row + referred.patch)
    little = _A_LITTLE * (referred.patch + referred.plane)
    brief = rule.brief[:, None]
    own = np.maximum(shown.over, _LEAST_OVER) + _BEYOND * shown.over + new + little
    fixed = _FIRST_ALARM + _PER_CHART * (referred.chart - ALARM)
    return np.asarray((1.0 - brief) * own + brief * fixed)


def accept(memory: Batch, b: int, lasted_s: float) -> None:
    """Take what went on for so many seconds for usual; of the rows before it half as many are kept."""
    lately = max(int(1.5 * lasted_s / _EVERY_S), _LEAST_KEPT)
    memory.height_week[b] = memory.height_week[b][-lately:]
    memory.height_on[b] = False
    _measure(memory, b, float(memory.height_measured[b]), _LEAST_KEPT)


def _measure(memory: Batch, b: int, slot: float, least: int) -> None:
    """Measure the bulk where so many rows were kept at least."""
    memory.height_measured[b] = slot
    week = memory.height_week[b].astype(np.float64)
    if len(week) >= least:
        memory.height_bulk[b] = np.quantile(week, (0.5, 0.75))


def _keep(times: Floats, height: Floats, memory: Batch) -> None:
    """Keep a row in ten minutes."""
    tens = times // _EVERY_S
    fresh = np.diff(tens, axis=1, prepend=memory.height_slot[:, None]) > 0
    memory.height_slot[:] = np.maximum(memory.height_slot, tens[:, -1])
    for b in np.flatnonzero(fresh.any(axis=1) & ~memory.broken).tolist():
        kept = rounded(height[b, fresh[b]], PARTS)
        memory.height_week[b] = np.concatenate([memory.height_week[b], kept])[-_KEPT:]


def _hysteresis(opens: Flags, closes: Flags, before: Flags) -> Flags:
    """Say where it is on (E, n): from each row that opens to the next one that closes."""
    settled = opens | closes
    at = np.where(settled, np.arange(opens.shape[1]), -1)
    last = np.maximum.accumulate(at, axis=1)
    found = np.take_along_axis(opens, np.maximum(last, 0), axis=1)
    return np.where(last < 0, before[:, None], found)
