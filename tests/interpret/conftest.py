"""Two detectors whose explanation can be worked out by hand, and a clock that forward passes move."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, SeriesWindow


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Quadratic:
    """Scores the last rows of a vector: the sum of weight * (value - normal)^2 over a window.

    Remembers the batches it was called with, and moves a clock by `cost` seconds each time.
    """

    def __init__(self, weights: list[float], window: int = 2, normal: float = 1.0) -> None:
        self.weights = torch.tensor(weights)
        self.window = window
        self.normal = normal
        self.batches: list[int] = []
        self.clock, self.cost = Clock(), 0.0

    def encode(self, series_window: SeriesWindow) -> Encoded:
        values = torch.from_numpy(series_window.values[-self.window :])
        missing = torch.isnan(values)
        inputs = torch.where(missing, self.normal, values)[None]
        feature = torch.where(missing, -1, torch.arange(values.shape[1]).expand(values.shape))
        return Encoded(inputs, torch.full_like(inputs, self.normal), (self.weights[None],), feature)

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        self.batches.append(len(inputs))
        self.clock.now += self.cost
        (weights,) = context
        assert len(weights) in (1, len(inputs)), "the context must follow the batch"
        return (weights[:, None] * (inputs - self.normal) ** 2).sum((1, 2))


class Worst(Quadratic):
    """Scores a map by a smooth maximum of what runs of 8 cells lack: local, like a real map detector."""

    def __init__(self, expected: float = 50.0, run: int = 8) -> None:
        super().__init__([1.0])
        self.expected, self.run = expected, run

    def encode(self, series_window: SeriesWindow) -> Encoded:
        cells = torch.from_numpy(series_window.values[-1])
        missing = torch.isnan(cells)
        inputs = torch.where(missing, self.expected, cells)[None]
        feature = torch.where(missing, -1, torch.arange(cells.numel()).reshape(cells.shape))
        return Encoded(inputs, torch.full_like(inputs, self.expected), (), feature)

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        self.batches.append(len(inputs))
        self.clock.now += self.cost
        lack = (self.expected - inputs) / self.expected**0.5
        runs = lack.unfold(2, self.run, 1).sum(3) / self.run**0.5
        return torch.logsumexp(runs.flatten(1), 1)


@pytest.fixture
def quadratic() -> Callable[..., Quadratic]:
    return Quadratic


@pytest.fixture
def worst() -> Worst:
    return Worst()


@pytest.fixture
def window() -> Callable[[NDArray[np.float32]], SeriesWindow]:
    """Make a window of one entity from values (n, ...), a second apart."""

    def make(values: NDArray[np.float32]) -> SeriesWindow:
        return SeriesWindow("host/a", 1.8e9 + np.arange(len(values)), np.asarray(values, dtype=np.float32))

    return make
