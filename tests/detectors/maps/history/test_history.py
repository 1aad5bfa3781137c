from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.maps.history.history import PARTS, History, WeightedSum
from anomalyd.detectors.maps.history.memory import Memory, Movement


def grown(maps: list[np.ndarray], trusted: list[bool] | None = None) -> History:
    history = History.of({}, maps[0].shape)
    for drawn, trust in zip(maps, trusted or [True] * len(maps), strict=True):
        history = history.after(drawn, trust)
    return history


def flat(value: float) -> np.ndarray:
    return np.full((2, 3), value, dtype=np.float32)


def test_a_map_is_in_the_reference_at_once_but_settles_only_after_two_more():
    history = grown([flat(7)])
    assert history.reference() == pytest.approx(flat(7))
    assert not history.settled.reference().any()
    assert grown([flat(7), flat(0), flat(0)]).settled.reference() == pytest.approx(flat(7))


def test_the_sum_of_three_shares_no_map_with_what_it_is_compared_with():
    history = grown([flat(k) for k in (1, 10, 100, 1000)])
    assert history.three(flat(5)) == pytest.approx(flat(1105))
    assert history.settled.reference() == pytest.approx(flat(11), rel=0.05)
    assert grown([flat(1)]).three(flat(5)) is None


def test_a_map_that_is_not_trusted_stays_out_and_takes_the_two_before_it_along():
    history = grown([flat(1), flat(2), flat(3), flat(400), flat(5), flat(6), flat(7)], [1, 1, 1, 0, 1, 1, 1])
    assert history.settled.reference() == pytest.approx(
        flat(6), rel=0.05
    )  # 1 and 5: 2 and 3 waited when 400 came
    assert history.reference() == pytest.approx(flat(19), rel=0.05)


def test_a_reference_varies_by_its_mean_however_old_its_maps():
    rng = np.random.default_rng(0)
    references = np.stack(
        [
            grown([rng.poisson(20, (2, 3)).astype(np.float32) for _ in range(300)]).reference()
            for _ in range(60)
        ]
    )
    assert references.var(0).mean() == pytest.approx(references.mean(), rel=0.25)


def test_a_missing_cell_does_not_look_weak_later():
    maps = [np.full((2, 3), 10, dtype=np.float32) for _ in range(12)]
    for drawn in maps[6:]:
        drawn[0, 0] = np.nan
    settled = grown(maps).settled.reference()
    assert settled[0, 0] == pytest.approx(settled[1, 1], rel=0.02)


def test_state_holds_everything():
    history = grown([flat(k) for k in range(9)], [True] * 8 + [False])
    state = history.state()
    assert set(state) == set(PARTS)
    again = History.of(state, (2, 3))
    for drawn in (flat(3), flat(4), flat(5)):
        history, again = history.after(drawn, True), again.after(drawn, True)
    assert again.reference() == pytest.approx(history.reference())
    assert not History.of(state, (2, 4)).reference().any()


def test_an_operator_can_have_the_newest_maps_taken_for_normal():
    history = grown([flat(1)] * 30 + [flat(50)] * 2, [True] * 30 + [False] * 2)
    assert history.only_pending().reference() == pytest.approx(flat(100), rel=0.02)


def test_a_state_with_numbers_by_position_is_read():
    total = flat(30)
    old = {
        "total": total,
        "weights": np.array([3.0, 2.5]),
        "pending": np.stack([flat(9)]),
        "trusted": np.array([True]),
        "alone": np.array([False]),
        "rate": np.array([[4.0, 0.1, 0.01], [0.0, 0.0, 0.0], [5.0, 6.0, 0.02], [1.0, 0.0, 0.0]]),
        "noise": np.array([1.7, 8.0, 40.0]),
        "alerts": np.array([True, False]),
        "unfit": np.array([1.0, 2.0]),
        "provisional": np.stack([flat(5)]),
    }
    memory = Memory.of(old, (2, 3))
    assert memory.history.settled.weight == 3
    assert memory.history.settled.squares == 2.5
    assert memory.rate.own.mean == 6
    assert memory.rate.sisters.n == 4
    assert memory.rate.accompanied
    assert memory.noise.maps == 8
    assert memory.standing.unfit
    assert memory.standing.weight == 2
    assert Memory.of(memory.state(), (2, 3)).state().keys() == memory.state().keys()


def test_a_state_that_knows_nothing_of_movement_is_read():
    memory = Memory(
        History(WeightedSum(np.ones((2, 3), dtype=np.float32), 1.0, 1.0)), movement=Movement(0.1, 4)
    )
    state = dict(memory.state())
    assert Memory.of(state, (2, 3)).movement == Movement(0.1, 4)
    del state["movement.square"], state["movement.maps"]
    assert Memory.of(state, (2, 3)).movement == Movement()


def test_what_units_were_seen_to_move_outweighs_what_is_usual():
    movement = Movement()
    assert movement.beside(0.02) == pytest.approx(0.02)
    for _ in range(60):
        movement = movement.after(0.05**2)
    assert movement.beside(0.02) == pytest.approx(0.05, rel=0.05)
    for _ in range(200):
        movement = movement.after(-1e-5)  # less than Poisson's noise lets expect
    assert movement.beside(0.02) < 0.01
