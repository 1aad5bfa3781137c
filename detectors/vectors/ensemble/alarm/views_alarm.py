"""The alarm of the ensemble's own views: where they agree, where commotion begins and lasts, and a memory.

It is one part of the evidence; `fusion/final_alarm` has the last word.

Two ways lead to an alarm. Views agree: the mean of how rare they are rises above the stream's own bulk, the
last seven days of undisturbed rows. Or there is commotion: more goes on than usual by many of the entity's
own spreads (`sustained_activity`). Either goes on down to a lower height (hysteresis), because an event
wavers, and commotion also while it is seen to last. When an alarm has lasted for `accept_s` and nobody has
called it broken, it is taken for the new normal, all of it at once.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.alarm import sustained_activity
from anomalyd.detectors.vectors.ensemble.alarm.sustained_activity import Spans
from anomalyd.detectors.vectors.ensemble.memory import QUIET_ROWS, Batch
from anomalyd.detectors.vectors.ensemble.rounding import PARTS, rounded

_EVERY_S = 600.0
_KEPT = 7 * 144
"""One row in ten minutes for seven days: 1008 of them give the quantile to a percent, and are 10 kB."""

_EACH_S = 3 * 3600.0
"""How often the bulk is measured anew: a week changes little in three hours."""

_LEAST_KEPT = 72
"""Half a day of the stream's own rows before they speak against those of training."""

_QUANTILES = (0.5, 0.75)
_OVER = 1.0
"""The bulk ends as far above the upper quartile as that lies above the median: restless entities spread
wider, and a quarter of all rows may be disturbed. This and the heights were chosen on three folders of
labelled servers; what they give on each stands in docs/validation.md."""

_CERTAIN = 0.25
"""Told "broken", or stuck, an alarm stands at least so high above its threshold, whatever the views see."""

_LOUD = 1.5
"""Nats that the quick mean reaches while anything goes on: one row in five is as rare."""

_QUIET_S = 3600.0
"""... and is over when it would have been so by itself for an hour."""

LARGEST_JOLT = math.log(10.0)
"""A jolt counts for at most ten times the least one: how far a score rises for a single row."""

_LEAST = 1e-6

