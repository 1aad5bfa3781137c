"""Format `otlp`: OpenTelemetry metrics, protobuf or JSON, as the collector's kafka exporter writes them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from google.protobuf import json_format
from google.protobuf.message import DecodeError as NotProtobuf
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1 import metrics_pb2

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.formats.format import Format
from anomalyd.daemon.intake.parsing.fields import Fields
from anomalyd.daemon.intake.parsing.naming import Naming, Series
from anomalyd.daemon.intake.parsing.parts import Parts
from anomalyd.daemon.intake.parsing.quantiles import exponential_quantiles, quantiles
from anomalyd.daemon.intake.wire_formats.otlp_pieces import is_json, pieces
from anomalyd.daemon.stages import Reason, Record, Sample
from anomalyd.errors import DecodeError

ENTITY_ATTRIBUTES = ("host.name", "k8s.pod.name", "service.instance.id", "service.name")

# Of the resource's other attributes these tell one sender of metrics on a host from another. They stand in no
# name until two would share it.
_TELLS_SENDERS = ("service.", "k8s.", "container.name", "deployment.", "cloud.region")

_OTHER_SIGNALS = {b"resourceLogs": "logs", b"resourceSpans": "traces", b"resourceProfiles": "profiles"}

_NO_VALUE = metrics_pb2.DATA_POINT_FLAGS_NO_RECORDED_VALUE_MASK
_DELTA = metrics_pb2.AGGREGATION_TEMPORALITY_DELTA

_Field = tuple[str, Any, bool]
"""Name ("" for the metric itself), value, and whether it counts up."""


class Otlp(Format):
    """Decodes gauges, sums, histograms and summaries; attributes of the resource name the entity."""

    maps_names = True
    grid_s = 60.0  # how often SDKs and the collector's receivers export unless told otherwise
    lateness_s = 30.0

    def __init__(self, config: InputConfig) -> None:
        super().__init__(config)
        self._fields = Fields(config)
        self._naming = Naming(config, self._fields, ENTITY_ATTRIBUTES, ())

    def decode(self, record: Record, now: float) -> tuple[Sequence[Sample], DecodeError | None]:
        """Decode a record; see `Format.decode`.

        Raises:
            DecodeError: nothing of the message can be used.

        """
        assert record.value is not None
        try:
            request = _request(record.value)
        except DecodeError:
            found = pieces(record.value)
            if not found:
                raise
        else:
            parts = Parts(record, self._fields, now, b"".join)
            self._add_all(parts, request)
            return parts.samples()
        # JSON requests stand one a line, protobuf requests one behind the other.
        parts = Parts(record, self._fields, now, (b"\n" if is_json(record.value) else b"").join)
        for number, raw in enumerate(found):
            try:
                self._add_all(parts, _request(raw), number, raw)
            except DecodeError as error:
                parts.where, parts.holds = f"metric {number}", lambda raw=raw: raw
                parts.fault(error)
        return parts.samples()

    def _add_all(self, parts: Parts, request: Any, number: int = 0, raw: bytes | None = None) -> None:
        """Add every metric of a request; the first is called `number`, and `raw` is what it holds."""
        for of_resource in request.resource_metrics:
            resource = self._resource(of_resource.resource)
            for scope in of_resource.scope_metrics:
                for metric in scope.metrics:
                    parts.where = f"metric {number}"
                    parts.holds = lambda r=of_resource, s=scope, m=metric: raw or _alone(r, s, m)
                    number += 1
                    try:
                        self._add(parts, resource, metric)
                    except DecodeError as error:
                        parts.fault(error)

    def _resource(self, resource: Any) -> dict[str, str]:
        """Give the attributes of a resource that name the entity, or tell one sender from another."""
        asked = {*ENTITY_ATTRIBUTES, self.config.entity_label, *(self.config.metric_labels or ())}
        return {
            key: value
            for key, value in _attributes(resource.attributes).items()
            if key in asked or key.startswith(_TELLS_SENDERS)
        }

    def _add(self, parts: Parts, resource: dict[str, str], metric: Any) -> None:
        if not metric.name:
            raise DecodeError(Reason.METRICS, "a metric without a name")
        kind = metric.WhichOneof("data")
        if kind is None:
            raise DecodeError(Reason.FIELD, f"{metric.name}: no data points of a kind that is known")
        data = getattr(metric, kind)
        for point in data.data_points:
            attributes = _attributes(point.attributes)
            series = self._series(metric.name, resource, attributes)
            for field, value, counts in _READ[kind](data, point):
                name, _, quantile = field.partition("=")
                found = series
                if quantile:
                    found = self._series(metric.name, resource, {**attributes, "quantile": quantile})
                parts.add(found, point.time_unix_nano / 1e9, ((name, value),), {name: 0} if counts else {})

    def _series(self, name: str, resource: dict[str, str], attributes: dict[str, str]) -> Series:
        key = (name, *resource.items(), "|", *attributes.items())
        return self._naming.known(key) or self._naming.learn(
            key, name, {**resource, **attributes}, places=resource.keys() - attributes.keys()
        )


def _request(value: bytes) -> ExportMetricsServiceRequest:
    """Read protobuf, or JSON.

    Raises:
        DecodeError: it is neither.

    """
    request = ExportMetricsServiceRequest()
    if is_json(value):
        try:
            json_format.Parse(value, request, ignore_unknown_fields=True)
        except (json_format.ParseError, UnicodeDecodeError, RecursionError) as error:
            raise DecodeError(Reason.SYNTAX, f"not OTLP metrics as JSON: {error!s:.300}") from None
    else:
        try:
            request.ParseFromString(value)
        except NotProtobuf as error:
            raise DecodeError(Reason.SYNTAX, f"not OTLP metrics as protobuf: {error!s:.300}") from None
    if not request.resource_metrics:
        other = next((what for key, what in _OTHER_SIGNALS.items() if key in value[:200]), "")
        hint = f"; these are {other}, which are not read" if other else ""
        raise DecodeError(
            Reason.EMPTY, f"no resource_metrics: an export request for metrics is expected{hint}"
        )
    return request


def _attributes(found: Any) -> dict[str, str]:
    """Give attributes as texts; one that is a list or a map is as protobuf prints it."""
    out: dict[str, str] = {}
    for each in found:
        if each.key in out:
            raise DecodeError(Reason.SYNTAX, f"attribute {each.key[:60]!r} stands twice; each may stand once")
        kind = each.value.WhichOneof("value")
        value = "" if kind is None else getattr(each.value, kind)
        out[each.key] = str(value).lower() if kind == "bool_value" else str(value).strip()
    return out


def _alone(of_resource: Any, scope: Any, metric: Any) -> bytes:
    """Make a request of one metric, with its resource and scope."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add(resource=of_resource.resource, schema_url=of_resource.schema_url)
    resource.scope_metrics.add(scope=scope.scope, schema_url=scope.schema_url, metrics=[metric])
    return bytes(request.SerializeToString())


