"""An OTLP request of metrics cut into requests of one metric each, whatever the metrics hold.

Protobuf refuses a message as a whole for a text in it that is not UTF-8, or a number in JSON that is none;
cut up, the other metrics can be read. In protobuf metrics are declared as bytes, which they are on the wire.

Source: OpenTelemetry protocol, opentelemetry/proto/metrics/v1/metrics.proto.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from google.protobuf.message import DecodeError as NotProtobuf

from anomalyd.daemon.intake.wire_formats.protobuf_classes import Kind, message_classes

_CLASS = message_classes(
    "anomalyd.otlp_pieces",
    {
        "Scope": {"metrics": (2, Kind.TYPE_BYTES, True)},
        "Resource": {"scope_metrics": (2, "Scope", True)},
        "Request": {"resource_metrics": (1, "Resource", True)},
    },
)


def is_json(value: bytes) -> bool:
    """Say whether a request is JSON: protobuf begins with no bracket."""
    return value.lstrip()[:1] in (b"{", b"[")


def pieces(value: bytes) -> list[bytes]:
    """Give a request for each metric of a request; none where even that cannot be read."""
    try:
        return list(_of_json(value) if is_json(value) else _of_protobuf(value))
    except (NotProtobuf, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return []


def _of_protobuf(value: bytes) -> Iterator[bytes]:
    for resource in _CLASS["Request"].FromString(value).resource_metrics:
        scopes = list(resource.scope_metrics)
        del resource.scope_metrics[:]
        for scope in scopes:
            metrics = list(scope.metrics)
            for metric in metrics:
                scope.metrics[:] = [metric]
                resource.scope_metrics.append(scope)
                yield bytes(_CLASS["Request"](resource_metrics=[resource]).SerializeToString())
                del resource.scope_metrics[:]


def _of_json(value: bytes) -> Iterator[bytes]:
    for resource in json.loads(value)["resourceMetrics"]:
        for scope in resource.get("scopeMetrics", ()):
            for metric in scope.get("metrics", ()):
                alone: dict[str, Any] = resource | {"scopeMetrics": [scope | {"metrics": [metric]}]}
                yield json.dumps({"resourceMetrics": [alone]}).encode()
