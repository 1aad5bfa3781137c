"""How the samples of an input are joined: the time grid, and how long to wait for what is late."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.registry import format_class


@dataclass(frozen=True, slots=True)
class Alignment:
    """The grid and the lateness of one input, in seconds of event time; 0: none."""

    grid_s: float = 0.0
    lateness_s: float = 0.0

    @property
    def waits(self) -> bool:
        """Whether samples are held back at all."""
        return self.grid_s > 0 or self.lateness_s > 0

    def slot(self, time: float) -> tuple[float, float]:
        """Give the slot [begin, end) that a time falls into; without a grid it holds that time only."""
        if not self.grid_s:
            return time, math.nextafter(time, math.inf)
        number = math.floor(time / self.grid_s)
        return number * self.grid_s, (number + 1) * self.grid_s


def alignments(inputs: Iterable[InputConfig]) -> dict[str, Alignment]:
    """Give topic -> how it is aligned: as configured, else as its format does.

    Raises:
        ConfigError: there is no format of that name.

    """
    return {i.topic: _alignment(i) for i in inputs}


def _alignment(config: InputConfig) -> Alignment:
    usual = format_class(config)
    return Alignment(
        usual.grid_s if config.grid_s is None else config.grid_s,
        usual.lateness_s if config.lateness_s is None else config.lateness_s,
    )


def counts_are_said(inputs: Iterable[InputConfig]) -> list[str]:
    """Name the topics whose messages, or whose configuration, say which metrics count."""
    return [i.topic for i in inputs if i.counters is not None or format_class(i).says_counters]


def labels_are_said(inputs: Iterable[InputConfig]) -> list[str]:
    """Name the topics whose configuration says which labels belong to a metric's name."""
    return [i.topic for i in inputs if i.metric_labels is not None]