def _number(data: Any, point: Any) -> Iterator[_Field]:
    kind = point.WhichOneof("value")
    value = None if kind is None or point.flags & _NO_VALUE else getattr(point, kind)
    delta = getattr(data, "aggregation_temporality", 0) == _DELTA
    counts = getattr(data, "is_monotonic", False) and not delta
    yield "", _per_second(value, point) if delta else _finite(value), counts


def _histogram(data: Any, point: Any) -> Iterator[_Field]:
    yield from _count_and_sum(data, point)
    yield from _told(quantiles(point.explicit_bounds, point.bucket_counts))


def _exponential(data: Any, point: Any) -> Iterator[_Field]:
    yield from _count_and_sum(data, point)
    positive, negative = point.positive, point.negative
    yield from _told(
        exponential_quantiles(
            point.scale,
            point.zero_count,
            dict(enumerate(positive.bucket_counts, positive.offset)),
            dict(enumerate(negative.bucket_counts, negative.offset)),
        )
    )


def _summary(data: Any, point: Any) -> Iterator[_Field]:
    yield "count", point.count, True
    yield "sum", _finite(point.sum), True
    for each in point.quantile_values:
        yield f"={each.quantile:g}", _finite(each.value), False


def _count_and_sum(data: Any, point: Any) -> Iterator[_Field]:
    delta = data.aggregation_temporality == _DELTA
    yield "count", _per_second(point.count, point) if delta else point.count, not delta
    if point.HasField("sum"):
        yield "sum", _per_second(point.sum, point) if delta else _finite(point.sum), not delta


def _told(found: dict[float, float]) -> Iterator[_Field]:
    for quantile, value in found.items():
        yield f"={quantile:g}", value, False


def _per_second(value: float | None, point: Any) -> float | None:
    """Make a rate of what was counted since the last report."""
    seconds = (point.time_unix_nano - point.start_time_unix_nano) / 1e9
    if value is None or not point.start_time_unix_nano or seconds <= 0:
        return _finite(value)
    return _finite(value / seconds)


def _finite(value: float | None) -> float | None:
    return None if value is not None and value != value else value


_READ = {
    "gauge": _number,
    "sum": _number,
    "histogram": _histogram,
    "exponential_histogram": _exponential,
    "summary": _summary,
}
