"""The evidence of an incident: which of its samples is explained, what was expected, and who is to blame.

What was expected is frozen when an incident begins. The sample that is explained lies in the fault: a row
that scores higher only because everything comes back is not taken.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.scoring.recent_rows import thinned
from anomalyd.daemon.stages import Scored
from anomalyd.detectors.detector import SeriesWindow, State
from anomalyd.detectors.detector_pair import DetectorPair, member_state
from anomalyd.detectors.maps.findings import Locating
from anomalyd.detectors.maps.geometries.known import geometry_like, widths_of
from anomalyd.detectors.maps.regions import describe_region
from anomalyd.detectors.model import Scores
from anomalyd.detectors.threshold import parted
from anomalyd.interpret.expected_values import Reference, expected_course
from anomalyd.interpret.root_cause import fullness, rank_causes, strength
from anomalyd.reports.report import LEADING_CAUSES, Evidence

_DEAD = "the whole element counts nothing: it is dead, or not read out"

_RANKED = 12
"""Metrics ranked with all their numbers."""

_LEAD = 48
"""Rows between what is remembered and the explained sample at most: they are kept with it."""

_STILL_THERE = 0.6
"""Part of the furthest departure since the onset that a worse sample must show, in the metrics blamed."""

_LEAST_AWAY = 2.0
"""Usual widths away from which it can be told how many times as far another is."""


class Witness:
    """Gives evidence of the samples of one scored window."""

    def __init__(self, pair: DetectorPair, scored: Scored) -> None:
        self._pair = pair
        self._scored = scored

    def testify(self, k: int, held: Evidence | None = None) -> Evidence:
        """Give the evidence of the k-th sample; `held` is that of an earlier sample of the same incident."""
        window, (name, scores) = self._scored.window, self._whose(k)
        state, lead_times, lead = self._lead(k, held)
        evidence = Evidence(
            time=float(window.times[k]),
            onset=float(window.times[k]) if held is None else held.onset,
            features=self._pair.features,
            values=window.values[k],
            expectation=scores.expectation[k],
            error=scores.error[k],
            width=_width(window.values[k], scores, k),
            contribution=scores.contribution[k],
            history_times=np.empty(0),
            history=np.empty((0, *window.values.shape[1:]), dtype=np.float32),
            state=state,
            detector=name,
            model=self._scored.model,
            score=float(scores.score[k]),
            lead_times=lead_times,
            lead=lead,
            total=next((total for at, total in scores.totals if at == k), None),
        )
        if evidence.values.ndim == 2:
            return evidence
        times, rows = self._course(k)
        reference = self._reference(evidence, rows, held)
        evidence = replace(
            evidence,
            expectation=reference.expected,
            error=reference.departures(evidence.values).astype(np.float32),
            width=reference.width,
            history_times=times,
            history=rows,
        )
        onset = int(np.searchsorted(times, evidence.onset))
        ranked = rank_causes(reference, evidence.features, times, rows, onset, evidence.contribution, _RANKED)
        return replace(evidence, causes=ranked)

    def shows_more(self, k: int, held: Evidence) -> bool:
        """Say whether the k-th sample, a worse one, still lies in the fault that the evidence shows.

        A score that is summed or smoothed over time rises on after the end: what is left of the fault then,
        or what recovers slowly, is not what raised it.
        """
        if held.values.ndim == 2 or not held.causes:
            return True
        times, rows = self._course(k)
        since = rows[times >= held.onset]
        shown = fullness(reference_of(held), since, _blamed(held))
        if shown[-1] >= _STILL_THERE * shown.max():
            return True
        # Something else may have broken meanwhile, and worse than what is blamed ever was.
        strange = strength(reference_of(held), since)
        return bool(strange[-1].max() > strange[:-1].max(initial=0.0))

    def times_as_far(self, k: int, held: Evidence) -> float:
        """Give how many times as far away the blamed metrics are at the k-th sample as in the evidence."""
        if held.values.ndim == 2 or not held.causes:
            return 1.0
        blamed = _blamed(held)
        now, then = (
            np.abs(row.astype(np.float64) - held.expectation)
            for row in (self._scored.window.values[k], held.values)
        )
        usable = (blamed > 0) & (then >= _LEAST_AWAY * held.width) & np.isfinite(now)
        if not usable.any():
            return 1.0
        return float(np.average(now[usable] / then[usable], weights=blamed[usable]))

    def prolong(self, k: int, held: Evidence) -> Evidence:
        """Give the same evidence with the course up to the k-th sample."""
        if held.values.ndim == 2:
            return held
        times, rows = self._course(k)
        return replace(held, history_times=times, history=rows)

    def name_causes(self, evidence: Evidence) -> tuple[str, ...]:
        """Name the causes, worst first: metrics, or the places of a map in words."""
        if evidence.values.ndim == 1:
            return tuple(cause.name for cause in evidence.causes[:LEADING_CAUSES])
        whole = evidence.total.lines if evidence.total is not None else ()
        if not np.nan_to_num(evidence.values).any():
            return whole or (_DEAD,)
        entity, (_, columns) = self._scored.entity, evidence.values.shape
        geometry = geometry_like(entity, widths_of(evidence.values[None]), columns)
        detector: object = self._pair.autoencoder.detector
        lines: tuple[str, ...] = ()
        if evidence.detector == "autoencoder" and isinstance(detector, Locating):
            lines = detector.findings(window_of(entity, evidence)).lines(geometry)
        if whole and evidence.total is not None:
            return (*whole, *lines) if evidence.total.leads else (*lines, *whole)
        if lines:
            return lines
        region = describe_region(evidence.values, evidence.expectation, evidence.contribution, geometry)
        return (region,) if region else ()

    def _whose(self, k: int) -> tuple[str, Scores]:
        """Give the detector whose score the k-th sample's is: of either the higher one."""
        scores = self._scored.scores
        own, other = (float(np.nan_to_num(s.score[k])) for s in (scores.autoencoder, scores.classical))
        if scores.alert_on == "either" and other > own:
            return "classical", scores.classical
        return "autoencoder", scores.autoencoder

    def _course(self, k: int) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Give what the entity sent up to the k-th sample, which is the last row."""
        scored = self._scored
        times, rows = thinned(
            scored.recent_times, scored.recent, scored.window.times[: k + 1], scored.window.values[: k + 1]
        )
        return times, rows

    def _lead(self, k: int, held: Evidence | None) -> tuple[State, NDArray[np.float64], NDArray[np.float32]]:
        """Give what was remembered before the incident if that is not long ago, and the rows since then."""
        window, scored = self._scored.window, self._scored
        if held is not None and held.model == scored.model and held.values.ndim == 1:
            times = np.concatenate([scored.recent_times, window.times[:k]])
            rows = np.concatenate([scored.recent, window.values[:k]])
            since = times >= held.time
            lead_times = np.concatenate([held.lead_times, times[since]])
            if len(lead_times) <= _LEAD and held.time in times:
                return held.state, lead_times, np.concatenate([_rows(held), rows[since]])
        # The places of a map are looked for in the map alone, with the state just before it.
        if k == 0 or (k <= _LEAD and window.values.ndim == 2):
            return window.state, window.times[:k], window.values[:k]
        before = SeriesWindow(window.entity, window.times[:k], window.values[:k], window.state)
        return self._pair.score([before])[0].state, window.times[:0], window.values[:0]

    def _reference(self, evidence: Evidence, rows: NDArray[np.float32], held: Evidence | None) -> Reference:
        if held is not None:
            return reference_of(held)
        return Reference.before(rows[:-1], rows[-1], evidence.expectation, evidence.width)


def reference_of(evidence: Evidence) -> Reference:
    """Give the reference that was frozen in the evidence of a metric vector."""
    before = evidence.history[evidence.history_times <= evidence.onset]
    return Reference.frozen(evidence.expectation, evidence.width, before)


def window_of(entity: str, evidence: Evidence) -> SeriesWindow:
    """Give the sample with the rows before it, and the state that its detector had before them."""
    return SeriesWindow(
        entity,
        np.append(evidence.lead_times, evidence.time),
        np.concatenate([_rows(evidence), evidence.values[None]]),
        parted(member_state(evidence.state, evidence.detector))[0],
    )


def _blamed(held: Evidence) -> NDArray[np.float64]:
    """Give what each metric (F,) is to blame for; 0 of all but those that lead."""
    found = np.zeros(len(held.features))
    for cause in held.causes[:LEADING_CAUSES]:
        found[held.features.index(cause.name)] = cause.share
    return found


def strangeness(evidence: Evidence) -> NDArray[np.float64]:
    """Give how far each metric (F,) of evidence departed from its reference since the onset, in widths."""
    during = (evidence.history_times >= evidence.onset) & (evidence.history_times <= evidence.time)
    strange = strength(reference_of(evidence), _until(evidence, evidence.time))
    return np.asarray(strange[during[: len(strange)]].max(axis=0, initial=0.0), dtype=np.float64)


def expected_rows(evidence: Evidence, rows: int) -> NDArray[np.float32]:
    """Give what was expected (rows, F) in the last rows up to the sample, had there been no incident."""
    before = evidence.history[evidence.history_times < evidence.onset]
    times = evidence.history_times[: len(before)]
    starts = np.full(len(evidence.values), len(before))
    for cause in evidence.causes:
        starts[evidence.features.index(cause.name)] = int(np.searchsorted(times, cause.started))
    return expected_course(before, starts, evidence.expectation, rows)


def _rows(held: Evidence) -> NDArray[np.float32]:
    return held.lead.reshape(-1, *held.values.shape)


def _until(evidence: Evidence, time: float) -> NDArray[np.float32]:
    return evidence.history[evidence.history_times <= time]


def _width(values: NDArray[np.float32], scores: Scores, k: int) -> NDArray[np.float32]:
    """Give the usual scatter that the detector's error implies; NaN where the error is 0."""
    away, error = np.abs(values - scores.expectation[k]), np.abs(scores.error[k])
    width = np.full(away.shape, np.nan, dtype=np.float32)
    np.divide(away, error, out=width, where=(error > 0) & (away > 0))
    return width
