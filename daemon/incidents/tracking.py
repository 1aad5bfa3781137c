"""Scored -> Incident: consecutive anomalous samples of one entity become one incident.

An incident opens after the policy's number of anomalous samples in a row, and closes after its number of
quiet ones. A sample that neither detector can judge (NaN) is neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.config.alert_config import AlertPolicy
from anomalyd.daemon.scoring.alert_policy import Judgement
from anomalyd.daemon.scoring.entity_state import Track
from anomalyd.daemon.stages import Sample, Scored
from anomalyd.detectors.calibration import ALERT
from anomalyd.reports.report import Evidence, Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Point

Event = Literal["opened", "escalated", "updated", "closed"]

_WORSE = 1.1
"""An explained sample gives way to one that scores so many times as high: what is a little worse says no
more, and each new one is explained and drawn again."""

_FURTHER = 1.25
"""... or to one about as high where the blamed metrics are so many times as far away: scores that are summed
or smoothed over time lag behind."""


class Witness(Protocol):
    """Gives evidence of the samples of a window; `held` is that of an earlier sample of the same incident."""

    def testify(self, k: int, held: Evidence | None) -> Evidence:
        """Give the evidence of the k-th sample."""

    def shows_more(self, k: int, held: Evidence) -> bool:
        """Say whether the k-th sample, a worse one, still lies in the fault that the evidence shows."""

    def times_as_far(self, k: int, held: Evidence) -> float:
        """Give how many times as far away what is blamed is at the k-th sample as in the evidence."""

    def prolong(self, k: int, held: Evidence) -> Evidence:
        """Give the same evidence with the course up to the k-th sample."""

    def name_causes(self, evidence: Evidence) -> tuple[str, ...]:
        """Name the causes, worst first."""


@dataclass(frozen=True, slots=True)
class Change:
    """What a window did to an incident.

    `events`: what happened, in order; "updated" only if nothing else did. `evidence` is that of the
    sample that is explained, `fresh` says whether it is new. `points` is its course in this window.
    `notes`: sentences on what was assumed of it, and what people said. `until`: the record in this window
    that it lasts to, or that closed it, as `topic/partition/offset`; empty where none did.
    """

    incident: Incident
    events: tuple[Event, ...]
    evidence: Evidence | None
    fresh: bool
    points: tuple[Point, ...]
    notes: tuple[str, ...] = ()
    until: str = ""


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence for the report of what goes on at event time `time`."""

    time: float
    text: str


_MOST_NOTES = 12
"""Of an incident that goes on for weeks the latest are told; every adaptation is in the store."""


def report_id(detector: str, entity: str, onset: float) -> str:
    """Name a report by what caused it, so that the same incident found again is the same report."""
    cause = f"{detector}\x1f{entity}\x1f{onset!r}"
    # 64 bits: among a million reports two share a name with a probability of 3e-8.
    return hashlib.sha256(cause.encode()).hexdigest()[:16]


class IncidentTracker:
    """Follows the entities of one detector pair, by its alert policy."""

    def __init__(self, policy: AlertPolicy) -> None:
        self._policy = policy

    def follow(
        self,
        track: Track,
        scored: Scored,
        judgement: Judgement,
        witness: Witness,
        notes: Sequence[Note] = (),
    ) -> tuple[Track, list[Change]]:
        """Take a window into account: the entity's course after it, and what changed.

        `judgement` says what the policy makes of its samples. An anomalous one that may open no incident goes
        on with one that is open, and is quiet otherwise. `notes` go to the incident that goes on at their
        time, if one does.
        """
        if scored.late:
            return track, []
        newest = float(scored.window.times[-1])
        if track.incident is None and not judgement.opens.any():
            return replace(track, newest=newest), []
        course = _Course(self._policy, track, scored, witness)
        judged = np.isfinite(scored.scores.score)
        told = _by_row(notes, scored.window.times)
        for k in range(len(judged)):
            # Before the sample that may close it, else with the one that may begin it.
            noted = course.note(told.get(k, ()))
            if judgement.opens[k] or (judgement.anomalous[k] and course.opened):
                course.anomalous(k)
            elif judged[k]:
                course.quiet(k)
            if not noted:
                course.note(told.get(k, ()))
        return course.end(newest)


