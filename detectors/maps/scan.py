"""A likelihood scan: which rectangle of a map disagrees most with what is expected there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from anomalyd.detectors.maps.scan_sums import Grid, sum_up

HEIGHTS = (1, 2, 4, 8)
WIDTHS = (1, 2, 3, 5, 8, 12, 18, 28)
KINDS = (len(HEIGHTS) + 1) * (len(WIDTHS) + 1)
"""Kinds of window: every height, and all rows, with every width, and whole rows."""

_FEW = 2
"""Of so few maps all windows are differentiated: there is little to gain, and DeepLIFT compares two maps
window by window."""

_NEGLIGIBLE = 3e-5
"""Nats that a window adds to a score, before its price and by its part in the sum, which no slope is made of:
of 8,500 windows all that are left out would be a quarter of a nat, where alarms begin at five."""

_FITTED = 3.0
"""Nats, less the price, from which the edges of a window are fitted: nine of ten normal maps stay below."""

_MOVES = (0, -8, -4, -2, -1, 1, 2, 4, 8)
"""Cells by which an edge is tried to be moved: the large windows lie up to nine cells apart."""

Boxes = NDArray[np.int64]
"""Rectangles (N, 4): first row, row behind the last, first column, column behind the last."""


@dataclass(frozen=True, slots=True)
class Windows:
    """The windows that are looked at in maps of one shape.

    `boxes` (K, 4); `kind` (K,): index of height and width; `log_places` (K,): ln of how many windows of its
    kind there are, times the number of kinds; `corners` (4, K): where the four corners lie in the flattened
    integral image; `grids`: the same windows, kind after kind.
    """

    boxes: Boxes
    kind: Tensor
    log_places: Tensor
    corners: Tensor
    grids: tuple[Grid, ...]


@lru_cache(maxsize=64)
def windows_of(rows: int, columns: int) -> Windows:
    """List the windows for maps of (rows, columns); large ones lie further apart than small ones."""
    boxes: list[tuple[int, int, int, int]] = []
    kinds: list[int] = []
    places: list[float] = []
    grids: list[Grid] = []
    for i, height in enumerate((*HEIGHTS, rows)):
        if height > rows or (height == rows and i < len(HEIGHTS)):
            continue
        for j, width in enumerate((*WIDTHS, columns)):
            if width > columns or (width == columns and j < len(WIDTHS)):
                continue
            tops, lefts = _starts(rows, height, height // 2), _starts(columns, width, width // 3)
            new = [(r, r + height, c, c + width) for r in tops for c in lefts]
            grids.append(Grid(height, width, tops, lefts))
            boxes += new
            kinds += [i * (len(WIDTHS) + 1) + j] * len(new)
            places += [float(np.log(len(new)))] * len(new)
    table = np.array(boxes, dtype=np.int64)
    log_places = torch.tensor(places) + float(np.log(len(set(kinds))))
    corners = _corners(torch.from_numpy(table), columns)
    return Windows(table, torch.tensor(kinds), log_places, corners, tuple(grids))


def _starts(length: int, size: int, step: int) -> tuple[int, ...]:
    """Say where windows of `size` begin, with the last one flush with the end."""
    last = length - size
    return tuple(sorted({*range(0, last + 1, max(1, step)), last}))


def _corners(boxes: Tensor, columns: int) -> Tensor:
    top, bottom, left, right = boxes.unbind(-1)
    step = columns + 1
    return torch.stack([bottom * step + right, top * step + right, bottom * step + left, top * step + left])


def _integral(cells: Tensor) -> Tensor:
    """Sums from the upper left corner: ((R + 1) * (C + 1), N), maps last so that windows are read in rows."""
    summed = F.pad(cells, (1, 0, 1, 0)).cumsum(1).cumsum(2)
    return summed.reshape(len(cells), -1).T.contiguous()


def _window_sums(integral: Tensor, corners: Tensor) -> Tensor:
    a, b, c, d = (integral.index_select(0, corner) for corner in corners)
    return a - b - c + d


def _log_likelihood_ratio(residual: Tensor, expected: Tensor, dispersion: Tensor, drift: Tensor) -> Tensor:
    """Nats for "its rate is what was seen" against "as expected", of windows with Poisson counts.

    The plain ratio is divided by the variance over Poisson's: `dispersion` for the error of the reference,
    and `drift` squared times the counts for a shape that moves as a whole.
    """
    expected = expected.clamp(min=1e-3)
    change = (residual / expected).clamp(min=-1)
    # log1p of the change, not ln(observed / expected): windows hold up to 1e8 counts, float32 only 7 digits.
    # The factor just below 1 keeps the gradient of an empty window finite.
    nats = expected * ((1 + change) * torch.log1p(change * (1 - 1e-6)) - change)
    return nats / (dispersion + drift.square() * expected)


def _together(evidence: Tensor) -> tuple[Tensor, Tensor]:
    """Give the log of the summed likelihood ratios (N,) of windows (K, N), and about the share of each."""
    top = evidence.amax(0)
    # Below, exp gives denormal numbers, which take many times as long.
    share = (evidence - top).clamp(min=-60.0).exp()
    return share.sum(0).log() + top, share


@dataclass(frozen=True, slots=True)
class Suspect:
    """The window of each map with the most evidence: `boxes` (N, 4), `pull` (N,) its residual in sigmas."""

    boxes: Boxes
    pull: NDArray[np.float32]


class Scan:
    """Evidence of the windows of a map, less the price of looking in many places.

    `price` (2, KINDS): nats that normal maps reach in a tenth of cases, for losses and for excesses.

    Maps come as `residual`, observed less expected, and `expected`, (N, R, C) both and 0 in cells that do not
    count, with `dispersion` and `drift` (N,): a window of e expected counts varies by
    e * (dispersion + drift^2 * e).
    """

    def __init__(self, price: Tensor | None = None) -> None:
        self.price = torch.zeros(2, KINDS) if price is None else price

    def evidence(
        self, residual: Tensor, expected: Tensor, dispersion: Tensor, drift: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Give the evidence (K, N) of each window in nats, and whether it is a loss (K, N)."""
        nats, loss, price = self._look(residual, expected, dispersion, drift)
        return nats - price, loss

    def score(self, residual: Tensor, expected: Tensor, dispersion: Tensor, drift: Tensor) -> Tensor:
        """Sum the evidence up (N,): ln of the summed likelihood ratios, a smooth maximum over windows."""
        if not residual.requires_grad:
            return _together(self.evidence(residual, expected, dispersion, drift)[0])[0]
        if len(residual) <= _FEW:
            # One function: DeepLIFT would compare the exponentials of two maps, each over its own maximum.
            return torch.logsumexp(self.evidence(residual, expected, dispersion, drift)[0], dim=0)
        with torch.no_grad():
            nats, _, price = self._look(residual, expected, dispersion, drift)
            score, share = _together(nats - price)
            near = (share * nats > _NEGLIGIBLE).nonzero().T
        # The value is that of all windows; its slope goes back through those that have a part in it.
        part = self._part_of(near, score, residual, expected, dispersion, drift)
        return score + (part - part.detach())

    def _look(
        self, residual: Tensor, expected: Tensor, dispersion: Tensor, drift: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Give the nats (K, N) of each window, whether it is a loss, and its price."""
        windows = windows_of(residual.shape[1], residual.shape[2])
        change, wanted = (_window_sums(_integral(each), windows.corners) for each in (residual, expected))
        loss = change < 0
        price = (self.price[:, windows.kind] + windows.log_places)[..., None]
        # Twice as fast as choosing one of two prices for each.
        asked = torch.addcmul(price[1], loss.float(), price[0] - price[1])
        return _log_likelihood_ratio(change, wanted, dispersion, drift), loss, asked

    def _part_of(
        self,
        near: Tensor,
        score: Tensor,
        residual: Tensor,
        expected: Tensor,
        dispersion: Tensor,
        drift: Tensor,
    ) -> Tensor:
        """Give the part (N,) that some windows have in scores (N,); `near` (2, P): which, of which map."""
        window, maps = near
        windows = windows_of(residual.shape[1], residual.shape[2])
        corners = windows.corners[:, window] * len(residual) + maps
        change, wanted = (_window_sums(_integral(each).flatten(), corners) for each in (residual, expected))
        price = self.price[(change >= 0).long(), windows.kind[window]] + windows.log_places[window]
        nats = _log_likelihood_ratio(change, wanted, dispersion[maps], drift[maps]) - price
        return torch.zeros(len(score)).index_add(0, maps, (nats - score[maps]).exp())

    def highest(self, residual: Tensor, expected: Tensor, dispersion: Tensor, drift: Tensor) -> Tensor:
        """Give the highest evidence (2, KINDS, N) of losses and excesses, NaN for kinds that do not fit."""
        evidence, loss = self.evidence(residual, expected, dispersion, drift)
        kind = windows_of(residual.shape[1], residual.shape[2]).kind
        highest = torch.full((2, KINDS, evidence.shape[1]), torch.nan)
        for k in set(kind.tolist()):
            nats, losses = evidence[kind == k], loss[kind == k]
            highest[0, k] = nats.masked_fill(~losses, -torch.inf).amax(0)
            highest[1, k] = nats.masked_fill(losses, -torch.inf).amax(0)
        return highest

    def examine(
        self, residual: Tensor, expected: Tensor, dispersion: Tensor, drift: Tensor
    ) -> tuple[NDArray[np.float64], Suspect]:
        """Give what `score` gives (N,) but for quiet windows (`scan_sums`), and the window with the most
        evidence.

        Where that is much its edges are fitted; where every window is quiet its pull is 0.
        """
        shape = residual.shape[1], residual.shape[2]
        windows = windows_of(*shape)
        price = self.price[:, windows.kind] + windows.log_places
        loudest = sum_up(residual, expected, dispersion, drift, windows.grids, price)
        boxes, pull = windows.boxes[loudest.best], loudest.pull
        some = np.flatnonzero(loudest.top > _FITTED)
        if len(some):
            given = (x[torch.from_numpy(some)] for x in (residual, expected, dispersion, drift))
            boxes[some], pull[some] = _fitted(torch.from_numpy(boxes[some]), shape, *given)
        return loudest.score, Suspect(boxes, pull)


def _fitted(
    boxes: Tensor,
    shape: tuple[int, int],
    residual: Tensor,
    expected: Tensor,
    dispersion: Tensor,
    drift: Tensor,
) -> tuple[Boxes, NDArray[np.float32]]:
    """Give boxes (N, 4) with their edges fitted, and how far each pulls (N,), in sigmas."""
    integrals = _integral(residual), _integral(expected)
    maps = torch.arange(len(residual))

    def sums(boxes: Tensor) -> tuple[Tensor, Tensor]:
        a, b, c, d = _corners(boxes, shape[1])
        change, wanted = (i[a, maps] - i[b, maps] - i[c, maps] + i[d, maps] for i in integrals)
        return change, wanted

    boxes = _fit_edges(boxes, shape, lambda tried: _log_likelihood_ratio(*sums(tried), dispersion, drift))
    change, wanted = sums(boxes)
    wanted = wanted.clamp(min=1e-3)
    pull = change / (wanted * (dispersion + drift.square() * wanted)).sqrt()
    return boxes.numpy(), pull.numpy()


def _fit_edges(boxes: Tensor, shape: tuple[int, int], nats_of: Callable[[Tensor], Tensor]) -> Tensor:
    """Move the edges of boxes (N, 4) to where the evidence is highest.

    A move must be worth half a nat, which is what an edge gains by chance. `nats_of` gives the evidence
    (..., N) of boxes (..., N, 4).
    """
    limits = (shape[0], shape[0], shape[1], shape[1])
    maps = torch.arange(len(boxes))
    for _ in range(3):
        for edge, limit in enumerate(limits):
            tried = boxes.repeat(len(_MOVES), 1, 1)  # the first move is none
            tried[:, :, edge] = (tried[:, :, edge] + torch.tensor(_MOVES)[:, None]).clamp(0, limit)
            empty = (tried[..., 0] >= tried[..., 1]) | (tried[..., 2] >= tried[..., 3])
            nats = nats_of(tried).masked_fill(empty, -torch.inf)
            nats[0] += 0.5
            boxes = tried[nats.argmax(0), maps]
    return boxes
