"""What a map should look like by the map itself: a convolutional autoencoder that undoes faults.

It serves the elements that have no history yet. Trained on others (`undo`: a map with an injected fault in,
another clean one of its element out), it tells what is the element's own shape from what is broken.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from anomalyd.detectors.detector import Progress, TrainingSet
from anomalyd.detectors.maps.autoencoder.denoising import train_network
from anomalyd.detectors.maps.autoencoder.network import MapNetwork
from anomalyd.detectors.maps.batch import MapBatch, batch_of
from anomalyd.detectors.maps.exposure import light_up
from anomalyd.detectors.maps.likelihood.places import Counts
from anomalyd.detectors.maps.reference import Reference, References, mean_reference
from anomalyd.detectors.maps.training_maps import NormalMaps
from anomalyd.errors import ModelDamaged, TrainingError

Shape = tuple[int, int]

_ELEMENTS = 5
"""Of every so many elements one is kept back, to see how far the network strays on one it does not know."""


class Expectation:
    """The network, and the mean profile of every shape that it corrects."""

    def __init__(self, network: MapNetwork, profiles: Mapping[Shape, Reference]) -> None:
        self.network = network.eval().requires_grad_(False)
        self.profiles = dict(profiles)

    @torch.no_grad()
    def rates(self, maps: Counts) -> Counts:
        """Give the expected counts (N, R, C) of maps of a known shape, NaN where a cell is missing."""
        return self._correct(batch_of(maps, [self.profiles[maps.shape[1:]]] * len(maps)))[1]

    def _correct(self, batch: MapBatch) -> tuple[Counts, Counts]:
        """Give the counts and the expected ones (N, R, C) of the cells that count."""
        # Any luminosity is to be believed: the sum of three maps, or a brighter fill than any in training.
        lit, _ = light_up(replace(batch, lowest=0 * batch.lowest, highest=batch.highest + np.inf))
        correction = self.network(lit.counts, lit.expected, lit.weight, lit.error)
        expected: Counts = (lit.expected * correction.exp()).numpy() * batch.usable
        return batch.counts * lit.weight.numpy(), expected

    @torch.no_grad()
    def compared(self, normal: NormalMaps) -> Iterator[tuple[Counts, Counts]]:
        """Give normal maps, and what would be expected had their elements never been seen."""
        for batch in normal.in_order(unseen=True):
            yield self._correct(batch)

    def tensors(self) -> dict[str, Tensor]:
        """Everything learnt."""
        found = {f"network.{name}": t for name, t in self.network.state_dict().items()}
        for (rows, columns), profile in self.profiles.items():
            name = f"expectation.{rows}x{columns}"
            found[f"{name}.profile"] = torch.from_numpy(profile.profile)
            found[f"{name}.usable"] = torch.from_numpy(profile.usable.astype(np.uint8))
            found[f"{name}.exposure"] = torch.tensor(profile.exposure, dtype=torch.float64)
        return found

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], channels: int, shapes: list[Shape]) -> Expectation:
        """Build it again.

        Raises:
            ModelDamaged: the tensors do not fit.

        """
        network = MapNetwork(channels)
        profiles: dict[Shape, Reference] = {}
        try:
            network.load_state_dict(
                {n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")}
            )
            for rows, columns in shapes:
                name = f"expectation.{rows}x{columns}"
                profile, usable = (tensors[f"{name}.{part}"].numpy() for part in ("profile", "usable"))
                if profile.shape != (rows, columns) or usable.shape != (rows, columns):
                    raise ModelDamaged(f"{name}: {profile.shape} and {usable.shape}; train again")
                exposure = float(tensors[f"{name}.exposure"])
                profiles[rows, columns] = Reference(
                    profile, usable.astype(np.bool_), exposure, 0.0, np.inf, "shape"
                )
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            raise ModelDamaged(f"the expectation: {error}; train again") from error
        return cls(network, profiles)


def train_expectation(
    training: TrainingSet, kind: str, parameters: Any, seed: int, progress: Progress
) -> tuple[Expectation, NormalMaps] | None:
    """Train the network; gives also the maps of the elements that were kept back, for its stray.

    None where no shape has two elements with enough maps: then there is nobody to learn from.
    """
    try:
        references, agreeing = References.fit(training, kind)
    except TrainingError:
        return None
    by_shape: dict[Shape, list[str]] = {}
    for entity in agreeing:
        rows, columns = training.series[entity].values.shape[1:]
        by_shape.setdefault((rows, columns), []).append(entity)
    shared = {shape: names for shape, names in by_shape.items() if len(names) > 1}
    if not shared:
        return None
    kept_back = {n for names in shared.values() for n in names[:: _ELEMENTS if len(names) >= 10 else 1]}
    taught = {e: a for e, a in agreeing.items() if e not in kept_back} or agreeing
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = MapNetwork(parameters.channels)
    train_network(
        network,
        NormalMaps(training, references, taught),
        steps=parameters.steps,
        batch=parameters.batch,
        learning_rate=parameters.learning_rate,
        rng=np.random.default_rng(seed),
        progress=progress,
    )
    profiles = {
        shape: mean_reference([references.of(n, shape) for n in names], "shape")
        for shape, names in shared.items()
    }
    kept = NormalMaps(training, references, {e: agreeing[e] for e in sorted(kept_back)})
    return Expectation(network, profiles), kept
