"""Counters -> rates in 1/s, over restarts of the sender, and over wraps.

A counter that falls has wrapped around if its bits are known and it rose by less than a quarter of its
range that way: it was near the top then, and is near the bottom now. Otherwise it was set back, and how
much it rose meanwhile is not known: that time counts for nothing, rather than as a negative rate or as a
spike.
"""

from __future__ import annotations

from collections.abc import Iterable

Reading = tuple[float, float]  # event time in seconds; what the counter showed, an int where it may be large

FORGET_S = 86_400.0
"""A counter that was silent for a day begins anew, so that names that come no more are not kept for ever."""

Readings = dict[str, tuple[float, int | float]]


class Rates:
    """The newest reading of each counter of each entity, and what its next readings make of it."""

    def __init__(self) -> None:
        self._newest: dict[str, Readings] = {}

    def rate(self, entity: str, metric: str, bits: int, readings: Iterable[Reading]) -> float | None:
        """Give the mean rate from the newest reading before up to the last of these, in 1/s.

        None where nothing tells: there was none before, the counter was set back, or none of them is newer.

        Arguments:
            entity: whose counter.
            metric: its name.
            bits: after how many it wraps around, 32 or 64; 0 where that is not known.
            readings: in event-time order; of several at one time the last counts.

        """
        known = self._newest.setdefault(entity, {})
        before = known.get(metric)
        risen: float = 0
        seconds = 0.0
        for time, value in dict(readings).items():
            if before is not None:
                took = time - before[0]
                if took <= 0:
                    continue
                rise = _rise(before[1], value, bits) if took <= FORGET_S else None
                if rise is not None:
                    risen += rise
                    seconds += took
            before = (time, _storable(value))
        if before is not None:
            known[metric] = before
        return risen / seconds if seconds else None

    def forget(self, entity: str, metrics: Iterable[str]) -> None:
        """Drop what was read of metrics that turn out to be no counters."""
        known = self._newest.get(entity)
        if known:
            for metric in known.keys() & set(metrics):
                del known[metric]

    def newest(self, entity: str) -> Readings:
        """Give metric -> the newest reading of an entity's counters, without those silent for long."""
        known = self._newest.get(entity)
        if not known:
            return {}
        oldest = max(time for time, _ in known.values()) - FORGET_S
        for metric in [name for name, (time, _) in known.items() if time < oldest]:
            del known[metric]
        return known

    def restore(self, entity: str, readings: Readings) -> None:
        """Remember what `newest` gave."""
        if readings:
            self._newest[entity] = readings


def _rise(before: float, now: float, bits: int) -> float | None:
    if now >= before:
        return now - before
    rise = now + 2**bits - before
    return rise if bits and 0 <= rise < 2 ** (bits - 2) else None


def _storable(value: float) -> float:
    """A whole number stays one, for a counter may need all its 64 bits; beyond them it cannot be stored."""
    return value if -(2**63) <= value < 2**64 else float(value)