_USUAL, _DURING, _AFTER = 0, 1, 2
"""What a kept row is of: no alarm, the one that is on, one that is over."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Heights:
    """Where alarms begin and end.

    Views agree above `agree` nats over the bulk, and from then on above `agree` - `hold`; there is commotion
    above `stir` spreads, and from then on above `stir` - `hold` or, where `lasting`, while it lasts. After
    `accept_s` an alarm is taken for normal.
    """

    agree: float
    hold: float
    stir: float
    lasting: bool
    accept_s: float


@dataclass(frozen=True, slots=True)
class Shown:
    """What n rows of E entities show: how far views agree (E, n), what is measured of sustained activity
    (E, n, 4), spikes as logs over their threshold (E, n), and whether any metric is stuck (E, n)."""

    agreement: Floats
    commotion: Floats
    jolts: Floats
    stuck: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Followed:
    """How far n rows of E entities are above the threshold, or below: `over` (E, n).

    `accepted`: of each entity, the rows at which what goes on was taken for normal; `mended` (E,): the row at
    which what an operator called broken was over, or -1.
    """

    over: Floats
    accepted: list[list[int]]
    mended: NDArray[np.int64]


def bulk_of(values: NDArray[np.generic]) -> Floats:
    """Give median and upper quartile (C, 2) of values (P, C)."""
    return np.ascontiguousarray(np.quantile(values.astype(np.float64), _QUANTILES, axis=0).T)


def end_of(bulk: Floats) -> Floats:
    """Give where the bulk of agreement ends, from its median and upper quartile (..., 2): heights count from
    it."""
    upper: Floats = bulk[..., 1] + _OVER * (bulk[..., 1] - bulk[..., 0])
    return upper


def is_quiet(quick: Floats, memory: Batch) -> NDArray[np.bool_]:
    """Say at which rows (E, n) the quick mean (E, n) has been low for ten rows: an alarm of the views is
    over then. `memory` moves on."""
    rows = np.arange(quick.shape[1])
    loud = np.where(quick >= _LOUD, rows, -1 - memory.quiet[:, None])
    since = rows - np.maximum.accumulate(loud, axis=1)
    memory.quiet[:] = np.minimum(since[:, -1], QUIET_ROWS)
    quiet: NDArray[np.bool_] = since >= QUIET_ROWS
    return quiet


@dataclass(slots=True)
class _Course:
    """How the alarm of one entity goes; names as in `Batch`."""

    kept_slot: float
    since: float
    broken: bool
    quiet_since: float
    stuck_known: bool
    agreed: bool
    stirred: bool
    deaf: bool


_OF_COURSE = tuple(_Course.__slots__)


@dataclass(slots=True)
class _Gone:
    """Rows of one entity that were gone through: how far above the threshold, which are kept and what they
    are of, whether an alarm ended that was on before, whether it was taken for normal at the last row, and
    the row at which what was called broken was over, or -1."""

    over: list[float] = field(default_factory=list)
    kept: list[int] = field(default_factory=list)
    kept_of: list[int] = field(default_factory=list)
    ended: bool = False
    accepted: bool = False
    mended: int = -1


def follow(times: Floats, shown: Shown, memory: Batch, heights: Sequence[Heights], spans: Spans) -> Followed:
    """Follow rows at times (E, n), with the `heights` and `spans` of each entity; `memory` moves on.

    The bulk is measured at the first row of every three hours, and where an alarm is taken for normal;
    between, rows are counted many at once.
    """
    slots, n = times // _EACH_S, times.shape[1]
    several = slots[:, -1] != slots[:, 0]
    if n == 1:
        return _one_row(times, shown, memory, heights, spans)
    stops = np.where(several, np.argmax(slots != slots[:, :1], axis=1), n)
    gone = _go_on(times, shown, memory, heights, spans, stops.tolist())
    over, mended = np.empty(times.shape), np.array([each.mended for each in gone])
    accepted = [[len(each.over) - 1] if each.accepted else [] for each in gone]
    for b, each in enumerate(gone):
        begin, one, of = len(each.over), memory, slice(b, b + 1)
        over[b, :begin] = each.over
        while begin < n:
            one = memory.one(b) if one is memory else one
            other = np.flatnonzero(slots[b, begin:] != slots[b, begin])
            part = slice(begin, begin + int(other[0]) if len(other) else n)
            of_part = Shown(*(getattr(shown, name)[of, part] for name in Shown.__slots__))
            stop = [part.stop - begin]
            (more,) = _go_on(times[of, part], of_part, one, heights[of], spans.at(of), stop)
            if more.mended >= 0:
                mended[b] = begin + more.mended
            begin += len(more.over)
            over[b, part.start : begin] = more.over
            accepted[b] += [begin - 1] if more.accepted else []
            memory.week[b], memory.week_of[b] = one.week[0], one.week_of[0]
    return Followed(_with_jolts(over, shown), accepted, mended)


def _one_row(
    times: Floats, shown: Shown, memory: Batch, heights: Sequence[Heights], spans: Spans
) -> Followed:
    """Follow a row of each of many entities (E, 1): as `_go_through`, for all of them at once."""
    counted, lasts, flags, excess = _counted(times, shown, memory, spans)
    memory.restless[:] = flags[:, 1:]
    time, stir, still = times[:, 0], counted[:, 0, 0], shown.stuck[:, 0]
    agree, hold, least_stir, lasting, accept_s = _table(heights)
    agreed = excess[:, 0] > agree - np.where(memory.agreed, hold, 0.0)
    goes_on = memory.stirred & ((stir > least_stir - hold) | (lasts[:, 0] & (lasting > 0)))
    stirred = ((stir > least_stir) | goes_on) & ~memory.deaf
    on = agreed | stirred
    memory.agreed[:], memory.stirred[:] = agreed, stirred
    memory.stuck_known[:] &= still
    certain = memory.broken | (still & ~memory.stuck_known)
    begun = np.where(np.isnan(memory.quiet_since), time, memory.quiet_since)
    memory.quiet_since[:] = np.where(memory.broken, np.where(on, np.nan, begun), memory.quiet_since)
    mended = memory.broken & (time - memory.quiet_since >= _QUIET_S) & ~still
    memory.broken[mended], memory.quiet_since[mended], certain[mended] = False, np.nan, False
    sounds, was_on = on | certain, ~np.isnan(memory.since)
    memory.since[:] = np.where(sounds, np.where(was_on, memory.since, time), np.nan)
    above = excess[:, 0] - agree
    raised = np.fmax(_LEAST, np.where(above < 30.0, np.log1p(np.exp(np.minimum(above, 30.0))), above))
    raised = np.where(certain, np.maximum(raised, _CERTAIN), raised)
    ended = was_on & ~sounds
    keeps = (time // _EVERY_S > memory.kept_slot) & ~memory.broken
    memory.kept_slot[keeps] = time[keeps] // _EVERY_S
    accepts = ~memory.broken & (time - memory.since >= accept_s)
    for b in np.flatnonzero(ended | keeps | accepts).tolist():
        kept_of = [_DURING if sounds[b] else _USUAL] if keeps[b] else []
        _keep(memory, b, shown, _Gone(kept=[0] * len(kept_of), kept_of=kept_of, ended=bool(ended[b])))
        if accepts[b]:
            _take_for_normal(memory, b)
    memory.since[accepts], memory.stuck_known[accepts] = np.nan, still[accepts]
    memory.agreed[accepts] = memory.stirred[accepts] = False
    memory.deaf[accepts] = True
    over = np.where(sounds, raised, np.minimum(above, 0.0))[:, None]
    accepted = [[0] if each else [] for each in accepts.tolist()]
    return Followed(_with_jolts(over, shown), accepted, np.where(mended, 0, -1))


def _table(heights: Sequence[Heights]) -> Floats:
    """Give the heights of entities, (5, E): in the order of their names."""
    different = {id(each): each for each in heights}
    place = {which: k for k, which in enumerate(different)}
    rows = np.array([dataclasses.astuple(each) for each in different.values()])
    return np.ascontiguousarray(rows[[place[id(each)] for each in heights]].T)


def _with_jolts(over: Floats, shown: Shown) -> Floats:
    """Raise to the least amount above: a jolt is an alarm, how far above the threshold of a rare one it may
    say."""
    jolts = np.minimum(shown.jolts, LARGEST_JOLT)
    raised: Floats = np.where(jolts > 0.0, np.maximum(over, _LEAST + jolts), over)
    return raised


def _counted(
    times: Floats, shown: Shown, memory: Batch, spans: Spans
) -> tuple[Floats, NDArray[np.bool_], NDArray[np.uint8], Floats]:
    """Give spreads of sustained activity (E, n, 4), whether it lasts (E, n), its flags, and how far views
    agree beyond the bulk (E, n); the bulk is measured anew where it is due."""
    for b in np.flatnonzero(times[:, 0] // _EACH_S > memory.bulk_measured).tolist():
        _measure(memory, b, float(times[b, 0] // _EACH_S))
    counted = sustained_activity.spreads(shown.commotion, memory.bulk[:, None, 1:])
    lasts, flags = sustained_activity.lasting(counted, memory.restless, spans)
    return counted, lasts, flags, shown.agreement - end_of(memory.bulk[:, 0])[:, None]


def _go_on(
    times: Floats, shown: Shown, memory: Batch, heights: Sequence[Heights], spans: Spans, stops: list[int]
) -> list[_Gone]:
    """Go through the rows before `stops` of each entity, or as far as an alarm is taken for normal."""
    counted, lasts, flags, excess = _counted(times, shown, memory, spans)
    rows = zip(
        times.tolist(),
        excess.tolist(),
        counted[..., 0].tolist(),
        lasts.tolist(),
        shown.stuck.tolist(),
        strict=True,
    )
    courses = [
        _Course(*each) for each in zip(*(getattr(memory, name).tolist() for name in _OF_COURSE), strict=True)
    ]
    found = []
    for b, (course, of, stop) in enumerate(zip(courses, rows, stops, strict=True)):
        gone = _go_through(course, heights[b], of, stop)
        found.append(gone)
        if gone.ended or gone.kept:
            _keep(memory, b, shown, gone)
        if gone.accepted:
            _take_for_normal(memory, b)
    for name in _OF_COURSE:
        getattr(memory, name)[:] = [getattr(course, name) for course in courses]
    past = memory.restless.shape[1]
    for b, gone in enumerate(found):
        memory.restless[b] = flags[b, len(gone.over) : len(gone.over) + past]
    return found


def _go_through(
    course: _Course,
    heights: Heights,
    rows: tuple[list[float], list[float], list[float], list[bool], list[bool]],
    stop: int,
) -> _Gone:
    """Go through rows of one entity: times (s), nats over the bulk, spreads of sustained activity, whether it
    lasts, whether a metric is stuck."""
    gone = _Gone()
    for t, (time, excess, stir, last, still) in enumerate(zip(*rows, strict=True)):
        if t == stop:
            break
        agreed = excess > heights.agree - (heights.hold if course.agreed else 0.0)
        goes_on = course.stirred and (stir > heights.stir - heights.hold or (last and heights.lasting))
        on = stir > heights.stir or goes_on
        stirred = on and not course.deaf
        course.agreed, course.stirred = agreed, stirred
        course.stuck_known = course.stuck_known and still
        certain = course.broken or (still and not course.stuck_known)
        on = agreed or stirred
        if course.broken:
            if on:
                course.quiet_since = math.nan
            elif math.isnan(course.quiet_since):
                course.quiet_since = time
            if time - course.quiet_since >= _QUIET_S and not still:
                course.broken, course.quiet_since, certain, gone.mended = False, math.nan, False, t
        above = excess - heights.agree
        if on or certain:
            course.since = time if math.isnan(course.since) else course.since
            # Ranks stay as views agree, however the alarm began.
            above = max(_LEAST, math.log1p(math.exp(above)) if above < 30.0 else above)
            above = max(above, _CERTAIN) if certain else above
        else:
            above = min(above, 0.0)
            if not math.isnan(course.since):
                gone.ended = True
                gone.kept_of = [_AFTER if one == _DURING else one for one in gone.kept_of]
                course.since = math.nan
        if time // _EVERY_S > course.kept_slot and not course.broken:
            course.kept_slot = time // _EVERY_S
            gone.kept.append(t)
            gone.kept_of.append(_USUAL if math.isnan(course.since) else _DURING)
        gone.over.append(above)
        if not course.broken and time - course.since >= heights.accept_s:
            course.since, course.stuck_known, course.agreed, course.stirred = math.nan, still, False, False
            course.deaf, gone.accepted = True, True
            break
    return gone


def _keep(memory: Batch, b: int, shown: Shown, gone: _Gone) -> None:
    """Keep rows of an entity for its bulk."""
    of = memory.week_of[b]
    if gone.ended:
        of = np.where(of == _DURING, _AFTER, of).astype(np.int8)
    if gone.kept:
        rows = [shown.agreement[b, gone.kept, None], shown.commotion[b, gone.kept]]
        kept = rounded(np.concatenate(rows, axis=1), PARTS)
        memory.week[b] = np.concatenate([memory.week[b], kept])[-_KEPT:]
        of = np.concatenate([of, np.array(gone.kept_of, dtype=np.int8)])[-_KEPT:]
    memory.week_of[b] = of


def _measure(memory: Batch, b: int, slot: float) -> None:
    """Measure the bulk of the rows kept: of agreement where no alarm was on, of commotion of them all."""
    week, usual = memory.week[b], memory.week_of[b] == _USUAL
    memory.bulk_measured[b], memory.deaf[b] = slot, False
    if len(week) >= _LEAST_KEPT:
        memory.bulk[b, 1:] = bulk_of(week[:, 1:])
        if np.count_nonzero(usual) >= _LEAST_KEPT:
            memory.bulk[b, 0] = bulk_of(week[usual, :1])[0]


def apply_feedback(memory: Batch, b: int, *, broken: bool, since: float) -> None:
    """Put an alarm on and keep it (`broken`), or end it and take what it was about for normal."""
    memory.quiet_since[b] = np.nan
    if broken:
        memory.since[b], memory.broken[b], memory.stuck_known[b] = since, True, False
        of = memory.week_of[b]
        memory.week_of[b] = np.where(of == _DURING, _AFTER, of).astype(np.int8)
        return
    memory.since[b], memory.broken[b], memory.stuck_known[b] = np.nan, False, True
    memory.agreed[b] = memory.stirred[b] = False
    _take_for_normal(memory, b)


def end_alarm(memory: Batch, b: int) -> None:
    """End the alarm of an entity: what it showed then stays apart from what is usual."""
    memory.since[b] = np.nan
    of = memory.week_of[b]
    memory.week_of[b] = np.where(of == _DURING, _AFTER, of).astype(np.int8)


def _take_for_normal(memory: Batch, b: int) -> None:
    """Take what the alarm was about for usual; of the days before it so few rows are kept that it makes a
    third: the upper one. No spread of commotion becomes smaller by it."""
    of = memory.week_of[b]
    during = int(np.count_nonzero(of == _DURING))
    if not during:
        return
    week, of = memory.week[b][-3 * during :], of[-3 * during :]
    of = np.where(of == _DURING, _USUAL, of).astype(np.int8)
    fresh = np.concatenate([bulk_of(week[of == _USUAL, :1]), bulk_of(week[:, 1:])])
    bulk = memory.bulk[b]
    fresh[1:, 1] = np.maximum(fresh[1:, 1], fresh[1:, 0] + (bulk[1:, 1] - bulk[1:, 0]))
    memory.week[b], memory.week_of[b], memory.bulk[b] = week, of, fresh
