"""How good explanations of maps are: on simulated faults, whose true cells are known.

The pointing game is that of Zhang et al., "Top-down neural attention by excitation backprop", ECCV 2016: the
cell blamed most must be a true one.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Detector, SeriesWindow, State
from anomalyd.detectors.evaluation.tables import markdown
from anomalyd.detectors.maps.findings import Locating
from anomalyd.detectors.maps.geometries.known import load_type
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.simulate.elements import (
    Elements,
    elements_of,
    faulty_maps,
    name_of,
    training_set,
)
from anomalyd.detectors.registry import detector_class
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.explain import METHODS, differentiable, explain
from anomalyd.interpret.fidelity import (
    better_than_random,
    deletion_area,
    infidelity,
    insertion_area,
    score_of_cells,
    sensitivity,
)
from anomalyd.interpret.maps.outline import outline
from anomalyd.interpret.maps.windows import units_of

_BUDGET_S = 60.0
_HISTORY = 20
_MOVED = 0.5  # standard deviations of its counts by which a map is moved for the sensitivity
_FOUND = 0.5  # part of a fault's cells that a place must hold to be it
_ODD_NAMED = 8  # odd cells that a report names; the others it counts

OBVIOUS, HARD = "dead or hot", "weak"

Maps = NDArray[np.float32]
Cells = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Judged:
    """One explanation of a flagged map with a known fault; `better`: share of random orders it beats."""

    method: str
    faults: str
    pointed: bool
    top_share: float
    deletion: float
    insertion: float
    better: float
    infidelity: float
    sensitivity: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Found:
    """All that was judged: explanations, IoU of outlines by kind of fault, and maps with two faults, in which
    so many times both were named."""

    explanations: tuple[Judged, ...]
    outlines: dict[str, tuple[float, ...]]
    both_named: tuple[bool, ...]


class Course:
    """Simulated elements of a geometry with a history, and a detector that was trained on others."""

    def __init__(self, geometry: str, kind: str, counts: float, maps: int, seed: int) -> None:
        self._type = load_type(geometry)
        self.counts, self.maps, self.rng = counts, maps, np.random.default_rng((seed, 9))
        self.detector: Detector = detector_class(kind).fit(
            training_set(self._type, seed, elements=20, maps=12), {}, seed=seed
        )
        self.elements: Elements = elements_of(self._type, maps, seed)
        earlier = self.elements.maps(counts, _HISTORY, self.rng)
        times = np.arange(_HISTORY, dtype=np.float64) * 23.3
        windows = [SeriesWindow(self.name(k), times, earlier[k]) for k in range(maps)]
        self._states: list[State] = [scored.state for scored in self.detector.score(windows)]
        normal = self.elements.drawn(self.elements.expected(counts, self.rng), self.rng)
        scores = [s.raw[0] for s in self.detector.score([self.window(k, m) for k, m in enumerate(normal)])]
        self.alert = float(np.nanmax(scores))
        """The highest score of normal maps: what is above counts as flagged."""

    @property
    def geometry(self) -> Geometry:
        """The geometry of the elements."""
        return self.elements.geometry

    def name(self, k: int) -> str:
        """Name the k-th element."""
        return name_of(self.geometry, k)

    def window(self, k: int, counts: Maps) -> SeriesWindow:
        """Give a map of the k-th element with what is remembered of it."""
        return SeriesWindow(self.name(k), np.array([_HISTORY * 23.3]), counts[None], self._states[k])

    def faults(self) -> list[tuple[str, str, Maps, Cells]]:
        """Draw a faulty map of each element for every fault: kind, how obvious it is, maps, true cells."""
        drawn = []
        for faulty in faulty_maps(self._type, self.elements, self.counts, self.rng):
            strength = faulty.places.strength
            group = OBVIOUS if strength <= 0.1 or strength >= 2.0 else HARD
            name = f"{faulty.places.recipe.kind} x {strength:g}"
            drawn.append((name, group, faulty.maps, faulty.cells & np.isfinite(faulty.maps)))
        return drawn


def judge_explanations(
    geometry: str, kind: str, counts: float, maps: int, seed: int = 0, methods: Sequence[str] = METHODS
) -> Found:
    """Explain simulated faults that a detector flags, by each method, and judge what is said."""
    course = Course(geometry, kind, counts, maps, seed)
    judged: list[Judged] = []
    outlines: dict[str, tuple[float, ...]] = {}
    faults = course.faults()
    for name, group, drawn, cells in faults:
        shared = []
        for k in range(maps):
            window = course.window(k, drawn[k])
            (scored,) = course.detector.score([window])
            if not scored.raw[0] > course.alert:
                continue
            judged += _judge(course, window, scored.error[0], cells[k], group, methods)
            row, column = course.rng.choice(np.argwhere(cells[k]))
            region = outline(drawn[k], scored.expectation[0], int(row), int(column), course.geometry)
            shared.append(float((region.cells & cells[k]).sum() / (region.cells | cells[k]).sum()))
        if shared:
            outlines[name] = tuple(shared)
    return Found(tuple(judged), outlines, tuple(_both_named(course, faults)))


def _judge(
    course: Course,
    window: SeriesWindow,
    error: Maps,
    truth: Cells,
    group: str,
    methods: Sequence[str],
) -> list[Judged]:
    shape = truth.shape
    asked = differentiable(course.detector, window)
    score = score_of_cells(asked, asked.encode(window))
    units = units_of(course.geometry, np.isfinite(window.values[-1]))

    counts = window.values[-1]
    scatter = np.sqrt(np.nan_to_num(counts))

    def explained(sample: Maps, names: Sequence[str]) -> list[Attribution]:
        moved = SeriesWindow(window.entity, window.times, sample[None].astype(np.float32), window.state)
        return explain(
            differentiable(course.detector, moved), moved, names, shape=shape, budget_s=_BUDGET_S,
            clock=time.monotonic, units=units, error=error,
        )  # fmt: skip

    found = []
    for each in explained(counts, methods):
        values, method = each.values, each.method
        top = np.argsort(-np.nan_to_num(values, nan=-np.inf), axis=None)[: int(truth.sum())]
        moves = float("nan")
        if method != "signed-error":  # it is given, not made again
            moves = sensitivity(
                lambda x, m=method: explained(counts + x * scatter, [m])[0].values,  # type: ignore[misc]
                np.zeros_like(counts), _MOVED, 2,
            )  # fmt: skip
        found.append(
            Judged(
                method,
                group,
                bool(truth.ravel()[top[0]]),
                float(truth.ravel()[top].mean()),
                deletion_area(score, values),
                insertion_area(score, values),
                better_than_random(score, values, 4),
                infidelity(score, values, 16),
                moves,
                each.seconds,
            )
        )
    return found


def _both_named(course: Course, faults: Sequence[tuple[str, str, Maps, Cells]]) -> list[bool]:
    """Put two obvious faults into one map; say whether the detector names both, as places or odd cells."""
    detector: object = course.detector
    obvious = [(drawn, cells) for _, group, drawn, cells in faults if group == OBVIOUS]
    if not isinstance(detector, Locating) or len(obvious) < 2:
        return []
    named = []
    for k in range(course.maps):
        first, second = (obvious[int(i)] for i in course.rng.choice(len(obvious), 2, replace=False))
        one, two = first[1][k], second[1][k]
        if (one & two).any():
            continue
        told = detector.findings(course.window(k, np.where(two, second[0][k], first[0][k])))
        held = [place.cells for place in told.places]
        odd = np.zeros(one.shape, dtype=np.bool_)
        for cell in told.odd[:_ODD_NAMED]:
            odd[cell.row, cell.column] = True
        # A single hot wire is named among the odd cells, each of them by itself.
        named.append(all(any((p & t).sum() >= _FOUND * t.sum() for p in (*held, odd)) for t in (one, two)))
    return named


def explanations_table(found: Found) -> str:
    """Give a line for each method and group of faults, and one for each kind of fault that was outlined."""
    groups: dict[tuple[str, str], list[Judged]] = {}
    for each in found.explanations:
        groups.setdefault((each.faults, each.method), []).append(each)
    methods = markdown(
        ["faults", "method", "maps", "pointing", "top-k", "deletion", "insertion", "better than random",
         "infidelity", "sensitivity", "ms"],
        [
            [
                faults, method, str(len(some)), _mean(s.pointed for s in some),
                _mean(s.top_share for s in some), _mean(s.deletion for s in some),
                _mean(s.insertion for s in some), _mean(s.better > 0.5 for s in some),
                _mean(s.infidelity for s in some), _mean(s.sensitivity for s in some),
                f"{1e3 * float(np.median([s.seconds for s in some])):.0f}",
            ]
            for (faults, method), some in sorted(groups.items())
        ],
    )  # fmt: skip
    outlined = markdown(
        ["outlined", "maps", "IoU"],
        [[name, str(len(shared)), _mean(shared)] for name, shared in found.outlines.items()],
    )
    both = f"\nTwo faults in one map: both named in {_mean(found.both_named)} of {len(found.both_named)}.\n"
    return f"{methods}\n{outlined}" + (both if found.both_named else "")


def _mean(values: object) -> str:
    known = [float(v) for v in values if np.isfinite(v)]  # type: ignore[attr-defined]
    return f"{np.mean(known):.3f}" if known else "-"
