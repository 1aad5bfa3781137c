from __future__ import annotations

import numpy as np
import pytest
import torch

from anomalyd.detectors.vectors.ensemble.alarm import sustained_activity
from anomalyd.detectors.vectors.ensemble.alarm.sustained_activity import Spans
from anomalyd.detectors.vectors.ensemble.views import CHANNELS, VIEWS, shares_of

MINUTE = 60.0


def counted(restless: np.ndarray, displaced: float = 0.0, unrest: float = 0.0) -> np.ndarray:
    n = len(restless)
    return np.column_stack([np.zeros(n), restless, np.full(n, displaced), np.full(n, unrest)]).astype(
        np.float64
    )


def lasting(
    seen: np.ndarray, interval_s: float = MINUTE, before: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Of one entity: at which rows (n,) it lasts, and the flags of the last hour."""
    spans = Spans.of(np.array([interval_s]))
    hour = int(spans.hour[0])
    past = np.zeros((1, hour), dtype=np.uint8) if before is None else before
    (lasts,), flags = sustained_activity.lasting(seen[None], past, spans)
    return lasts, flags[:, -hour:]


def test_it_adds_the_logs_of_turbulence_and_level() -> None:
    logs = torch.arange(2.0 * len(CHANNELS)).reshape(2, -1)
    weights = shares_of(dict.fromkeys(VIEWS, 1.0))[:, 2]
    found = sustained_activity.commotion_of(logs, weights)
    names = [(view, round(weight, 2)) for view, weight, *_ in CHANNELS]
    of = {name: logs[:, c].numpy() for c, name in enumerate(names)}
    wanted = of["turbulence", 0.03] + 0.5 * of["turbulence", 0.3] + 0.25 * of["level", 0.3]
    assert found[:, 0] == pytest.approx(wanted)
    assert found[:, 1] == pytest.approx(of["turbulence", 0.3])
    assert found[:, 2] == pytest.approx(of["displacement", 0.1])
    assert found[:, 3] == pytest.approx(of["unrest", 0.1])


def test_spreads_are_counted_from_the_median_in_the_entitys_own_width() -> None:
    bulk = np.array([[1.0, 1.5], [0.0, 0.0], [2.0, 4.0]])
    found = sustained_activity.spreads(np.array([[3.0, 0.2, 2.0]]), bulk)
    assert found[0, 0] == pytest.approx(4.0)
    assert 0.0 < found[0, 1] < np.inf, "what never moved is not infinitely strange"
    assert found[0, 2] == pytest.approx(0.0)


@pytest.mark.parametrize(("interval", "hour"), [(60.0, 60), (300.0, 12), (1800.0, 4)])
def test_an_hour_lasts_an_hour_however_often_rows_come(interval: float, hour: int) -> None:
    burst = np.concatenate([np.full(3 * hour, 5.0), np.zeros(3 * hour)])
    lasts, _ = lasting(counted(burst), interval)
    end = int(np.flatnonzero(lasts)[-1]) - 3 * hour
    assert 0 <= end < hour
    assert lasts[hour : 3 * hour].all()


def test_a_restless_hour_without_a_burst_of_late_does_not_last() -> None:
    steady = np.full(200, 2.25)
    lasts, _ = lasting(counted(steady))
    assert not lasts.any()
    steady[150] = 5.0
    lasts, _ = lasting(counted(steady))
    assert np.flatnonzero(lasts).tolist() == list(range(150, 170))


@pytest.mark.parametrize("how", [{"displaced": 20.0}, {"unrest": 20.0}])
def test_what_is_displaced_or_leaps_lasts(how: dict[str, float]) -> None:
    lasts, _ = lasting(counted(np.zeros(5), **how))
    assert lasts.all()


def test_it_does_not_depend_on_how_a_stream_is_cut() -> None:
    seen = counted(np.random.default_rng(1).exponential(2.0, size=300))
    whole, last = lasting(seen)
    assert 0 < whole.sum() < 300
    before: np.ndarray | None = None
    found = []
    for begin, end in ((0, 1), (1, 40), (40, 260), (260, 300)):
        part, before = lasting(seen[begin:end], before=before)
        found.append(part)
    np.testing.assert_array_equal(np.concatenate(found), whole)
    assert before is not None
    np.testing.assert_array_equal(before, last)


def test_each_entity_has_its_own_hour() -> None:
    spans = Spans.of(np.array([60.0, 300.0, 1800.0, 7200.0]))
    assert spans.hour.tolist() == [60, 12, 4, 4]
    assert spans.lately.tolist() == [20, 4, 2, 2]
    seen = np.stack([counted(np.random.default_rng(b).exponential(2.0, size=200)) for b in range(4)])
    lasts, _ = sustained_activity.lasting(seen, np.zeros((4, 60), dtype=np.uint8), spans)
    for b, interval in enumerate((60.0, 300.0, 1800.0, 7200.0)):
        np.testing.assert_array_equal(lasts[b], lasting(seen[b], interval)[0])
