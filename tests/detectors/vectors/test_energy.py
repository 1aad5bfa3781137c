from __future__ import annotations

import math

import pytest
import torch

from anomalyd.detectors.vectors.energy import energy


def test_by_hand() -> None:
    squared = torch.tensor([[4.0, 1.0, 0.0, 1.0], [9.0, 0.0, 0.0, 0.0]])
    observed = torch.tensor([[True] * 4, [True, True, False, False]])
    first, second = energy(squared, observed, 2).tolist()
    assert first == pytest.approx(math.sqrt(6 / 4 + 0.3 * 2.5))
    assert second == pytest.approx(math.sqrt(9 / 2 + 0.3 * 4.5))


def test_a_single_spike_is_not_diluted_by_many_metrics() -> None:
    quiet, spike = torch.ones(1, 100), torch.ones(1, 100)
    spike[0, 7] = 8.0**2
    observed = torch.ones(1, 100, dtype=torch.bool)
    assert energy(spike, observed, 3) > 2 * energy(quiet, observed, 3)


def test_nothing_observed_cannot_tell_and_nothing_deviating_has_a_gradient() -> None:
    squared = torch.zeros(2, 3, requires_grad=True)
    score = energy(squared, torch.tensor([[True] * 3, [False] * 3]), 5)
    assert score[0] < 1e-5
    assert torch.isnan(score[1])
    score[0].backward()
    assert squared.grad is not None
    assert torch.isfinite(squared.grad[0]).all()
