"""The map scan: the odds that some place of a map is broken.

A map is judged by its own neighbours first (`neighbours`), by the element's history as soon as there is one
(`evidence`), and its rate by its sisters'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar, Self

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
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
from anomalyd.detectors.maps.findings import Findings, OddCell, find_places
from anomalyd.detectors.maps.geometries.known import geometry_like, kin_of, widths_of
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.history.earlier_state import with_names
from anomalyd.detectors.maps.history.memory import Memory
from anomalyd.detectors.maps.likelihood.odd_cells import odd_cells
from anomalyd.detectors.maps.likelihood.population import (
    Population,
    Shape,
    config_of,
    learn_populations,
    populations_from,
    stranger,
    tensors_of,
    with_all_maps,
)
from anomalyd.detectors.maps.likelihood.stream import MapStream, advance
from anomalyd.detectors.maps.neighbours.local import local_evidence
from anomalyd.detectors.maps.neighbours.rate import Arrival, RateSeen, beside_sisters
from anomalyd.detectors.parameters import number, read_parameters
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError
from anomalyd.systems import system_of
from anomalyd.verdict import Verdict


@dataclass(frozen=True, slots=True)
class MapScanParameters:
    """`unfit_after`: maps of a standing alarm after which the model is said not to fit the element."""

    unfit_after: int = number(30, 5, 10_000)


class MapScan(Detector):
    """A Bayesian likelihood scan of occupancy maps.

    Raw is the logarithm of the odds that a place is broken, in one map or in the sum of the last three; it
    means the same for every element and count level. One map is judged by itself: layers beside their
    sisters, units beside units, what is smooth along them, and its rate beside that of its sisters. The
    history is the summed counts of the element's maps that nothing was wrong with; a fault in progress does
    not enter it. How wide the counts scatter is measured on the element as it runs.
    """

    kind: ClassVar[str] = "map-scan"
    sample_kind: ClassVar[SampleKind] = "map"
    adaptive: ClassVar[bool] = True
    log_odds: ClassVar[bool] = True
    parameters_class = MapScanParameters

    def __init__(
        self,
        parameters: MapScanParameters,
        populations: Mapping[Shape, Population],
        primed: Mapping[str, State] | None = None,
        geometries: tuple[Geometry, ...] = (),
    ) -> None:
        self.parameters = parameters
        self.populations = dict(populations)
        self._primed = dict(primed or {})
        self.geometries = geometries
        self._strangers: dict[Geometry, Population] = {}
        self._known: dict[tuple[str, tuple[int, ...], int], Geometry] = {}
        self._nameless: dict[Geometry, Geometry] = {}

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
        progress("measuring how normal maps scatter", 1, 1)
        return cls(chosen, populations, geometries=training.geometries)

    def prime(self, states: Mapping[str, State]) -> Self:
        """Give the same detector that begins an entity's stream with the history that training left of it."""
        return type(self)(self.parameters, self.populations, states, self.geometries)

    def completed(self, training: TrainingSet) -> Self:
        """Give the same detector, which compares maps with all of a training set where there are many."""
        populations = with_all_maps(self.populations, training)
        return type(self)(self.parameters, populations, self._primed, self.geometries)

    def left_out(self) -> dict[str, NDArray[np.float64]]:
        """Give the raw scores of training maps that are compared with all others (`NearestMaps.left_out`)."""
        found: dict[str, NDArray[np.float64]] = {}
        for population in self.populations.values():
            for near in population.nearest:
                found |= near.left_out()
        return found

    def score(self, windows: Sequence[SeriesWindow]) -> list[RawScores]:
        """Score maps of different elements side by side, each causally.

        Rates are judged beside the maps of sister elements of the same time in the same call.

        Raises:
            ModelMismatch: values that are no maps.

        """
        for window in windows:
            if window.values.ndim != 3:
                raise ModelMismatch(f"{window.entity}: {window.values.shape[1:]} is not the shape of a map")
        streams = [self._begin(window, seen) for window, seen in zip(windows, _rates(windows), strict=True)]
        while waiting := [s for s in streams if not s.done]:
            advance(waiting)
        return [s.scores() for s in streams]

    def _begin(self, window: SeriesWindow, rates: Sequence[RateSeen]) -> MapStream:
        shape: Shape = (window.values.shape[1], window.values.shape[2])
        geometry = self._geometry(window.entity, widths_of(window.values), shape[1])
        population = self.populations.get(shape) or self._stranger(geometry)
        state = window.state or self._primed.get(window.entity, {})
        stream = MapStream(
            window, geometry, population, Memory.of(state, shape), rates, self.parameters.unfit_after
        )
        if len(population.drift) != stream.kinds_of_places:
            raise ModelMismatch(
                f"{window.entity}: the model knows {len(population.drift)} kinds of places, this version "
                f"looks at {stream.kinds_of_places}; train it again"
            )
        return stream

    def findings(self, window: SeriesWindow) -> Findings:
        """Say all that is wrong with the last map of a window, given the state before it.

        Raises:
            ModelMismatch: no map.

        """
        if window.values.ndim != 3 or not len(window.values):
            raise ModelMismatch(f"{window.entity}: there is no map to look at")
        drawn = window.values[-1:].astype(np.float32)
        rows, columns = drawn.shape[1:]
        geometry = geometry_like(window.entity, widths_of(drawn), columns, self.geometries)
        places = find_places(window, self.score, geometry)
        population = self.populations.get((rows, columns)) or self._stranger(geometry)
        local = local_evidence(drawn, geometry, population.units, None)
        memory = Memory.of(window.state or self._primed.get(window.entity, {}), (rows, columns))
        odd: tuple[OddCell, ...] = ()
        if local is not None and drawn[np.isfinite(drawn)].any():
            told = (
                np.any([p.cells for p in places], axis=0) if places else np.zeros((rows, columns), dtype=bool)
            )
            odd = odd_cells(drawn[0], local, memory, geometry, told)
        near = population.nearest_of(window.entity)
        if near is None or memory.history.alone:
            return Findings(places, odd)
        return Findings(places, odd, (near.say(near.judge(drawn), 0),))

    def _geometry(self, entity: str, widths: tuple[int, ...], columns: int) -> Geometry:
        """Give an element's geometry without its name: elements that are built alike share theirs."""
        key = entity, widths, columns
        if key not in self._known:
            nameless = replace(geometry_like(entity, widths, columns, self.geometries), entity="")
            self._known[key] = self._nameless.setdefault(nameless, nameless)
        return self._known[key]

    def _stranger(self, geometry: Geometry) -> Population:
        if geometry not in self._strangers:
            self._strangers[geometry] = stranger(geometry)
        return self._strangers[geometry]

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        """Take a word. Normal: the newest maps replace the history. Broken ones never enter it."""
        if word is Verdict.BROKEN or "total" not in state:
            return state
        return Memory.of(state, state["total"].shape).accepted().state()

    def undo(self, state: State, before: State) -> State:
        """Put the history back that was held before an operator's word, or before a provisional one began."""
        state, before = with_names(state), with_names(before)
        if "unfit" not in state or "unfit" not in before:
            return before
        # What was said once is not said again.
        return {**before, "unfit": state["unfit"]}

    def tensors(self) -> dict[str, Tensor]:
        """Everything learnt: the populations, and the histories that training left."""
        histories = {
            f"history.{i}.{name}": torch.from_numpy(np.ascontiguousarray(array))
            for i, state in enumerate(self._primed.values())
            for name, array in state.items()
        }
        return tensors_of(self.populations) | histories

    def config(self) -> dict[str, Any]:
        """The parameters, the populations, and the names of the elements that have a history."""
        return {
            "parameters": asdict(self.parameters),
            "populations": config_of(self.populations),
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
            histories = {
                entity: _named(tensors, f"history.{i}.") for i, entity in enumerate(config["histories"])
            }
            geometries = msgspec.convert(config.get("geometries", []), tuple[Geometry, ...])
        except (msgspec.ValidationError, KeyError, TypeError, ValueError, TrainingError) as error:
            raise ModelDamaged(f"{cls.kind}: {error!r}; train again") from error
        return cls(parameters, populations, histories, geometries)


def _named(tensors: Mapping[str, Tensor], prefix: str) -> State:
    found = with_names(
        {n.removeprefix(prefix): t.numpy() for n, t in tensors.items() if n.startswith(prefix)}
    )
    missing = Memory.of({}, (1, 1)).state().keys() - found.keys()
    if missing:
        raise KeyError(f"{prefix}{min(missing)}")
    return found


def _rates(windows: Sequence[SeriesWindow]) -> list[list[RateSeen]]:
    """Put the counts of every map of a call beside those of its sisters at the same time."""
    arrivals: list[Arrival] = []
    for number_, window in enumerate(windows):
        values = window.values
        cells = np.isfinite(values).sum((1, 2))
        totals = np.nansum(values, axis=(1, 2), dtype=np.float64)
        # A map with more masked cells than another counts as if it had all that any has.
        full = int(cells.max(initial=0))
        totals *= np.divide(full, cells, out=np.zeros_like(totals), where=cells > 0)
        kin, system = kin_of(window.entity), system_of(window.entity)
        exposure = np.full(len(totals), np.nan) if window.exposure is None else window.exposure
        arrivals += [
            Arrival(number_, kin, system, *each)
            for each in zip(window.times.tolist(), totals.tolist(), exposure.tolist(), strict=True)
        ]
    seen = iter(beside_sisters(arrivals))
    return [[next(seen) for _ in range(len(window.times))] for window in windows]
