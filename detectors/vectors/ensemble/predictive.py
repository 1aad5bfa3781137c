"""A predictive, probabilistic autoencoder: from what is known a row before, where each metric will go.

The network squeezes the state of all metrics through a narrow code and gives, for each metric's next
deviation from its recent median, a centre and a log scale. Its loss is the negative log likelihood of a
Student t with 3 degrees of freedom, whose heavy tails keep rare rows from ruling the fit; the worst 3 % of
each batch are left out besides, because unlabelled anomalies are among them (trimmed likelihood, Neykov and
Mueller, "Breakdown point and computation of trimmed likelihood estimators", 2003).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

_FREEDOM = 3.0
_TRIMMED = 0.03
_BATCH = 256
_RATE = 4e-3
_REPORT = 50


class Predictor(nn.Module):
    """Inputs (N, K F) known before a row -> centre and log scale (N, F) of its signed-log deviations."""

    def __init__(self, inputs: int, metrics: int, hidden: int, code: int) -> None:
        super().__init__()
        self.metrics = metrics
        self.layers = nn.Sequential(
            nn.Linear(inputs, hidden),
            nn.SiLU(),
            nn.Linear(hidden, code),
            nn.SiLU(),
            nn.Linear(code, hidden),
            nn.SiLU(),
            nn.Linear(hidden, 2 * metrics),
        )

    def forward(self, known: Tensor) -> tuple[Tensor, Tensor]:
        """Predict."""
        out = self.layers(known)
        return out[:, : self.metrics], out[:, self.metrics :].clamp(-4.0, 3.0)

    def surprise(self, known: Tensor, came: Tensor) -> Tensor:
        """Give the negative log likelihood (N, F), less a constant, of what came (N, F)."""
        centre, log_scale = self(known)
        squared = ((came - centre) / log_scale.exp()).square()
        surprise: Tensor = log_scale + (_FREEDOM + 1.0) / 2.0 * torch.log1p(squared / _FREEDOM)
        return surprise


def fit_predictor(
    network: Predictor,
    known: NDArray[np.float32],
    came: NDArray[np.float32],
    steps: int,
    seed: int,
    report: Callable[[int, int, Mapping[str, float]], None],
) -> None:
    """Fit on rows (T, K F) and (T, F), the newest fifth held out; the best weights by it are kept."""
    torch.manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, nn.Linear):
            layer.reset_parameters()
    draw = torch.Generator().manual_seed(seed)
    split = max(1, int(0.8 * len(known)))
    x, y = torch.from_numpy(known), torch.from_numpy(came)
    later = slice(split, None) if split < len(known) else slice(None)
    stride = max(1, len(x[later]) // 4096)
    optimiser = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    best, kept = float("inf"), {n: t.clone() for n, t in network.state_dict().items()}
    for step in range(1, steps + 1):
        rows = torch.randint(0, split, (min(_BATCH, split),), generator=draw)
        each = network.surprise(x[rows], y[rows]).sum(dim=1)
        loss = each[each <= each.quantile(1.0 - _TRIMMED)].mean() / network.metrics
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
        if step % _REPORT == 0 or step == steps:
            with torch.inference_mode():
                each = network.surprise(x[later][::stride], y[later][::stride]).sum(dim=1)
                held = float(each[each <= each.quantile(1.0 - _TRIMMED)].mean()) / network.metrics
            report(step, steps, {"training": float(loss.detach()), "validation": held})
            if held < best:
                best, kept = held, {n: t.clone() for n, t in network.state_dict().items()}
    network.load_state_dict(kept)
