"""The network of the vector autoencoder, and how it and its siblings are trained."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from anomalyd.detectors.vectors.scale import measure

_LEAST_SCATTER = 0.1
"""Scatter of the residuals is taken to be at least this, in squashed units (0.1 usual widths): a metric that
the network rebuilds almost perfectly in training must not alert on a drift nobody would call one."""

_BATCH = 256
_STEPS = 4000
_LEAST_BATCHES = 10
_PATIENCE = 8
_HIDDEN_METRICS = 0.15
_HIDDEN_PASTS = 0.05


class WindowNetwork(nn.Module, ABC):
    """Windows (N, W, F) of squashed deviations -> the last row (N, F).

    `scatter` (F,) is the usual size of the residuals, measured after training.
    """

    scatter: Tensor

    def __init__(self, metrics: int, window: int, hidden: int, code: int) -> None:
        super().__init__()
        self._sizes = {"metrics": metrics, "window": window, "hidden": hidden, "code": code}
        self.register_buffer("scatter", torch.ones(metrics))

    def sizes(self) -> dict[str, int]:
        """Give the arguments that build it again."""
        return dict(self._sizes)

    @abstractmethod
    def forward(self, windows: Tensor, missing: Tensor) -> Tensor:
        """Give the last row (N, F) of windows (N, W, F) that are 0 where `missing` (1 or N, W, F)."""

    def learn(self, windows: Tensor, missing: Tensor, chance: torch.Generator) -> tuple[Tensor, Tensor]:
        """Give the last row as in training, and what is added to the loss."""
        return self(windows, missing), windows.new_zeros(())


class Network(WindowNetwork):
    """Windows (N, W, F) of squashed deviations -> code -> the last row (N, F).

    What is missing is an input of its own, so that a missing value is not a usual one.
    """

    def __init__(self, metrics: int, window: int, hidden: int, code: int) -> None:
        super().__init__(metrics, window, hidden, code)
        self.values = nn.Linear(window * metrics, hidden)
        self.absent = nn.Linear(window * metrics, hidden, bias=False)
        self.squeeze = nn.Linear(hidden, code)
        self.widen = nn.Linear(code, hidden)
        self.rebuild = nn.Linear(hidden, metrics)

    def forward(self, windows: Tensor, missing: Tensor) -> Tensor:
        """Rebuild the last row (N, F) of windows (N, W, F) that are 0 where `missing` (1 or N, W, F)."""
        hidden = self.values(windows.flatten(1))
        if bool(missing.any()):  # nothing is missing most of the time, and this is half of the work
            hidden = hidden + self.absent(missing.flatten(1).to(windows.dtype))
        code = self.squeeze(functional.gelu(hidden))
        rebuilt: Tensor = self.rebuild(functional.gelu(self.widen(code)))
        return rebuilt


def fit_network(
    network: WindowNetwork,
    series: Sequence[Tensor],
    epochs: int,
    seed: int,
    progress: Callable[[int, int, Mapping[str, float]], None],
) -> None:
    """Train on series (T, F) of squashed deviations, NaN where missing, and measure the scatter.

    The newest fifth of each series is validated on; the weights of the best epoch are kept. The loss is
    Huber's, so that unlabelled anomalies pull less. Metrics, and sometimes the whole past, are hidden at
    random, so that the network learns what the others say of a missing one.
    """
    chance = torch.Generator().manual_seed(seed)
    _initialise(network, chance)
    window = network.sizes()["window"]
    rows, places, newest = _lay_out(series, window)
    older, newer = places[~newest], places[newest]
    batches = max(1, math.ceil(len(older) / _BATCH))
    # An epoch goes over small data several times, and large data get no more steps than are useful.
    rounds = max(1, _LEAST_BATCHES // batches)
    epochs = max(1, min(epochs, _STEPS // (rounds * batches)))
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs * rounds * batches)
    best, best_weights, best_epoch = math.inf, copy.deepcopy(network.state_dict()), 0
    for epoch in range(1, epochs + 1):
        network.train()
        total = 0.0
        for part in _shuffled(len(older), rounds, chance):
            values, missing = _gather(rows, older[part])
            hide = torch.rand(len(part), 1, values.shape[2], generator=chance) < _HIDDEN_METRICS
            past = torch.rand(len(part), 1, 1, generator=chance) < _HIDDEN_PASTS
            hide = hide.expand_as(values).clone()
            hide[:, :-1] |= past
            rebuilt, more = network.learn(values.masked_fill(hide, 0.0), missing | hide, chance)
            loss = _loss(rebuilt, values, missing) + more
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(part)
        network.eval()
        validated = _validate(network, rows, newer)
        progress(epoch, epochs, {"loss": total / (rounds * len(older)), "validation": validated})
        if validated < best:
            best, best_weights, best_epoch = validated, copy.deepcopy(network.state_dict()), epoch
        elif epoch - best_epoch >= _PATIENCE:
            break
    network.load_state_dict(best_weights)
    network.scatter.copy_(torch.maximum(_scatter(network, rows, older), _scatter(network, rows, newer)))


def _shuffled(count: int, rounds: int, chance: torch.Generator) -> Iterator[Tensor]:
    """Give batches of indices that go over all of them `rounds` times, each time in another order."""
    for _ in range(rounds):
        yield from torch.split(torch.randperm(count, generator=chance), _BATCH)


def _initialise(network: WindowNetwork, chance: torch.Generator) -> None:
    """Draw the weights from this generator alone, so that nobody else's random numbers matter."""
    for layer in network.modules():
        if not isinstance(layer, nn.Linear | nn.Conv1d):
            continue
        nn.init.xavier_uniform_(layer.weight, generator=chance)
        if layer.bias is not None:
            nn.init.zeros_(layer.bias)


