"""The map autoencoder: expects a map, and scores by the place where it disagrees most."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Self

import numpy as np
import torch
from numpy.typing import NDArray
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
from anomalyd.detectors.maps.autoencoder.denoising import train_network
from anomalyd.detectors.maps.autoencoder.network import MapNetwork
from anomalyd.detectors.maps.batch import MapBatch, MapScores, batch_of, score_by_shape
from anomalyd.detectors.maps.blame import blame
from anomalyd.detectors.maps.exposure import LitMaps, light_up
from anomalyd.detectors.maps.reference import References
from anomalyd.detectors.maps.scan import KINDS, Scan
from anomalyd.detectors.maps.simulate.drift import measure_drift
from anomalyd.detectors.maps.training_maps import NormalMaps
from anomalyd.detectors.parameters import number, read_parameters
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError

_PRICE_QUANTILE = 0.9
_ORIGINS = ("own", "shape", "other")


@dataclass(frozen=True, slots=True)
class MapAutoencoderParameters:
    """How the network is trained: `steps` of `batch` pairs of maps; `channels` is its width."""

    steps: int = number(300, 1, 1_000_000)
    batch: int = number(32, 2, 4096)
    channels: int = number(12, 2, 256)
    learning_rate: float = number(3e-3, 1e-6, 1.0)


class MapAutoencoder(Detector):
    """A convolutional autoencoder of occupancy maps, under a likelihood scan of its signed error.

    What a map should look like is its luminosity (estimated from the map itself, unmoved by faults) times the
    element's own profile (learnt from its summed counts), corrected by the network, which was trained to undo
    injected faults. The raw score is local and signed: the evidence, in nats, of the rectangle that disagrees
    most with that expectation, less what normal maps reach by chance; it means the same for every element
    and at every luminosity. Isolated dead wires do not count. Elements never seen are expected to look like
    the mean of their shape, and maps of different shapes go through the same network.

    Sources: for autoencoders of drift-tube maps A. A. Pol et al., Comput. Softw. Big Sci. 3 (2019) 3,
    arXiv:1808.00911; for the scan M. Kulldorff, "A spatial scan statistic", Commun. Stat. Theory Methods 26
    (1997) 1481.
    """

    kind: ClassVar[str] = "map-autoencoder"
    sample_kind: ClassVar[SampleKind] = "map"
    parameters_class = MapAutoencoderParameters

    def __init__(
        self,
        parameters: MapAutoencoderParameters,
        network: MapNetwork,
        references: References,
        drift: Tensor,
        scan: Scan,
    ) -> None:
        self.parameters = parameters
        self.network = network.eval().requires_grad_(False)
        self.references = references
        self.drift = drift
        self.scan = scan

    @classmethod
    def fit(
        cls,
        training: TrainingSet,
        parameters: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Learn the profiles, train the network, and measure what normal maps reach.

        Raises:
            TrainingError: no maps, no element with enough of them, or a wrong parameter.

        """
        chosen = read_parameters(cls.kind, MapAutoencoderParameters, parameters)
        references, agreeing = References.fit(training, cls.kind)
        normal = NormalMaps(training, references, agreeing)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = MapNetwork(chosen.channels)
        train_network(
            network,
            normal,
            steps=chosen.steps,
            batch=chosen.batch,
            learning_rate=chosen.learning_rate,
            rng=np.random.default_rng(seed),
            progress=progress,
        )
        detector = cls(chosen, network, references, torch.tensor([0.05, 0.1, 0.3]), Scan())
        detector.drift = detector._measure_drift(normal)
        detector.scan = Scan(detector._measure_price(normal))
        return detector

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score maps; each for itself, so that there is no state.

        Raises:
            ModelMismatch: no maps, or of a shape that was not trained on.

        """
        return score_by_shape(windows, self.references, self._score_batch)

    def encode(self, series_window: SeriesWindow) -> Encoded:
        """Encode the last map: its counts, and the expected ones as the baseline.

        Raises:
            ModelMismatch: no map, or of a shape that was not trained on.

        """
        if not len(series_window.values):
            raise ModelMismatch(f"{series_window.entity}: there is no map to encode")
        shape = series_window.values.shape[1:]
        batch = batch_of(series_window.values[-1:], [self.references.of(series_window.entity, shape)])
        lit, weight = self._light_up(batch)
        with torch.no_grad():
            expected = self._expect(lit.counts, lit.expected, lit.weight, lit.error)
        cells = np.arange(shape[0] * shape[1]).reshape(shape)
        return Encoded(
            inputs=lit.counts,
            # Where a cell does not count, black out nothing: it has no say in the score.
            baseline=torch.where(lit.weight > 0, expected, lit.counts),
            context=lit.context(),
            feature=torch.from_numpy(np.where(weight[0], cells, -1)),
        )

    def forward(self, inputs: Tensor, *context: Tensor) -> Tensor:
        """Give the raw score (N,) of counts (N, R, C), at the luminosity that `encode` found."""
        expected, weight, error, dispersion, drift = context
        # Explanations look at the layers.
        corrected = self._expect(inputs, expected, weight, error, folded=False) * weight
        return self.scan.score(inputs * weight - corrected, corrected, dispersion, drift)

    def hidden_layers(self) -> Mapping[str, nn.Module]:
        """Name the convolutions but the last; as `Layered.hidden_layers`."""
        return {
            name: module
            for name, module in self.network.named_modules()
            if isinstance(module, nn.Conv2d) and name != "correction"
        }

    def _light_up(self, batch: MapBatch) -> tuple[LitMaps, NDArray[np.bool_]]:
        drift = self.drift.numpy().astype(np.float64)[[_ORIGINS.index(o) for o in batch.origin]]
        return light_up(batch, drift)

    def _expect(
        self, counts: Tensor, expected: Tensor, weight: Tensor, error: Tensor, *, folded: bool = True
    ) -> Tensor:
        correction: Tensor = self.network(counts, expected, weight, error, folded=folded)
        return expected * correction.exp()

    @torch.no_grad()
    def _score_batch(self, batch: MapBatch) -> MapScores:
        lit, weight = self._light_up(batch)
        expected = self._expect(lit.counts, lit.expected, lit.weight, lit.error)
        residual = lit.counts - expected
        wide = (slice(None), None, None)
        # A cell that was dead and counts again expects almost nothing: a quarter of a count keeps it finite.
        variance = expected.clamp(min=0.25) * lit.dispersion[wide] + (lit.drift[wide] * expected).square()
        error = residual / variance.sqrt()
        raw, contribution = blame(
            self.scan,
            residual * lit.weight,
            expected * lit.weight,
            error * lit.weight,
            lit.dispersion,
            lit.drift,
        )
        raw[~weight.any((1, 2))] = np.nan
        missing = batch.missing
        return MapScores(
            raw,
            np.where(missing, np.nan, error.numpy()),
            np.where(missing, np.nan, expected.numpy()),
            np.where(missing, np.nan, contribution),
        )

    @torch.no_grad()
    def _measure_drift(self, normal: NormalMaps) -> Tensor:
        """Measure how far profiles move (3,): the elements' own, the mean of their shape, and all others."""
        moved = []
        for unseen, fallback in ((False, 0.0), (True, 0.1)):
            lit = [light_up(batch) for batch in normal.in_order(unseen=unseen)]
            pairs = [(m, self._expect(m.counts, m.expected, m.weight, m.error)) for m, _ in lit]
            moved.append(measure_drift(pairs) if pairs else fallback)
        # What a map of an unknown shape looks like was never measured: a third off is a cautious guess.
        return torch.tensor([moved[0], max(moved), max(*moved, 0.3)])

    @torch.no_grad()
    def _measure_price(self, normal: NormalMaps) -> Tensor:
        """Measure which evidence a tenth of the normal maps reach, for each kind of window (2, KINDS)."""
        reached = []
        for batch in normal.in_order(unseen=False):
            lit, _ = self._light_up(batch)
            expected = self._expect(lit.counts, lit.expected, lit.weight, lit.error) * lit.weight
            residual = lit.counts * lit.weight - expected
            reached.append(Scan().highest(residual, expected, lit.dispersion, lit.drift))
        price = torch.nanquantile(torch.cat(reached, dim=2), _PRICE_QUANTILE, dim=2)
        return price.nan_to_num(nan=0.0, neginf=0.0)

    def tensors(self) -> dict[str, Tensor]:
        """Everything learnt: the network, the profiles, the drift and the price of the scan."""
        return {
            **{f"network.{name}": t for name, t in self.network.state_dict().items()},
            **self.references.tensors(),
            "drift": self.drift,
            "scan.price": self.scan.price,
        }

    def config(self) -> dict[str, Any]:
        """The parameters, and the elements' names and shapes."""
        return {"parameters": asdict(self.parameters), **self.references.config()}

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again.

        Raises:
            ModelDamaged: tensors and configuration do not fit together.

        """
        try:
            parameters = read_parameters(cls.kind, MapAutoencoderParameters, config["parameters"])
            network = MapNetwork(parameters.channels)
            network.load_state_dict(
                {n.removeprefix("network."): t for n, t in tensors.items() if n.startswith("network.")}
            )
            drift, price = tensors["drift"], tensors["scan.price"]
            if drift.shape != (3,) or price.shape != (2, KINDS):
                raise ModelDamaged(
                    f"{cls.kind}: drift {tuple(drift.shape)}, price {tuple(price.shape)}; expected (3,) "
                    f"and {(2, KINDS)}; train again"
                )
        except (KeyError, TypeError, AttributeError, RuntimeError, TrainingError) as error:
            raise ModelDamaged(f"{cls.kind}: {error}; train again") from error
        return cls(parameters, network, References.restore(tensors, config), drift, Scan(price))
