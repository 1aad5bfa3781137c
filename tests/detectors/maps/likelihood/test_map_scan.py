from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.detector import Series, SeriesWindow, TrainingSet
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.maps.geometries.known import geometry_like
from anomalyd.detectors.maps.likelihood.detector import MapScan
from anomalyd.detectors.maps.likelihood.population import learn_populations
from anomalyd.detectors.maps.places.layouts import places_of
from anomalyd.detectors.maps.simulate.faults import (
    FAULT_KINDS,
    DeadBlock,
    LowEfficiency,
    LowVoltage,
    random_fault,
)
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S, ElementSimulator
from anomalyd.detectors.model import load_model, save_model
from anomalyd.detectors.training import train_model
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError
from anomalyd.verdict import Verdict

KNOWN = tuple(f"DT/W-2/MB1/S{sector:02d}" for sector in range(1, 9))
NEW = "DT/W+1/MB1/S03"


def simulator(entity: str) -> ElementSimulator:
    return ElementSimulator(entity, 1, 15.0)


def window(entity: str, maps: np.ndarray, state=None) -> SeriesWindow:
    return SeriesWindow(entity, np.arange(len(maps)) * LUMISECTION_S, maps, state or {})


@pytest.fixture(scope="module")
def training() -> TrainingSet:
    return TrainingSet(
        {e: Series(np.arange(30) * LUMISECTION_S, simulator(e).maps(range(30))) for e in KNOWN}
    )


@pytest.fixture(scope="module")
def detector(training) -> MapScan:
    return MapScan.fit(training, {})


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_every_kind_of_fault_is_found_after_twenty_maps(detector, kind):
    simulated = simulator(NEW)
    rng = np.random.default_rng(3)
    (before,) = detector.score([window(NEW, simulated.maps(range(20)))])
    for number in range(4):
        while not ((fault := random_fault(kind, simulated.chamber, rng)).cells(simulated.chamber)).any():
            pass
        if not (fault.cells(simulated.chamber) & ~simulated.dead).any():
            continue  # a hot wire that was dead before cannot be seen
        if fault.factor > 1 and (fault.cells(simulated.chamber) & ~simulated.dead).sum() == 1:
            continue  # a single hot wire is no fault
        (found,) = detector.score([window(NEW, simulated.maps([50 + number], fault), before.state)])
        assert found.raw[0] > 3
        if fault.factor < 1:
            truth = fault.cells(simulated.chamber) & ~simulated.dead
            blame = np.nan_to_num(found.contribution[0])
            assert (blame[truth] >= 0.5 * blame.max()).mean() > 0.8


def test_normal_maps_score_low_with_any_history(detector):
    (found,) = detector.score([window(NEW, simulator(NEW).maps(range(120)))])
    assert (found.raw[20:] > 3).mean() <= 0.05
    # Of another wheel than all in the training: its first maps may look strange, and are learnt all the same.
    assert (found.raw[:20] > 4).sum() <= 4


def test_scores_do_not_depend_on_how_a_stream_is_cut(detector):
    maps = simulator(NEW).maps(range(40))
    maps[25:29] = simulator(NEW).maps(range(25, 29), LowEfficiency((1, 2, 3, 4), 10, 30, 0.5))
    (whole,) = detector.score([window(NEW, maps)])
    assert (whole.raw[25:29] > 5).all()
    state, raw, contribution = {}, [], []
    for start, stop in ((0, 1), (1, 17), (17, 26), (26, 40)):
        (part,) = detector.score([window(NEW, maps[start:stop], state)])
        state = part.state
        raw.append(part.raw)
        contribution.append(part.contribution)
    assert np.concatenate(raw) == pytest.approx(whole.raw, abs=1e-3)
    np.testing.assert_allclose(np.concatenate(contribution), whole.contribution, atol=1e-3)
    for name, array in whole.state.items():
        np.testing.assert_allclose(state[name], array, rtol=1e-5)


