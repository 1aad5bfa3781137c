"""OpenTelemetry metrics, made by its own SDK and exporter: protobuf and JSON."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pytest
from google.protobuf import json_format
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.sdk.metrics import Counter, Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View
from opentelemetry.sdk.resources import Resource

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.parsing.quantiles import exponential_quantiles, quantiles
from anomalyd.daemon.stages import DeadLetter, Record, Sample

RESOURCE = {"service.name": "shop", "host.name": "n1", "process.pid": 7, "telemetry.sdk.name": "x"}


def exported(resource: dict[str, Any] = RESOURCE, *, delta: bool = False, views: Sequence[View] = ()) -> Any:
    """What the SDK exports after a little work."""
    preferred = dict.fromkeys((Counter, Histogram), AggregationTemporality.DELTA) if delta else {}
    reader = InMemoryMetricReader(preferred_temporality=preferred)
    provider = MeterProvider([reader], Resource(resource), views=views, shutdown_on_exit=False)
    meter = provider.get_meter("m")
    meter.create_counter("requests").add(5, {"code": "200", "cached": True})
    meter.create_up_down_counter("queue").add(-2)
    meter.create_gauge("temperature").set(36.5)
    latency = meter.create_histogram("latency", explicit_bucket_boundaries_advisory=[1.0, 2.0, 4.0])
    for value in (0.5, 1.5, 1.5, 3.0):
        latency.record(value)
    data = reader.get_metrics_data()
    provider.shutdown()
    return encode_metrics(data)


def decoded(value: bytes, **settings: Any) -> tuple[list[Sample], list[DeadLetter]]:
    from time import time

    config = InputConfig(topic="t", format="otlp", **settings)
    return Decoder([config], clock=time).decode([Record("t", 0, 3, time(), None, value)])


def joined(samples: Sequence[Sample]) -> dict[str, Any]:
    return {name: value for sample in samples for name, value in (sample.values or {}).items()}


CUMULATIVE = {
    "requests{cached=true,code=200}": 5,
    "queue": -2,
    "temperature": 36.5,
    "latency.count": 4,
    "latency.sum": 6.5,
    "latency{quantile=0.5}": 1.5,
    "latency{quantile=0.95}": pytest.approx(3.6),
    "latency{quantile=0.99}": pytest.approx(3.92),
}


@pytest.mark.parametrize("as_json", [False, True])
def test_what_the_sdk_exports(as_json: bool) -> None:
    request = exported()
    raw = json_format.MessageToJson(request).encode() if as_json else request.SerializeToString()
    samples, dead = decoded(raw)
    assert dead == []
    assert {s.entity for s in samples} == {"n1"}
    assert all(s.partial for s in samples)
    assert joined(samples) == CUMULATIVE
    assert {name for s in samples for name in s.counters or ()} == {
        "requests{cached=true,code=200}",
        "latency.count",
        "latency.sum",
    }


def test_delta_temporality_gives_rates() -> None:
    samples, dead = decoded(exported(delta=True).SerializeToString())
    assert dead == []
    found = joined(samples)
    assert found["latency{quantile=0.5}"] == 1.5
    assert found["latency.sum"] / found["latency.count"] == pytest.approx(6.5 / 4)
    assert found["requests{cached=true,code=200}"] > 5  # it took no second
    assert not [name for s in samples for name in s.counters or ()]


def test_exponential_histograms() -> None:
    view = View(instrument_name="latency", aggregation=ExponentialBucketHistogramAggregation())
    found = joined(decoded(exported(views=[view]).SerializeToString())[0])
    assert found["latency.count"] == 4
    assert found["latency{quantile=0.5}"] == pytest.approx(1.5, rel=0.01)
    assert found["latency{quantile=0.99}"] == pytest.approx(3.0, rel=0.01)


@pytest.mark.parametrize(
    ("resource", "settings", "entity"),
    [
        ({"service.name": "shop"}, {}, "shop"),
        ({"service.name": "shop", "service.instance.id": "i7"}, {}, "i7"),
        ({"service.name": "shop", "k8s.pod.name": "pod-1"}, {}, "pod-1"),
        (RESOURCE, {"entity_label": "service.name"}, "shop"),
        ({"cell": "a"}, {"entity_label": "cell"}, "a"),
        ({}, {"entity": "all"}, "all"),
    ],
)
def test_attributes_of_the_resource_name_the_entity(
    resource: dict[str, Any], settings: dict[str, Any], entity: str
) -> None:
    samples, dead = decoded(exported(resource).SerializeToString(), **settings)
    assert dead == []
    assert {s.entity for s in samples} == {entity}


def test_two_services_of_a_host_are_told_apart_by_labels_aside() -> None:
    samples, _ = decoded(
        exported().SerializeToString()
        + exported({"service.name": "b", "host.name": "n1"}).SerializeToString()
    )
    asides = {aside for s in samples for aside in (s.aside or {}).values()}
    assert asides == {("service.name=shop",), ("service.name=b",)}


def test_a_bad_metric_takes_no_other_with_it() -> None:
    request = exported()
    metrics = request.resource_metrics[0].scope_metrics[0].metrics
    metrics[2].gauge.data_points[0].as_double = math.inf
    metrics[1].name = ""
    samples, (letter,) = decoded(request.SerializeToString())
    assert joined(samples) == {k: v for k, v in CUMULATIVE.items() if k not in ("queue", "temperature")}
    assert letter.where == "metric 1, metric 2"
    alone = ExportMetricsServiceRequest()
    alone.ParseFromString(letter.broken or b"")
    assert [m.name for r in alone.resource_metrics for s in r.scope_metrics for m in s.metrics] == [
        "",
        "temperature",
    ]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (b"{", "syntax"),
        (b"{}", "empty"),
        (b"\xff\xff", "syntax"),
        (b'{"resourceMetrics": 3}', "syntax"),
        (b"\x0a\x7f", "syntax"),
    ],
)
def test_what_is_no_request_is_refused(value: bytes, reason: str) -> None:
    samples, (letter,) = decoded(value)
    assert (samples, letter.reason) == ([], reason)


def test_a_point_without_a_value_is_missing() -> None:
    request = exported()
    request.resource_metrics[0].scope_metrics[0].metrics[2].gauge.data_points[0].flags = 1
    assert joined(decoded(request.SerializeToString())[0])["temperature"] is None


def test_quantiles_within_buckets() -> None:
    assert quantiles([], []) == quantiles([1.0], [0, 0]) == quantiles([1.0], [1]) == {}
    assert quantiles([10.0], [10, 0]) == {0.5: 5.0, 0.95: 9.5, 0.99: pytest.approx(9.9)}
    assert quantiles([10.0], [0, 5]) == {0.5: 10.0, 0.95: 10.0, 0.99: 10.0}
    assert exponential_quantiles(0, 4, {}, {}) == {0.5: 0.0, 0.95: 0.0, 0.99: 0.0}
    assert exponential_quantiles(0, 0, {}, {1: 2}) == {
        0.5: -3.0,
        0.95: pytest.approx(-2.1),
        0.99: pytest.approx(-2.02),
    }
    assert exponential_quantiles(-10, 0, {9: 1}, {}) == {}
