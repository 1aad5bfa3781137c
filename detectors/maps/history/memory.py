"""What the map scan remembers of one element between two calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.history.earlier_state import with_names
from anomalyd.detectors.maps.history.history import History, WeightedSum
from anomalyd.detectors.maps.neighbours.rate import RateHistory, RateSeen, Share
from anomalyd.detectors.maps.places.places import Counts

State = Mapping[str, NDArray[Any]]

_LONGEST = 50.0
"""Maps after which the memory of an element's noise forgets."""

_USUAL_MOVES = 3.0
"""Maps that the usual movement of units is worth beside an element's own."""

_USUAL_SCATTER, _USUAL_SCATTERS = 0.15, 0.5
"""How far the scatter of an element's cells changes from map to map (logarithm), and how many maps this guess
is worth."""

_MOSTLY = 0.8
"""Share of the last maps that alert before a model is said not to fit."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Variance over Poisson's of an element's maps: mean `value` of `maps` of them, each worth `cells`."""

    value: float = 1.0
    maps: float = 0.0
    cells: float = 0.0

    def after(self, value: float, cells: float) -> Noise:
        """Remember what one more map says; nothing if no cells are behind it."""
        if not cells > 0:
            return self
        n = min(self.maps + 1, _LONGEST)
        return Noise(self.value + (value - self.value) / n, n, self.cells + (cells - self.cells) / n)

    def beside(self, usual: float, usual_worth: float, value: float, cells: float) -> float:
        """Put what is usual, what was remembered and what one map says (from `cells`) together."""
        held = self.maps * self.cells
        together = usual_worth * usual + held * self.value + cells * value
        return together / (usual_worth + held + cells)


@dataclass(frozen=True, slots=True)
class Movement:
    """How far an element's units move as a whole: mean `square` beyond noise (relative) of `maps` of them."""

    square: float = 0.0
    maps: float = 0.0

    def after(self, square: float) -> Movement:
        """Remember what one more map says."""
        n = min(self.maps + 1, _LONGEST)
        return Movement(self.square + (square - self.square) / n, n)

    def beside(self, usual: float) -> float:
        """Put what is usual and what was remembered together, as a spread (relative)."""
        square = (_USUAL_MOVES * usual**2 + self.maps * self.square) / (_USUAL_MOVES + self.maps)
        return float(np.sqrt(max(square, 0.0)))


@dataclass(frozen=True, slots=True)
class CellScatter:
    """How wide an element's single cells scatter: the logarithm of their mean chi-square in its maps.

    `mean` of `maps` of them; `variance`: how far maps differ in it, beyond what so many cells let expect.
    """

    mean: float = 0.0
    variance: float = 0.0
    maps: float = 0.0

    def after(self, value: float, cells: float) -> CellScatter:
        """Remember what one more map says; nothing if no cells are behind it."""
        if not cells > 0:
            return self
        n = min(self.maps + 1, _LONGEST)
        away = value - self.mean
        beyond = away**2 * (n - 1) / n - (2 / cells if n > 1 else 0.0)
        return CellScatter(self.mean + away / n, self.variance + (beyond - self.variance) / n, n)

    @property
    def spread(self) -> float:
        """How far a map may lie off the mean; while few are known, by what is usual."""
        known = _USUAL_SCATTERS * _USUAL_SCATTER**2 + self.maps * max(self.variance, 0.0)
        return float(np.sqrt(known / (_USUAL_SCATTERS + self.maps) * (1 + 1 / (self.maps + 1))))


_NOISE, _MOVEMENT, _SCATTER = (tuple(f.name for f in fields(each)) for each in (Noise, Movement, CellScatter))


