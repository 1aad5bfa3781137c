"""The map scan: the odds that some place of a map is broken, against the element's own history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import torch
from torch import Tensor

from anomalyd.detectors.detector import (
    Detector,
    Progress,
    RawScores,
    SampleKind,
    SeriesWindow,
    State,
    TrainingSet,
    silent,
)
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.likelihood.evidence import scan
from anomalyd.detectors.maps.likelihood.expectation import Expectation, train_expectation
from anomalyd.detectors.maps.likelihood.history import PARTS, History
from anomalyd.detectors.maps.likelihood.layouts import layout_of
from anomalyd.detectors.maps.likelihood.places import Counts, Places
from anomalyd.detectors.maps.likelihood.population import (
    Population,
    Shape,
    learn_populations,
    populations_from,
    restrayed,
    stranger,
    tensors_of,
)
from anomalyd.detectors.maps.likelihood.reference_test import Profile
from anomalyd.detectors.parameters import number, read_parameters
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError
from anomalyd.verdict import Verdict

_TRUSTED = 1.0
"""Raw score up to which a map joins the history: one in a hundred normal maps lies above."""

_LASTING = 0.33
"""Prior that a fault has lasted for three maps: a new one is not to drown in the noise of older maps."""

_GROWN = 0.1
"""Share of the profile's worth that the history holds before the profile is left out.