def close_as_normal(track: Track, note: str) -> tuple[Track, Change | None]:
    """End what goes on at the newest sample, because somebody said that it is normal."""
    if track.incident is None or not track.opened:
        return Track(newest=track.newest), None
    closed = replace(track.incident, status=Status.CLOSED, closed=track.newest)
    notes = (*track.notes, note)
    return Track(newest=track.newest), Change(closed, ("closed",), track.evidence, False, (), notes)


def annotate(track: Track, note: str) -> tuple[Track, Change | None]:
    """Add a sentence to what goes on, if an incident does."""
    if track.incident is None or not track.opened:
        return track, None
    notes = (*track.notes, note)[-_MOST_NOTES:]
    change = Change(track.incident, ("updated",), track.evidence, False, (), notes)
    return replace(track, notes=notes), change


def _place(sample: Sample) -> str:
    return f"{sample.topic}/{sample.partition}/{sample.offset}"


def _by_row(notes: Sequence[Note], times: NDArray[np.float64]) -> dict[int, tuple[str, ...]]:
    """Find the row (n,) that each note belongs to: the first that is not before it."""
    found: dict[int, tuple[str, ...]] = {}
    for note in notes:
        row = min(int(np.searchsorted(times, note.time)), len(times) - 1)
        found[row] = (*found.get(row, ()), note.text)
    return found


