from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.detectors.maps.scan import KINDS, Scan, windows_of

FREE = (torch.ones(1), torch.zeros(1))  # no dispersion beyond Poisson's, no drift


@settings(max_examples=30, deadline=None)
@given(rows=st.integers(1, 20), columns=st.integers(1, 100))
def test_windows_lie_in_the_map_and_cover_every_cell_and_row(rows, columns):
    windows = windows_of(rows, columns)
    boxes = {tuple(b) for b in windows.boxes.tolist()}
    assert len(boxes) == len(windows.boxes)
    assert all(0 <= t < b <= rows and 0 <= le < r <= columns for t, b, le, r in boxes)
    assert {(r, r + 1, c, c + 1) for r in range(rows) for c in range(columns)} <= boxes
    assert {(r, r + 1, 0, columns) for r in range(rows)} <= boxes
    assert (0, rows, 0, columns) in boxes
    assert 0 <= int(windows.kind.min()) <= int(windows.kind.max()) < KINDS


def test_evidence_is_the_poisson_log_likelihood_ratio():
    expected = torch.full((1, 3, 4), 5.0)
    residual = torch.zeros(1, 3, 4)
    residual[0, 1, 2] = -5.0
    residual[0, 0, 0] = 7.0
    evidence, loss = Scan().evidence(residual, expected, *FREE)
    windows = windows_of(3, 4)
    nats = {
        tuple(box): (float(e + p), bool(x))
        for box, e, p, x in zip(
            windows.boxes.tolist(), evidence[:, 0], windows.log_places, loss[:, 0], strict=True
        )
    }
    assert nats[1, 2, 2, 3] == (pytest.approx(5.0, abs=1e-3), True)  # nothing where 5 were expected: e^-5
    assert nats[0, 1, 0, 1] == (pytest.approx(12 * math.log(12 / 5) - 7, abs=1e-3), False)
    assert nats[1, 2, 2, 4] == (pytest.approx(5 * math.log(5 / 10) + 5, abs=1e-3), True)
    assert nats[2, 3, 0, 4][0] == pytest.approx(0, abs=1e-6)


def test_dispersion_and_drift_take_evidence_away():
    expected, residual = torch.full((3, 2, 2), 100.0), torch.full((3, 2, 2), 20.0)
    dispersion, drift = torch.tensor([1.0, 2.0, 1.0]), torch.tensor([0.0, 0.0, 0.1])
    windows = windows_of(2, 2)
    whole = windows.boxes.tolist().index([0, 2, 0, 2])
    nats = Scan().evidence(residual, expected, dispersion, drift)[0][whole] + windows.log_places[whole]
    assert nats[1] == pytest.approx(float(nats[0]) / 2, rel=1e-5)
    assert nats[2] == pytest.approx(float(nats[0]) / (1 + 0.01 * 400), rel=1e-5)


def test_very_bright_maps_keep_their_precision():
    expected = torch.full((1, 12, 60), 1e5)
    evidence, _ = Scan().evidence(torch.zeros(1, 12, 60), expected, *FREE)
    assert (evidence[:, 0] + windows_of(12, 60).log_places).abs().max() < 1e-3


@pytest.mark.parametrize("box", [(2, 3, 5, 12), (0, 4, 13, 30), (4, 8, 7, 44), (9, 10, 0, 50), (3, 4, 9, 10)])
@pytest.mark.parametrize("share", [-1.0, -0.5, 2.0])
def test_the_edges_of_a_region_are_found(box, share):
    top, bottom, left, right = box
    expected = torch.full((1, 12, 50), 100.0)
    residual = torch.zeros_like(expected)
    residual[0, top:bottom, left:right] = share * 100
    score, suspect = Scan().examine(residual, expected, *FREE)
    assert tuple(suspect.boxes[0].tolist()) == box
    cells = (bottom - top) * (right - left)
    assert suspect.pull[0] == pytest.approx(share * math.sqrt(100 * cells), rel=1e-3)
    # All windows where gradients are wanted, else what the quiet ones are worth on normal maps.
    assert score[0] == pytest.approx(float(Scan().score(residual, expected, *FREE)[0]), abs=0.03)


def test_prices_are_asked_of_losses_and_excesses_apart():
    price = torch.zeros(2, KINDS)
    price[0] = 3.0
    expected = torch.full((1, 4, 6), 10.0)
    for sign, difference in ((-1, 3.0), (1, 0.0)):
        residual = torch.full((1, 4, 6), sign * 2.0)
        free, paid = (Scan(p).score(residual, expected, *FREE) for p in (None, price))
        assert float(free - paid) == pytest.approx(difference, abs=1e-4)


def test_the_highest_evidence_is_told_by_kind_and_sign():
    residual = torch.zeros(1, 4, 6)
    residual[0, 2, 3] = -10.0
    residual[0, 0, 0] = 10.0
    highest = Scan().highest(residual, torch.full((1, 4, 6), 10.0), *FREE)
    single = math.log(24) + math.log(len(windows_of(4, 6).kind.unique()))
    assert float(highest[0, 0, 0]) == pytest.approx(10 - single, abs=1e-3)
    assert float(highest[1, 0, 0]) == pytest.approx(20 * math.log(2) - 10 - single, abs=1e-3)
    assert torch.isnan(highest).any()  # windows wider than the map


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99), share=st.floats(0.0, 1.5))
def test_the_slope_is_that_of_all_windows_though_it_goes_back_through_few(seed, share):
    torch.manual_seed(seed)
    expected = torch.full((6, 8, 20), 30.0)
    residual = torch.randn(6, 8, 20) * expected.sqrt()
    residual[:, 2:4, 5:9] -= share * torch.linspace(0, 20, 6)[:, None, None]
    rest = torch.ones(6), torch.zeros(6)
    wanted = residual.clone().requires_grad_()
    score = Scan().score(wanted, expected, *rest)
    (slope,) = torch.autograd.grad(score.sum(), wanted)
    whole = residual.clone().requires_grad_()
    evidence, _ = Scan().evidence(whole, expected, *rest)
    plain = torch.logsumexp(evidence, dim=0)
    (all_of_it,) = torch.autograd.grad(plain.sum(), whole)
    assert torch.allclose(score, plain, atol=1e-4)
    # What raises the score: how far it goes with the residual.
    assert (((slope - all_of_it) * residual).sum((1, 2)).abs() < 0.1).all()
