"""The evidence of one scored sample: scored again, it gives the score it was flagged for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from anomalyd.daemon.incidents.evidence import Witness
from anomalyd.daemon.scoring.recent_rows import MOST_ROWS
from anomalyd.daemon.stages import Sample, Scored
from anomalyd.detectors.detector import AlertOn, SeriesWindow
from anomalyd.detectors.detector_pair import DetectorPair, PairScores
from anomalyd.detectors.model import Scores
from anomalyd.reports.report import Direction, Evidence


def scored(pair: DetectorPair, samples: list[Sample], before: SeriesWindow | None = None) -> Scored:
    """Samples of one entity as the scorer hands them on, after what came `before`."""
    values = np.stack(
        [list(s.values.values()) if s.values is not None else s.map for s in samples]  # type: ignore[list-item]
    ).astype(np.float32)
    entity, times = samples[0].entity, np.array([s.time for s in samples])
    if before is None:
        before = SeriesWindow(entity, np.empty(0), values[:0])
        state = {}
    else:
        state = pair.score([before])[0].state
    window = SeriesWindow(entity, times, values, state)
    return Scored("name", "v1", tuple(samples), window, pair.score([window])[0], before.times, before.values)


def again(pair: DetectorPair, found: Scored, k: int) -> float:
    """What the evidence of the k-th sample alone is scored."""
    evidence = Witness(pair, found).testify(k)
    times = np.append(evidence.lead_times, evidence.time)
    values = np.concatenate([evidence.lead, evidence.values[None]])
    window = SeriesWindow(found.entity, times, values, evidence.state)
    return float(pair.score([window])[0].score[-1])


def look(pair: DetectorPair, found: Scored, k: int) -> tuple[Evidence, tuple[str, ...]]:
    """The evidence of the k-th sample, and the names of its causes."""
    witness = Witness(pair, found)
    evidence = witness.testify(k)
    return evidence, witness.name_causes(evidence)


# host/new was never trained on: its state is a scale that it learns from its first ten rows.
@pytest.mark.parametrize("entity", ["host/a", "host/new"])
@pytest.mark.parametrize("k", [0, 1, 7, 14])
@pytest.mark.parametrize("after_others", [False, True])
def test_the_evidence_scores_what_the_sample_scored(
    experiment: Any, entity: str, k: int, after_others: bool
) -> None:
    def row(second: int, jump: float) -> Sample:
        sample = experiment.sample("host/a", second, jump)
        return Sample(entity, sample.time, "metrics", 0, second, values=sample.values)

    pair = experiment.host_pair
    earlier = scored(pair, [row(s, 0) for s in range(12)]).window if after_others else None
    found = scored(pair, [row(20 + s, 15.0 if s == k else 0.3 * s) for s in range(15)], earlier)
    np.testing.assert_allclose(again(pair, found, k), found.scores.score[k], rtol=1e-5)
    if entity == "host/a":
        assert found.scores.score[k] > 1


def test_the_worst_metrics_are_the_causes_three_at_most(experiment: Any) -> None:
    samples = [experiment.sample("host/a", s) for s in range(4)]
    values = dict(samples[3].values)
    values["disk"] += 8.0
    values["net"] += 150.0
    samples[3] = Sample("host/a", samples[3].time, "metrics", 0, 3, values=values)
    found = scored(experiment.host_pair, samples)
    evidence, causes = look(experiment.host_pair, found, 3)
    assert causes[:2] == ("disk", "net")
    assert len(causes) <= 3
    assert causes == tuple(cause.name for cause in evidence.causes[:3])
    assert evidence.time == samples[3].time
    assert evidence.values[1:3].tolist() == np.float32([values["memory"], values["net"]]).tolist()


def _judged(found: Scored, contribution: list[float]) -> Scored:
    """The same with another blame for the autoencoder's last sample."""
    of_all = found.scores.autoencoder.contribution.copy()
    of_all[-1] = contribution
    autoencoder = replace(found.scores.autoencoder, contribution=of_all)
    return replace(found, scores=replace(found.scores, autoencoder=autoencoder, alert_on="either"))


@pytest.mark.parametrize(
    ("blame", "causes"),
    [
        ([0.0, 9.0, 0.0, 1.0], ("memory",)),
        ([0.0, np.nan, np.nan, 5.0], ("memory",)),
        ([0.0, 0.0, 0.0, 0.0], ("memory",)),
        ([np.nan] * 4, ("memory",)),
    ],
)
def test_the_departure_and_the_detector_have_to_agree(
    experiment: Any, blame: list[float], causes: tuple[str, ...]
) -> None:
    before = scored(experiment.host_pair, [experiment.sample("host/a", s) for s in range(40)]).window
    found = _judged(scored(experiment.host_pair, [experiment.sample("host/a", 40, 15)], before), blame)
    assert look(experiment.host_pair, found, 0)[1] == causes


