"""Between score and incident: which anomalous samples may alarm, and what is learnt."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as some

from anomalyd.daemon.config.alert_config import AlertPolicy
from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.daemon.incidents.tracking import IncidentTracker
from anomalyd.daemon.scoring.alert_policy import Judgement, Policy
from anomalyd.daemon.scoring.deviation import DeviationRules
from anomalyd.daemon.scoring.entity_state import Track
from anomalyd.daemon.stages import Sample, Scored, Suppression
from anomalyd.detectors.detector import Series, SeriesWindow, TrainingSet
from anomalyd.detectors.detector_pair import PairScores
from anomalyd.detectors.model import Scores
from anomalyd.errors import TrainingError
from anomalyd.reports.report import Evidence, Status
from anomalyd.reports.storage.repositories.maintenance import Window

NAN = float("nan")
FEATURES = ("cpu", "disk", "net_in")
Row = Sequence[float]


def scored(
    values: Sequence[Row],
    contribution: Sequence[Row],
    *,
    expectation: Row = (10.0, 10.0, 10.0),
    autoencoder: Sequence[float] | None = None,
    classical: Sequence[float] | None = None,
    classical_contribution: Sequence[Row] | None = None,
    start: float = 0.0,
) -> Scored:
    """Rows of three metrics, all of them above 1 by the autoencoder only, unless said otherwise."""
    n = len(values)
    rows = np.array(values, dtype=np.float32)
    expected = np.tile(np.array(expectation, dtype=np.float32), (n, 1))

    def one(score: Sequence[float], blame: Sequence[Row]) -> Scores:
        given_ = np.array(score, dtype=float)
        return Scores(given_, given_, rows - expected, expected, np.array(blame, dtype=np.float32), {})

    times = np.arange(n) + start
    return Scored(
        "hosts",
        "v1",
        tuple(Sample("pc1", t, "metrics", 0, k, values={}) for k, t in enumerate(times.tolist())),
        SeriesWindow("pc1", times, rows),
        PairScores(
            one([2.0] * n if autoencoder is None else autoencoder, contribution),
            one([0.0] * n if classical is None else classical, classical_contribution or contribution),
            {},
        ),
        np.empty(0),
        np.empty((0, 3), dtype=np.float32),
    )


def judged(window: Scored, **alert: Any) -> Judgement:
    return Policy(AlertPolicy.model_validate(alert)).judge(window, FEATURES)


UP = {"direction": {"cpu": "up"}}
DOWN = {"direction": {"cpu": "down", "*": "both"}}


@pytest.mark.parametrize(
    ("alert", "row", "blame", "reason"),
    [
        (UP, (12, 10, 10), (9, 1, 0), None),
        (UP, (8, 10, 10), (9, 1, 0), "direction"),
        (DOWN, (12, 10, 10), (9, 1, 0), "direction"),
        (DOWN, (8, 10, 10), (9, 1, 0), None),
        # the metric that is not to blame does not matter, however it deviates
        (UP, (8, 99, 10), (6, 4, 0), "direction"),
        (UP, (8, 99, 10), (4, 6, 0), None),
        # two that are only together half of it: one of them is enough
        (UP, (8, 12, 10), (4, 3, 3), None),
        ({"direction": {"*": "up"}}, (8, 9, 99), (4, 3, 3), "direction"),
        # the first pattern that matches counts
        ({"direction": {"c*": "down", "cpu": "up"}}, (12, 10, 10), (1, 0, 0), "direction"),
        ({"min_deviation": {"cpu": 2.0}}, (12, 10, 10), (1, 0, 0), None),
        ({"min_deviation": {"cpu": 2.0}}, (8, 10, 10), (1, 0, 0), None),
        ({"min_deviation": {"cpu": 2.1}}, (12, 10, 10), (1, 0, 0), "deviation"),
        ({"min_deviation": {"cpu": "20%"}}, (12, 10, 10), (1, 0, 0), None),
        ({"min_deviation": {"cpu": "21%"}}, (12, 10, 10), (1, 0, 0), "deviation"),
        # one goes the right way and is too near, the other is far on the wrong side
        ({**UP, "min_deviation": {"cpu": 1.0}}, (10.5, 10, 10), (1, 0, 0), "deviation"),
        ({**UP, "min_deviation": {"cpu": 1.0}}, (2, 10, 10), (1, 0, 0), "direction"),
        # what is not known, or nobody's blame, is not kept back
        (UP, (NAN, 10, 10), (1, 0, 0), None),
        (UP, (8, 10, 10), (0, 0, 0), None),
        (UP, (8, 10, 10), (NAN, NAN, NAN), None),
        ({"min_deviation": {"cpu": 99.0}}, (NAN, 10, 10), (1, 0, 0), None),
    ],
)
def test_a_row_alarms_by_the_metrics_to_blame(
    alert: dict[str, Any], row: Row, blame: Row, reason: str | None
) -> None:
    found = judged(scored([row], [blame]), **alert)
    assert found.anomalous.tolist() == found.opens.tolist() == [reason is None]
    assert found.suppressed == ({} if reason is None else {Suppression(reason): 1})


def test_an_unknown_expectation_keeps_nothing_back() -> None:
    row = scored([(8, 10, 10)], [(1, 0, 0)], expectation=(NAN, 10, 10))
    assert judged(row, **UP, min_deviation={"*": 1.0}).opens.tolist() == [True]


def test_each_of_the_pair_is_judged_by_its_own_blame() -> None:
    both = scored(
        [(8, 99, 10)] * 2,
        [(1, 0, 0)] * 2,
        classical=[0.0, 3.0],
        classical_contribution=[(0, 1, 0)] * 2,
    )
    assert judged(both, **UP, alert_on="either").anomalous.tolist() == [False, True]
    assert judged(both, **UP, alert_on="both").anomalous.tolist() == [False, False]
    assert judged(both, **UP, alert_on="both").suppressed == {Suppression.DIRECTION: 1}
    assert judged(both, **UP).suppressed == {Suppression.DIRECTION: 2}


def test_only_what_is_above_one_is_counted_as_kept_back() -> None:
    rows = scored([(8, 10, 10)] * 3, [(1, 0, 0)] * 3, autoencoder=[0.5, 2.0, NAN])
    found = judged(rows, **UP)
    assert not found.anomalous.any()
    assert found.suppressed == {Suppression.DIRECTION: 1}


_blame = some.arrays(np.float32, (4, 5), elements=st.sampled_from([0.0, 0.5, 1.0, 3.0, NAN]))


@settings(deadline=None)  # other work on the machine is no failure
@given(_blame, some.arrays(np.float32, (4, 5), elements=st.sampled_from([-3.0, -1.0, 0.0, 1.0, 3.0])))
def test_those_who_carry_the_blame_are_the_fewest_that_have_half_of_it(
    contribution: np.ndarray[Any, Any], values: np.ndarray[Any, Any]
) -> None:
    rules = DeviationRules.of(tuple("abcde"), {"*": "up"}, {"*": (2.0, 0.0)})
    direction, deviation = rules.refused(values, np.zeros_like(values), contribution)
    for k in range(4):
        blame = np.nan_to_num(contribution[k]).tolist()
        ranked = sorted(range(5), key=lambda f: -blame[f])
        count = next((n for n in range(6) if 2 * sum(blame[f] for f in ranked[:n]) >= sum(blame)), 0)
        carriers = [values[k, f] for f in ranked[:count]]
        may = not carriers or any(v >= 2 for v in carriers)
        right_way = not carriers or any(v >= 0 for v in carriers)
        assert (bool(direction[k]), bool(deviation[k])) == (not right_way, right_way and not may)


# ---- times


def test_in_maintenance_and_quiet_hours_nothing_opens_and_it_is_counted_once() -> None:
    alert = AlertPolicy.model_validate({"quiet_hours": [{"from": "00:00", "to": "00:01"}]})
    policy = Policy(
        alert, (Window(("pc*",), 58.0, 59.0), Window(("pc1",), 57.0, 58.5), Window(("x",), 0, 99))
    )
    rows = scored([(10, 10, 10)] * 8, [(1, 0, 0)] * 8, start=56.0)
    found = policy.judge(rows, FEATURES)
    assert found.anomalous.all()
    assert found.opens.tolist() == [False] * 4 + [True] * 4
    assert found.suppressed == {Suppression.MAINTENANCE: 2, Suppression.QUIET_HOURS: 2}


def follow(track: Track, policy: Policy, scores: Sequence[float], start: float) -> tuple[Track, list[Any]]:
    n = len(scores)
    window = scored([(10, 10, 10)] * n, [(1, 0, 0)] * n, autoencoder=scores, start=start)

    class Witness:
        def testify(self, k: int, held: Evidence | None) -> Evidence:
            row = window.window.values[k]
            return Evidence(start + k, FEATURES, row, row, row, row, np.empty(0), row[None][:0])

        def shows_more(self, k: int, held: Evidence) -> bool:
            return True

        def times_as_far(self, k: int, held: Evidence) -> float:
            return 1.0

        def prolong(self, k: int, held: Evidence) -> Evidence:
            return held

        def name_causes(self, evidence: Evidence) -> tuple[str, ...]:
            return ()

    tracker = IncidentTracker(policy.alert)
    return tracker.follow(track, window, policy.judge(window, FEATURES), Witness())


def test_an_anomaly_that_outlasts_quiet_hours_opens_behind_them() -> None:
    alert = AlertPolicy.model_validate(
        {"open_after": 2, "close_after": 2, "quiet_hours": [{"from": "00:00", "to": "00:01"}]}
    )
    _, changes = follow(Track(), Policy(alert), [2.0] * 8, start=57.0)
    assert [(c.events, c.incident.onset) for c in changes] == [(("opened",), 60.0)]


def test_what_might_have_become_an_incident_is_dropped_when_quiet_hours_begin() -> None:
    alert = AlertPolicy.model_validate(
        {"open_after": 2, "close_after": 2, "quiet_hours": [{"from": "00:01", "to": "00:02"}]}
    )
    track, changes = follow(Track(), Policy(alert), [0.0, 2.0, 2.0], start=58.0)
    assert changes == []
    assert track.incident is None


def test_an_open_incident_goes_on_gets_worse_and_closes_in_maintenance() -> None:
    alert = AlertPolicy.model_validate({"open_after": 2, "close_after": 2})
    policy = Policy(alert, (Window(("*",), 2.0, 9.0),))
    track, changes = follow(Track(), policy, [2.0, 2.0, 9.0], start=0.0)
    assert [(c.events, c.incident.last) for c in changes] == [(("opened", "escalated"), 2.0)]
    track, changes = follow(track, policy, [0.0, 0.0, 2.0, 2.0, 2.0], start=3.0)
    assert [c.incident.status for c in changes] == [Status.CLOSED]
    assert track.incident is None


# ---- what is learnt


def detector(**alert: Any) -> DetectorConfig:
    return DetectorConfig.model_validate({"name": "hosts", "kind": "vector-autoencoder", "alert": alert})


def test_nothing_is_learnt_of_what_is_worked_on() -> None:
    planned = {"entities": ["pc*"], "from": "1970-01-01T00:00:10Z", "to": "1970-01-01T00:00:20Z"}
    opened = [Window(("db",), 30.0, 40.0, detector="ho*"), Window(("db",), 50.0, 60.0, detector="maps")]
    policy = Policy.of(detector(maintenance=[planned]), opened)
    assert [policy.learns("pc1", t) for t in (9.9, 10.0, 19.9, 20.0, 30.0)] == [
        True,
        False,
        False,
        True,
        True,
    ]
    assert [policy.learns("db", t) for t in (10.0, 30.0, 50.0)] == [True, False, True]


def test_quiet_hours_are_learnt_from() -> None:
    assert Policy.of(detector(quiet_hours=[{"from": "00:00", "to": "00:00"}])).learns("pc1", 5.0)


def training(features: tuple[str, ...] = FEATURES) -> TrainingSet:
    series = Series(np.arange(10.0), np.arange(10.0 * len(features), dtype=np.float32).reshape(10, -1))
    return TrainingSet({"pc1": series, "pc2": series}, features)


def test_training_leaves_out_what_is_not_learnt() -> None:
    policy = Policy.of(
        detector(ignore=["net_*", "cpu"]), [Window(("pc1",), 3.0, 5.0), Window(("pc2",), 0, 99)]
    )
    left = policy.learnable(training())
    assert left.features == ("disk",)
    assert left.series.keys() == {"pc1"}
    assert left.series["pc1"].times.tolist() == [0, 1, 2, 5, 6, 7, 8, 9]
    assert left.series["pc1"].values.tolist() == [[1], [4], [7], [16], [19], [22], [25], [28]]


def test_maps_are_left_out_row_by_row() -> None:
    maps = TrainingSet({"DT": Series(np.arange(3.0), np.arange(12, dtype=np.float32).reshape(3, 2, 2))})
    left = Policy(AlertPolicy(), (Window(("DT",), 1.0, 2.0),)).learnable(maps)
    assert left.series["DT"].values.shape == (2, 2, 2)
    assert left.features == ()


def test_where_nothing_is_left_it_is_said() -> None:
    with pytest.raises(TrainingError, match=r"alert\.maintenance"):
        Policy.of(detector(), [Window(("*",), 0.0, 99.0)]).learnable(training())
    with pytest.raises(TrainingError, match=r"alert\.ignore \* leaves no metric"):
        Policy.of(detector(ignore=["*"])).learnable(training())
