from __future__ import annotations

import pytest
import torch
from torch import Tensor

from anomalyd.detectors.maps.scan import KINDS, Scan, windows_of
from anomalyd.detectors.maps.scan_sums import groups_of, sum_up


def maps(size: int, rows: int, columns: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Give residuals, what is expected, dispersion and drift of maps, some cells of which do not count."""
    chance = torch.Generator().manual_seed(size)
    expected = 30 * torch.rand(size, rows, columns, generator=chance)
    counts = torch.poisson(expected, generator=chance)
    expected[:, :, : columns // 7] = counts[:, :, : columns // 7] = 0
    counts[0, : rows // 2, columns // 2 :] = 0  # a dead region
    dispersion, drift = 1 + torch.rand(size, generator=chance), 0.1 * torch.rand(size, generator=chance)
    return counts - expected, expected, dispersion, drift


@pytest.mark.parametrize(("size", "rows", "columns"), [(1, 1, 1), (70, 12, 30), (3, 9, 61), (2, 34, 72)])
def test_it_says_what_the_windows_say_one_by_one(size: int, rows: int, columns: int) -> None:
    given = maps(size, rows, columns)
    price = torch.rand(2, KINDS, generator=torch.Generator().manual_seed(1))
    evidence, _ = Scan(price).evidence(*given)
    windows = windows_of(rows, columns)
    score, best = sum_up(*given, windows.grids, price[:, windows.kind] + windows.log_places)
    torch.testing.assert_close(score, evidence.logsumexp(0), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(evidence[best, torch.arange(size)], evidence.amax(0), rtol=1e-4, atol=1e-4)


def test_of_maps_without_a_count_the_score_is_finite() -> None:
    nothing = torch.zeros(2, 6, 9)
    windows = windows_of(6, 9)
    price = windows.log_places.expand(2, -1)
    score, _ = sum_up(nothing, nothing, torch.ones(2), torch.zeros(2), windows.grids, price)
    assert score.isfinite().all()


def test_groups_hold_every_window_once() -> None:
    grids = windows_of(12, 60).grids
    groups = groups_of(grids)
    assert [g for group in groups for g in group.grids] == list(grids)
    assert [g.first for g in groups] == [sum(g.size for g in groups[:k]) for k in range(len(groups))]
