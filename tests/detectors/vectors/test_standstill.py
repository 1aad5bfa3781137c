"""Equal values in a row are counted over cuts, and only of metrics that always move."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.detectors.vectors.standstill import limits, repeats

NOTHING = np.full(1, np.nan, dtype=np.float32)
NONE = np.zeros(1, dtype=np.int64)


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float32)[:, None]


def test_repetitions_are_counted_and_begin_anew() -> None:
    found = repeats(column(1, 1, 1, 2, 2, np.nan, np.nan, 2), NOTHING, NONE)
    assert found[:, 0].tolist() == [0, 1, 2, 0, 1, 0, 0, 0]


@given(st.lists(st.sampled_from([1.0, 2.0, np.nan]), min_size=1, max_size=30), st.data())
def test_a_cut_changes_nothing(values: list[float], data: st.DataObject) -> None:
    rows = column(*values)
    whole = repeats(rows, NOTHING, NONE)
    cut = data.draw(st.integers(1, len(rows)))
    first = repeats(rows[:cut], NOTHING, NONE)
    rest = repeats(rows[cut:], rows[cut - 1], first[-1]) if cut < len(rows) else whole[:0]
    assert np.concatenate([first, rest]).tolist() == whole.tolist()


def test_only_what_always_moved_can_be_stuck() -> None:
    chance = np.random.default_rng(0)
    moving = chance.normal(size=1000)
    stepping = np.repeat(chance.normal(size=100), 10)
    pairs = np.repeat(chance.normal(size=500), 2)
    zero, missing = np.zeros(1000), np.full(1000, np.nan)
    rows = np.stack([moving, stepping, pairs, zero, missing], axis=1).astype(np.float32)
    assert limits(rows).tolist() == [36, np.inf, 36, np.inf, np.inf]
    assert np.isinf(limits(rows[:300])).all()
