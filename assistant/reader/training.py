"""Train the reader: seeded, and taken up where it was left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from anomalyd.assistant.reader.network import Batch, logits
from anomalyd.assistant.reader.windows import Window
from anomalyd.detectors.detector import Progress
from anomalyd.errors import TrainingError

_SORTED_TOGETHER = 64  # batches of windows that are sorted by length at once
_SAVED_EVERY = 100  # steps


@dataclass(frozen=True, slots=True)
class Sample:
    """A window, and the first and last token of the answer in it; 0, "[CLS]", where it has none."""

    window: Window
    start: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class Stage:
    """A pass of training over samples, in batches of `tokens` tokens, `steps` of them at most.

    The learning rate rises over the first `warm` steps, then falls from `rate` in a line to `last_rate`.
    """

    name: str
    samples: Sequence[Sample]
    rate: float
    last_rate: float = 0.0
    warm: int = 0
    steps: int | None = None
    seed: int = 0
    tokens: int = 2560

    def rate_at(self, step: int, steps: int) -> float:
        """Give the learning rate of a step of so many."""
        if step < self.warm:
            return self.rate * (step + 1) / self.warm
        left = (steps - step) / max(1, steps - self.warm)
        return self.last_rate + (self.rate - self.last_rate) * left


def train_stage(
    network: Any, stage: Stage, padding: int, folder: Path, progress: Progress, threads: int = 1
) -> None:
    """Train the network on a stage. What was done in `folder` before is taken up, not done again.

    Raises:
        TrainingError: there are no samples, or `folder` holds the training on other ones.

    """
    import torch

    if not stage.samples:
        raise TrainingError(f"stage {stage.name}: no samples to train the reader on")
    torch.set_num_threads(threads)
    batches = list(islice(_batches(stage), stage.steps))
    trained = [p for p in network.parameters() if p.requires_grad]
    # Biases and normalisations are not drawn to zero (Devlin et al. 2019).
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in trained if p.ndim < 2], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=stage.rate, fused=True)
    state = _State(folder, stage)
    first = state.restore(network, optimizer)
    network.train()
    loss = float("nan")
    for step in range(first, len(batches)):
        new = _step(network, [stage.samples[k] for k in batches[step]], padding)
        torch.nn.utils.clip_grad_norm_(trained, 1.0)
        for group in optimizer.param_groups:
            group["lr"] = stage.rate_at(step, len(batches))
        optimizer.step()
        optimizer.zero_grad()
        loss = new if loss != loss else 0.98 * loss + 0.02 * new
        progress(stage.name, step + 1, len(batches), {"loss": loss})
        if (step + 1) % _SAVED_EVERY == 0 or step + 1 == len(batches):
            state.save(step + 1, network, optimizer)
    network.eval()


def _step(network: Any, samples: Sequence[Sample], padding: int) -> float:
    """Add the gradient of one batch, and give its loss."""
    import torch
    from torch.nn.functional import cross_entropy

    batch = Batch.of([s.window for s in samples], padding)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        starts, ends = logits(network, batch)
    barred = torch.from_numpy(batch.mask) == 0
    loss = (
        cross_entropy(starts.masked_fill(barred, -1e4), torch.tensor([s.start for s in samples]))
        + cross_entropy(ends.masked_fill(barred, -1e4), torch.tensor([s.end for s in samples]))
    ) / 2
    loss.backward()  # type: ignore[no-untyped-call]
    return float(loss.detach())


def _batches(stage: Stage) -> Iterator[list[int]]:
    """Give the samples of each batch: alike in length, in an order that the seed decides."""
    draw = np.random.default_rng(stage.seed)
    lengths = np.array([len(s.window.ids) for s in stage.samples])
    order = draw.permutation(len(lengths))
    together = _SORTED_TOGETHER * max(1, stage.tokens // int(lengths.mean()))
    for k in range(0, len(order), together):
        part = order[k : k + together]
        part = part[np.argsort(lengths[part], kind="stable")]
        batches: list[list[int]] = [[]]
        for sample in part:
            if batches[-1] and (len(batches[-1]) + 1) * lengths[sample] > stage.tokens:
                batches.append([])
            batches[-1].append(int(sample))
        for place in draw.permutation(len(batches)):
            yield batches[place]


class _State:
    """What is kept of a stage under way: weights, moments of the optimizer, and the step."""

    def __init__(self, folder: Path, stage: Stage) -> None:
        self._tensors = folder / f"{stage.name}.safetensors"
        self._note = folder / f"{stage.name}.json"
        settings = replace(stage, samples=())
        digest = hashlib.sha256(repr(settings).encode())
        for s in stage.samples:
            digest.update(s.window.ids.tobytes() + bytes(f"{s.start} {s.end}", "ascii"))
        self._digest = digest.hexdigest()
        folder.mkdir(parents=True, exist_ok=True)

    def restore(self, network: Any, optimizer: Any) -> int:
        """Take up what was kept; gives the number of steps done."""
        from safetensors.torch import load_file

        if not self._note.exists():
            return 0
        note = json.loads(self._note.read_text())
        if note["samples"] != self._digest:
            raise TrainingError(
                f"{self._note}: begun on other questions or with other settings; give another folder"
            )
        tensors = load_file(self._tensors)
        named = {n: p for n, p in network.named_parameters() if p.requires_grad}
        for name, parameter in named.items():
            parameter.data.copy_(tensors[f"weight/{name}"])
            moments = {m: tensors[f"{m}/{name}"] for m in ("exp_avg", "exp_avg_sq", "step")}
            optimizer.state[parameter] = moments
        return int(note["steps"])

    def save(self, steps: int, network: Any, optimizer: Any) -> None:
        """Keep it; an interruption leaves the state before or the state after."""
        from safetensors.torch import save_file

        tensors: dict[str, Any] = {}
        for name, parameter in network.named_parameters():
            if parameter.requires_grad:
                tensors[f"weight/{name}"] = parameter.data
                tensors |= {f"{m}/{name}": v for m, v in optimizer.state[parameter].items()}
        new = self._tensors.with_suffix(".new")
        save_file(tensors, new)
        self._note.unlink(missing_ok=True)
        new.replace(self._tensors)
        self._note.write_text(json.dumps({"samples": self._digest, "steps": steps}))
