"""Scored -> Incident: when one opens, what it holds, when it closes."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.config.alert_config import AlertPolicy, SeverityLevels
from anomalyd.daemon.incidents.tracking import (
    Change,
    IncidentTracker,
    Note,
    annotate,
    close_as_normal,
    report_id,
)
from anomalyd.daemon.scoring.alert_policy import Policy
from anomalyd.daemon.scoring.entity_state import Track, decode_track, encode_track
from anomalyd.daemon.stages import Sample, Scored
from anomalyd.detectors.detector import AlertOn, SeriesWindow
from anomalyd.detectors.detector_pair import PairScores
from anomalyd.detectors.model import Scores
from anomalyd.reports.report import Evidence, SeenBy, Severity, Status

POLICY = AlertPolicy(open_after=2, close_after=2)
NAN = float("nan")


def scored(
    autoencoder: Sequence[float],
    classical: Sequence[float] | None = None,
    start: int = 0,
    alert_on: AlertOn = "autoencoder",
) -> Scored:
    """A window with these scores, a sample a second from `start` on."""
    n = len(autoencoder)
    classical = [0.0] * n if classical is None else classical
    times = np.arange(start, start + n, dtype=float)
    values = np.zeros((n, 1), dtype=np.float32)

    def one(score: Sequence[float]) -> Scores:
        return Scores(np.array(score, dtype=float), np.array(score, dtype=float), values, values, values, {})

    return Scored(
        "hosts",
        "v1",
        tuple(Sample("pc1", t, "metrics", 0, int(t), values={"cpu": 0.0}) for t in times.tolist()),
        SeriesWindow("pc1", times, values),
        PairScores(one(autoencoder), one(classical), {}, alert_on),
        np.empty(0),
        np.empty((0, 1), dtype=np.float32),
    )


def stored(track: Track) -> Track:
    """A track as it comes back from the store; what stands elsewhere there is put back."""
    blob = encode_track(track)
    if blob is None:
        return Track(newest=track.newest)
    found = decode_track(blob, "pc1")
    return replace(found, newest=track.newest, evidence=track.evidence if track.opened else found.evidence)


def evidence(time: float) -> Evidence:
    nothing = np.zeros(1, dtype=np.float32)
    return Evidence(time, ("cpu",), nothing, nothing, nothing, nothing, np.empty(0), nothing[None][:0])


class Witness:
    """Evidence that names its time; what scores more is worse, if the fault still lasts (`in_fault`).

    `away` says how far away what is blamed is at a time.
    """

    def __init__(
        self,
        window: Scored,
        in_fault: Callable[[float], bool] = lambda time: True,
        away: Callable[[float], float] = lambda time: 1.0,
    ) -> None:
        self.window = window
        self.in_fault = in_fault
        self.away = away

    def testify(self, k: int, held: Evidence | None) -> Evidence:
        time = self.window.samples[k].time
        onset = time if held is None else held.onset
        return replace(evidence(time), onset=onset, score=float(self.window.scores.score[k]))

    def shows_more(self, k: int, held: Evidence) -> bool:
        return self.in_fault(self.window.samples[k].time)

    def times_as_far(self, k: int, held: Evidence) -> float:
        return self.away(self.window.samples[k].time) / self.away(held.time)

    def prolong(self, k: int, held: Evidence) -> Evidence:
        times = np.arange(held.onset, self.window.samples[k].time + 1)
        return replace(held, history_times=times, history=np.zeros((len(times), 1), dtype=np.float32))

    def name_causes(self, evidence: Evidence) -> tuple[str, ...]:
        return (f"cause at {evidence.time:g}",)


def follow(track: Track, window: Scored, policy: AlertPolicy = POLICY) -> tuple[Track, list[Change]]:
    return IncidentTracker(policy).follow(
        track,
        window,
        Policy(policy).judge(window),
        Witness(window),
    )


def test_one_anomalous_sample_opens_nothing_and_two_in_a_row_do() -> None:
    track, changes = follow(Track(), scored([3, 0, 3]))
    assert changes == []
    track, changes = follow(track, scored([4, 5, 2], start=3))
    (change,) = changes
    assert change.events == ("opened", "escalated")
    incident = change.incident
    assert (incident.onset, incident.last, incident.samples) == (2, 5, 4)
    assert (incident.peak, incident.peak_time, incident.causes) == (5, 4, ("cause at 4",))
    assert change.evidence is not None
    assert change.evidence.time == 4
    assert [p.time for p in change.points] == [2, 3, 4, 5]
    assert incident.source == "metrics/0/2"
    assert incident.id == report_id("hosts", "pc1", 2.0)
    assert track.opened


def test_it_closes_after_quiet_samples_in_a_row_and_not_before() -> None:
    track, _ = follow(Track(), scored([2, 2]))
    track, changes = follow(track, scored([0, 2, 0], start=2))
    assert [c.events for c in changes] == [("updated",)]
    track, changes = follow(track, scored([0], start=5))
    (change,) = changes
    assert change.events == ("closed",)
    assert change.incident.status is Status.CLOSED
    assert (change.incident.last, change.incident.closed) == (3, 5)
    assert track == Track(newest=5)


def test_it_opens_closes_and_opens_again_within_one_stretch() -> None:
    _, changes = follow(Track(), scored([2, 2, 0, 0, 3, 3]))
    assert [c.events for c in changes] == [("opened", "closed"), ("opened",)]
    assert changes[0].incident.id != changes[1].incident.id
    assert [p.time for p in changes[1].points] == [4, 5]


def test_a_sample_nobody_can_judge_is_neither_anomalous_nor_quiet() -> None:
    track, _ = follow(Track(), scored([2, 2]))
    track, changes = follow(track, scored([0, NAN, NAN], [0, NAN, NAN], start=2))
    assert track.quiet == 1
    assert changes[0].incident.status is Status.OPEN


def noted(*times: float, scores: Sequence[float], track: Track = Track()) -> tuple[Track, list[Change]]:
    notes = [Note(time, f"at {time:g}") for time in times]
    window = scored(scores)
    judgement = Policy(POLICY).judge(window)
    return IncidentTracker(POLICY).follow(track, window, judgement, Witness(window), notes)


@pytest.mark.parametrize(
    ("times", "told"),
    [
        ([1], []),  # before anything went on
        ([2], ["at 2"]),  # with the sample that begins it
        ([2.5, 3], ["at 2.5", "at 3"]),
        ([5], ["at 5"]),  # with the sample that closes it
        ([6, 7], []),
    ],
)
def test_a_note_goes_to_what_goes_on_at_its_time(times: list[float], told: list[str]) -> None:
    track, changes = noted(*times, scores=[0, 0, 2, 2, 0, 0, 0, 0])
    assert [list(change.notes) for change in changes] == [told]
    assert track.notes == ()


def test_a_note_stays_with_the_incident_and_not_with_the_next() -> None:
    track, changes = noted(0, scores=[2])
    assert (changes, track.notes) == ([], ("at 0",))
    track, (change,) = follow(stored(track), scored([2, 0], start=1))
    assert change.notes == track.notes == ("at 0",)
    track, changes = follow(track, scored([0, 2, 2], start=3))
    assert [change.notes for change in changes] == [("at 0",), ()]


def test_the_latest_notes_are_kept() -> None:
    track, _ = noted(*range(50), scores=[2] * 50)
    assert track.notes == tuple(f"at {k}" for k in range(38, 50))
    assert annotate(track, "more")[0].notes[-2:] == ("at 49", "more")
    assert len(annotate(track, "more")[0].notes) == 12


def test_what_is_normal_closes_and_what_is_told_is_added() -> None:
    track, _ = follow(Track(), scored([2, 2, 0]))
    annotated, change = annotate(track, "Anna said so.")
    assert change is not None
    assert (change.events, change.fresh, change.points, change.notes) == (
        ("updated",),
        False,
        (),
        ("Anna said so.",),
    )
    assert annotated == replace(track, notes=("Anna said so.",))
    settled, change = close_as_normal(annotated, "Bob, too.")
    assert change is not None
    assert (change.events, change.notes) == (("closed",), ("Anna said so.", "Bob, too."))
    assert (change.incident.status, change.incident.closed, change.incident.last) == (Status.CLOSED, 2, 1)
    assert settled == Track(newest=2)


def test_what_is_no_incident_yet_is_forgotten_when_it_is_normal() -> None:
    track, _ = follow(Track(), scored([2]))
    assert track.incident is not None
    assert close_as_normal(track, "Anna said so.") == (Track(newest=0), None)
    assert annotate(track, "Anna said so.") == (track, None)


def test_a_late_stretch_changes_nothing() -> None:
    track, _ = follow(Track(), scored([2, 2]))
    assert follow(track, replace(scored([9, 9, 9]), late=True)) == (track, [])


@pytest.mark.parametrize(
    ("autoencoder", "classical", "seen_by"),
    [
        ([2, 2], [0, 0], SeenBy.AUTOENCODER),
        ([0, NAN], [3, 3], SeenBy.CLASSICAL),
        ([2, 0], [0, 3], SeenBy.BOTH),
    ],
)
def test_it_says_who_saw_it(autoencoder: list[float], classical: list[float], seen_by: SeenBy) -> None:
    either = POLICY.model_copy(update={"alert_on": "either"})
    _, changes = follow(Track(), scored(autoencoder, classical, alert_on="either"), either)
    assert changes[0].incident.seen_by is seen_by


def test_a_witness_opens_no_incident_and_its_height_is_not_the_peak() -> None:
    assert follow(Track(), scored([0, NAN], [3, 3]))[1] == []
    _, changes = follow(Track(), scored([2, 2], [9, 9]))
    assert (changes[0].incident.seen_by, changes[0].incident.peak) == (SeenBy.BOTH, 2)
    assert changes[0].incident.classical == 9


def test_severity_rises_with_the_peak_and_is_told() -> None:
    track, changes = follow(Track(), scored([1.5, 1.5]))
    assert changes[0].incident.severity is Severity.WARNING
    track, changes = follow(track, scored([2.0], start=2))
    assert (changes[0].events, changes[0].incident.severity) == (("escalated",), Severity.ERROR)
    track, changes = follow(track, scored([1.2, 9.0], start=3))
    assert changes[0].incident.severity is Severity.CRITICAL
    _, changes = follow(track, scored([1.2], start=5))
    assert (changes[0].events, changes[0].fresh) == (("updated",), False)
    assert changes[0].incident.severity is Severity.CRITICAL


def test_severity_rises_with_time_where_the_policy_says_so() -> None:
    levels = SeverityLevels(error_after_s=3.0, critical_after_s=6.0)
    policy = POLICY.model_copy(update={"severity": levels})
    track, changes = follow(Track(), scored([1.5] * 3), policy)
    assert changes[0].incident.severity is Severity.WARNING
    track, changes = follow(track, scored([1.5], start=3), policy)
    assert (changes[0].events, changes[0].incident.severity) == (("escalated",), Severity.ERROR)
    track, changes = follow(track, scored([0.0, 0.0], start=6), policy)  # quiet samples are no longer it
    assert changes[0].incident.severity is Severity.ERROR
    _, changes = follow(Track(), scored([1.5] * 7), policy)
    assert changes[0].incident.severity is Severity.CRITICAL
    _, changes = follow(Track(), scored([1.5] * 7))
    assert changes[0].incident.severity is Severity.WARNING


def test_policies_differ_in_whom_they_believe() -> None:
    autoencoder, classical = [2.0, 2.0, 0.0, NAN], [0.0, 2.0, 2.0, 2.0]
    believed = {
        "either": [True, True, True, True],
        "autoencoder": [True, True, False, False],
        "both": [False, True, False, False],
    }
    for alert_on, expected in believed.items():
        policy = AlertPolicy.model_validate({"alert_on": alert_on})
        judgement = Policy(policy).judge(scored(autoencoder, classical))
        assert judgement.anomalous.tolist() == judgement.opens.tolist() == expected


_SCORES = st.lists(st.sampled_from([0.0, 0.5, 1.5, 2.5, 7.0, NAN]), min_size=1, max_size=40)


@given(_SCORES, st.data())
def test_it_does_not_matter_how_the_stream_is_cut_or_that_it_is_restarted(
    scores: list[float], data: st.DataObject
) -> None:
    whole = scored(scores, scores[::-1])
    _, expected = follow(Track(), whole)
    cuts = sorted(data.draw(st.sets(st.integers(1, len(scores)))) | {0, len(scores)})
    kept = Track()
    last = {}
    points: dict[str, list[float]] = {}
    for begin, end in itertools.pairwise(cuts):
        window = scored(scores[begin:end], scores[::-1][begin:end], start=begin)
        track, changes = follow(stored(kept), window)
        kept = track
        for change in changes:
            last[change.incident.id] = change
            points.setdefault(change.incident.id, []).extend(p.time for p in change.points)
    assert [c.incident for c in last.values()] == [c.incident for c in expected]
    for change in expected:
        assert points[change.incident.id] == [p.time for p in change.points]
        found = last[change.incident.id].evidence
        assert found is not None
        assert change.evidence is not None
        assert found.time == change.evidence.time


def test_the_recovery_is_not_explained_however_high_it_scores() -> None:
    window = scored([2, 4, 3, 9, 1.5])
    tracker = IncidentTracker(POLICY)
    _, (change,) = tracker.follow(
        Track(), window, Policy(POLICY).judge(window), Witness(window, lambda time: time < 3)
    )
    assert (change.incident.peak, change.incident.peak_time) == (9, 3)
    assert change.evidence is not None
    assert (change.evidence.time, change.evidence.onset) == (1, 0)
    assert change.incident.causes == ("cause at 1",)


@pytest.mark.parametrize("at_once", [True, False])
def test_of_samples_about_as_bad_the_one_is_explained_where_the_fault_is_furthest(at_once: bool) -> None:
    scores, away = [2, 4, 4, 4.2, 4.1, 2], [1, 2, 3, 2, 9, 20]
    track, told, tracker = Track(), None, IncidentTracker(POLICY)
    for begin, end in [(0, 6)] if at_once else itertools.pairwise(range(7)):
        window = scored(scores[begin:end], start=begin)
        witness = Witness(window, away=lambda time: away[int(time)])
        track, changes = tracker.follow(track, window, Policy(POLICY).judge(window), witness)
        told = changes[-1].evidence if changes else told
    assert told is not None
    assert (told.time, told.score) == (4, 4.1)  # row 5 is further, but no longer as bad


def test_what_is_hardly_worse_is_not_explained_again() -> None:
    track, _ = follow(Track(), scored([2, 4]))
    track, (change,) = follow(track, scored([4.3], start=2))
    assert (change.incident.peak, change.fresh) == (4.3, False)
    track, (change,) = follow(track, scored([4.5], start=3))
    assert change.fresh
    assert change.evidence is not None
    assert (change.evidence.time, change.evidence.onset) == (3, 0)


def test_what_is_over_is_kept_with_all_of_its_course() -> None:
    track, _ = follow(Track(), scored([2, 4]))
    _, (change,) = follow(track, scored([0, 0], start=2))
    assert change.events == ("closed",)
    assert change.fresh
    assert change.evidence is not None
    assert (change.evidence.time, change.evidence.until) == (1, 3)
