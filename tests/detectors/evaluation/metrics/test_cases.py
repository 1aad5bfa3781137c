"""Constructed cases: each is what its name says, and the figures tell what a detector did, to the row."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from anomalyd.detectors.detector import silent
from anomalyd.detectors.evaluation.metrics import case_results
from anomalyd.detectors.evaluation.metrics.case_results import CASE_FIGURES, evaluate_cases
from anomalyd.detectors.evaluation.metrics.cases import CASES, START, TOLD_AFTER, Case
from anomalyd.detectors.evaluation.metrics.competitor import Competitor
from anomalyd.detectors.evaluation.metrics.machines import DAY, HOUR, TEST_ROWS, TRAINING_ROWS, make_machine
from anomalyd.detectors.model import Model
from anomalyd.verdict import Verdict

CASE = {case.name: case for case in CASES}
STEP, TWO_DAYS = (
    next(c for c in CASES if c.name.startswith(name) and c.word is None) for name in ("step", "two-day")
)


def test_a_machine_is_made_of_its_seed() -> None:
    one, again, other = make_machine(3), make_machine(3), make_machine(4)
    np.testing.assert_array_equal(one.test, again.test)
    assert not np.array_equal(one.test, other.test)
    assert one.train.shape == (TRAINING_ROWS, 20)
    assert one.test.shape == (TEST_ROWS, 20)
    assert (one.train[:, -1] == 0).all()
    assert (one.test[:, -1] == 0).all()
    assert (one.sigma[:-1] > 0).all()
    correlation = np.corrcoef(one.train[:, :-1].T)
    assert np.median(np.abs(correlation[np.triu_indices(19, 1)])) > 0.2  # its metrics have loads in common


def test_the_daily_cycle_is_in_the_rows() -> None:
    machine = make_machine(0)
    # Taking the known cycle away takes away what two rows a day apart have in common.
    strongest = int(np.argmax(np.abs(machine.cycle[:-1] / machine.sigma[:-1])))
    rest = (machine.test - machine.daily())[:, strongest]
    assert rest.std() < 0.8 * machine.test[:, strongest].std()


@pytest.mark.parametrize("case", CASES, ids=lambda c: c.name)
def test_a_case_changes_what_it_should_and_only_while_it_lasts(case: Case) -> None:
    machine = make_machine(1, case.metrics)
    before, values = machine.test.astype(np.float32), case.laid_on(machine)
    np.testing.assert_array_equal(values[:START], before[:START])
    if case.end is not None:
        np.testing.assert_array_equal(values[case.end :], before[case.end :])
    changed = ~(values == before)
    if case.name == "nothing":
        assert not changed.any()
    else:
        assert changed[START : START + DAY].any()
        assert changed[(case.end or TEST_ROWS) - 10 : case.end].any()


def test_what_the_single_cases_are() -> None:
    machine = make_machine(1)
    assert np.isnan(CASE["a metric disappears"].laid_on(machine)[START:, 5]).all()
    assert np.ptp(CASE["a metric becomes constant"].laid_on(machine)[START:, 5]) == 0
    moved = CASE["always zero, moves for 12 h"].laid_on(machine)[:, -1]
    assert (moved[START : START + 12 * HOUR] > 0).mean() > 0.8
    jumped = CASE["1 of 200 jumps 10 sigma for 6 h"]
    assert jumped.metrics == 200
    large = make_machine(1, 200)
    assert ((jumped.laid_on(large) != large.test.astype(np.float32)).any(axis=0)).sum() == 1


def figures(case: Case, *alerts: tuple[int, int]) -> dict[str, float]:
    """The figures of a score that alerts in these rows, counted from the beginning of the case."""
    score = np.zeros(TEST_ROWS)
    for first, last in alerts:
        score[START + first : START + last] = 2.0
    return case_results._figures(case, score)


def test_the_figures_of_a_step_are_counted_to_the_row() -> None:
    # A false alarm a day before, found after half an hour, alerting for ten hours, quiet from then on.
    found = figures(STEP, (-DAY, -DAY + 5), (6, 10 * HOUR), (15 * HOUR, 16 * HOUR))
    assert found["found_1h"] == 1.0
    assert found["delay"] == 6
    assert found["share_6h"] == pytest.approx(66 / 72)
    assert found["share_1d"] == pytest.approx((10 * HOUR - 6 + HOUR) / DAY)
    assert found["share_rest"] == 0.0
    assert found["hours_to_quiet"] == 16.0  # the five quiet hours between are too few
    assert found["false_alarms_per_day"] == pytest.approx(1 / 3)
    assert math.isnan(found["share_told"])
    assert math.isnan(found["share_after_end"])


def test_what_is_found_late_and_never_ends_is_told_so() -> None:
    found = figures(STEP, (HOUR, TEST_ROWS))
    assert (found["found_1h"], found["delay"]) == (0.0, HOUR)
    assert found["hours_to_quiet"] == 168.0
    never = figures(STEP)
    assert math.isnan(never["delay"])
    assert math.isnan(never["hours_to_quiet"])
    assert never["found_1h"] == 0.0
    # A drift that alerts from the fourth day on was not quiet before: it had not begun to alert.
    assert math.isnan(figures(STEP, (4 * DAY, 7 * DAY))["hours_to_quiet"])


def test_a_case_that_ends_has_an_after() -> None:
    found = figures(TWO_DAYS, (0, 2 * DAY + DAY // 2))
    assert (found["share_6h"], found["share_1d"], found["share_rest"]) == (1.0, 1.0, 1.0)
    assert found["share_after_end"] == 0.5
    assert math.isnan(found["hours_to_quiet"])


def test_an_operators_word_is_counted_from_when_it_is_said() -> None:
    told = next(c for c in CASES if c.word is Verdict.BROKEN)
    assert figures(told, (0, TOLD_AFTER))["share_told"] == 0.0
    assert figures(told, (TOLD_AFTER, 2 * DAY))["share_told"] == 1.0


@pytest.fixture
def two_cases(monkeypatch: pytest.MonkeyPatch) -> list[Case]:
    cases = [STEP, TWO_DAYS]
    monkeypatch.setattr(case_results, "CASES", tuple(cases))
    return cases


def test_every_case_has_a_row_for_each_detector(two_cases: list[Case], tmp_path: Path) -> None:
    rows = evaluate_cases(
        tmp_path / "out", Competitor("vector-autoencoder", parameters={"epochs": 1}), machines=1
    )
    assert [(r.case, r.detector) for r in rows] == [
        (case.name, detector) for case in two_cases for detector in ("autoencoder", "classical")
    ]
    assert all(tuple(row.figures) == CASE_FIGURES for row in rows)
    assert rows[0].figures["found_1h"] == 1.0  # eight sigma in six metrics
    written: list[dict[str, Any]] = json.loads((tmp_path / "out" / "cases.json").read_text())
    assert [w["case"] for w in written] == [r.case for r in rows]
    assert written[0]["share_told"] is None


def test_machines_are_averaged(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    drift = next(c for c in CASES if c.name.startswith("slow drift"))
    monkeypatch.setattr(case_results, "CASES", (drift,))

    def shares(machines: int) -> dict[str, float]:
        (row,) = evaluate_cases(tmp_path / "out", Competitor("median-distance"), machines=machines)
        return dict(row.figures)

    def of_machine(seed: int) -> dict[str, float]:
        ((_, found),) = case_results._on_machine(
            (seed, 20), competitor=Competitor("median-distance"), progress=silent
        )
        return found

    first, second, both = of_machine(0), of_machine(1), shares(2)
    assert shares(1)["share_rest"] == first["share_rest"] != second["share_rest"]
    assert both["share_rest"] == pytest.approx((first["share_rest"] + second["share_rest"]) / 2)
    assert math.isnan(both["share_after_end"])


def test_the_word_is_said_between_the_rows_it_should(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    said: list[tuple[Verdict, float, float, int]] = []
    rows = 0
    score, seen = Model.score, Model.apply_feedback

    def count(self: Model, windows: Any) -> Any:
        nonlocal rows
        rows += sum(len(s.times) for s in windows)
        return score(self, windows)

    def listen(self: Model, state: Any, word: Verdict, since: float, now: float) -> Any:
        said.append((word, since, now, rows))
        return seen(self, state, word, since, now)

    monkeypatch.setattr(Model, "score", count)
    monkeypatch.setattr(Model, "apply_feedback", listen)
    monkeypatch.setattr(case_results, "CASES", tuple(c for c in CASES if c.word is Verdict.NORMAL))
    evaluate_cases(tmp_path / "out", Competitor("median-distance"), machines=1)
    ((word, since, now, before),) = said
    first = TRAINING_ROWS * 300.0
    assert word is Verdict.NORMAL
    assert since == first + START * 300.0
    assert now == first + (START + TOLD_AFTER - 1) * 300.0
    assert before == START + TOLD_AFTER
    assert rows == TEST_ROWS
