"""The rate of whole elements: each beside its sisters of the same time, its own earlier share, an exposure.

A share of what the sisters count does not depend on the beam. An element that counts nothing while others do
is dead; where all count nothing there is no beam, and nobody is to blame.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

Doubles = NDArray[np.float64]
State = Mapping[str, NDArray[Any]]

FEWEST_SISTERS = 4
"""Sisters of the same time that an element's rate is held against; fewer may be odd themselves."""

_LEAST_SPREAD = 0.05
"""How far an element's share moves without a fault at least (relative)."""

_DEAD_SHARE = 0.03
_DEAD_LEAST = 30.0  # counts that should be there before an element may be called dead

_MOST_SISTERS = 60
"""Sisters whose median is taken: more say the same."""

_MEMORY = 0.05  # weight of a new share, once there are as many
_MAD_TO_SIGMA = 1.4826
_MOST_NATS = 1e4


@dataclass(frozen=True, slots=True)
class Share:
    """Mean and variance of a logarithm seen `n` times (a weight, once there are many)."""

    n: float = 0.0
    mean: float = 0.0
    variance: float = 0.0

    def after(self, value: float) -> Share:
        """Remember one more."""
        weight = max(1 / (self.n + 1), _MEMORY)
        away = value - self.mean
        mean = self.mean + weight * away
        variance = (1 - weight) * (self.variance + weight * away**2)
        return Share(min(self.n + 1, 1 / _MEMORY), mean, variance)

    def spread(self, usual: float) -> float:
        """Say how far a new value may lie off: by what was seen, and by what is usual while that is
        little.
        """
        seen = (self.n * self.variance + 2 * usual**2) / (self.n + 2)
        return float(np.sqrt(max(seen, _LEAST_SPREAD**2) * (1 + 1 / max(self.n, 1))))


_SHARES = ("sisters", "exposed", "own")
_PARTS = tuple(f.name for f in fields(Share))


@dataclass(frozen=True, slots=True)
class RateHistory:
    """What is remembered of an element's rate.

    `sisters`: its logarithmic share of the median sister; `exposed`: counts an exposure; `own`: counts of a
    map; `accompanied`: whether sisters were ever seen beside it.
    """

    sisters: Share = Share()
    exposed: Share = Share()
    own: Share = Share()
    accompanied: bool = False

    @classmethod
    def of(cls, state: State) -> RateHistory:
        """Read it from a detector's state."""
        if "accompanied" not in state:
            return cls()
        sisters, exposed, own = (
            Share(*(state[f"{name}.{part}"].item() for part in _PARTS)) for name in _SHARES
        )
        return cls(sisters, exposed, own, bool(state["accompanied"].item()))

    def state(self) -> dict[str, NDArray[Any]]:
        """Write it as part of a detector's state."""
        shares = {
            f"{name}.{part}": np.array([getattr(getattr(self, name), part)], dtype=np.float64)
            for name in _SHARES
            for part in _PARTS
        }
        return {**shares, "accompanied": np.array([self.accompanied])}

    def after(self, seen: RateSeen, trusted: bool) -> RateHistory:
        """Remember one more map; of one that is not trusted only that it had sisters."""
        found = replace(self, accompanied=self.accompanied or seen.sisters > 0)
        if not trusted or not seen.total > 0:
            return found
        if seen.sisters >= FEWEST_SISTERS and seen.usual > 0:
            found = replace(found, sisters=self.sisters.after(float(np.log(seen.total / seen.usual))))
        if seen.exposure > 0:
            found = replace(found, exposed=self.exposed.after(float(np.log(seen.total / seen.exposure))))
        return replace(found, own=self.own.after(float(np.log(seen.total))))


@dataclass(frozen=True, slots=True)
class RateSeen:
    """One map's counts beside those of its sisters at the same time.

    `total`: its counts, scaled to all of its cells; `sisters`: how many there were, `usual`: the median of
    their counts, `scatter`: how far they differ (of the logarithm); `beam`: whether any element of the system
    counted anything, None where it is alone; `exposure`: luminosity or events behind it, NaN if not told.
    """

    total: float
    sisters: int = 0
    usual: float = 0.0
    scatter: float = 0.0
    beam: bool | None = None
    exposure: float = float("nan")


@dataclass(frozen=True, slots=True)
class RateJudgement:
    """`nats` of evidence that the rate is wrong; `lost`: too low; `expected`: counts, by what `against` says
    in words; `no_beam`: see above.
    """

    nats: float
    lost: bool
    expected: float
    no_beam: bool = False
    against: str = ""


NOTHING = RateJudgement(-30.0, True, float("nan"))


