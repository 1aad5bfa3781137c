"""The map scan: the odds that some place of a map is broken, against the element's own history."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import Tensor

from anomalyd.detectors.detector import (
    Detector,
    Progress,
    RawScores,
    SampleKind,
    State,
    Stretch,
    TrainingSet,
    Word,
    silent,
)
from anomalyd.detectors.maps.likelihood.evidence import Profile, scan
from anomalyd.detectors.maps.likelihood.history import PARTS, History
from anomalyd.detectors.maps.likelihood.layouts import layout_of
from anomalyd.detectors.maps.likelihood.places import Counts, Places
from anomalyd.detectors.maps.likelihood.population import (
    Population,
    Shape,
    learn_populations,
    populations_from,
    stranger,
    tensors_of,
)
from anomalyd.detectors.parameters import read_parameters
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError

_TRUSTED = 1.0
"""Raw score up to which a map joins the history: one in a hundred normal maps lies above."""

_LASTING = 0.25
"""Prior that a fault has lasted for three maps: a new one is not to drown in the noise of older maps."""

_GROWN = 5.0
"""How many times its worth the history exceeds the profile before the profile tells nothing more."""

_AHEAD = 32
"""Maps of one element that are scored together, on the guess that none of them changes sides."""

_LEAST_EXPECTED = 0.25  # keeps the pull of a cell finite that was dead and counts again


@dataclass(frozen=True, slots=True)
class NoParameters:
    """The map scan has nothing to set."""


class MapScan(Detector):
    """A Bayesian likelihood scan of occupancy maps against each element's own history.

    Raw is the logarithm of the odds that a place is broken, in one map or in the sum of the last three; it
    means the same for every element and count level. The history is the summed counts of the element's maps
    that nothing was wrong with; until there are enough of them, the mean profile of the elements of its shape
    stands in, as counts that it is worth. A fault in progress does not enter the history.
    """

    kind: ClassVar[str] = "map-scan"
    sample_kind: ClassVar[SampleKind] = "map"
    parameters_class = NoParameters

    def __init__(
        self, populations: Mapping[Shape, Population], primed: Mapping[str, State] | None = None
    ) -> None:
        self.populations = dict(populations)
        self._primed = dict(primed or {})

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
        read_parameters(cls.kind, NoParameters, parameters)
        populations = learn_populations(training)
        if not populations:
            raise TrainingError(f"{cls.kind}: there is not one map to train on")
        progress(cls.kind, 1, 1)
        return cls(populations)

    def prime(self, states: Mapping[str, State]) -> Self:
        """Give the same detector that begins an entity's stream with the history that training left of it."""
        return type(self)(self.populations, states)

    def score(self, stretches: Sequence[Stretch]) -> list[RawScores]:
        """Score maps of different elements side by side, each causally.

        Raises:
            ModelMismatch: values that are no maps.

        """
        streams = [self._begin(stretch) for stretch in stretches]
        while any(not s.done for s in streams):
            jobs = [job for s in streams if not s.done for job in s.look_ahead()]
            alike: dict[tuple[int, bool], list[_Job]] = {}
            for job in jobs:
                alike.setdefault((id(job.places), job.young), []).append(job)
            for group in alike.values():
                _scan(group)
            for s in streams:
                s.accept()
        return [s.scores() for s in streams]

    def _begin(self, stretch: Stretch) -> _Stream:
        if stretch.values.ndim != 3:
            raise ModelMismatch(f"{stretch.entity}: {stretch.values.shape[1:]} is not the shape of a map")
        shape: Shape = (stretch.values.shape[1], stretch.values.shape[2])
        population = self.populations.get(shape) or stranger(stretch.entity, shape)
        state = stretch.state or self._primed.get(stretch.entity, {})
        places = layout_of(stretch.entity, shape)
        return _Stream(stretch, places, population, History.of(state, shape))

    def told(self, state: State, word: Word, since: float, now: float) -> State:
        """Take a word. Normal: the newest maps replace the history. Broken ones never enter it."""
        if word is Word.BROKEN or "total" not in state:
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
        return tensors_of(self.populations) | histories

    def config(self) -> dict[str, Any]:
        """The shapes of the populations, and the names of the elements that have a history."""
        return {"shapes": [list(shape) for shape in self.populations], "histories": list(self._primed)}

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], config: Mapping[str, Any]) -> Self:
        """Build it again.

        Raises:
            ModelDamaged: tensors and configuration do not fit together.

        """
        populations = populations_from(tensors, config)
        try:
            histories = {
                entity: {name: tensors[f"history.{i}.{name}"].numpy() for name in PARTS}
                for i, entity in enumerate(config["histories"])
            }
        except (KeyError, TypeError) as error:
            raise ModelDamaged(f"{cls.kind}: no history {error}; train again") from error
        return cls(populations, histories)


