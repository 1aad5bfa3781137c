"""What hidden units do on samples: their outputs, held against those on normal samples."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import Module

from anomalyd.detectors.detector import Encoded, Explainable, Layered
from anomalyd.errors import ModelDamaged

FILE = "neurons.safetensors"
"""Where what is usual of the units is kept, beside the model."""

_LEAST_SPREAD = 0.05
"""Of a layer's typical spread: a unit that is all but dead must not seem to fire at the least noise."""


@dataclass(frozen=True, slots=True)
class UsualActivity:
    """What the U units of each layer do on normal samples: mean and spread (U, P) at each of P positions.

    `separation` (U,) is how well each tells anomalous samples, as ranked (NaN: not ranked), `significant`
    (U,) whether that is more than chance.
    """

    mean: Mapping[str, Tensor]
    spread: Mapping[str, Tensor]
    separation: Mapping[str, Tensor]
    significant: Mapping[str, Tensor]

    @classmethod
    def of(cls, outputs: Mapping[str, Tensor]) -> UsualActivity:
        """Measure it on the outputs (N, U, P) of each layer on normal samples."""
        mean = {layer: out.mean(0) for layer, out in outputs.items()}
        spread = {}
        for layer, out in outputs.items():
            own = out.std(0)
            spread[layer] = own.clamp(min=max(_LEAST_SPREAD * float(own.mean()), 1e-9))
        unknown = {layer: torch.full((out.shape[1],), torch.nan) for layer, out in outputs.items()}
        return cls(mean, spread, unknown, {layer: torch.zeros(len(n)) for layer, n in unknown.items()})

    def unusual(self, layer: str, output: Tensor) -> Tensor:
        """Give how far each unit fires from its mean (N, U, P) in spreads, given outputs of that shape."""
        return (output - self.mean[layer]) / self.spread[layer]

    def save(self, folder: Path) -> None:
        """Keep it beside a model."""
        parts = {"mean": self.mean, "spread": self.spread}
        ranks = {"separation": self.separation, "significant": self.significant}
        tensors = {
            f"{part}/{layer}": tensor.contiguous()
            for part, held in {**parts, **ranks}.items()
            for layer, tensor in held.items()
        }
        save_file(tensors, folder / FILE)

    @classmethod
    def load(cls, folder: Path) -> UsualActivity | None:
        """Load what is kept beside a model; None: nobody looked at its units.

        Raises:
            ModelDamaged: the file cannot be read.

        """
        if not (folder / FILE).is_file():
            return None
        try:
            held = load_file(folder / FILE)
        except (SafetensorError, OSError) as error:
            raise ModelDamaged(f"{folder / FILE}: {error}; run `anomalyd neurons` again") from error
        parts: dict[str, dict[str, Tensor]] = {}
        for name, tensor in held.items():
            part, _, layer = name.partition("/")
            parts.setdefault(part, {})[layer] = tensor
        return cls(*(parts.get(part, {}) for part in ("mean", "spread", "separation", "significant")))


@contextmanager
def recording(layers: Mapping[str, Module]) -> Iterator[dict[str, Tensor]]:
    """Give a dictionary that holds the output of each layer after every run of the network."""
    held: dict[str, Tensor] = {}

    def keep(name: str) -> object:
        def hook(module: Module, args: object, output: Tensor) -> None:
            held[name] = output

        return hook

    hooks = [layer.register_forward_hook(keep(name)) for name, layer in layers.items()]  # type: ignore[arg-type]
    try:
        yield held
    finally:
        for hook in hooks:
            hook.remove()


def outputs_of(detector: Layered, encoded: Sequence[Encoded]) -> dict[str, Tensor]:
    """Give the outputs (N, U, P) of each layer on samples: U units at P positions."""
    assert isinstance(detector, Explainable)
    found: dict[str, list[Tensor]] = {}
    with torch.no_grad(), recording(detector.hidden_layers()) as held:
        for each in encoded:
            detector.forward(each.inputs, *each.context)
            for layer, output in held.items():
                found.setdefault(layer, []).append(by_unit(output, 1, each.inputs.shape[-1]))
    return {layer: torch.cat(outputs) for layer, outputs in found.items()}


def by_unit(output: Tensor, samples: int, metrics: int) -> Tensor:
    """Give a layer's output as (N, U, P): of a convolution P are the places, of a shared encoder the metrics.

    A shared encoder gives a row a metric of each sample (and maybe rows that fill up).
    """
    if output.ndim == 4:
        return output.flatten(2)
    if len(output) == samples:
        return output[..., None]
    return output[: samples * metrics].reshape(samples, metrics, -1).transpose(1, 2)


def responses(usual: UsualActivity, outputs: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Give each unit's response (N, U) to samples: how far it fires from usual where it does so most."""
    found = {}
    for layer, output in outputs.items():
        away = usual.unusual(layer, output)
        place = away.abs().argmax(dim=2, keepdim=True)
        found[layer] = away.gather(2, place)[..., 0].numpy()
    return found