@dataclass(frozen=True, slots=True)
class Standing:
    """Whether an alarm has stood for long: `alerts` of the last maps, and what was done about it.

    `unfit`: it was said that the model does not fit. `provisional` (R, C) and `weight`: the sum of the maps
    since then, and their number: a history that an operator may confirm.
    """

    alerts: tuple[bool, ...] = ()
    unfit: bool = False
    provisional: Counts | None = None
    weight: float = 0.0

    def after(self, drawn: Counts, alerting: bool, span: int) -> Standing:
        """Remember one more map, and whether it alerted; with the `span`-th the verdict may fall."""
        alerts = (*self.alerts, alerting)[-span:]
        if not self.unfit:
            unfit = len(alerts) == span and sum(alerts) >= _MOSTLY * span
            return Standing(alerts, unfit)
        # When it has been quiet for as long, the case is over.
        if sum(alerts) <= (1 - _MOSTLY) * span:
            return Standing(alerts)
        counts = np.nan_to_num(drawn)
        if self.provisional is not None:
            counts = self.provisional + counts
        return Standing(alerts, True, counts, self.weight + 1)


@dataclass(frozen=True, slots=True)
class Memory:
    """Everything that is remembered of one element, immutable."""

    history: History
    rate: RateHistory = field(default_factory=RateHistory)
    noise: Noise = field(default_factory=Noise)
    standing: Standing = field(default_factory=Standing)
    movement: Movement = field(default_factory=Movement)
    scatter: CellScatter = field(default_factory=CellScatter)

    @classmethod
    def of(cls, state: State, shape: tuple[int, ...]) -> Memory:
        """Read it from a detector's state; an empty one for another shape, or for an element never seen."""
        state = with_names(state)
        history = History.of(state, shape)
        if "noise.value" not in state or state["total"].shape != shape:
            return cls(history)
        provisional = state["provisional"]
        return cls(
            history,
            RateHistory.of(state),
            Noise(*(state[f"noise.{name}"].item() for name in _NOISE)),
            Standing(
                tuple(bool(a) for a in state["alerts"]),
                bool(state["unfit"].item()),
                provisional[0] if len(provisional) else None,
                state["provisional.weight"].item(),
            ),
            Movement(state["movement.square"].item(), state["movement.maps"].item()),
            CellScatter(*(state[f"scatter.{name}"].item() for name in _SCATTER)),
        )

    def state(self) -> State:
        """Write it as a detector's state."""
        s = self.standing
        empty = np.zeros((0, *self.history.settled.total.shape), dtype=np.float32)
        provisional = empty if s.provisional is None else s.provisional[None].astype(np.float32)
        return {
            **self.history.state(),
            **self.rate.state(),
            **{f"noise.{name}": np.array([getattr(self.noise, name)]) for name in _NOISE},
            **{f"movement.{name}": np.array([getattr(self.movement, name)]) for name in _MOVEMENT},
            **{f"scatter.{name}": np.array([getattr(self.scatter, name)]) for name in _SCATTER},
            "alerts": np.array(s.alerts, dtype=np.bool_),
            "unfit": np.array([s.unfit]),
            "provisional": provisional,
            "provisional.weight": np.array([s.weight]),
        }

    def after(
        self,
        drawn: Counts,
        seen: RateSeen,
        trusted: bool,
        alerting: bool,
        span: int,
        history: History | None = None,
    ) -> Memory:
        """Remember one more map (R, C), its rate, and how it was judged.

        `history`: what the history becomes with it, where that was worked out before.
        """
        return Memory(
            history or self.history.after(drawn, trusted),
            self.rate.after(seen, trusted),
            self.noise,
            self.standing.after(drawn, alerting, span),
            self.movement,
            self.scatter,
        )

    def accepted(self) -> Memory:
        """Take what the element does now for normal: the provisional history, else the newest maps."""
        held = self.standing
        rate = replace(self.rate, sisters=Share())
        if held.provisional is None or held.weight < 2:
            return Memory(self.history.only_pending(), rate)
        provisional = WeightedSum(held.provisional, held.weight, held.weight)
        return Memory(History(provisional, alone=True), rate, self.noise)
