"""How far the slow turbulence is believed."""

from __future__ import annotations

import numpy as np
import torch

from anomalyd.detectors.vectors.ensemble.baseline_statistics import believed
from anomalyd.detectors.vectors.ensemble.memory import CHANNEL_COUNT, LATELY_ROWS
from anomalyd.detectors.vectors.ensemble.views import QUICK_TURBULENCE, SLOW_TURBULENCE


def nothing_before() -> np.ndarray:
    return np.full((1, LATELY_ROWS), -np.inf, dtype=np.float32)


def test_slow_turbulence_is_believed_while_the_quick_one_was_near_it_of_late() -> None:
    logged = torch.full((1, 60, CHANNEL_COUNT), 4.0)
    logged[0, 10:, QUICK_TURBULENCE] = 0.5
    found = believed(logged, nothing_before())[0]
    assert torch.all(found[:29, SLOW_TURBULENCE] == 4.0)
    assert torch.all(found[29:, SLOW_TURBULENCE] == 0.5)
    others = [c for c in range(CHANNEL_COUNT) if c != SLOW_TURBULENCE]
    assert torch.equal(found[:, others], logged[0, :, others])
    assert torch.all(logged[..., SLOW_TURBULENCE] == 4.0)  # what was given stays


def test_what_is_believed_does_not_depend_on_how_a_stream_is_cut() -> None:
    logged = torch.from_numpy(np.random.default_rng(1).normal(size=(1, 200, CHANNEL_COUNT))).float()
    lately, after = nothing_before(), nothing_before()
    whole = believed(logged, after)
    cuts = ((0, 3), (3, 4), (4, 150), (150, 200))
    found = [believed(logged[:, begin:end], lately) for begin, end in cuts]
    assert torch.equal(torch.cat(found, dim=1), whole)
    np.testing.assert_array_equal(lately, after)
