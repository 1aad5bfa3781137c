"""Scores of entities sent to an OTLP receiver, each with its event time: a time series database keeps them.

What waits is bounded, and scoring never waits for the receiver: where it is away for long, the oldest scores
are dropped, and counted. Each request is tried again until it is taken or refused for good (specification of
OTLP 1.5, "OTLP/HTTP response"). A receiver may see scores twice: they have the same names and times then.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from http import HTTPStatus
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import numpy as np
from numpy.typing import NDArray
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue

from anomalyd import __version__
from anomalyd.daemon.telemetry.metric_factory import Families
from anomalyd.detectors.detector import Floats

_log = logging.getLogger(__name__)

NAME = "anomalyd.score"
_POINTS = 5000  # of a request: some 600 kB
_TRY_AGAIN = {
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.BAD_GATEWAY,
    HTTPStatus.SERVICE_UNAVAILABLE,
    HTTPStatus.GATEWAY_TIMEOUT,
}
_PAUSES_S = (1.0, 2.0, 5.0, 10.0, 30.0)
DROPPED = ("queue-full", "refused")


@dataclass(frozen=True, slots=True)
class Scores:
    """Scores of one entity by both detectors (n,), at event times (n,) in seconds since the epoch."""

    detector: str
    entity: str
    times: NDArray[np.float64]
    autoencoder: Floats
    classical: Floats


class RefusedError(Exception):
    """The receiver does not want this request, now or later."""


class AwayError(Exception):
    """The receiver is not there, or takes nothing at present."""


class ScoreOutput:
    """Sends scores in a thread of its own.

    Arguments:
        families: where its metrics are declared.
        entities: shell patterns of those whose scores are sent.
        queue: most samples that wait; the oldest give way.
        send: sends one request: raises RefusedError or AwayError.

    """

    def __init__(
        self, families: Families, entities: Collection[str], queue: int, send: Callable[[bytes], None]
    ) -> None:
        self._patterns = tuple(entities)
        self._limit = queue
        self._send = send
        self._waiting: deque[Scores] = deque()
        self._samples = 0
        self._wanted: dict[str, bool] = {}
        self._lock = threading.Lock()
        self._awake = threading.Event()
        self._stopping = threading.Event()
        self._sent = families.counter("scores_sent", "Scored samples that the OTLP receiver has taken.")
        self._dropped = families.counter(
            "scores_dropped", "Scored samples that never reached the OTLP receiver.", "reason"
        )
        self._failures = families.counter(
            "scores_send_failures", "Requests to the OTLP receiver that failed."
        )
        for reason in DROPPED:
            self._dropped.labels(reason)
        self._thread = threading.Thread(target=self._run, name="score-output", daemon=True)

    def start(self) -> None:
        """Begin to send."""
        self._thread.start()

    def stop(self, timeout_s: float) -> bool:
        """Send no more: what waits is dropped; says whether it ended in time."""
        self._stopping.set()
        self._awake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def scored(self, scores: Scores) -> None:
        """Have scores sent, sooner or later; never waits."""
        wanted = self._wanted.get(scores.entity)
        if wanted is None:
            wanted = any(fnmatchcase(scores.entity, pattern) for pattern in self._patterns)
            self._wanted[scores.entity] = wanted
        if not wanted or not len(scores.times):
            return
        with self._lock:
            self._waiting.append(scores)
            self._samples += len(scores.times)
            while self._samples > self._limit and len(self._waiting) > 1:
                gone = len(self._waiting.popleft().times)
                self._samples -= gone
                self._dropped.labels("queue-full").inc(gone)
        self._awake.set()

    def send_waiting(self) -> bool:
        """Send one request of what waits; says whether there was anything.

        Raises:
            AwayError: it waits on, in its place.

        """
        some = self._take()
        if not some:
            return False
        samples = sum(len(each.times) for each in some)
        try:
            self._send(encode(some))
        except RefusedError as refused:
            self._failures.inc()
            self._dropped.labels("refused").inc(samples)
            _log.error("the receiver of scores refuses them: %s", refused)
        except AwayError:
            self._failures.inc()
            with self._lock:
                self._waiting.extendleft(reversed(some))
                self._samples += samples
            raise
        else:
            self._sent.inc(samples)
        return True

    def _take(self) -> list[Scores]:
        some: list[Scores] = []
        taken = 0
        with self._lock:
            while self._waiting and (not some or taken + len(self._waiting[0].times) <= _POINTS):
                some.append(self._waiting.popleft())
                taken += len(some[-1].times)
            self._samples -= taken
        return some

    def _run(self) -> None:
        failed = 0
        while not self._stopping.is_set():
            self._awake.clear()
            try:
                while self.send_waiting() and not self._stopping.is_set():
                    failed = 0
            except AwayError as away:
                (_log.warning if failed == 0 else _log.debug)("the receiver of scores is away: %s", away)
                self._stopping.wait(_PAUSES_S[min(failed, len(_PAUSES_S) - 1)])
                failed += 1
                continue
            # One request for what comes within a second.
            if self._awake.wait():
                self._stopping.wait(1.0)


def http_sender(url: str, headers: Mapping[str, str], timeout_s: float) -> Callable[[bytes], None]:
    """Give what sends a request to an OTLP/HTTP receiver; it raises RefusedError or AwayError."""

    def send(body: bytes) -> None:
        about = {"Content-Type": "application/x-protobuf", "User-Agent": f"anomalyd/{__version__}", **headers}
        try:
            # The address is of the configuration, which allows http and https only.
            with urlopen(Request(url, body, about), timeout=timeout_s):  # nosec B310
                return
        except HTTPError as error:
            with error:
                if error.code in _TRY_AGAIN:
                    raise AwayError(f"{error.code} {error.reason}") from error
                raise RefusedError(f"{error.code} {error.reason}") from error
        except (URLError, OSError) as error:
            raise AwayError(str(error)) from error

    return send


def encode(some: Collection[Scores]) -> bytes:
    """Give a request with the scores as points of one gauge; a score of NaN says nothing and is left out."""
    request = ExportMetricsServiceRequest()
    resource = request.resource_metrics.add()
    resource.resource.attributes.append(_attribute("service.name", "anomalyd"))
    scope = resource.scope_metrics.add()
    scope.scope.name, scope.scope.version = "anomalyd", __version__
    metric = scope.metrics.add(name=NAME, unit="1", description="Score of an entity; above 1 is an alert.")
    points = metric.gauge.data_points
    for each in some:
        for by, scores in (("autoencoder", each.autoencoder), ("classical", each.classical)):
            about = [
                _attribute(name, value)
                for name, value in (("detector", each.detector), ("entity", each.entity), ("by", by))
            ]
            for time, score in zip(each.times.tolist(), scores.tolist(), strict=True):
                if score == score:
                    points.add(time_unix_nano=round(time * 1e9), as_double=score, attributes=about)
    return bytes(request.SerializeToString())


def _attribute(name: str, value: str) -> KeyValue:
    made = KeyValue(key=name)
    made.value.string_value = value
    return made
