"""Format `prometheus`: remote write 1.0 or 2.0, a protobuf message compressed with snappy (block format)."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import cramjam

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.parsing import native_histograms
from anomalyd.daemon.intake.parsing.fields import Fields
from anomalyd.daemon.intake.parsing.instances import PROMETHEUS_ENTITY, entity_labels
from anomalyd.daemon.intake.parsing.naming import Naming, Series
from anomalyd.daemon.intake.parsing.parts import Parts
from anomalyd.daemon.intake.parsing.telegraf_counters import TELEGRAF_COUNTERS_JOINED
from anomalyd.daemon.intake.wire_formats import write_request
from anomalyd.daemon.intake.wire_formats.write_request import TimeSeries
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError

# Prometheus' own endings of counters, of histograms and summaries; and Telegraf's names, which do not keep
# to them: there `disk_total` is the size of a disk.
PROMETHEUS_COUNTERS = (
    "*_total",
    "*_count",
    "*_sum",
    "*_bucket",
    *TELEGRAF_COUNTERS_JOINED,
    "!disk_total",
    "!disk_inodes_total",
    "!mem_*total",
    "!processes_total",
    "!swap_total",
)

_TYPES: Mapping[int, Mapping[str, int]] = {1: {"": 0}, 2: {}}
"""The types of a series that 2.0 tells, counter and gauge -> which of its fields count."""


class Prometheus(Format):
    """Decodes write requests: the metric is a series' `__name__`.

    A native histogram gives `_count`, `_sum` and quantiles. Of metadata only the type that 2.0 tells is used.
    """

    maps_names = True
    says_counters = False

    def __init__(self, config: InputConfig) -> None:
        super().__init__(config)
        self._fields = Fields(config)
        self._naming = Naming(config, self._fields, PROMETHEUS_ENTITY, PROMETHEUS_COUNTERS)

    def decode(self, record: Record, now: float) -> tuple[Sequence[Sample], DecodeError | None]:
        """Decode a record; see `Format.decode`.

        Raises:
            DecodeError: nothing of the message can be used.

        """
        assert record.value is not None
        # All of it is read before any is used: bytes that break off in the middle are not to be trusted.
        found = write_request.read(self._decompress(record.value))
        parts = Parts(record, self._fields, now, _compressed)
        for index, series in enumerate(found):
            parts.where, parts.holds = f"series {index}", series.alone
            counters = _TYPES.get(series.type) if self.config.counters is None else None
            for sample in series.samples:
                try:
                    named = self._naming.known(series.key) or self._learn(series.key, series)
                    parts.add(named, sample.timestamp / 1000, (("", _value(sample.value)),), counters)
                except DecodeError as error:
                    parts.fault(error)
            for histogram in series.histograms:
                try:
                    self._add_histogram(parts, series, histogram)
                except DecodeError as error:
                    parts.fault(error)
        return parts.samples()

    def _add_histogram(self, parts: Parts, series: TimeSeries, histogram: Any) -> None:
        count, total, quantiles = native_histograms.values_of(histogram)
        counts: Mapping[str, int] | None = {} if native_histograms.is_gauge(histogram) else None
        for ending, value in (("_count", count), ("_sum", total)):
            key: Hashable = (ending, *series.key)
            named = self._naming.known(key) or self._learn(key, series, ending)
            parts.add(named, histogram.timestamp / 1000, (("", value),), counts)
        for quantile, value in quantiles.items():
            key = (quantile, *series.key)
            named = self._naming.known(key) or self._learn(key, series, quantile=f"{quantile:g}")
            parts.add(named, histogram.timestamp / 1000, (("", value),), {})

    def _decompress(self, value: bytes) -> bytes:
        most = self.config.limits.message_bytes
        try:
            # The message says how long it will be: a few bytes could ask for 4 GB.
            length = cramjam.snappy.decompress_raw_len(value)
            if length > most:
                raise DecodeError(
                    Reason.TOO_LARGE,
                    f"{length} bytes uncompressed; {most} (inputs.limits.message_bytes) are allowed",
                )
            return bytes(cramjam.snappy.decompress_raw(value))
        except cramjam.DecompressionError as error:
            plain = "; it is a write request as it stands: compress it" if _is_plain(value) else ""
            raise DecodeError(
                Reason.SYNTAX,
                f"not compressed with snappy (block format, as remote write is): {error}{plain}",
            ) from None

    def _learn(self, key: Hashable, series: TimeSeries, ending: str = "", quantile: str = "") -> Series:
        labels = series.labels()
        name = labels.pop("__name__", "")
        if not name:
            raise DecodeError(Reason.METRICS, f"a series without a label __name__: {dict(labels)!s:.100}")
        asked = entity_labels(self.config, labels)
        return self._naming.learn(
            key, name + ending, labels | ({"quantile": quantile} if quantile else {}), asked
        )


def _is_plain(value: bytes) -> bool:
    try:
        return any(series.labels() for series in write_request.read(value))
    except DecodeError:
        return False


def _value(value: float) -> float | None:
    """Give the value of a sample; NaN, such as the mark of a series that has ended, is none."""
    return None if math.isnan(value) else value


def _compressed(requests: Sequence[bytes]) -> bytes:
    """Make one message of requests: one behind the other they are one request."""
    return bytes(cramjam.snappy.compress_raw(b"".join(requests)))
