from __future__ import annotations

import gc
import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.parser import text_string_to_metric_families

from anomalyd.daemon.health import HealthServer, Heartbeat, RegularCheck
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.errors import ConfigError


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


class Daemon:
    """What the server asks: a loop that beats, and a store that may be away."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.heart = Heartbeat(5.0, self.clock)
        self.store: str | None = None

    def look_at_store(self) -> str | None:
        if self.store == "raise":
            raise OSError("disk on fire")
        return self.store


@pytest.fixture
def daemon() -> Daemon:
    return Daemon()


@pytest.fixture
def server(daemon: Daemon) -> Iterator[HealthServer]:
    registry = CollectorRegistry()
    Telemetry(registry, topics=["hosts"])
    checks = {"store": daemon.look_at_store, "partitions": lambda: None}
    server = HealthServer("127.0.0.1", 0, registry, alive={"loop": daemon.heart.missing}, ready=checks)
    server.start()
    yield server
    server.stop()


def ask(server: HealthServer, path: str, method: str = "GET", **headers: str) -> tuple[int, bytes, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request(method, path, headers=headers)
        response = connection.getresponse()
        return response.status, response.read(), response.headers
    finally:
        connection.close()


def test_all_well(server: HealthServer) -> None:
    assert server.port > 0
    assert server.url == f"http://127.0.0.1:{server.port}"
    for path in ("/livez", "/readyz"):
        status, body, headers = ask(server, path)
        assert (status, json.loads(body)) == (200, {"ok": True})
        assert headers["Content-Type"] == "application/json"


def test_a_loop_that_stands_still_is_dead_and_not_ready(server: HealthServer, daemon: Daemon) -> None:
    daemon.clock.now += 5.0
    assert ask(server, "/livez")[0] == 200
    daemon.clock.now += 1.5
    for path in ("/livez", "/readyz"):
        status, body, _ = ask(server, path)
        assert status == 503
        assert json.loads(body) == {
            "ok": False,
            "missing": {"loop": "the service loop has stood still for 6.5 s; 5 s are allowed"},
        }
    daemon.heart.beat()
    assert ask(server, "/livez")[0] == 200


def test_what_is_not_ready_is_named_and_does_not_kill(server: HealthServer, daemon: Daemon) -> None:
    daemon.store = "cannot be reached"
    status, body, _ = ask(server, "/readyz")
    assert (status, json.loads(body)["missing"]) == (503, {"store": "cannot be reached"})
    assert ask(server, "/livez")[0] == 200


def test_a_check_that_raises_is_not_ready(server: HealthServer, daemon: Daemon) -> None:
    daemon.store = "raise"
    status, body, _ = ask(server, "/readyz")
    assert (status, json.loads(body)["missing"]) == (503, {"store": "the check failed: disk on fire"})


def test_metrics_are_openmetrics_when_asked(server: HealthServer) -> None:
    status, body, headers = ask(server, "/metrics", Accept="application/openmetrics-text; version=1.0.0")
    assert status == 200
    assert headers["Content-Type"].startswith("application/openmetrics-text")
    names = {family.name for family in text_string_to_metric_families(body.decode())}
    assert {"anomalyd_records_consumed", "process_cpu_seconds"} <= names
    status, body, headers = ask(server, "/metrics")
    assert headers["Content-Type"].startswith("text/plain")
    assert b'anomalyd_records_consumed_total{topic="hosts"} 0.0' in body


def test_other_paths_and_methods(server: HealthServer) -> None:
    for path in ("/", "/metricsx", "/livez/"):
        status, body, _ = ask(server, path)
        assert (status, json.loads(body)["known"]) == (404, ["/metrics", "/livez", "/readyz"])
    assert ask(server, "/livez", "POST")[0] == 405
    status, body, headers = ask(server, "/livez", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "13")


def test_a_slow_asker_holds_nobody_up(server: HealthServer) -> None:
    with socket.create_connection(("127.0.0.1", server.port)) as slow:
        slow.sendall(b"GET /livez HT")
        assert ask(server, "/livez")[0] == 200


def test_a_taken_port_is_a_clear_error(server: HealthServer) -> None:
    second = HealthServer("127.0.0.1", server.port, CollectorRegistry(), alive={}, ready={})
    with pytest.raises(ConfigError, match=r"metrics: cannot listen on 127\.0\.0\.1:\d+: .*in use"):
        second.start()
    second.stop()  # never started: nothing to do
    with pytest.raises(ConfigError, match="metrics: cannot listen"):
        HealthServer("no.such.host.invalid", 0, CollectorRegistry(), alive={}, ready={}).start()


def test_stop_leaves_nothing_behind() -> None:
    server = HealthServer("127.0.0.1", 0, CollectorRegistry(), alive={}, ready={})
    server.start()
    port = server.port
    assert ask(server, "/readyz")[0] == 200
    server.stop()
    server.stop()
    gc.collect()  # an open socket would be a ResourceWarning, and that an error
    assert "health" not in {thread.name for thread in threading.enumerate()}
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port)).close()
    again = HealthServer("127.0.0.1", port, CollectorRegistry(), alive={}, ready={})
    again.start()  # the port is free at once
    again.stop()


def test_an_ipv6_address() -> None:
    server = HealthServer("::1", 0, CollectorRegistry(), alive={}, ready={})
    try:
        server.start()
    except ConfigError:
        pytest.skip("no IPv6 on this machine")
    assert server.url == f"http://[::1]:{server.port}"
    server.stop()


def test_a_check_that_hangs_is_told_by_the_time_it_takes() -> None:
    clock, told = Clock(), list[str | None]()
    hanging: RegularCheck

    def hang() -> str | None:
        clock.now += 2.0
        assert hanging.missing() == "the store has not been asked yet"
        clock.now += 5.0
        assert hanging.missing() == "the store has not answered for 7 s"
        return None

    hanging = RegularCheck("store", hang, late_s=3.0, clock=clock, on_result=told.append)
    hanging.ask()
    assert hanging.missing() is None
    assert told == [None]


def test_a_check_that_fails_is_no_reason_to_call_it_well() -> None:
    def fail() -> str | None:
        raise OSError("no route")

    failing = RegularCheck("broker", fail)
    failing.ask()
    assert failing.missing() == "the check failed: OSError: no route"