def judge_rate(seen: RateSeen, history: RateHistory, dispersion: float) -> RateJudgement:
    """Judge the rate of one map; `dispersion`: variance over Poisson's of its total."""
    if seen.total <= 0:
        if seen.beam is False:
            return RateJudgement(-30.0, True, 0.0, no_beam=True)
        # Alone in its step, though it has sisters: nobody can tell a dead element from a beam that is off.
        if seen.beam is None and history.accompanied:
            return RateJudgement(-30.0, True, 0.0, no_beam=True)
    found = [NOTHING]
    if seen.sisters >= FEWEST_SISTERS and seen.usual > 0:
        own = "its own earlier share of " if history.sisters.n else ""
        against = f"{own}{seen.sisters} sister elements of the same time"
        found.append(_beside(seen, history.sisters, np.log(seen.usual), seen.scatter, dispersion, against))
    if seen.exposure > 0 and history.exposed.n:
        against = "its own earlier counts at this exposure"
        found.append(
            _beside(seen, history.exposed, np.log(seen.exposure), _LEAST_SPREAD, dispersion, against)
        )
    if len(found) == 1 and history.own.n:
        alone = _beside(seen, history.own, 0.0, _LEAST_SPREAD, dispersion, "its own earlier maps")
        # Where neither sisters nor exposure tell the luminosity, only a dead element stands out.
        if seen.total < _DEAD_SHARE * alone.expected:
            found.append(alone)
    if len(found) == 1 and seen.total <= 0:
        return RateJudgement(_DEAD_LEAST, True, float("nan"))
    return max(found, key=lambda j: j.nats)


def _beside(
    seen: RateSeen, share: Share, log_usual: float, scatter: float, dispersion: float, against: str
) -> RateJudgement:
    """Compare with what a share of something lets expect."""
    expected = float(np.exp(log_usual + share.mean))
    if expected > _DEAD_LEAST and seen.total < _DEAD_SHARE * expected:
        return RateJudgement(min(expected, _MOST_NATS), True, expected, against=against)
    spread = share.spread(max(scatter, _LEAST_SPREAD)) if share.n else max(scatter, _LEAST_SPREAD) * 1.2
    noise = dispersion * (1 / max(expected, 1.0) + 1 / max(seen.total, 1.0)) / 2
    away = float(np.log(max(seen.total, 0.5) / max(expected, 0.5)))
    nats = away**2 / (2 * (spread**2 + noise))
    # Without sisters or exposure a rise is a brighter beam.
    return RateJudgement(nats, away < 0, expected, against=against)


@dataclass(frozen=True, slots=True)
class Arrival:
    """One map of a call: of the element numbered `element`, of a `kin` and a `system`, at a time."""

    element: int
    kin: str
    system: str
    time: float
    total: float
    exposure: float = float("nan")


def beside_sisters(arrivals: Sequence[Arrival]) -> list[RateSeen]:
    """Put each map beside those of its sisters at the same time."""
    by_kin: dict[tuple[str, float], list[Arrival]] = {}
    by_system: dict[tuple[str, float], list[Arrival]] = {}
    for one in arrivals:
        by_kin.setdefault((one.kin, one.time), []).append(one)
        by_system.setdefault((one.system, one.time), []).append(one)
    beam: dict[tuple[str, float], bool | None] = {}
    for key, some in by_system.items():
        elements = {a.element for a in some}
        beam[key] = any(a.total > 0 for a in some) if len(elements) > 1 else None
    found: dict[int, RateSeen] = {}
    for alike in by_kin.values():
        counting = any(a.total > 0 for a in alike)
        for one, (others, usual, scatter) in zip(alike, _sisters_of(alike), strict=True):
            there = beam[one.system, one.time]
            if others and not there:  # sisters whose names begin otherwise are of one system, too
                there = counting
            found[id(one)] = RateSeen(one.total, others, usual, scatter, there, one.exposure)
    return [found[id(one)] for one in arrivals]


def _sisters_of(alike: Sequence[Arrival]) -> Iterator[tuple[int, float, float]]:
    """Give of each of some maps that should count alike how many others there are, their median, and scatter.

    The scatter is that of the logarithms, 0 where there are too few.
    """
    asked = alike[:_MOST_SISTERS]
    totals = np.array([a.total for a in asked])
    elements = np.array([a.element for a in asked])
    medians: dict[int, tuple[int, float, float]] = {}
    for one in alike:
        if one.element not in medians:
            # All that were not asked have the same sisters.
            key = one.element if one.element in elements else -1
            if key not in medians:
                medians[key] = _median_of(totals[elements != key])
            medians[one.element] = medians[key]
        yield medians[one.element]


def _median_of(totals: Doubles) -> tuple[int, float, float]:
    if not len(totals):
        return 0, 0.0, 0.0
    usual, scatter = _median(totals), 0.0
    if len(totals) >= FEWEST_SISTERS and usual > 0:
        logs = np.log(np.maximum(totals, 0.5) / usual)
        scatter = _MAD_TO_SIGMA * _median(np.abs(logs))
    return len(totals), usual, scatter


def _median(values: Doubles) -> float:
    """Give the median; `numpy.median` takes five times as long for a few values."""
    ordered = np.sort(values)
    n = len(ordered)
    return float(ordered[(n - 1) // 2] + ordered[n // 2]) / 2