def _lay_out(series: Sequence[Tensor], window: int) -> tuple[Tensor, Tensor, Tensor]:
    """Put all series behind each other, each after window - 1 missing rows.

    Gives the rows (M, F), the windows' places in them (N, W), and which windows are among the newest fifth of
    their series (N,).
    """
    blocks, places, newest, start = [], [], [], 0
    for values in series:
        blocks += [values.new_full((window - 1, values.shape[1]), torch.nan), values]
        n = len(values)
        places.append(start + torch.arange(n)[:, None] + torch.arange(window))
        newest.append(torch.arange(n) >= n - max(1, round(0.2 * n)))
        start += n + window - 1
    return torch.cat(blocks), torch.cat(places), torch.cat(newest)


def _gather(rows: Tensor, places: Tensor) -> tuple[Tensor, Tensor]:
    windows = rows[places]
    missing = torch.isnan(windows)
    return windows.masked_fill_(missing, 0.0), missing


def _loss(rebuilt: Tensor, values: Tensor, missing: Tensor) -> Tensor:
    """Huber's loss of the last row, mean over what was observed of it."""
    seen = ~missing[:, -1]
    each = functional.huber_loss(rebuilt, values[:, -1], reduction="none") * seen
    return each.sum() / seen.sum().clamp(min=1)


@torch.no_grad()
def _validate(network: WindowNetwork, rows: Tensor, places: Tensor) -> float:
    losses = []
    for part in torch.split(places, 4096):
        values, missing = _gather(rows, part)
        losses.append(float(_loss(network(values, missing), values, missing)) * len(part))
    return sum(losses) / len(places)


@torch.no_grad()
def _scatter(network: WindowNetwork, rows: Tensor, places: Tensor) -> Tensor:
    """Measure the usual size (F,) of the residuals, robustly, at least `_LEAST_SCATTER`."""
    residuals = []
    for part in torch.split(places, 4096):
        values, missing = _gather(rows, part)
        residual = values[:, -1] - network(values, missing)
        residuals.append(residual.masked_fill(missing[:, -1], torch.nan).numpy())
    return torch.from_numpy(measure(np.concatenate(residuals), 0.0).width).clamp(min=_LEAST_SCATTER)
