"""What was read once is read again, into a store of its own, and held against the reports there are.

Ids and scores follow from the records, the models and the configuration alone, so the same reports come out,
but for what a replay does not know: what was remembered before its first record, and operators' words.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.kafka.range_source import RangeSource
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Service
from anomalyd.daemon.stages import Partition
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.library import LoadedPair, ModelLibrary
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Incident, Report, Status
from anomalyd.reports.storage.store import Store

_MOST = 1_000_000
_TAKE_S = 0.5
_SAME = 1e-6
_LONG_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ids of closed reports that speak of the records that were read again only, by how they compare.

    `other_model`: made by a model other than the one replayed with, so not compared.
    """

    same: tuple[str, ...]
    different: tuple[str, ...]
    missing: tuple[str, ...]
    new: tuple[str, ...]
    other_model: tuple[str, ...]
    other_configuration: int

    @property
    def equal(self) -> bool:
        """Whether what can be compared is the same."""
        return not (self.different or self.missing or self.new)


class _Pinned(ModelLibrary):
    """A library in which each pair has one version, where one is named."""

    def __init__(self, root: Path, pinned: Mapping[str, str]) -> None:
        super().__init__(root)
        self._pinned = pinned

    def versions(self, name: str) -> tuple[str, ...]:
        found = super().versions(name)
        return tuple(v for v in found if v == self._pinned[name]) if name in self._pinned else found

    def load(self, name: str, version: str | None = None) -> LoadedPair:
        return super().load(name, version or self._pinned.get(name))


def replay(
    config: Config,
    begin: int | datetime,
    into: str,
    *,
    source_factory: Callable[..., RangeSource] = RangeSource,
) -> Comparison:
    """Read again from an offset or a time up to where the store stands, into the (empty) store at a URL.

    Each detector works with the model that made most of the reports; the live store is only read.

    Raises:
        BrokerError: Kafka cannot be reached, or no longer has it.
        StoreError: a store cannot be opened.
        ModelError: the model that made the reports is gone.

    """
    live_url = config.store.url.get_secret_value()
    queries = Queries.open(live_url)
    store = Store.open(into)
    try:
        live = Store.open(live_url)
        try:
            ends = live.offsets(config.kafka.group)
        finally:
            live.close()
        source = source_factory(config.kafka, begin, ends)
        try:
            reports = _within(queries.reports(Selection(), limit=_MOST), source.begins, source.ends)
            pinned = _models(reports)
            _run(config, source, store, pinned)
        finally:
            source.close()
        again_queries = Queries.open(into)
        try:
            again = _within(again_queries.reports(Selection(), limit=_MOST), source.begins, source.ends)
        finally:
            again_queries.close()
        return _compare(reports, again, pinned, config.fingerprint)
    finally:
        store.close()
        queries.close()


def _run(config: Config, source: RangeSource, store: Store, pinned: Mapping[str, str]) -> None:
    silent = config.output.model_copy(update={"topic": None, "dead_letter_topic": None})
    config = config.model_copy(
        update={"output": silent, "store": config.store.model_copy(update={"keep_samples_s": 0.0})}
    )
    library = _Pinned(Path(config.store.models), pinned)
    for name in pinned:
        library.load(name)  # else a model that is gone would only show as missing reports
    watches = [ActiveModel(detector, library) for detector in config.detectors]
    telemetry = Telemetry.for_config(config, CollectorRegistry())
    later_s = 0.0
    service = Service(config, source, store, watches, telemetry, monotonic=lambda: time.monotonic() + later_s)
    while not source.finished:
        service.step(_TAKE_S)
    # All before the end has been handed on by the daemon: what waits waits no longer.
    later_s = _LONG_S
    service.step(0.0)


def _models(reports: Iterable[Report]) -> dict[str, str]:
    """Name the model of each detector that made most of these reports."""
    made = Counter((r.incident.detector, r.incident.model) for r in reports)
    return {detector: model for (detector, model), _ in reversed(made.most_common())}


def _within(
    reports: Sequence[Report], begins: Mapping[Partition, int], ends: Mapping[Partition, int]
) -> list[Report]:
    """Choose the closed reports of which every record lies between these offsets."""

    def inside(where: str) -> bool:
        topic, _, rest = where.partition("/")
        partition, _, offset = rest.partition("/")
        if not offset:
            return False
        place = (topic, int(partition))
        return place in ends and begins[place] <= int(offset) < ends[place]

    return [
        report
        for report in reports
        if report.incident.status is Status.CLOSED
        and inside(report.incident.source)
        and inside(report.provenance.until)
    ]


def _compare(
    reports: Iterable[Report], again: Iterable[Report], pinned: Mapping[str, str], configuration: str
) -> Comparison:
    ours = {report.incident.id: report for report in again}
    same: list[str] = []
    different: list[str] = []
    missing: list[str] = []
    other: list[str] = []
    others = 0
    for report in reports:
        incident = report.incident
        others += report.provenance.configuration != configuration
        if pinned.get(incident.detector) != incident.model:
            other.append(incident.id)
            ours.pop(incident.id, None)
            continue
        found = ours.pop(incident.id, None)
        if found is None:
            missing.append(incident.id)
        else:
            (same if _alike(incident, found.incident) else different).append(incident.id)
    return Comparison(tuple(same), tuple(different), tuple(missing), tuple(ours), tuple(other), others)


def _alike(one: Incident, two: Incident) -> bool:
    """Say whether two incidents are the same; in other batches the last bits of a score differ."""
    exactly = ("onset", "last", "closed", "samples", "severity", "peak_time", "seen_by")
    scores = ("peak", "autoencoder", "classical")
    return all(getattr(one, n) == getattr(two, n) for n in exactly) and all(
        math.isclose(getattr(one, n), getattr(two, n), rel_tol=_SAME) for n in scores
    )
