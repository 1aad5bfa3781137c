"""What is made of an explanation: what would have to change, and earlier cases that are alike."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.cases.counterfactual import fewest_cells, fewest_units, raw_limit, smallest_set
from anomalyd.interpret.cases.fingerprint import fingerprint
from anomalyd.interpret.cases.interpret import interpret
from anomalyd.interpret.maps.rescored_map import RescoredMap
from anomalyd.reports.cases.interpretation import (
    Counterfactual,
    Interpretation,
    UnusualUnit,
    from_json,
    nearest,
    similarity,
    to_json,
)
from anomalyd.reports.cases.what_if import what_if
from anomalyd.total import Total


def summed(weights):
    """A score that is the sum of what is as observed."""
    return lambda kept: (kept * np.asarray(weights, dtype=float)).sum(1)


def test_the_smallest_set_of_metrics_is_found():
    weights = [1.0, 8.0, 0.5, 6.0]
    parts, left = smallest_set(summed(weights), np.array([1, 8, np.nan, 6], np.float32), 2.0)
    assert set(parts.tolist()) == {1, 3}
    assert left == 1.5


def test_a_metric_that_turns_out_unneeded_is_left_out():
    # Metric 0 lowers most at first, but 1 and 2 together are enough.
    def score(kept):
        a, b, c = kept.T
        return 10.0 * (a | b | c) + 1.0 * a + 0.5 * b + 0.5 * c - 11 * (~b & ~c)

    parts, left = smallest_set(score, np.ones(3, np.float32), 1.0)
    assert set(parts.tolist()) == {1, 2}
    assert left < 1


def test_where_no_set_is_enough_it_is_said():
    parts, left = smallest_set(lambda kept: np.full(len(kept), 7.0), np.ones(3, np.float32), 1.0)
    assert len(parts) == 0
    assert left == 7.0


def test_metrics_each_of_which_hides_the_others_are_put_back_together():
    # A maximum: one alone changes nothing, the fourth has no part in it.
    parts, left = smallest_set(lambda kept: 5.0 * kept[:, :3].any(1), np.ones(4, np.float32), 1.0)
    assert (parts.tolist(), left) == ([0, 1, 2], 0.0)


def test_where_no_set_is_enough_what_hardly_lowers_the_score_is_not_named():
    parts, left = smallest_set(summed([4.0, 2.0, 0.01, 3.0]), np.array([1, 1, 1, np.nan], np.float32), 1.0)
    assert sorted(parts.tolist()) == [0, 1]
    assert left == pytest.approx(3.01)


@pytest.mark.parametrize("broken", [1, 5, 24])
def test_the_fewest_cells_of_a_map_are_found(broken):
    weights = np.zeros(60)
    weights[:broken] = 1.0
    blame = np.linspace(1, 0.1, 60, dtype=np.float32).reshape(6, 10)
    parts, left = fewest_cells(summed(weights), blame, 0.5)
    assert parts.tolist() == list(range(broken))
    assert left == 0
    parts, left = fewest_cells(summed(weights), np.zeros((6, 10), np.float32), 0.5)
    assert (len(parts), left) == (0, broken)


def test_the_smallest_unit_that_is_enough_is_found_else_several():
    units = [np.arange(6), np.arange(2), np.arange(2, 4), np.arange(6, 9)]
    weights = np.array([1, 1, 0, 0, 0, 0, 0, 0, 0.0])
    assert fewest_units(summed(weights), 9, units, 0.5) == ([1], 0.0)
    weights[6:] = 1
    assert fewest_units(summed(weights), 9, units, 0.5) == ([3, 1], 0.0)
    assert fewest_units(summed(np.ones(9)), 9, [], 0.5) == ([], 9.0)


CHAMBER = geometry_of("DT/W-2/MB1/S04")


def counterfactual_of(broken, kept=0.0, seen=1.0):
    """What is said of a chamber that scores 2 for each broken cell, and `kept` whatever is put back."""
    mask = CHAMBER.mask()
    blame = np.where(mask, np.where(broken & mask, 1.0, 0.0), np.nan).astype(np.float32)
    counts = np.where(mask, seen, np.nan).astype(np.float32)
    evidence = SimpleNamespace(values=counts, error=blame, features=(), score=3.0)
    model = SimpleNamespace(calibration=SimpleNamespace(centre=0.0))

    def score(put):
        return kept + 2.0 * (put & (broken & mask).ravel()).sum(1)

    attribution = Attribution("occlusion", blame, 0.0)
    return interpret(CHAMBER.entity, evidence, model, [attribution], score).counterfactual


def cells(rows, first, last):
    found = np.zeros(CHAMBER.shape, dtype=bool)
    found[rows, first:last] = True
    return found


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (cells(5, 0, None), ("layer 6",)),
        (cells([0, 1, 2, 3], 0, None), (CHAMBER.unit_of(0).name,)),
        (cells([0, 1, 2, 3], 15, 29), ("layers 1-4, wires 16-29",)),
        (cells(2, 6, 7), ("layer 3, wire 7",)),
        (cells(range(12), 0, None), ("the whole map",)),
    ],
)
def test_of_a_map_units_and_places_are_named(broken, named):
    found = counterfactual_of(broken)
    assert found.parts == named
    assert found.enough


def test_a_dead_element_has_no_part_to_be_put_back():
    assert counterfactual_of(cells(5, 0, None), seen=0.0) is None


def test_what_no_part_of_a_map_brings_down_is_said_with_what_is_left():
    found = counterfactual_of(cells(5, 0, None), kept=200.0)
    assert (found.parts, found.enough) == (("the whole map",), False)
    assert found.score > 1
    assert what_if(found).endswith("; the rest is in no part of it")


MORNING = 1_795_248_000.0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            Counterfactual(("cpu", "net"), 0.151, True, 4.2, 0.1, MORNING),
            "would not have alerted with cpu; net as expected: the score falls from 4.20 to 0.15 (1 is the"
            " threshold)",
        ),
        (
            Counterfactual(("cpu",), 1.6, False, 4.2, 0.5, MORNING),
            "alerts even with cpu as expected: the score falls from 4.20 to 1.60 (1 is the threshold); the"
            " rest is spread over others",
        ),
        (
            Counterfactual(("cpu",), 1.6, False, 4.2, 1.5, MORNING),
            "alerts even with cpu as expected: the score falls from 4.20 to 1.60 (1 is the threshold); the"
            " rest comes from before 08:00:00 UTC, which the detector remembers",
        ),
        (
            Counterfactual((), 1.07, False, 1.07, 1.07, MORNING),
            "alerts even with every metric as expected from 08:00:00 UTC on: the score of 1.07 comes from"
            " before, which the detector remembers",
        ),
        (
            Counterfactual((), 1.07, False, 1.07, 0.3, MORNING),
            "has no few metrics that bring the score from 1.07 under 1: only all together do",
        ),
        (
            Counterfactual((), 1.07, False, 1.07, 1.07),
            "alerts whatever is put to the expectation: the score of 1.07 does not fall",
        ),
        (  # as earlier versions stored it
            Counterfactual(("cpu",), 1.6, False),
            "alerts even with cpu as expected: the score falls to 1.60 (1 is the threshold)",
        ),
    ],
)
def test_what_would_have_had_to_be_otherwise_is_said_with_what_remains(change, said):
    assert what_if(change) == said


def test_the_raw_score_of_the_threshold():
    assert raw_limit(raw=22.0, score=2.2, centre=2.0) == pytest.approx(2 + 20 * 0.8 / 2)


def test_alike_cases_are_found_by_what_is_blamed_and_its_direction():
    names = ("cpu", "disk", "net")
    up, down = np.array([4, 1, 0], np.float32), np.array([-4, 1, 0], np.float32)
    cpu = fingerprint(np.array([9, 1, 0], np.float32), up, names)
    assert cpu == {"cpu": 0.9, "disk": 0.1}
    earlier = {
        "same": fingerprint(np.array([8, 2, 0], np.float32), up, names),
        "other way": fingerprint(np.array([9, 1, 0], np.float32), down, names),
        "net": fingerprint(np.array([0, 1, 9], np.float32), up, names),
    }
    assert [report for report, _ in nearest(cpu, earlier)] == ["same"]
    assert similarity(cpu, {}) == 0.0


def test_a_map_is_compared_by_place():
    blame = np.zeros((4, 48), np.float32)
    blame[2, 10:14] = 1
    own = fingerprint(blame, -blame)
    assert sum(own.values()) == pytest.approx(-1)
    assert set(own) == {"2.2", "2.3"}
    assert fingerprint(np.zeros((4, 48), np.float32), blame) == {}


def test_it_is_read_as_it_was_written():
    whole = Interpretation(
        {"occlusion": "good"},
        {"cpu": 0.5},
        Counterfactual(("cpu",), 0.4, True),
        (UnusualUnit("code", 3, 5.5, float("nan")),),
    )
    again = from_json(to_json(whole))
    assert repr(again) == repr(whole)
    assert from_json("{}") == Interpretation()


@pytest.mark.parametrize(("seen", "otherwise", "score"), [(500.0, 0.31, 0.31), (0.0, float("nan"), 0.2)])
def test_a_map_whose_total_is_wrong_would_be_quiet_with_the_one_expected(seen, otherwise, score):
    total = Total(seen, 1000.0, "7 sister elements of the same time", otherwise)
    counts = np.full((2, 5), seen / 10, np.float32)
    evidence = SimpleNamespace(
        values=counts,
        error=counts - 100,
        features=(),
        score=13.28,
        total=total,
        contribution=np.ones_like(counts),
    )
    found = interpret(
        "element", evidence, SimpleNamespace(), [Attribution("contribution", np.ones_like(counts), 0.0)], None
    )
    change = from_json(to_json(found)).counterfactual
    assert what_if(change) == (
        f"would not have alerted with its total as expected (1000): the score would be {score:.2f} "
        "instead of 13.28 (1 is the threshold)"
    )


class Sisters:
    """Expects half of what a map counts in all, and scores each map beside those of the same time."""

    def score(self, windows):
        times = [window.times[-1] for window in windows]
        found = []
        for window in windows:
            counts = window.values[-1]
            usual = np.where(np.isfinite(counts), max(10.0, np.nansum(counts) / counts.size), np.nan)
            blame = np.where(np.isfinite(counts), np.abs(counts - usual), np.nan)
            raw = np.array([np.nansum(blame) * times.count(window.times[-1])])
            found.append(SimpleNamespace(raw=raw, expectation=usual[None], contribution=blame[None]))
        return found


def test_variants_of_a_map_are_no_sisters_of_each_other():
    counts = np.full((1, 4, 10), 10.0, np.float32)
    counts[0, 2] = 0
    asked = RescoredMap(Sisters(), SeriesWindow("element", np.array([5.0]), counts))
    variants = torch.from_numpy(np.repeat(counts, 3, axis=0))
    assert asked.forward(variants).tolist() == [100.0] * 3


def test_what_is_expected_of_a_map_is_made_without_what_is_blamed():
    counts = np.full((1, 4, 10), 10.0, np.float32)
    counts[0, 2, 3] = 4000
    counts[0, 0, 0] = np.nan
    window = SeriesWindow("element", np.array([5.0]), counts)
    encoded = RescoredMap(Sisters(), window).encode(window)
    assert encoded.inputs[0, 2, 3] == 4000
    assert encoded.baseline[0, 2, 3] < 20
    assert encoded.feature[0, 0] == -1
