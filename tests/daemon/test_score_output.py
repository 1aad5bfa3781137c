"""Scores that are sent to an OTLP receiver: what it gets, and what becomes of them while it is away."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.telemetry.metric_factory import Families
from anomalyd.daemon.telemetry.score_output import (
    AwayError,
    RefusedError,
    ScoreOutput,
    Scores,
    encode,
    http_sender,
)
from anomalyd.daemon.telemetry.telemetry import Telemetry

WITHIN_S = 120.0


class Receiver:
    """An OTLP/HTTP receiver: answers with `status`, and keeps the points of what it took."""

    def __init__(self) -> None:
        self.status = 200
        self.points: list[tuple[dict[str, str], float, float]] = []
        self.headers: dict[str, str] = {}
        self.asked = threading.Semaphore(0)
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.headers = dict(self.headers)
                if receiver.status == 200:
                    receiver.points += points(body)
                self.send_response(receiver.status)
                self.send_header("Content-Length", "0")
                self.end_headers()
                receiver.asked.release()

            def log_message(self, format: str, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1/metrics"


def points(body: bytes) -> list[tuple[dict[str, str], float, float]]:
    """Give (attributes, time, score) of each point, by the classes of OTLP."""
    request = ExportMetricsServiceRequest.FromString(body)
    (metric,) = request.resource_metrics[0].scope_metrics[0].metrics
    assert metric.name == "anomalyd.score"
    return [
        (
            {each.key: each.value.string_value for each in point.attributes},
            point.time_unix_nano / 1e9,
            point.as_double,
        )
        for point in metric.gauge.data_points
    ]


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    thread = threading.Thread(target=made.server.serve_forever, args=(0.01,))
    thread.start()
    yield made
    made.server.shutdown()
    thread.join()
    made.server.server_close()


def scores(*values: float, entity: str = "host/pc1", at: float = 1000.0) -> Scores:
    given = np.array(values)
    return Scores("hosts", entity, at + np.arange(len(values)), given, given / 2)


def output(
    send: Callable[[bytes], None], *, queue: int = 100, entities: tuple[str, ...] = ("*",)
) -> tuple[ScoreOutput, Callable[..., float]]:
    registry = CollectorRegistry()

    def figure(name: str, **labels: str) -> float:
        return registry.get_sample_value(f"anomalyd_{name}_total", labels) or 0.0

    return ScoreOutput(Families(registry), entities, queue, send), figure


def test_each_score_has_its_time_and_what_cannot_be_told_is_left_out() -> None:
    found = points(encode([scores(0.5, float("nan"), 3.0)]))
    about = {"detector": "hosts", "entity": "host/pc1"}
    assert found == [
        (about | {"by": "autoencoder"}, 1000.0, 0.5),
        (about | {"by": "autoencoder"}, 1002.0, 3.0),
        (about | {"by": "classical"}, 1000.0, 0.25),
        (about | {"by": "classical"}, 1002.0, 1.5),
    ]


def test_only_the_entities_that_were_named() -> None:
    bodies: list[bytes] = []
    sender, figure = output(bodies.append, entities=("host/*",))
    for entity in ("host/pc1", "web1", "host/pc2"):
        sender.scored(scores(1.0, entity=entity))
    sender.scored(scores())
    assert sender.send_waiting()
    assert not sender.send_waiting()
    assert {about["entity"] for about, _, _ in points(bodies[0])} == {"host/pc1", "host/pc2"}
    assert figure("scores_sent") == 2


def test_what_waits_is_bounded_and_the_oldest_give_way() -> None:
    bodies: list[bytes] = []
    sender, figure = output(bodies.append, queue=5)
    for k in range(4):
        sender.scored(scores(1.0, 2.0, at=1000.0 + 10 * k))
    assert figure("scores_dropped", reason="queue-full") == 4
    while sender.send_waiting():
        pass
    assert min(at for _, at, _ in points(bodies[0])) == 1020.0


def test_while_the_receiver_is_away_scores_wait_in_their_order() -> None:
    away, bodies = [True], []

    def send(body: bytes) -> None:
        if away[0]:
            raise AwayError("no route")
        bodies.append(body)

    sender, figure = output(send)
    sender.scored(scores(1.0, at=1.0))
    with pytest.raises(AwayError):
        sender.send_waiting()
    sender.scored(scores(1.0, at=2.0))
    away[0] = False
    assert sender.send_waiting()
    assert [at for about, at, _ in points(bodies[0]) if about["by"] == "classical"] == [1.0, 2.0]
    assert (figure("scores_send_failures"), figure("scores_sent")) == (1, 2)


def test_what_is_refused_for_good_is_dropped_and_counted() -> None:
    def send(body: bytes) -> None:
        raise RefusedError("400 Bad Request")

    sender, figure = output(send)
    sender.scored(scores(1.0, 2.0))
    assert sender.send_waiting()
    assert not sender.send_waiting()
    assert figure("scores_dropped", reason="refused") == 2


def test_over_http_and_what_the_answers_mean(receiver: Receiver) -> None:
    send = http_sender(receiver.url, {"Authorization": "Bearer x"}, 60.0)
    send(encode([scores(1.0)]))
    assert len(receiver.points) == 2
    assert receiver.headers["Content-Type"] == "application/x-protobuf"
    assert receiver.headers["Authorization"] == "Bearer x"
    for status, error in ((503, AwayError), (429, AwayError), (400, RefusedError), (401, RefusedError)):
        receiver.status = status
        with pytest.raises(error, match=str(status)):
            send(encode([scores(1.0)]))
    receiver.server.server_close()


def test_nobody_listens() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as server:
        url = f"http://127.0.0.1:{server.server_port}/"
    with pytest.raises(AwayError):
        http_sender(url, {}, 60.0)(b"")


def test_a_daemon_that_is_configured_so_sends_them(receiver: Receiver) -> None:
    config = Config.model_validate(
        {
            "inputs": [{"topic": "t"}],
            "detectors": [{"name": "hosts"}],
            "metrics": {"otlp": {"url": receiver.url, "headers": {"X-Tenant": "daq"}}},
        }
    )
    sender = Telemetry.for_config(config, CollectorRegistry()).score_output
    assert sender is not None
    sender.start()
    sender.scored(scores(4.0))
    assert receiver.asked.acquire(timeout=WITHIN_S)
    assert sender.stop(WITHIN_S)
    assert receiver.headers["X-Tenant"] == "daq"
    assert [score for _, _, score in receiver.points] == [4.0, 2.0]


def test_without_it_nothing_is_sent() -> None:
    config = Config.model_validate({"inputs": [{"topic": "t"}], "detectors": [{"name": "hosts"}]})
    assert Telemetry.for_config(config, CollectorRegistry()).score_output is None