@pytest.mark.parametrize(
    ("autoencoder", "classical", "alert_on", "whose"),
    [
        (2.0, 3.0, "either", 2.0),
        (2.0, 0.5, "either", 1.0),
        (0.5, 3.0, "either", 2.0),
        (np.nan, 3.0, "either", 2.0),
        (0.5, 0.5, "either", 1.0),
        (2.0, 3.0, "autoencoder", 1.0),
        (2.0, 3.0, "both", 1.0),
    ],
)
def test_the_detector_is_shown_whose_score_it_is(
    experiment: Any, autoencoder: float, classical: float, alert_on: AlertOn, whose: float
) -> None:
    found = scored(experiment.host_pair, [experiment.sample("host/a", 0)])

    def view(score: float, mark: float) -> Scores:
        marked = np.full((1, 4), mark, dtype=np.float32)
        return Scores(np.array([score]), np.array([score]), marked, marked, marked, {})

    found = replace(found, scores=PairScores(view(autoencoder, 1.0), view(classical, 2.0), {}, alert_on))
    evidence, _ = look(experiment.host_pair, found, 0)
    assert evidence.detector == ("autoencoder" if whose == 1.0 else "classical")
    assert (evidence.contribution == whose).all()
    assert (evidence.expectation == whose).all()  # nothing was seen before, so it is the detector's


def test_the_past_is_kept_however_long_the_window(experiment: Any) -> None:
    pair = experiment.host_pair
    earlier = scored(pair, [experiment.sample("host/a", s) for s in range(40)]).window
    found = scored(pair, [experiment.sample("host/a", 40 + s) for s in range(50)], earlier)
    evidence, _ = look(pair, found, 5)
    assert evidence.history_times.tolist() == [experiment.begin + s for s in range(46)]
    np.testing.assert_array_equal(evidence.history[-6:], found.window.values[:6])
    longer = Witness(pair, found).prolong(49, evidence)
    assert longer.until == experiment.begin + 89
    assert longer.time == evidence.time
    assert len(longer.history) <= MOST_ROWS


def test_what_was_expected_is_frozen_at_the_onset(experiment: Any) -> None:
    """The fault lasts, and what the detector expects follows it; the report's expectation does not."""
    pair = experiment.host_pair
    before = scored(pair, [experiment.sample("host/a", s) for s in range(40)]).window
    samples = [experiment.sample("host/a", 40 + s, 15.0) for s in range(30)]
    found = scored(pair, samples, before)
    followed = replace(found.scores.autoencoder, expectation=found.window.values)
    found = replace(found, scores=replace(found.scores, autoencoder=followed))
    witness = Witness(pair, found)
    first = witness.testify(0)
    later = witness.testify(20, first)
    np.testing.assert_array_equal(later.expectation, first.expectation)
    usual = np.median([list(experiment.row("host/a", s).values()) for s in range(40)], axis=0)
    assert np.all(np.abs(later.expectation - usual) <= later.width)
    assert later.onset == first.time
    (cause, *_) = later.causes
    assert (cause.name, cause.direction, cause.started) == ("memory", Direction.ABOVE, first.time)
    assert cause.seen == later.values[1]
    assert 0 < cause.share <= 1


def test_the_recovery_is_told_from_the_fault(experiment: Any) -> None:
    pair = experiment.host_pair
    before = scored(pair, [experiment.sample("host/a", s) for s in range(40)]).window
    samples = [experiment.sample("host/a", 40 + s, 15.0 if s < 5 else 0.0) for s in range(8)]
    witness = Witness(pair, scored(pair, samples, before))
    held = witness.testify(0)
    assert [witness.shows_more(k, held) for k in range(1, 8)] == [True] * 4 + [False] * 3


def test_a_metric_that_stands_still_is_named_though_its_value_is_usual(experiment: Any) -> None:
    pair = experiment.host_pair
    before = scored(pair, [experiment.sample("host/a", s) for s in range(60)]).window
    stuck = float(experiment.row("host/a", 59)["net"])
    samples = []
    for s in range(20):
        usual = experiment.sample("host/a", 60 + s)
        samples.append(Sample("host/a", usual.time, "metrics", 0, s, values={**usual.values, "net": stuck}))
    evidence = Witness(pair, scored(pair, samples, before)).testify(19)
    assert (evidence.causes[0].name, evidence.causes[0].direction) == ("net", Direction.STUCK)
    assert experiment.begin + 50 < evidence.causes[0].started <= experiment.begin + 59


@pytest.mark.parametrize("k", [0, 2])
def test_a_map_names_its_region_and_keeps_no_past(experiment: Any, k: int) -> None:
    chamber = experiment.chambers[0]
    found = scored(experiment.chamber_pair, [experiment.sample(chamber, s, float(s == k)) for s in range(3)])
    evidence, causes = look(experiment.chamber_pair, found, k)
    (cause,) = causes
    assert cause.startswith("layers 1-4, wires 1-2")
    assert cause.endswith(": no hits")
    assert evidence.history.shape == (0, 12, 57)
    assert evidence.history_times.shape == (0,)
    np.testing.assert_allclose(again(experiment.chamber_pair, found, k), found.scores.score[k], rtol=1e-5)
    assert found.scores.score[k] > 1


def test_a_map_nobody_can_blame_has_no_cause(experiment: Any) -> None:
    found = scored(experiment.chamber_pair, [experiment.sample(experiment.chambers[0], 0)])
    nothing = np.zeros_like(found.window.values)
    autoencoder = replace(found.scores.autoencoder, contribution=nothing)
    classical = replace(found.scores.classical, contribution=nothing)
    found = replace(found, scores=replace(found.scores, autoencoder=autoencoder, classical=classical))
    assert look(experiment.chamber_pair, found, 0)[1] == ()