class _Course:
    """The course of one entity through one window."""

    def __init__(self, policy: AlertPolicy, track: Track, scored: Scored, witness: Witness) -> None:
        self._policy = policy
        self._scored = scored
        self._witness = witness
        self._incident = track.incident
        self._opened = track.opened
        self._quiet = track.quiet
        self._evidence = track.evidence
        self._points = list(track.points)
        self._notes = list(track.notes)
        self._worst: int | None = None
        self._far = 1.0
        self._explained_score = -np.inf if track.evidence is None else track.evidence.score
        self._fresh = False
        self._until = ""
        self._events: list[Event] = []
        self._changes: list[Change] = []

    @property
    def opened(self) -> bool:
        """Whether an incident is open."""
        return self._opened

    def anomalous(self, k: int) -> None:
        """Take the k-th sample, an anomalous one, into account."""
        self._quiet = 0
        sample = self._scored.samples[k]
        self._until = _place(sample)
        autoencoder, classical = self._scores(k)
        peak = float(np.nan_to_num(self._scored.scores.score[k]))
        before = self._incident
        if before is None:
            self._incident = self._begin(sample, peak, autoencoder, classical)
            # What was expected is frozen now.
            self._evidence = self._witness.testify(k, None)
            self._fresh = True
        else:
            self._incident = replace(
                before,
                last=sample.time,
                samples=before.samples + 1,
                autoencoder=max(before.autoencoder, autoencoder),
                classical=max(before.classical, classical),
                last_lumisection=before.last_lumisection
                if sample.lumisection is None
                else sample.lumisection,
            )
            if peak > before.peak:
                self._incident = replace(self._incident, peak=peak, peak_time=sample.time)
            self._compare(k, peak)
        self._judge(before)
        self._points.append(self._point(k))

    def quiet(self, k: int) -> None:
        """Take the k-th sample, a quiet one, into account."""
        incident = self._incident
        if incident is None:
            return
        if not self._opened:
            self._reset()
            return
        self._quiet += 1
        self._points.append(self._point(k))
        if self._quiet >= self._policy.close_after:
            self._incident = replace(incident, status=Status.CLOSED, closed=self._scored.samples[k].time)
            self._until = _place(self._scored.samples[k])
            if self._evidence is not None:
                # It is drawn once more, with all of its course.
                self._look()
                self._evidence, self._fresh = self._witness.prolong(k, self._evidence), True
            self._emit("closed")
            self._reset()

    def note(self, notes: Sequence[str]) -> bool:
        """Add sentences to what goes on; says whether anything does."""
        if self._incident is None:
            return False
        self._notes += notes
        del self._notes[:-_MOST_NOTES]
        return True

    def end(self, newest: float) -> tuple[Track, list[Change]]:
        """Give the course after the window, and what changed."""
        if self._incident is not None:
            if self._opened:
                self._emit("updated")
            else:
                self._look()
        track = Track(
            newest=newest,
            opened=self._opened,
            quiet=self._quiet,
            incident=self._incident,
            evidence=self._evidence,
            points=() if self._opened else tuple(self._points),
            notes=tuple(self._notes),
        )
        return track, self._changes

    def _begin(self, sample: Sample, peak: float, autoencoder: float, classical: float) -> Incident:
        detector = self._scored.detector
        return Incident(
            id=report_id(detector, sample.entity, sample.time),
            detector=detector,
            entity=sample.entity,
            sample_kind="vector" if sample.map is None else "map",
            severity=Severity.WARNING,
            status=Status.OPEN,
            onset=sample.time,
            last=sample.time,
            closed=None,
            samples=1,
            peak=peak,
            peak_time=sample.time,
            autoencoder=autoencoder,
            classical=classical,
            seen_by=SeenBy.BOTH,
            causes=(),
            model=self._scored.model,
            run=sample.run,
            first_lumisection=sample.lumisection,
            last_lumisection=sample.lumisection,
            source=_place(sample),
        )

    def _judge(self, before: Incident | None) -> None:
        """Set what follows from the scores, and note whether the incident opens or gets worse."""
        incident = self._incident
        assert incident is not None
        severity = self._policy.severity.of(incident.peak, incident.last - incident.onset)
        if incident.autoencoder > ALERT and incident.classical > ALERT:
            seen_by = SeenBy.BOTH
        else:
            seen_by = SeenBy.AUTOENCODER if incident.autoencoder > ALERT else SeenBy.CLASSICAL
        self._incident = replace(incident, severity=severity, seen_by=seen_by)
        if not self._opened:
            if incident.samples >= self._policy.open_after:
                self._opened = True
                self._events.append("opened")
        elif before is not None and severity is not before.severity:
            self._events.append("escalated")

    def _emit(self, event: Event) -> None:
        fresh = self._look()
        assert self._incident is not None
        if event == "closed" or not self._events:
            self._events.append(event)
        self._changes.append(
            Change(
                self._incident,
                tuple(self._events),
                self._evidence,
                fresh,
                tuple(self._points),
                tuple(self._notes),
                self._until,
            )
        )
        self._events = []
        self._points = []

    def _compare(self, k: int, peak: float) -> None:
        """Take the k-th sample for the one to explain, if it says more than the one so far."""
        held = self._evidence
        so_far = max(self._explained_score, 0.0 if held is None or np.isnan(held.score) else held.score)
        if held is None or (peak > _WORSE * so_far and self._witness.shows_more(k, held)):
            self._worst, self._explained_score = k, peak
            self._far = 1.0 if held is None else self._witness.times_as_far(k, held)
        elif peak > max(so_far / _WORSE, ALERT):
            far = self._witness.times_as_far(k, held)
            if far >= _FURTHER * self._far:
                self._worst, self._explained_score, self._far = k, peak, far

    def _look(self) -> bool:
        """Fetch the evidence of the sample of this window that is to be explained, if there is a new one."""
        if self._incident is None:
            return False
        if self._worst is not None:
            self._evidence = self._witness.testify(self._worst, self._evidence)
            self._worst, self._far, self._fresh = None, 1.0, True
        fresh, self._fresh = self._fresh, False
        if fresh and self._evidence is not None:
            self._incident = replace(self._incident, causes=self._witness.name_causes(self._evidence))
        return fresh

    def _reset(self) -> None:
        self._incident = None
        self._evidence = None
        self._explained_score = -np.inf
        self._far = 1.0
        self._fresh = False
        self._opened = False
        self._quiet = 0
        self._worst = None
        self._until = ""
        self._points = []
        self._notes = []
        self._events = []

    def _scores(self, k: int) -> tuple[float, float]:
        """Give both scores of a sample, 0 for one that could not tell."""
        both = self._scored.scores.autoencoder.score[k], self._scored.scores.classical.score[k]
        autoencoder, classical = (float(s) if np.isfinite(s) else 0.0 for s in both)
        return autoencoder, classical

    def _point(self, k: int) -> Point:
        both = self._scored.scores.autoencoder.score[k], self._scored.scores.classical.score[k]
        autoencoder, classical = (float(s) if np.isfinite(s) else None for s in both)
        return Point(self._scored.samples[k].time, autoencoder, classical)
