"""An autoencoder of metric vectors: rebuilds a row from a narrow code of the last few rows.

Reconstruction error as the sign of an anomaly, on short windows of all metrics together, is the plain form of
what e.g. Audibert et al., "USAD", KDD 2020, and Su et al., "OmniAnomaly", KDD 2019, do on server metrics.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor, nn

from anomalyd.detectors.detector import (
    Detector,
    Encoded,
    Progress,
    RawScores,
    SampleKind,
    SeriesWindow,
    TrainingSet,
    silent,
)
from anomalyd.detectors.parameters import number, read_parameters
from anomalyd.detectors.vectors.energy import energy
from anomalyd.detectors.vectors.network import Network, WindowNetwork, fit_network
from anomalyd.detectors.vectors.scaling import Joined, Scaling
from anomalyd.errors import ModelDamaged

_BLAME_OF_ERROR = 0.1
"""A network smears the error of one metric over others that are as usual. So blame is error times deviation
from the usual, with a tenth of a width for those that should have deviated and do not. On labelled servers
this finds .67 of the root causes where the squared error finds .52."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """What may be set.

    `window`: rows that are looked at together, the scored one included; `hidden`, `code`: widths of the
    network (a code of 0 is a tenth of the metrics, 4 to 16 and at most a third: a wider one rebuilds
    anomalies too); `epochs`: at most; `clip`: how many sigmas one metric counts for at most; `top`: how many
    of the worst metrics count apart; `warmup`: rows from which an unknown entity learns its scale; `floor`:
    how little a metric is asked to move, as a share of its size (lower it for voltages that never leave
    their fourth digit).
    """

    window: int = number(8, 1, 256, tune=(2, 32), log=True)
    hidden: int = number(64, 4, 1024, tune=(16, 256), log=True)
    code: int = number(0, 0, 1024, tune=(0, 24))
    epochs: int = number(60, 1, 10_000)
    clip: float = number(30.0, 1.0, 1e4, tune=(5.0, 200.0), log=True)
    top: int = number(3, 1, 1000, tune=(1, 10))
    warmup: int = number(30, 10, 100_000)
    floor: float = number(0.01, 0.0, 1.0)


class VectorAutoencoder(Detector):
    """One network for all entities, each in its own scale; explainable (`interpret` differentiates it).

    The window counts rows, not seconds. A row is scored from the first one of an entity on, the rows before
    it counting as missing; an entity that was never seen in training is scored after its warm-up.
    """

    kind: ClassVar[str] = "vector-autoencoder"
    sample_kind: ClassVar[SampleKind] = "vector"
    parameters_class: ClassVar[type[Parameters]] = Parameters
    network_class: ClassVar[type[WindowNetwork]] = Network

    def __init__(self, parameters: Parameters, scaling: Scaling, network: WindowNetwork) -> None:
        self._parameters = parameters
        self._scaling = scaling
        self._network = network.eval().requires_grad_(False)

    @classmethod
    def fit(
        cls,
        training: TrainingSet,
        parameters: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Measure the scales, then train the network with early stopping on each series' newest fifth.

        Raises:
            TrainingError: no entity has 10 samples, or a parameter is unknown or impossible.

        """
        checked = read_parameters(cls.kind, cls.parameters_class, parameters)
        scaling = Scaling.fit(training, checked.warmup, checked.floor)
        metrics = len(training.features)
        code = checked.code or max(1, min(max(metrics // 10, 4), 16, metrics // 3))
        network = cls.network_class(metrics, checked.window, checked.hidden, code)
        series = [
            torch.asinh(torch.from_numpy(scaling.join([SeriesWindow(e, s.times, s.values)], 0).deviations))
            for e, s in training.series.items()
            if scaling.knows(e)
        ]
        fit_network(network, series, checked.epochs, seed, lambda *a: progress(cls.kind, *a))
        return cls(checked, scaling, network)

    def score(self, series_windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score all rows of all windows in one pass through the network; as `Detector.score`."""
        if not series_windows:
            return []
        batch = self._scaling.join(series_windows, self._parameters.window - 1)
        windows, missing, cap = self._windows(batch)
        with torch.inference_mode():
            expected = self._network(windows, missing)
            error = (windows[:, -1] - expected) / self._network.scatter
            absent = missing[:, -1] | ~torch.from_numpy(batch.ready)[:, None]
            squared = torch.minimum(error.abs(), cap).square_().masked_fill_(absent, 0.0)
            raw = energy(squared, ~absent, self._parameters.top)
            error.masked_fill_(absent, torch.nan)
            contribution = error.abs() * (windows[:, -1].abs() + _BLAME_OF_ERROR)
            expectation = torch.sinh(expected).numpy()
        expectation *= batch.scale.width[batch.window]
        expectation += batch.scale.centre[batch.window]
        return batch.results(raw.double().numpy(), error.numpy(), expectation, contribution.numpy())

    def encode(self, series_window: SeriesWindow) -> Encoded:
        """Encode the last sample of a window: inputs (1, window, F), scaled, 0 where missing.

        The baseline is every metric at its own median. Context: what is missing (1, window, F), and the most
        that each metric counts for (1, F).
        """
        batch = self._scaling.join([series_window], self._parameters.window - 1)
        windows, missing, cap = (array[-1:] for array in self._windows(batch))
        feature = torch.arange(windows.shape[2]).expand(windows.shape[1:])
        feature = torch.where(missing[0], -1, feature)
        return Encoded(windows, torch.zeros_like(windows), (missing, cap), feature)

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        """Give the raw score (N,) of inputs (N, window, F); context of one row goes for all."""
        missing, cap = context
        error = (inputs[:, -1] - self._network(inputs, missing)) / self._network.scatter
        absent = missing[:, -1].expand(error.shape)
        squared = torch.minimum(error.abs(), cap).square().masked_fill(absent, 0.0)
        return energy(squared, ~absent, self._parameters.top)

    def hidden_layers(self) -> Mapping[str, nn.Module]:
        """Name the linear layers but the last; as `Layered.hidden_layers`."""
        named = [
            (n, m)
            for n, m in self._network.named_modules()
            if isinstance(m, nn.Linear) and m.bias is not None
        ]
        return dict(named[:-1])

    def _windows(self, batch: Joined) -> tuple[Tensor, Tensor, Tensor]:
        """Give windows (N, window, F), squashed and 0 where missing; what is missing; the cap (N, F).

        Where nothing is missing, what is missing is one row for all, (1, window, F).
        """
        deviations = torch.from_numpy(batch.deviations)
        missing = torch.isnan(deviations)
        squashed = torch.asinh(deviations).masked_fill_(missing, 0.0)
        window, metrics = self._parameters.window, self._scaling.metrics
        first = torch.from_numpy(batch.rows - (window - 1))

        def gather(rows: Tensor) -> Tensor:
            # The rows of a window lie behind each other: each window is one piece of memory to copy.
            pieces = rows.as_strided((len(rows) - window + 1, window * metrics), (metrics, 1))
            return pieces.index_select(0, first).view(-1, window, metrics)

        windows, nothing = gather(squashed), torch.zeros(1, window, metrics, dtype=torch.bool)
        absent = gather(missing) if bool(missing.any()) else nothing
        cap = np.minimum(batch.scale.cap, np.float32(self._parameters.clip))[batch.window]
        return windows, absent, torch.from_numpy(cap)

    def tensors(self) -> dict[str, Tensor]:
        """Give scales and weights, for safetensors."""
        weights = {f"network.{name}": tensor for name, tensor in self._network.state_dict().items()}
        return {**self._scaling.tensors(), **weights}

    def config(self) -> dict[str, Any]:
        """Give parameters, sizes and entities, for JSON."""
        return {
            "parameters": asdict(self._parameters),
            "network": self._network.sizes(),
            "scaling": self._scaling.config(),
        }

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again; as `Detector.restore`."""
        try:
            parameters = cls.parameters_class(**config["parameters"])
            scaling = Scaling.restore(tensors, config["scaling"])
            network = cls.network_class(**config["network"])
        except (KeyError, TypeError) as error:
            raise ModelDamaged(f"{cls.kind}: its configuration lacks {error}; train it again") from error
        prefix = "network."
        weights = {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}
        try:
            network.load_state_dict(weights)
        except RuntimeError as error:
            raise ModelDamaged(f"{cls.kind}: weights and sizes differ ({error}); train it again") from error
        return cls(parameters, scaling, network)
