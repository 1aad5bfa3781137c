"""Names and labels of other producers -> entity and metric, one spelling for all of them.

A metric is called `measurement.field{label=value,...}`, labels in alphabetical order, for instance
`cpu.usage_idle{cpu=cpu0}`. A part that holds one of `, = { } " \\` is written in double quotes, with a
backslash before `"` and `\\`, so that two series share no name.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Hashable, Mapping, Sequence
from typing import NamedTuple

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.parsing.fields import Fields
from anomalyd.daemon.intake.parsing.patterns import Patterns

# They say where a host stands and who asked it, never which of its series this is. (`zone` is not one of
# them: node_exporter numbers thermal zones with it.)
PLACES = frozenset({"job", "cluster", "datacenter", "dc", "region", "rack", "env", "environment"})

# Two Prometheus that ask the same say the same twice: never two series.
ASKERS = frozenset({"prometheus", "prometheus_replica", "replica"})

# Series and fields that are known at once: some 400 MB at the most (760 bytes a series of one field), and
# 500 hosts of 1000 such series. Beyond that all works, but names are made again and again.
KNOWN = 1_000_000

_SPECIAL = re.compile(r'[,={}"\\]')


class Metric(NamedTuple):
    """The name of a metric, and whether the patterns call it a counter."""

    name: str
    counts: bool


class Series:
    """What a producer calls one thing: an entity, and the metrics of its fields.

    `aside` are the labels that stand in no name; see `label_collisions`.
    """

    __slots__ = ("_labels", "_measurement", "_metrics", "_naming", "aside", "entity")

    def __init__(
        self, naming: Naming, entity: str, measurement: str, labels: str, aside: tuple[str, ...] = ()
    ) -> None:
        self.entity = entity
        self.aside = aside
        self._naming = naming
        self._measurement = measurement
        self._labels = labels
        self._metrics: dict[str, Metric | None] = {}

    def metric(self, field: str) -> Metric | None:
        """Give the metric of a field, or None where the configuration does not want it.

        Arguments:
            field: its name; empty where the measurement itself is the metric.

        Raises:
            DecodeError: the name is not allowed.

        """
        try:
            return self._metrics[field]
        except KeyError:
            bare = f"{self._measurement}.{_plain(field)}" if field else self._measurement
            metric = self._metrics[field] = self._naming.metric(bare, bare + self._labels)
            return metric


class Naming:
    """Knows the series of one input; what it has seen once costs one look-up.

    Arguments:
        config: the input.
        fields: its limits.
        entity_labels: the format's own labels that name the entity; the first that is there does.
        counters: the format's own patterns of what only counts up.

    """

    def __init__(
        self, config: InputConfig, fields: Fields, entity_labels: Sequence[str], counters: Sequence[str]
    ) -> None:
        self._fields = fields
        self._entity_labels = (config.entity_label,) if config.entity_label else tuple(entity_labels)
        self._wanted = None if config.metric_labels is None else frozenset(config.metric_labels)
        self._taken = Patterns(config.metrics)
        self._ignored = Patterns(config.ignore_metrics)
        self._counters = Patterns(counters if config.counters is None else config.counters)
        self._known: dict[Hashable, Series] = {}
        self._names = 0

    def known(self, key: Hashable) -> Series | None:
        """Give the series that was learned under this key."""
        return self._known.get(key)

    def learn(
        self,
        key: Hashable,
        measurement: str,
        labels: Mapping[str, str],
        entity_labels: Sequence[str] = (),
        places: Collection[str] = PLACES,
    ) -> Series:
        """Make the series of a measurement and its labels, and know it by `key` from now on.

        `entity_labels` are asked instead of those of the input, where there are any. `places` are the labels
        that stand in no name, unless the configuration says which do.

        Raises:
            DecodeError: no label and no setting names the entity, or a name that is not allowed.

        """
        asked = entity_labels or self._entity_labels
        used = next((label for label in asked if labels.get(label)), None)
        entity = self._fields.labelled_entity(None if used is None else labels[used], asked)
        told: list[str] = []
        aside: list[str] = []
        for label in sorted(labels):
            if labels[label] and label != used and label not in ASKERS:
                (told if self._tells(label, places) else aside).append(
                    f"{_plain(label)}={_plain(labels[label])}"
                )
        series = Series(
            self, entity, _plain(measurement), f"{{{','.join(told)}}}" if told else "", tuple(aside)
        )
        self._count()
        self._known[key] = series
        return series

    def metric(self, bare: str, name: str) -> Metric | None:
        """Give the metric of a name without and with its labels, or None where it is not wanted.

        Raises:
            DecodeError: the name is not allowed.

        """
        self._count()
        if not self._taken.fit(bare, name) or self._ignored.fit(bare, name):
            return None
        return Metric(self._fields.short_metric_name(name), self._counters.fit(bare, name))

    def _tells(self, label: str, places: Collection[str]) -> bool:
        return label not in places if self._wanted is None else label in self._wanted

    def _count(self) -> None:
        # A producer that never repeats itself must not fill the memory.
        self._names += 1
        if self._names > KNOWN:
            self._names = 0
            self._known.clear()


def _plain(text: str) -> str:
    if _SPECIAL.search(text) is None:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
