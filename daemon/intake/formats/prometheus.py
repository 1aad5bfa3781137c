"""Format `prometheus`: remote write 1.0, a protobuf WriteRequest compressed with snappy (block format)."""

from __future__ import annotations

from collections.abc import Sequence

import cramjam

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.parsing import write_request
from anomalyd.daemon.intake.parsing.fields import Fields
from anomalyd.daemon.intake.parsing.instances import PROMETHEUS_ENTITY, entity_labels
from anomalyd.daemon.intake.parsing.naming import Naming, Series
from anomalyd.daemon.intake.parsing.parts import Parts
from anomalyd.daemon.intake.parsing.telegraf_counters import TELEGRAF_COUNTERS_JOINED
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


class Prometheus(Format):
    """Decodes WriteRequests: the metric is a series' `__name__`. Histograms and metadata are skipped."""

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
        found = list(write_request.series(self._decompress(record.value)))
        parts = Parts(record, self._fields, now, _compressed)
        for index, (raw, samples) in enumerate(found):
            parts.where = f"series {index}"
            parts.holds = lambda raw=raw, samples=samples: write_request.request([(raw, samples)])
            for value, milliseconds in samples:
                try:
                    series = self._naming.known(raw) or self._learn(raw)
                    parts.add(series, milliseconds / 1000, (("", value),))
                except DecodeError as error:
                    parts.fault(error)
        return parts.samples()

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
            raise DecodeError(
                Reason.SYNTAX, f"not compressed with snappy (block format, as remote write is): {error}"
            ) from None

    def _learn(self, raw: bytes) -> Series:
        labels = write_request.labels(raw)
        name = labels.pop("__name__", "")
        if not name:
            raise DecodeError(Reason.METRICS, f"a series without a label __name__: {dict(labels)!s:.100}")
        return self._naming.learn(raw, name, labels, entity_labels(self.config, labels))


def _compressed(requests: Sequence[bytes]) -> bytes:
    """Make one message of requests: one behind the other they are one request."""
    return bytes(cramjam.snappy.compress_raw(b"".join(requests)))