def test_a_fault_in_progress_never_becomes_normal(detector):
    maps = simulator(NEW).maps(range(200))
    maps[30:] = simulator(NEW).maps(range(30, 200), LowEfficiency((1, 2, 3, 4), 10, 30, 0.5))
    (found,) = detector.score([window(NEW, maps)])
    assert (found.raw[30:] > 4).all()
    assert found.raw[150:].mean() == pytest.approx(found.raw[33:80].mean(), rel=0.25)


def test_three_maps_together_show_what_one_does_not(detector):
    maps = simulator(NEW).maps(range(100))
    maps[60:63] = simulator(NEW).maps(range(60, 63), LowVoltage(9, 0.85))
    (before,) = detector.score([window(NEW, maps[:60])])
    (together,) = detector.score([window(NEW, maps[60:63], before.state)])
    (alone,) = detector.score([window(NEW, maps[62:63], before.state)])
    assert together.raw[2] > alone.raw[0] + 2


def test_an_operators_word_makes_a_change_normal_and_can_be_undone(detector):
    fault = DeadBlock((1, 2, 3, 4), 10, 25)
    maps = simulator(NEW).maps(range(60))
    maps[30:] = simulator(NEW).maps(range(30, 60), fault)
    (seen,) = detector.score([window(NEW, maps[:50])])
    assert detector.apply_feedback(seen.state, Verdict.BROKEN, 0.0, 1.0) is seen.state
    state = detector.apply_feedback(seen.state, Verdict.NORMAL, 0.0, 1.0)
    (after,) = detector.score([window(NEW, maps[50:], state)])
    assert after.raw[2:].max() < 3
    (undone,) = detector.score([window(NEW, maps[50:], detector.undo(state, seen.state))])
    assert undone.raw.min() > 10


def test_training_leaves_its_histories_in_the_model(training, tmp_path):
    model = train_model(
        training,
        kind="map-scan",
        parameters={},
        false_alarms=AlertRate(0.01),
        seed=0,
        code_version="",
        created=0.0,
    )
    save_model(model, tmp_path / "m")
    restored = load_model(tmp_path / "m")
    drawn = simulator(KNOWN[0]).maps([70], LowEfficiency((1, 2, 3, 4), 10, 30, 0.75))
    fresh, known = (
        MapScan.restore(model.detector.tensors(), model.detector.config() | {"histories": []}),
        restored.detector,
    )
    (a,), (b,), (c,) = (d.score([window(KNOWN[0], drawn)]) for d in (fresh, known, model.detector))
    assert b.raw[0] == pytest.approx(c.raw[0])
    assert b.raw[0] > a.raw[0] + 1


@pytest.mark.parametrize(
    "broken", ["population.12x57.profile", "population.12x57.stray", "populations", "history"]
)
def test_a_damaged_model_is_refused(detector, broken):
    (scored,) = detector.score([window(KNOWN[0], simulator(KNOWN[0]).maps([0]))])
    primed = detector.prime({KNOWN[0]: scored.state})
    tensors, config = primed.tensors(), primed.config()
    if broken == "populations":
        del config["populations"]
    elif broken == "history":
        del tensors["history.0.total"]
    else:
        tensors[broken] = tensors[broken][:-1]
    with pytest.raises(ModelDamaged, match="train again"):
        MapScan.restore(tensors, config)


def test_a_model_that_was_trained_for_other_places_is_refused(detector):
    tensors = detector.tensors()
    for part in ("stray", "drift", "gain"):
        tensors[f"population.12x57.{part}"] = tensors[f"population.12x57.{part}"][:-1]
    older = MapScan.restore(tensors, detector.config())
    with pytest.raises(ModelMismatch, match="train it again"):
        older.score([window(NEW, simulator(NEW).maps([0]))])


