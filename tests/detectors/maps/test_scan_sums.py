from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from anomalyd.detectors.maps.scan import KINDS, Scan, windows_of
from anomalyd.detectors.maps.scan_sums import QUIET, groups_of, quiet_together, sum_up


def maps(size: int, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give residuals, what is expected, dispersion and drift of maps, some cells of which do not count."""
    chance = torch.Generator().manual_seed(size)
    expected = 30 * torch.rand(size, rows, columns, generator=chance)
    counts = torch.poisson(expected, generator=chance)
    expected[:, :, : columns // 7] = counts[:, :, : columns // 7] = 0
    counts[0, : rows // 2, columns // 2 :] = 0  # a dead region
    dispersion, drift = 1 + torch.rand(size, generator=chance), 0.1 * torch.rand(size, generator=chance)
    return counts - expected, expected, dispersion, drift


def loud_ones(evidence: Tensor, rest: float) -> Tensor:
    """Sum up the windows above `QUIET`, and what the others are worth on normal maps."""
    loud = evidence.double().masked_fill(evidence <= QUIET, -torch.inf).logsumexp(0)
    return torch.logaddexp(loud, torch.tensor(rest, dtype=torch.float64))


@pytest.mark.parametrize(("size", "rows", "columns"), [(1, 1, 1), (140, 12, 30), (3, 9, 61), (2, 34, 72)])
def test_it_says_what_the_windows_say_one_by_one(size: int, rows: int, columns: int) -> None:
    some = maps(size, rows, columns)
    price = torch.rand(2, KINDS, generator=torch.Generator().manual_seed(1))
    evidence, _ = Scan(price).evidence(*some)
    windows = windows_of(rows, columns)
    asked = price[:, windows.kind] + windows.log_places
    found = sum_up(*some, windows.grids, asked)
    score, top = (torch.from_numpy(x).float() for x in (found.score, found.top))
    wanted = loud_ones(evidence, quiet_together(asked)).float()
    torch.testing.assert_close(score, wanted, rtol=1e-4, atol=1e-4)
    most = evidence.amax(0)
    loud = most > QUIET
    assert loud[0] or rows == 1
    torch.testing.assert_close(top[loud], most[loud], rtol=1e-4, atol=1e-4)
    assert (top[~loud] == -torch.inf).all()
    best = evidence[found.best, torch.arange(size)]
    torch.testing.assert_close(best[loud], most[loud], rtol=1e-4, atol=1e-4)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    counts=st.floats(0.05, 3000),
    factor=st.floats(0, 4),
    drift=st.floats(0, 0.3),
    price=st.floats(0, 8),
)
def test_the_first_look_rules_out_no_window_that_is_not_quiet(
    seed: int, counts: float, factor: float, drift: float, price: float
) -> None:
    chance = torch.Generator().manual_seed(seed)
    expected = counts * torch.rand(3, 5, 11, generator=chance)
    drawn = torch.poisson(expected, generator=chance)
    drawn[0, 1:3, 2:9] *= factor  # a fault
    rest = 1 + torch.rand(3, generator=chance), torch.full((3,), drift)
    prices = price * torch.rand(2, KINDS, generator=chance)
    evidence, _ = Scan(prices).evidence(drawn - expected, expected, *rest)
    windows = windows_of(5, 11)
    asked = prices[:, windows.kind] + windows.log_places
    found = sum_up(drawn - expected, expected, *rest, windows.grids, asked)
    loudest = evidence.amax(0).double().numpy()
    loud = loudest > QUIET + 1e-3
    assert found.top[loud] == pytest.approx(loudest[loud], rel=1e-3, abs=2e-3)
    # What lies at the limit may be counted or not, by rounding.
    least = evidence.double().masked_fill(evidence <= QUIET + 1e-2, -torch.inf).logsumexp(0)
    most = evidence.double().masked_fill(evidence <= QUIET - 1e-2, -torch.inf).logsumexp(0)
    quiet = torch.tensor(quiet_together(asked), dtype=torch.float64)
    low, high = (torch.logaddexp(x, quiet).numpy() for x in (least, most))
    assert (found.score >= low - 1e-3 * (1 + abs(low))).all()
    assert (found.score <= high + 1e-3 * (1 + abs(high))).all()


@pytest.mark.parametrize("counts", [15.0, 50.0])
def test_what_quiet_windows_are_worth_is_what_they_are_worth_on_normal_maps(counts: float) -> None:
    expected = torch.full((60, 12, 40), counts)
    drawn = torch.poisson(expected, generator=torch.Generator().manual_seed(3))
    rest = torch.ones(60), torch.zeros(60)
    price = torch.full((2, KINDS), 2.0)
    evidence, _ = Scan(price).evidence(drawn - expected, expected, *rest)
    windows = windows_of(12, 40)
    quiet = evidence.masked_fill(evidence > QUIET, -torch.inf).logsumexp(0)
    assert quiet_together(price[:, windows.kind] + windows.log_places) == pytest.approx(
        float(quiet.exp().mean().log()), abs=0.2
    )
    # One window in fifty is looked at.
    assert float((evidence > QUIET).float().mean()) < 0.02


def test_of_maps_without_a_count_the_score_is_finite() -> None:
    nothing = torch.zeros(2, 6, 9)
    windows = windows_of(6, 9)
    price = windows.log_places.expand(2, -1)
    score = sum_up(nothing, nothing, torch.ones(2), torch.zeros(2), windows.grids, price).score
    assert np.isfinite(score).all()


def test_groups_hold_every_window_once() -> None:
    grids = windows_of(12, 60).grids
    groups = groups_of(grids)
    assert [g for group in groups for g in group.grids] == list(grids)
    assert [g.first for g in groups] == [sum(g.size for g in groups[:k]) for k in range(len(groups))]
