"""A gauge whose series are replaced all at once: no scrape sees it half filled.

prometheus-client's own is cleared and filled series by series; an alert on one that is missing for a moment
would be resolved and raised again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector


class ReplacedGauge(Collector):
    """A gauge by the values of its labels, in their order."""

    def __init__(self, name: str, text: str, labels: tuple[str, ...]) -> None:
        self._name = name
        self._text = text
        self._labels = labels
        self._values: Mapping[tuple[str, ...], float] = {}

    def replace(self, values: Mapping[tuple[str, ...], float]) -> None:
        """Set every series; what is not named is gone."""
        self._values = dict(values)

    def describe(self) -> Iterator[GaugeMetricFamily]:
        """Give the name without figures, for the registry's check of names."""
        yield GaugeMetricFamily(self._name, self._text, labels=self._labels)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Give the figures for one scrape."""
        family = GaugeMetricFamily(self._name, self._text, labels=self._labels)
        for labels, value in self._values.items():
            family.add_metric(labels, value)
        yield family
