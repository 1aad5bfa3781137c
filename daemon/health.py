"""Whether the daemon lives and is ready, and its metrics, over HTTP: /livez, /readyz, /metrics."""

from __future__ import annotations

import json
import logging
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer
from wsgiref.types import StartResponse, WSGIEnvironment

from prometheus_client import CollectorRegistry, disable_created_metrics, make_wsgi_app

from anomalyd.errors import ConfigError

_log = logging.getLogger(__name__)

Check = Callable[[], str | None]
"""Says what is missing, or None when all is well."""


class Heartbeat:
    """Beaten by the service loop on every turn; without a beat for `limit_s` seconds it counts as dead."""

    def __init__(self, limit_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit_s = limit_s
        self._clock = clock
        self._last = clock()

    def beat(self) -> None:
        """Say that the loop goes round."""
        self._last = self._clock()

    def missing(self) -> str | None:
        """Say for how long it has been still, None while it beats: a `Check`."""
        still = self._clock() - self._last
        if still <= self._limit_s:
            return None
        return f"the service loop has stood still for {still:.1f} s; {self._limit_s:g} s are allowed"


class RegularCheck:
    """A check made in a thread of its own, so that one that hangs holds nobody up; `missing` is a `Check`.

    Arguments:
        name: what is checked, for the thread and for what is said.
        check: what to ask, every `every_s` seconds.
        every_s: the pause between two checks.
        late_s: an answer that takes longer is missed.
        on_result: told of each result.

    """

    def __init__(
        self,
        name: str,
        check: Check,
        *,
        every_s: float = 3.0,
        late_s: float = 3.0,
        on_result: Callable[[str | None], None] = lambda missing: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = name
        self._check = check
        self._every_s = every_s
        self._late_s = late_s
        self._on_result = on_result
        self._clock = clock
        self._asked: float | None = None
        self._missing: str | None = f"the {name} has not been asked yet"
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"check-{name}", daemon=True)

    def start(self) -> None:
        """Begin to ask."""
        self._thread.start()

    def stop(self) -> None:
        """Ask no more; a check that hangs is left behind."""
        self._stopping.set()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end of the check in hand; says whether it ended in time."""
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def ask(self) -> None:
        """Ask once, now."""
        self._asked = self._clock()
        try:
            self._missing = self._check()
        except Exception as error:  # a check that cannot tell is no reason to call it well
            self._missing = f"the check failed: {type(error).__name__}: {error}"
        finally:
            self._asked = None
        self._on_result(self._missing)

    def missing(self) -> str | None:
        """Say what the last check missed, or for how long it has not answered."""
        asked = self._asked
        if asked is not None and (waited := self._clock() - asked) > self._late_s:
            return f"the {self._name} has not answered for {waited:.0f} s"
        return self._missing

    def _run(self) -> None:
        while not self._stopping.is_set():
            self.ask()
            self._stopping.wait(self._every_s)


class HealthServer:
    """An HTTP server in threads of its own.

    `/livez` is 200 while every check in `alive` passes: otherwise a restart would help. `/readyz` is 200
    while every check in `ready` passes too: otherwise wait. Both are 503 else, and name what is missing as
    JSON, `{"ok": false, "missing": {"store": "cannot be reached: ..."}}`. `/metrics` is in Prometheus'
    text format or in OpenMetrics, as asked. A check is called in the request's thread.
    """

    def __init__(
        self,
        host: str,
        port: int,
        registry: CollectorRegistry,
        *,
        alive: Mapping[str, Check],
        ready: Mapping[str, Check],
        notes: Mapping[str, Check] | None = None,
    ) -> None:
        self._address = (host, port)
        # The `_created` series double the counters, and nobody asks when a counter was made.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self._metrics = make_wsgi_app(registry)
        self._probes = {"/livez": dict(alive), "/readyz": {**alive, **ready}}
        self._notes = dict(notes or {})
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen and answer.

        Raises:
            ConfigError: the address cannot be listened on.

        """
        try:
            self._server = _Server(self._address)
        except OSError as error:
            host, port = self._address
            raise ConfigError(
                f"metrics: cannot listen on {host}:{port}: {error.strerror}; "
                "choose another metrics.host or metrics.port (0 takes any free one)"
            ) from error
        self._server.set_app(self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="health")
        self._thread.daemon = True
        self._thread.start()

    @property
    def port(self) -> int:
        """The port it listens on, also when 0 was asked for."""
        return self._address[1] if self._server is None else self._server.server_port

    @property
    def url(self) -> str:
        """Where it is found, without a path."""
        host = f"[{self._address[0]}]" if ":" in self._address[0] else self._address[0]
        return f"http://{host}:{self.port}"

    def stop(self) -> None:
        """Answer no more, and close the socket."""
        if self._server is None or self._thread is None:
            return
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None

    def _answer(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ["REQUEST_METHOD"]
        if path == "/metrics":
            answer: Iterable[bytes] = self._metrics(environ, start_response)
            return answer
        body: dict[str, Any]
        if path not in self._probes:
            status, body = HTTPStatus.NOT_FOUND, {"known": ["/metrics", *self._probes]}
        elif method not in ("GET", "HEAD"):
            status, body = HTTPStatus.METHOD_NOT_ALLOWED, {"allowed": ["GET", "HEAD"]}
        else:
            status, body = _probe(self._probes[path])
            if path == "/readyz" and (notes := _failing(self._notes)):
                body["notes"] = notes
        text = json.dumps(body).encode() + b"\n"
        headers = [("Content-Type", "application/json"), ("Content-Length", str(len(text)))]
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if method == "HEAD" else [text]


def _probe(checks: Mapping[str, Check]) -> tuple[HTTPStatus, dict[str, Any]]:
    missing = _failing(checks)
    if missing:
        return HTTPStatus.SERVICE_UNAVAILABLE, {"ok": False, "missing": missing}
    return HTTPStatus.OK, {"ok": True}


def _failing(checks: Mapping[str, Check]) -> dict[str, str]:
    missing: dict[str, str] = {}
    for name, check in checks.items():
        try:
            why = check()
        except Exception as error:  # a check that cannot tell is no reason to call it well
            _log.warning("health check %s failed", name, exc_info=True)
            why = f"the check failed: {error}"
        if why is not None:
            missing[name] = why
    return missing


class _Handler(WSGIRequestHandler):
    """Requests are no news; and whoever does not finish asking within 5 seconds is hung up on."""

    timeout = 5

    def log_message(self, format: str, *args: Any) -> None:
        _log.debug(format, *args)


class _Server(ThreadingMixIn, WSGIServer):
    """Each request in a thread of its own, so that a slow asker holds nobody up."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        # Past HTTPServer's own, which asks the DNS for the host's full name: seconds where there is none.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def handle_error(self, request: Any, client_address: Any) -> None:
        _log.debug("request of %s broke off", client_address, exc_info=True)
