"""Training the patch autoencoder that comes with anomalyd.

    python -m anomalyd.detectors.vectors.novelty.pretraining --data FOLDER [--data FOLDER ...] --out FILE

Each folder holds series as `anomalyd evaluate metrics` takes them; only their training parts are used, never
a label. The shipped weights are of thirteen machines of the Server Machine Dataset, four application servers,
five services and 36 channels of spacecraft telemetry (docs/validation.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from anomalyd.detectors.vectors.novelty.patches import ROWS, PatchAutoencoder, squash
from anomalyd.detectors.vectors.scale import measure

_STEPS, _BATCH, _RATE = 4000, 512, 4e-3
_NOISE = 0.05
_PER_FOLDER = 20_000


def draw_patches(series: Sequence[NDArray[np.float32]], count: int, seed: int) -> NDArray[np.float32]:
    """Draw patches (about count, 30) from training rows (T, F), as many of each series, in usual widths."""
    draw = np.random.default_rng(seed)
    found = []
    for values in series:
        scale = measure(values, 0.01, trusted=1.0)
        cap = np.minimum(scale.cap, 10.0)
        rows = np.clip((values - scale.centre) / scale.width, -cap, cap).astype(np.float32)
        moving = np.flatnonzero(rows.std(axis=0) > 1e-6)
        if len(moving) and len(rows) >= ROWS:
            each = max(count // len(series), 200)
            ends = draw.integers(ROWS - 1, len(rows), each)
            metrics = draw.choice(moving, each)
            found.append(
                np.stack([rows[end - ROWS + 1 : end + 1, f] for end, f in zip(ends, metrics, strict=True)])
            )
    return np.concatenate(found)


def pretrain(patches: NDArray[np.float32], steps: int = _STEPS, seed: int = 0) -> PatchAutoencoder:
    """Train on patches (N, 30): to rebuild them from noisy ones, the newest rows counting most."""
    torch.manual_seed(seed)
    network = PatchAutoencoder()
    known = squash(torch.from_numpy(patches))
    weight = torch.linspace(0.5, 1.5, ROWS)
    optimiser = torch.optim.Adam(network.parameters())
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
    for _ in range(steps):
        wanted = known[torch.randint(0, len(known), (_BATCH,))]
        rebuilt = network(wanted + _NOISE * torch.randn_like(wanted))
        loss = ((rebuilt - wanted).square() * weight).mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return network.eval()


def main() -> None:
    """Train and write the weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--out", type=Path, required=True)
    given = parser.parse_args()
    drawn = []
    for folder in given.data:
        series = [np.load(file)["train"] for file in sorted(folder.glob("*.npz"))]
        drawn.append(draw_patches(series, _PER_FOLDER, seed=0))
    save_file(pretrain(np.concatenate(drawn)).state_dict(), given.out)


if __name__ == "__main__":
    main()