def test_what_moves_a_whole_moves_its_parts():
    """The layers of these elements differ, and their cells hold too few counts to show it themselves."""
    rng = np.random.default_rng(4)
    maps = rng.poisson(4 * rng.lognormal(0, 0.2, (40, 1, 12, 1)) * np.ones((10, 12, 57))).astype(np.float32)
    times = np.arange(10) * LUMISECTION_S
    training = TrainingSet({f"DT/W-2/MB1/S{k:02d}": Series(times, m) for k, m in enumerate(maps)})
    population = learn_populations(training)[12, 57]
    stray = dict(
        zip(places_of(geometry_like(NEW, (57,) * 12, 57)).names, population.stray.tolist(), strict=True)
    )
    assert stray["layer"] > 0.1
    assert stray["cell"] >= stray["short run"] >= stray["layer"]


def test_missing_cells_and_maps_are_no_evidence(detector):
    maps = simulator(NEW).maps(range(30))
    maps[25, 3, 10:20] = np.nan
    maps[27] = np.nan
    (found,) = detector.score([window(NEW, maps)])
    assert np.isnan(found.raw[27])
    assert np.isnan(found.contribution[25, 3, 10:20]).all()
    assert np.delete(found.raw, 27)[20:].max() < 4


def test_elements_of_any_shape_are_scored_side_by_side(detector):
    rng = np.random.default_rng(5)
    others = {"ECAL/EB": (34, 72), "histogram": (7, 9), "row": (1, 30)}
    streams = [window(e, rng.poisson(40, (25, *s)).astype(np.float32)) for e, s in others.items()]
    for s in streams:
        s.values[24, : max(1, s.values.shape[1] // 2), :5] = 0
    together = detector.score([*streams, window(NEW, simulator(NEW).maps(range(5)))])
    for s, found in zip(streams, together, strict=False):
        (alone,) = detector.score([s])
        assert alone.raw == pytest.approx(found.raw, abs=1e-3, nan_ok=True)
        assert found.raw[24] > 5 + found.raw[10:24].max()


def test_what_is_no_map_is_refused(detector):
    with pytest.raises(ModelMismatch, match="not the shape of a map"):
        detector.score([SeriesWindow("x", np.zeros(2), np.zeros((2, 5), np.float32))])


def test_training_needs_maps():
    with pytest.raises(TrainingError, match="not one map"):
        MapScan.fit(TrainingSet({}), {})
    with pytest.raises(TrainingError, match="'layers'"):
        MapScan.fit(TrainingSet({}), {"layers": 3})


def test_the_same_data_give_the_same_model(training):
    one, same = (MapScan.fit(training, {}, seed=s) for s in (3, 4))
    assert one.config() == same.config()
    assert all(np.array_equal(one.tensors()[name], same.tensors()[name]) for name in one.tensors())


def test_a_standing_alarm_is_said_once_and_an_operator_can_take_it_for_normal(detector):
    fault = DeadBlock((1, 2, 3, 4), 10, 25)
    maps = simulator(NEW).maps(range(80))
    maps[20:] = simulator(NEW).maps(range(20, 80), fault)
    (seen,) = detector.score([window(NEW, maps[:75])])
    assert [a.what for a in seen.adaptations] == ["model-does-not-fit"]
    assert (seen.raw[20:] > 6).all()
    state = detector.apply_feedback(seen.state, Verdict.NORMAL, 0.0, 1.0)
    (after,) = detector.score([window(NEW, maps[75:], state)])
    assert after.raw.max() < 3
    (adaptation,) = seen.adaptations
    (again,) = detector.score([window(NEW, maps[75:], detector.undo(seen.state, adaptation.before))])
    assert not again.adaptations


def test_a_dead_element_is_the_worst_of_faults_and_no_beam_is_none(detector):
    names = [f"DT/W+1/MB1/S{sector:02d}" for sector in range(1, 7)]
    maps = {name: simulator(name).maps([0]) for name in names}
    alive = detector.score([window(name, maps[name]) for name in names])
    maps[names[0]] = np.where(np.isnan(maps[names[0]]), np.nan, 0).astype(np.float32)
    dead, *others = detector.score([window(name, maps[name]) for name in names])
    assert dead.raw[0] > 100 + max(s.raw[0] for s in alive)
    assert max(s.raw[0] for s in others) < 4
    dark = [window(name, np.where(np.isnan(m), np.nan, 0).astype(np.float32)) for name, m in maps.items()]
    assert all(np.isnan(s.raw).all() for s in detector.score(dark))


def test_a_map_after_a_fault_is_normal_at_once(detector):
    made = simulator(KNOWN[0])
    before = made.maps(range(100, 120))
    fault = LowEfficiency((1, 2, 3, 4), 10, 30, 0.0)
    maps = np.concatenate([before, made.maps(range(120, 124), fault), made.maps(range(124, 128))])
    (scored,) = detector.score([window(KNOWN[0], maps)])
    assert (scored.raw[20:24] > 20).all()
    assert (scored.raw[24:] < 4.6).all()


def test_a_weak_superlayer_is_told_by_how_far_those_of_the_element_move():
    training = TrainingSet(
        {e: Series(np.arange(12) * LUMISECTION_S, simulator(e).maps(range(12))) for e in KNOWN[:4]}
    )
    detector = MapScan.fit(training, {})
    simulated, rng = ElementSimulator(NEW, 1, 60.0), np.random.default_rng(0)
    first = slice(0, 4)
    still = simulated.maps(range(25))
    moving = still.copy()
    for drawn in moving:
        there = np.isfinite(drawn[first])
        drawn[first][there] = rng.binomial(drawn[first][there].astype(np.int64), rng.uniform(0.85, 1))
    raw = []
    for maps in (still, moving):
        (before,) = detector.score([window(NEW, maps)])
        weak = np.nan_to_num(simulated.maps([40]))
        weak[:, first] = rng.binomial(weak[:, first].astype(np.int64), 0.925 * 0.93)
        raw.append(float(detector.score([window(NEW, weak, before.state)])[0].raw[0]))
    assert raw[0] > 4
    assert raw[1] < raw[0] - 3


def whole_system(detector, elements, faults, seed=1):
    """Score seven lumisections of elements; `faults`: which share of its counts each shows in the last."""
    simulators = [ElementSimulator(e, seed, 40.0) for e in elements]
    states = [{}] * len(elements)
    for lumisection in range(7):
        maps = [s.map(lumisection).astype(np.float32) for s in simulators]
        if lumisection == 6:
            for k, share in faults.items():
                maps[k] = np.round(maps[k] * np.float32(share))
        found = detector.score(
            [
                SeriesWindow(e, np.array([lumisection * LUMISECTION_S]), m[None], s)
                for e, m, s in zip(elements, maps, states, strict=True)
            ]
        )
        states = [each.state for each in found]
    return found


BARREL = tuple(f"EB{side}{number:02d}" for side in "+-" for number in range(1, 5))


@pytest.mark.parametrize("elements", [KNOWN, BARREL])
def test_an_element_at_zero_or_at_half_of_its_rate_says_what_was_expected(detector, elements):
    found = whole_system(detector, elements, {1: 0.0, 2: 0.5})
    assert [scored.totals for k, scored in enumerate(found) if k not in (1, 2)] == [()] * 6
    for k, share in ((1, 0.0), (2, 0.5)):
        ((at, total),) = found[k].totals
        assert (at, total.leads) == (0, True)
        assert found[k].raw[0] > 20
        assert total.seen == pytest.approx(share * total.expected, rel=0.03)
        assert total.expected == pytest.approx(np.nansum(found[k].expectation[0]), rel=1e-3)
        assert "sister elements" in total.against
    assert found[2].totals[0][1].otherwise < 1


@pytest.mark.parametrize("elements", [KNOWN, BARREL])
def test_a_system_without_beam_is_not_judged_and_half_of_it_is(detector, elements):
    off = whole_system(detector, elements, dict.fromkeys(range(8), 0.0))
    assert all(np.isnan(scored.raw[0]) and not scored.totals for scored in off)
    half = whole_system(detector, elements, dict.fromkeys(range(0, 8, 2), 0.0))
    assert [bool(scored.raw[0] > 20) for scored in half] == [True, False] * 4
