"""The evidence of one scored sample: scored again, it gives the score it was flagged for."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from anomalyd.daemon.incidents.evidence import evidence_of
from anomalyd.daemon.scoring.entity_state import RECENT_ROWS
from anomalyd.daemon.stages import Sample, Scored
from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.detector_pair import DetectorPair, PairScores
from anomalyd.detectors.model import Scores


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
    evidence, _ = evidence_of(pair, found, k)
    window = SeriesWindow(found.entity, np.array([evidence.time]), evidence.values[None], evidence.state)
    return float(pair.score([window])[0].either[0])


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
    np.testing.assert_allclose(again(pair, found, k), found.scores.either[k], rtol=1e-5)
    if entity == "host/a":
        assert found.scores.either[k] > 1


def test_the_worst_metrics_are_the_causes_three_at_most(experiment: Any) -> None:
    samples = [experiment.sample("host/a", s) for s in range(4)]
    values = dict(samples[3].values)
    values["disk"] += 8.0
    values["net"] += 150.0
    samples[3] = Sample("host/a", samples[3].time, "metrics", 0, 3, values=values)
    found = scored(experiment.host_pair, samples)
    evidence, causes = evidence_of(experiment.host_pair, found, 3)
    assert causes[:2] == ("disk", "net")
    assert len(causes) <= 3
    blame = dict(zip(evidence.features, evidence.contribution.tolist(), strict=True))
    assert [blame[cause] for cause in causes] == sorted(blame.values(), reverse=True)[: len(causes)]
    assert evidence.time == samples[3].time
    assert evidence.values[1:3].tolist() == np.float32([values["memory"], values["net"]]).tolist()


def _judged(found: Scored, contribution: list[float]) -> Scored:
    """The same with another blame for the autoencoder's last sample."""
    of_all = found.scores.autoencoder.contribution.copy()
    of_all[-1] = contribution
    autoencoder = replace(found.scores.autoencoder, contribution=of_all)
    return replace(found, scores=replace(found.scores, autoencoder=autoencoder))


@pytest.mark.parametrize(
    ("blame", "causes"),
    [
        ([4.0, 3.0, 2.0, 1.0], ("cpu", "memory", "net")),
        ([1.0, 1.0, 9.0, 0.8], ("net", "cpu", "memory")),
        ([0.9, 9.1, 0.1, np.nan], ("memory",)),
        ([np.nan, 1.0, np.nan, 5.0], ("disk", "memory")),
        ([0.0, 0.0, 0.0, 0.0], ()),
        ([np.nan] * 4, ()),
    ],
)
def test_what_is_hardly_to_blame_is_no_cause(
    experiment: Any, blame: list[float], causes: tuple[str, ...]
) -> None:
    found = _judged(scored(experiment.host_pair, [experiment.sample("host/a", 0, 15)]), blame)
    assert evidence_of(experiment.host_pair, found, 0)[1] == causes


@pytest.mark.parametrize(
    ("autoencoder", "classical", "whose"),
    [(2.0, 3.0, 1.0), (2.0, 0.5, 1.0), (0.5, 3.0, 2.0), (np.nan, 3.0, 2.0), (0.5, 0.5, 1.0)],
)
def test_the_classical_view_is_shown_only_where_the_autoencoder_saw_nothing(
    experiment: Any, autoencoder: float, classical: float, whose: float
) -> None:
    found = scored(experiment.host_pair, [experiment.sample("host/a", 0)])

    def view(score: float, mark: float) -> Scores:
        marked = np.full((1, 4), mark, dtype=np.float32)
        return Scores(np.array([score]), np.array([score]), marked, marked, marked, {})

    found = replace(found, scores=PairScores(view(autoencoder, 1.0), view(classical, 2.0), {}))
    evidence, _ = evidence_of(experiment.host_pair, found, 0)
    for array in (evidence.error, evidence.expectation, evidence.contribution):
        assert (array == whose).all()


def test_a_minute_of_the_past_is_kept_however_long_the_stretch(experiment: Any) -> None:
    pair = experiment.host_pair
    earlier = scored(pair, [experiment.sample("host/a", s) for s in range(40)]).window
    found = scored(pair, [experiment.sample("host/a", 40 + s) for s in range(50)], earlier)
    brief, _ = evidence_of(pair, found, 5)
    assert brief.history_times.tolist() == [experiment.begin + s for s in range(45)]
    long, _ = evidence_of(pair, found, 45)
    assert long.history_times.tolist() == [experiment.begin + s for s in range(85 - RECENT_ROWS, 85)]
    np.testing.assert_array_equal(long.history[-45:], found.window.values[:45])
    np.testing.assert_array_equal(long.history[:15], earlier.values[-15:])


@pytest.mark.parametrize("k", [0, 2])
def test_a_map_names_its_region_and_keeps_no_past(experiment: Any, k: int) -> None:
    chamber = experiment.chambers[0]
    found = scored(experiment.chamber_pair, [experiment.sample(chamber, s, float(s == k)) for s in range(3)])
    evidence, causes = evidence_of(experiment.chamber_pair, found, k)
    (cause,) = causes
    assert cause.startswith("layers 1-4, wires 1-2")
    assert cause.endswith(": no hits")
    assert evidence.history.shape == (0, 12, 57)
    assert evidence.history_times.shape == (0,)
    np.testing.assert_allclose(again(experiment.chamber_pair, found, k), found.scores.either[k], rtol=1e-5)
    assert found.scores.either[k] > 1


def test_a_map_nobody_can_blame_has_no_cause(experiment: Any) -> None:
    found = scored(experiment.chamber_pair, [experiment.sample(experiment.chambers[0], 0)])
    nothing = np.zeros_like(found.window.values)
    autoencoder = replace(found.scores.autoencoder, contribution=nothing)
    classical = replace(found.scores.classical, contribution=nothing)
    found = replace(found, scores=replace(found.scores, autoencoder=autoencoder, classical=classical))
    assert evidence_of(experiment.chamber_pair, found, 0)[1] == ()