@dataclass(slots=True)
class _Job:
    """One map, or sum of three, beside its reference: what the scan works on, and what it found."""

    places: Places
    population: Population
    drawn: Counts
    reference: Counts
    young: bool
    score: float = float("nan")
    blame: Counts = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


def _scan(jobs: list[_Job]) -> None:
    """Scan maps of one layout, all young or none."""
    missing = np.isnan(np.stack([j.drawn for j in jobs]))
    counts = np.where(missing, 0, np.stack([j.drawn for j in jobs])).clip(0).astype(np.float32)
    reference = np.where(missing, 0, np.stack([j.reference for j in jobs])).astype(np.float32)
    profile = None
    if jobs[0].young:
        rates = np.where(missing, 0, np.stack([j.population.profile for j in jobs])).astype(np.float32)
        profile = Profile(rates, np.stack([j.population.stray for j in jobs]))
    drift = np.stack([j.population.drift for j in jobs])
    found = scan(counts, reference, jobs[0].places, drift, profile)
    for job, score, blame in zip(jobs, found.score, found.blame, strict=True):
        job.score, job.blame = float(score), blame


class _Stream:
    """One stretch on its way through the scan.

    What enters the history depends on the scores before, so maps could only be scored one after another. A
    normal map hardly ever changes sides: a few are scored together on the guess that they all stay on the
    side of the last one, and those behind a wrong guess again.
    """

    def __init__(self, stretch: Stretch, places: Places, population: Population, history: History) -> None:
        self._stretch = stretch
        self._places = places
        self._population = population
        self._history = history
        self._at = 0
        self._guess = True
        self._jobs: list[tuple[_Job, _Job | None]] = []
        n, *shape = stretch.values.shape
        self._raw = np.full(n, np.nan)
        self._blame = np.zeros((n, *shape), dtype=np.float32)
        self._expected = np.zeros((n, *shape), dtype=np.float32)

    @property
    def done(self) -> bool:
        """Whether every map is scored."""
        return self._at >= len(self._stretch.values)

    def look_ahead(self) -> Iterator[_Job]:
        """Lay out the next maps, on the guess that all of them are like the last one."""
        self._jobs = []
        history = self._history
        for drawn in self._stretch.values[self._at : self._at + _AHEAD]:
            single = self._job(drawn, history.reference(), history.alone)
            together = history.three(drawn)
            three = None
            if together is not None:
                three = self._job(together, history.settled(), history.alone)
            self._jobs.append((single, three))
            history = history.after(drawn, self._guess)
            yield single
            if three is not None:
                yield three

    def _job(self, drawn: Counts, reference: Counts, alone: bool) -> _Job:
        grown = float(reference.mean()) >= _GROWN * float(self._population.profile.mean())
        return _Job(self._places, self._population, drawn, reference, young=not (grown or alone))

    def _trusted(self, job: _Job, raw: float) -> bool:
        """Say whether a map joins the history: a young element's must agree with its own only.

        The first map of all always does. Else an element unlike the others of its shape never had a history.
        """
        if raw <= _TRUSTED or not job.young or not job.reference.any():
            return raw <= _TRUSTED or job.young
        own = replace(job, young=False)
        _scan([own])
        return own.score <= _TRUSTED

    def accept(self) -> None:
        """Keep what was scored, up to the first map that was not guessed right."""
        for single, three in self._jobs:
            raw, blame = single.score, single.blame
            if three is not None:
                raw = float(np.logaddexp(raw + np.log(1 - _LASTING), three.score + np.log(_LASTING)))
                if three.score > single.score:
                    blame = three.blame
            drawn = single.drawn
            usual = single.reference + (self._population.profile if single.young else np.float32(0))
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
        """Give all scores of the stretch."""
        values = self._stretch.values
        missing = np.isnan(values)
        error = (values - self._expected) / np.sqrt(np.maximum(self._expected, _LEAST_EXPECTED))
        return RawScores(
            raw=self._raw,
            error=error.astype(np.float32),
            expectation=np.where(missing, np.nan, self._expected).astype(np.float32),
            contribution=np.where(missing, np.nan, np.abs(self._blame)).astype(np.float32),
            state=self._history.state(),
        )
