"""Figures against values worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.detectors.evaluation import figures

LABEL = np.array([0, 0, 1, 1, 0, 1, 0, 0], dtype=np.uint8)
EVENTS = [(2, 4), (5, 6)]


def scores(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


def test_events_are_runs_also_at_both_ends() -> None:
    assert figures.events_of(LABEL) == EVENTS
    assert figures.events_of(np.array([1, 0, 1, 1], dtype=np.uint8)) == [(0, 1), (2, 4)]
    assert figures.events_of(np.zeros(3, dtype=np.uint8)) == []


def test_a_perfect_ranking_is_one_everywhere() -> None:
    perfect = scores(0, 0, 2, 2, 0, 3, 0.5, 0)
    for figure in (figures.auprc, figures.auroc, figures.best_f1, figures.f1_at_1):
        assert figure(perfect, LABEL) == 1.0
    # With a buffer the rows beside an event count too, which this score does not alert.
    assert figures.vus_pr(perfect, LABEL, buffer=0) == 1.0
    assert figures.vus_pr(perfect, LABEL, buffer=4) == pytest.approx(1.0)


def test_average_precision_by_hand() -> None:
    # Ranked: 1, 0, 1, 1, 0, ...: precision at the hits 1/1, 2/3, 3/4.
    score = scores(0.1, 8, 9, 7, 0.2, 6, 0.3, 0.4)
    assert figures.auprc(score, LABEL) == pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
    assert figures.auroc(score, LABEL) == pytest.approx((5 + 4 + 4) / 15)
    assert figures.best_f1(score, LABEL) == pytest.approx(2 * 3 / (4 + 3))


def test_ties_are_one_threshold() -> None:
    constant = np.ones(8)
    assert figures.auprc(constant, LABEL) == pytest.approx(3 / 8)
    assert figures.auroc(constant, LABEL) == pytest.approx(0.5)
    assert figures.vus_pr(constant, LABEL, buffer=0) == pytest.approx(3 / 8)


def test_vus_multiplies_recall_by_the_share_of_events_seen() -> None:
    # Buffer 0. Thresholds: 9 -> one of two events, recall 1/3 * 1/2; 8 -> 2/3 * 1/2; 7 -> 1 * 1; precision 1.
    score = scores(0, 0, 9, 8, 0, 7, 0, 0)
    assert figures.vus_pr(score, LABEL, buffer=0) == pytest.approx(1.0)
    # The second event ranks below every normal row: precision 3/8 for the part of recall that it opens.
    score = scores(1, 1, 9, 8, 1, 0, 1, 1)
    assert figures.vus_pr(score, LABEL, buffer=0) == pytest.approx(1 / 3 + 2 / 3 * 3 / 8)


def test_vus_counts_rows_beside_an_event_in_part() -> None:
    label = np.zeros(9, dtype=np.uint8)
    label[4] = 1
    score = np.zeros(9)
    score[3] = 5.0  # one row early: point-wise a false alarm, in the buffer of 2 nearly right
    fade = math.sqrt(1 - 1 / 2)
    # First threshold: one alert that holds `fade`; last: nine that hold 1 + 2 fade, recall capped at 1.
    recall = fade / (1 + fade / 2)
    last = (1 + 2 * fade) / 9
    expected = recall * fade + (1 - recall) * last
    two_buffers = [figures.vus_pr(score, label, buffer=b) for b in (0, 1, 2)]
    assert two_buffers[2] * 3 - two_buffers[1] * 2 == pytest.approx(expected)


@pytest.mark.parametrize(("seed", "expected"), [(0, 0.6707), (1, 1.0), (2, 1.0)])
def test_vus_is_that_of_tsb_ad(seed: int, expected: float) -> None:
    """What `generate_curve(label, score, 100, "opt", 250)` of TSB-AD 1.5 gives."""
    label = np.zeros(3000, dtype=np.uint8)
    for start, end in ((500, 540), (1200, 1210), (2000, 2300)):
        label[start:end] = 1
    score = np.random.default_rng(seed).random(3000) + 0.5 * (1 + seed) * label
    assert figures.vus_pr(score, label) == pytest.approx(expected, abs=5e-5)


@given(st.lists(st.tuples(st.floats(0, 5), st.booleans()), min_size=2, max_size=60), st.integers(0, 8))
def test_areas_lie_between_nothing_and_everything(rows: list[tuple[float, bool]], buffer: int) -> None:
    score = np.array([s for s, _ in rows])
    label = np.array([e for _, e in rows], dtype=np.uint8)
    if label.any():
        assert 0 <= figures.auprc(score, label) <= 1 + 1e-12
        assert 0 <= figures.vus_pr(score, label, buffer) <= 1 + 1e-12
        assert figures.f1_at_1(score, label) <= figures.best_f1(score, label) + 1e-12


def test_figures_at_the_fixed_threshold() -> None:
    score = scores(2, 0, 0, 1.5, 1.2, 1.0, 0, 3)
    # Alerts on rows 0, 3, 4, 7; a score of exactly 1 is none: one of three anomalous rows, three normal.
    assert figures.f1_at_1(score, LABEL) == pytest.approx(2 * 1 / (4 + 3))
    assert figures.fpr_at_1(score, LABEL) == pytest.approx(3 / 5)
    assert figures.events_found(score, EVENTS) == 0.5
    assert figures.delay(score, EVENTS) == 1.0


def test_delay_is_a_median_over_found_events_only() -> None:
    score = np.zeros(30)
    score[[3, 12, 29]] = 2.0
    assert figures.delay(score, [(0, 5), (10, 15), (20, 25), (29, 30)]) == 2.0
    assert math.isnan(figures.delay(np.zeros(30), [(0, 5)]))


def test_near_false_alarms_are_one() -> None:
    score, label = np.zeros(1440), np.zeros(1440, dtype=np.uint8)
    score[[100, 101, 111, 122, 500]] = 2.0  # 9 rows between 101 and 111, 10 between 111 and 122
    label[500] = 1
    assert figures.false_alarms_per_day(score, label, 60.0) == pytest.approx(2.0 + 0.0)
    assert figures.false_alarms_per_day(score, label, 120.0) == pytest.approx(1.0)
    assert figures.false_alarms_per_day(np.zeros(1440), label, 60.0) == 0.0


def test_long_coverage_counts_events_of_four_hours_and_more() -> None:
    score = np.zeros(1000)
    score[0:60] = 2.0
    score[300:500] = 2.0
    assert figures.long_coverage(score, [(0, 240), (300, 539)], 60.0) == pytest.approx(60 / 240)
    assert figures.long_coverage(score, [(0, 48), (300, 348)], 300.0) == pytest.approx(1.0)
    assert math.isnan(figures.long_coverage(score, [(0, 239)], 60.0))


def test_hit_rate_by_hand() -> None:
    contribution = np.zeros((6, 4))
    contribution[0, 1], contribution[1, 2] = 5.0, 4.0  # maxima over the event: 0, 5, 4, 0
    contribution[4] = [3.0, np.nan, 1.0, 2.0]
    causes = np.array([[0, 1, 0, 1], [1, 0, 1, 0], [0, 0, 0, 0]], dtype=np.uint8)
    events = [(0, 2), (4, 5), (5, 6)]
    # First event, causes 1 and 3: the two most blamed are 1, 2. Second, 0 and 2: most blamed 0, 3, 2.
    assert figures.hit_rate(contribution, events, causes, 100) == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert figures.hit_rate(contribution, events, causes, 150) == pytest.approx((1 / 2 + 2 / 2) / 2)
    assert math.isnan(figures.hit_rate(contribution, events, np.zeros((3, 4), dtype=np.uint8), 100))


def test_what_is_not_defined_is_nan() -> None:
    score, normal = np.ones(4), np.zeros(4, dtype=np.uint8)
    for figure in (figures.auprc, figures.auroc, figures.vus_pr, figures.best_f1, figures.f1_at_1):
        assert math.isnan(figure(score, normal))
    assert math.isnan(figures.events_found(score, []))
    assert math.isnan(figures.fpr_at_1(score, np.ones(4, dtype=np.uint8)))