In single cells the profile would still help, but of a wide loss it has taken over a part itself: at 15 counts
and 5 earlier maps a region at .8 is found with an AUC of .99 without it, of .87 with it.
"""

_AHEAD = 32
"""Maps of one element that are scored together, on the guess that none of them changes sides."""

_LEAST_EXPECTED = 0.25  # keeps the pull of a cell finite that was dead and counts again


@dataclass(frozen=True, slots=True)
class MapScanParameters:
    """How the network is trained: `steps` of `batch` pairs of maps (0: none is); `channels` is its width."""

    steps: int = number(1000, 0, 1_000_000)
    batch: int = number(32, 2, 4096)
    channels: int = number(16, 2, 256)
    learning_rate: float = number(3e-3, 1e-6, 1.0)


class MapScan(Detector):
    """A Bayesian likelihood scan of occupancy maps against each element's own history.

    Raw is the logarithm of the odds that a place is broken, in one map or in the sum of the last three; it
    means the same for every element and count level. The history is the summed counts of the element's maps
    that nothing was wrong with; a fault in progress does not enter it. Until there are enough of them, what
    an autoencoder trained to undo faults makes of the map stands beside it, weighted by how far it was seen
    to stray from normal maps of elements that it did not know.
    """

    kind: ClassVar[str] = "map-scan"
    sample_kind: ClassVar[SampleKind] = "map"
    log_odds: ClassVar[bool] = True
    parameters_class = MapScanParameters

    def __init__(
        self,
        parameters: MapScanParameters,
        populations: Mapping[Shape, Population],
        expectation: Expectation | None = None,
        primed: Mapping[str, State] | None = None,
        geometries: tuple[Geometry, ...] = (),
    ) -> None:
        self.parameters = parameters
        self.populations = dict(populations)
        self.expectation = expectation
        self._primed = dict(primed or {})
        self.geometries = geometries

    @classmethod
    def fit(
        cls,
        training: TrainingSet,
        parameters: Mapping[str, Any],
        *,
        seed: int = 0,
        progress: Progress = silent,
    ) -> Self:
        """Learn what elements of each shape look like, and how far their maps move.

        Raises:
            TrainingError: no maps, or a wrong parameter.

        """
        chosen = read_parameters(cls.kind, MapScanParameters, parameters)
        populations = learn_populations(training)
        if not populations:
            raise TrainingError(f"{cls.kind}: there is not one map to train on")
        trained = train_expectation(training, cls.kind, chosen, seed, progress) if chosen.steps else None
        if trained is None:
            return cls(chosen, populations, geometries=training.geometries)
        expectation, kept_back = trained
        by_shape: dict[Shape, list[tuple[Counts, Counts]]] = {}
        for counts, expected in expectation.compared(kept_back):
            by_shape.setdefault((counts.shape[1], counts.shape[2]), []).append((counts, expected))
        for shape, pairs in by_shape.items():
            entity = next(e for e, s in training.series.items() if s.values.shape[1:] == shape)
            populations[shape] = restrayed(
                populations[shape], pairs, layout_of(entity, shape, training.geometries)
            )
        return cls(chosen, populations, expectation, geometries=training.geometries)

    def prime(self, states: Mapping[str, State]) -> Self:
        """Give the same detector that begins an entity's stream with the history that training left of it."""
        return type(self)(self.parameters, self.populations, self.expectation, states, self.geometries)

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score maps of different elements side by side, each causally.

        Raises:
            ModelMismatch: values that are no maps.

        """
        streams = [self._begin(window) for window in windows]
        while any(not s.done for s in streams):
            jobs = [job for s in streams if not s.done for job in s.look_ahead()]
            alike: dict[tuple[int, bool], list[_Job]] = {}
            for job in jobs:
                alike.setdefault((id(job.places), job.young), []).append(job)
            for group in alike.values():
                _scan(group, self.expectation)
            for s in streams:
                s.accept()
        return [s.scores() for s in streams]

    def _begin(self, window: SeriesWindow) -> _Stream:
        if window.values.ndim != 3:
            raise ModelMismatch(f"{window.entity}: {window.values.shape[1:]} is not the shape of a map")
        shape: Shape = (window.values.shape[1], window.values.shape[2])
        population = self.populations.get(shape) or stranger(window.entity, shape, self.geometries)
        state = window.state or self._primed.get(window.entity, {})
        places = layout_of(window.entity, shape, self.geometries)
        if len(population.drift) != len(places.names):
            raise ModelMismatch(
                f"{window.entity}: the model knows {len(population.drift)} kinds of places, this version "
                f"looks at {len(places.names)}; train it again"
            )
        return _Stream(window, places, population, History.of(state, shape))

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        """Take a word. Normal: the newest maps replace the history. Broken ones never enter it."""
        if word is Verdict.BROKEN or "total" not in state:
            return state
        return History.of(state, state["total"].shape).only_pending().state()

    def undo(self, state: State, before: State) -> State:
        """Put the history back that was held before an operator's word."""
        return before

    def tensors(self) -> dict[str, Tensor]:
        """Everything learnt: the populations, and the histories that training left."""
        histories = {
            f"history.{i}.{name}": torch.from_numpy(np.ascontiguousarray(array))
            for i, state in enumerate(self._primed.values())
            for name, array in state.items()
        }
        network = self.expectation.tensors() if self.expectation is not None else {}
        return tensors_of(self.populations) | histories | network

    def config(self) -> dict[str, Any]:
        """The parameters, the shapes, and the names of the elements that have a history."""
        known = self.expectation.profiles if self.expectation is not None else {}
        return {
            "parameters": asdict(self.parameters),
            "shapes": [list(shape) for shape in self.populations],
            "expected": [list(shape) for shape in known],
            "histories": list(self._primed),
            "geometries": [msgspec.to_builtins(g) for g in self.geometries],
        }

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again.

        Raises:
            ModelDamaged: tensors and configuration do not fit together.

        """
        populations = populations_from(tensors, config)
        try:
            parameters = read_parameters(cls.kind, MapScanParameters, config["parameters"])
            shapes: list[Shape] = [(rows, columns) for rows, columns in config["expected"]]
            histories = {
                entity: {name: tensors[f"history.{i}.{name}"].numpy() for name in PARTS}
                for i, entity in enumerate(config["histories"])
            }
            geometries = msgspec.convert(config.get("geometries", []), tuple[Geometry, ...])
        except (msgspec.ValidationError, KeyError, TypeError, ValueError, TrainingError) as error:
            raise ModelDamaged(f"{cls.kind}: {error!r}; train again") from error
        expectation = Expectation.restore(tensors, parameters.channels, shapes) if shapes else None
        return cls(parameters, populations, expectation, histories, geometries)


@dataclass(slots=True)
class _Job:
    """One map, or sum of three, beside its reference: what the scan works on, and what it found."""

    places: Places
    population: Population
    drawn: Counts
    reference: Counts
    young: bool
    usual: Counts | None = None
    score: float = float("nan")
    blame: Counts = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


def _scan(jobs: list[_Job], expectation: Expectation | None) -> None:
    """Scan maps of one layout, all young or none."""
    drawn = np.stack([j.drawn for j in jobs])
    missing = np.isnan(drawn)
    counts = np.where(missing, 0, drawn).clip(0).astype(np.float32)
    reference = np.where(missing, 0, np.stack([j.reference for j in jobs])).astype(np.float32)
    profile = None
    if jobs[0].young:
        rates = np.stack([j.population.profile for j in jobs])
        if expectation is not None and drawn.shape[1:] in expectation.profiles:
            expected = expectation.rates(drawn)
            worth = rates.sum((1, 2)) / np.maximum(expected.sum((1, 2)), 1e-6)
            rates = expected * worth[:, None, None]
        for job, rate in zip(jobs, rates, strict=True):
            job.usual = rate
        profile = Profile(
            np.where(missing, 0, rates).astype(np.float32), np.stack([j.population.stray for j in jobs])
        )
    drift = np.stack([j.population.drift for j in jobs])
    found = scan(counts, reference, jobs[0].places, drift, profile)
    for job, score, blame in zip(jobs, found.score, found.blame, strict=True):
        job.score, job.blame = float(score), blame


class _Stream:
    """One window on its way through the scan.

    What enters the history depends on the scores before, so maps could only be scored one after another. A
    normal map hardly ever changes sides: a few are scored together on the guess that they all stay on the
    side of the last one, and those behind a wrong guess again.
    """

    def __init__(
        self, window: SeriesWindow, places: Places, population: Population, history: History
    ) -> None:
        self._window = window
        self._places = places
        self._population = population
        self._history = history
        self._grown = _GROWN * float(population.profile.mean())
        self._at = 0
        self._guess = True
        self._jobs: list[tuple[_Job, _Job | None]] = []
        n, *shape = window.values.shape
        self._raw = np.full(n, np.nan)
        self._blame = np.zeros((n, *shape), dtype=np.float32)
        self._expected = np.zeros((n, *shape), dtype=np.float32)

    @property
    def done(self) -> bool:
        """Whether every map is scored."""
        return self._at >= len(self._window.values)

    def look_ahead(self) -> Iterator[_Job]:
        """Lay out the next maps, on the guess that all of them are like the last one."""
        self._jobs = []
        history = self._history
        for drawn in self._window.values[self._at : self._at + _AHEAD]:
            single = self._job(drawn, history.reference(), history.alone)
            together = history.three(drawn)
            three = None
            if together is not None:
                three = self._job(together, history.settled(), history.alone)
                if three.young and not single.young:
                    # The pending maps tell what is usual here better than any profile, but are in the sum.
                    three = None
            self._jobs.append((single, three))
            history = history.after(drawn, self._guess)
            yield single
            if three is not None:
                yield three

    def _job(self, drawn: Counts, reference: Counts, alone: bool) -> _Job:
        grown = float(reference.mean()) >= self._grown
        return _Job(self._places, self._population, drawn, reference, young=not (grown or alone))

    def _trusted(self, job: _Job, raw: float) -> bool:
        """Say whether a map joins the history: a young element's must agree with its own only.

        The first map of all always does. Else an element unlike the others of its shape never had a history.
        """
        if raw <= _TRUSTED or not job.young or not job.reference.any():
            return raw <= _TRUSTED or job.young
        own = replace(job, young=False)
        _scan([own], None)
        return own.score <= _TRUSTED

    def accept(self) -> None:
        """Keep what was scored, up to the first map that was not guessed right."""
        for single, three in self._jobs:
            raw, blame = single.score, single.blame
            if three is not None:
                new, lasting = raw + np.log(1 - _LASTING), three.score + np.log(_LASTING)
                raw = float(np.logaddexp(new, lasting))
                if lasting > new:
                    blame = three.blame
            drawn = single.drawn
            usual = single.reference if single.usual is None else single.reference + single.usual
            total = np.nansum(drawn, dtype=np.float64)
            behind = np.where(np.isnan(drawn), 0, usual).sum(dtype=np.float64)
            self._raw[self._at] = raw if np.isfinite(drawn).any() else np.nan
            self._blame[self._at] = blame
            self._expected[self._at] = usual * (total / behind if behind else 0.0)
            trusted = self._trusted(single, raw)
            self._history = self._history.after(drawn, trusted)
            self._at += 1
            if trusted != self._guess:
                self._guess = trusted
                break
        self._jobs = []

    def scores(self) -> RawScores:
        """Give all scores of the window."""
        values = self._window.values
        missing = np.isnan(values)
        error = (values - self._expected) / np.sqrt(np.maximum(self._expected, _LEAST_EXPECTED))
        return RawScores(
            raw=self._raw,
            error=error.astype(np.float32),
            expectation=np.where(missing, np.nan, self._expected).astype(np.float32),
            contribution=np.where(missing, np.nan, np.abs(self._blame)).astype(np.float32),
            state=self._history.state(),
            signed=np.where(missing, np.nan, self._blame).astype(np.float32),
        )
