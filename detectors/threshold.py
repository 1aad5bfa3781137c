"""The threshold of an entity, recomputed as its stream goes.

A calibration of training speaks of the weeks before: an anomaly that nobody labelled holds its threshold up,
and what grows restless alarms too often. So the tail of each entity's own recent scores is fitted again, as
in SPOT and DSPOT: Siffer, Fouque, Termier, Largouet, "Anomaly detection in streams with extreme value
theory", KDD 2017.

Every height here is in units of training: 0 is the usual raw score, 1 its threshold.

What alerts is not learnt, but it counts: left out, a threshold that one row in a thousand exceeds would be
fitted anew to the 999 below it, and so on down. So the first rows of an alarm go into the memory as "higher
than the threshold", without saying how much (censored, as in survival analysis); of what lasts nothing more
does, so that a long anomaly hides itself no more than a short one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from operator import attrgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.calibration import Calibration, exceeded_by
from anomalyd.detectors.combined_state import CombinedState
from anomalyd.detectors.detector import State
from anomalyd.verdict import Verdict

_PREFIX = "threshold."
_SLOT_S = 307.0
"""One score of each slot is remembered. A prime: what runs every few minutes is met in each of them."""

_KEPT = 2016
"""A week of slots, in four kilobytes."""

_EVERY_S = 4 * 3600.0
"""How often the tail is fitted: a week changes little in an hour."""

_LEAST, _EQUAL = 36, 48
"""Slots before it is fitted at all (three hours), and after which it counts as much as that of training.
These and the two below were chosen on labelled servers: docs/validation.md."""

_TAIL_SHARE = 0.02
"""The tail that is fitted, of a week 40 scores: higher up than in training, for there are more of them."""

_ALARM_SLOTS = 3
"""So many slots of one alarm count (a quarter of an hour)."""

_ALARM_OVER_S = 3600.0
"""Alerts with less than an hour between them are one alarm."""

_ASIDE = 288
"""What an alarm shows is set aside, a day of it, for an operator may call it normal."""

_FACTOR = 4.0
"""The threshold never goes further than this from that of training, up or down."""

_HIGHEST = 6e4
"""As high as float16 can tell."""

_LEAST_WHOLE = 3
"""With fewer peaks that are not censored the scale of the tail is that of training."""

_SCALES = np.geomspace(0.25, 4.0, 33)[:, None]

Heights = NDArray[np.float16]


@dataclass(slots=True, eq=False)
class Course(Mapping[str, NDArray[Any]]):
    """What is remembered of one entity; named arrays for a store, each name after "threshold.".

    `kept` (k,): heights of the slots, oldest first; below 0: that it was higher. `aside` (m,): those of the
    alarm that goes on. `factor`: the threshold. `base`: what it is held near to, 1, or more where an operator
    called that normal. `slot`: the newest that is kept; `due`: when the tail is fitted next; `alerted`: when
    it alerted last, `counted`: how many slots of that alarm are kept, and whether it is called `broken`.
    """

    kept: Heights
    aside: list[float]
    factor: float = 1.0
    base: float = 1.0
    slot: float = -math.inf
    due: float = -math.inf
    alerted: float = -math.inf
    counted: float = 0.0
    broken: float = 0.0

    @classmethod
    def of(cls, state: State) -> Course:
        """Give what is remembered, to go on with: the one that was given stays as it is."""
        if isinstance(state, Course):
            return cls(state.kept, state.aside.copy(), *_numbers_of(state))
        if _PREFIX + "kept" not in state:
            return cls(np.empty(0, dtype=np.float16), [])
        kept, aside = (np.asarray(state[_PREFIX + name]) for name in ("kept", "aside"))
        if (former := _PREFIX + "now") in state:  # of a version that wrote them as one array
            return cls(kept, aside.tolist(), *np.asarray(state[former]).tolist())
        return cls(kept, aside.tolist(), *(np.asarray(state[_PREFIX + name]).item() for name in _NUMBERS))

    def after(self, time: float, height: float) -> Course | None:
        """Give what is remembered after a row of this height, None where more is to be done than to note that
        it alerted: of the rows of a slot all but the first do no more."""
        if time >= self.due or math.isnan(height):
            return self if time < self.due else None
        over = time - self.alerted >= _ALARM_OVER_S
        if time // _SLOT_S > self.slot or (over and (self.counted or self.broken or self.aside)):
            return None
        if height <= self.factor:
            return self
        numbers = (self.factor, self.base, self.slot, self.due, time, self.counted, self.broken)
        return Course(self.kept, self.aside, *numbers)

    def __getitem__(self, name: str) -> NDArray[Any]:
        own = name.removeprefix(_PREFIX)
        if own == name or own not in _NAMES:
            raise KeyError(name)
        if own == "kept":
            return self.kept
        return np.array(getattr(self, own), dtype=np.float16 if own == "aside" else np.float64)

    def __iter__(self) -> Iterator[str]:
        return (_PREFIX + name for name in _NAMES)

    def __len__(self) -> int:
        return len(_NAMES)


_NAMES = tuple(each.name for each in fields(Course))
_NUMBERS = _NAMES[2:]
_numbers_of = attrgetter(*_NUMBERS)


def follow(
    calibration: Calibration, times: NDArray[np.float64], raw: NDArray[np.float64], state: State
) -> tuple[NDArray[np.float64], Course]:
    """Follow raw scores (n,) at event times (n,), NaN where there is none.

    Gives the threshold (n,) that held at each, as a multiple of the calibration's (for `Calibration`), and
    what is remembered after them. What comes of it does not depend on how a stream is cut.
    """
    factors, course = follow_heights(calibration, times.tolist(), calibration.heights(raw).tolist(), state)
    return np.array(factors), course


def follow_heights(
    calibration: Calibration, times: Sequence[float], heights: Sequence[float], state: State
) -> tuple[list[float], Course]:
    """Follow the heights (n,) of raw scores; as `follow`."""
    if len(times) == 1 and isinstance(state, Course):
        after = state.after(times[0], heights[0])
        if after is not None:
            return [state.factor], after
    course = Course.of(state)
    factors, new = list[float](), list[float]()
    for time, height in zip(times, heights, strict=True):
        if time >= course.due:
            course.kept, new = _joined(course.kept, new), []
            course.due = (time // _EVERY_S + 1.0) * _EVERY_S
            course.factor = _threshold(calibration, course.kept, course.base)
        factors.append(course.factor)
        if math.isnan(height):
            continue
        if time - course.alerted >= _ALARM_OVER_S:
            course.counted = course.broken = 0.0
            course.aside.clear()
        alerts = height > course.factor
        if alerts:
            course.alerted = time
        if time // _SLOT_S <= course.slot:
            continue
        course.slot = time // _SLOT_S
        if alerts:
            course.aside.append(float(np.float16(min(height, _HIGHEST))))
            del course.aside[:-_ASIDE]
            if course.counted < _ALARM_SLOTS and not course.broken:
                course.counted += 1.0
                new.append(-course.factor)
        elif not course.broken:
            new.append(max(height, 0.0))
    course.kept = _joined(course.kept, new)
    return factors, course


def apply_feedback(calibration: Calibration, state: State, word: Verdict) -> Course:
    """Take an operator's word on the alarm that goes on: the new state of the threshold.

    Normal: what it showed is learnt after all, and the threshold is fitted at once; of the days before so few
    are kept that it makes a fifth. Broken: none of it counts, until an hour has passed without an alert.
    """
    course = Course.of(state)
    own = int(course.counted)
    before = np.delete(course.kept, np.flatnonzero(course.kept < 0)[-own:]) if own else course.kept
    if word is Verdict.BROKEN:
        course.kept, course.broken = before, 1.0
    elif course.aside:
        course.kept = _joined(before[-4 * len(course.aside) :], course.aside)
        course.base = max(_fitted(calibration, course.kept), 1.0)
        course.factor = _threshold(calibration, course.kept, course.base)
        course.aside, course.counted, course.broken, course.alerted = [], 0.0, 0.0, -math.inf
    return course


def combined(own: State, course: Course) -> State:
    """Put the state of a detector and that of its threshold together."""
    return CombinedState((("", own), ("", course)))


def parted(state: State) -> tuple[State, State]:
    """Part a state into what the detector remembers and what belongs to its threshold."""
    if isinstance(state, CombinedState) and isinstance(state.parts[-1][1], Course):
        return state.parts[0][1], state.parts[-1][1]
    parts: tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]] = {}, {}
    for name, array in state.items():
        parts[name.startswith(_PREFIX)][name] = array
    return parts


def _joined(kept: Heights, new: list[float]) -> Heights:
    return np.concatenate([kept, np.array(new, dtype=np.float16)])[-_KEPT:] if new else kept


def _threshold(calibration: Calibration, kept: Heights, base: float) -> float:
    """Give the threshold of what is remembered (k,): the fitted one, near `base` while there is little."""
    if len(kept) < _LEAST:
        return base
    share = len(kept) / (len(kept) + _EQUAL)
    fitted = max(_fitted(calibration, kept), 1e-9)
    factor = math.exp(share * math.log(fitted) + (1.0 - share) * math.log(base))
    return min(max(factor, 1.0 / _FACTOR), _FACTOR * base)


def _fitted(calibration: Calibration, kept: Heights) -> float:
    """Fit the tail of heights (k,), those below 0 censored, and give what a wanted share of them exceeds.

    Only the scale is fitted, by maximum likelihood on a grid: of the shape so few peaks say nothing, and it
    is that of training.
    """
    rate, shape = calibration.false_alarm_rate, calibration.tail_shape
    censored = kept < 0
    heights = np.abs(kept).astype(np.float64)
    wanted = max(_TAIL_SHARE, min(2.0 * rate, 0.5))
    start = float(np.partition(heights, place := int((1.0 - wanted) * (len(heights) - 1)))[place])
    tail = (heights > start) | censored
    excesses, above = np.maximum(heights[tail] - start, 0.0), censored[tail]
    share = len(excesses) / len(heights)
    if share <= rate:
        return float(np.quantile(heights, 1.0 - rate))
    whole = int(np.count_nonzero(~above))
    if whole < _LEAST_WHOLE:
        scale = calibration.tail_scale / (calibration.threshold - calibration.centre)
    elif shape < 1e-6:
        scale = float(excesses.sum()) / whole
    else:
        scales = _SCALES * (float(excesses.sum()) / whole)
        survival = np.log1p(shape * excesses / scales) / shape
        likelihood = -(np.where(above, 1.0, 1.0 + shape) * survival).sum(1) - whole * np.log(scales[:, 0])
        scale = float(scales[int(np.argmax(likelihood)), 0])
    return start + scale * exceeded_by(share / rate, shape)
