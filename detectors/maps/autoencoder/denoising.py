"""Teach the network to undo faults: a map with an injected fault in, another map of its element out.

A plain autoencoder learns to rebuild wide losses, since they are as smooth as the differences between
elements; one that has seen them undone does not.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from anomalyd.detectors.detector import Progress
from anomalyd.detectors.maps.autoencoder.network import MapNetwork
from anomalyd.detectors.maps.batch import MapBatch
from anomalyd.detectors.maps.exposure import light_up
from anomalyd.detectors.maps.simulate.luminosity import Counts
from anomalyd.detectors.maps.training_maps import NormalMaps

_HEALTHY = 0.25
"""Share of the maps that stay as they are: the network must also leave alone what is whole."""

_DEAD, _HOT = 0.35, 0.2
"""Shares of the injected faults; the rest are losses of efficiency, the kind that is hard to undo."""


def train_network(
    network: MapNetwork,
    normal: NormalMaps,
    *,
    steps: int,
    batch: int,
    learning_rate: float,
    rng: np.random.Generator,
    progress: Progress,
) -> None:
    """Minimise the Poisson likelihood's loss of a clean map, given a faulty one of the same element."""
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=learning_rate, total_steps=steps)
    smoothed = 0.0
    chance = torch.Generator().manual_seed(0)  # what is drawn of the maps does not depend on the network
    network.train()
    for step in range(steps):
        before, after = normal.draw(rng, batch)
        broken, _ = light_up(replace(before, counts=inject_faults(before, rng)))
        whole, _ = light_up(after)
        correction, more = network.learn(broken.counts, broken.expected, broken.weight, broken.error, chance)
        # The likelihood's loss above that of the plain profile, a count: below 0 where the network helps.
        gain = whole.counts * correction - whole.expected * correction.expm1()
        loss = more - (whole.weight * gain).sum() / (whole.weight * whole.counts).sum().clamp(min=1)
        optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        smoothed += (float(loss.detach()) - smoothed) / min(step + 1, 50)
        progress("training the map autoencoder", step + 1, steps, {"loss": smoothed})
    network.eval()


def inject_faults(batch: MapBatch, rng: np.random.Generator) -> Counts:
    """Break a rectangle of most maps: dead, of low efficiency, or noisy; gives the new counts (N, R, C)."""
    counts = batch.counts.copy()
    size, rows, columns = counts.shape
    for i in range(size):
        if rng.random() < _HEALTHY:
            continue
        height = min(rows, int(rng.choice([1, 2, 4, 8, rows])))
        width = int(np.exp(rng.uniform(0, np.log(columns + 1))))  # short runs as often as long ones
        top, left = int(rng.integers(rows - height + 1)), int(rng.integers(columns - width + 1))
        where = (i, slice(top, top + height), slice(left, left + width))
        region = counts[where].astype(np.int64)
        kind = rng.random()
        if kind < _DEAD:
            counts[where] = 0
        elif kind < 1 - _HOT:
            counts[where] = rng.binomial(region, rng.uniform(0.3, 0.95))
        else:
            counts[where] += rng.poisson(region * rng.uniform(0.5, 5))
    return counts
