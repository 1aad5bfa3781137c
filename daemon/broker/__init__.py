"""A Kafka broker to try anomalyd with: production is given the address of its own.

ports.py      a free loopback port
child.py      a process that does not outlive this one
local.py      what both brokers do: start, be ready, stop, be killed
embedded.py   Tansu, a Kafka-compatible broker in memory
apache.py     Apache Kafka, where there is one
topics.py     make topics
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from anomalyd.daemon.broker.apache import ApacheKafka
from anomalyd.daemon.broker.embedded import EmbeddedBroker
from anomalyd.daemon.broker.local import LocalBroker
from anomalyd.daemon.broker.topics import create_topics

__all__ = ["ApacheKafka", "EmbeddedBroker", "LocalBroker", "create_topics", "start_broker"]


def start_broker(
    environment: Mapping[str, str] = os.environ, *, folder: Path | None = None, port: int | None = None
) -> LocalBroker:
    """Start the Apache Kafka that KAFKA_HOME names, or else the embedded broker; it is a context manager.

    `folder` keeps the log (and Apache Kafka's data), None: a temporary one. `port` None: a free one.

    Raises:
        BrokerError: neither can be started; the text says what is missing.

    """
    home = environment.get("KAFKA_HOME")
    broker = ApacheKafka(Path(home), folder, port=port) if home else EmbeddedBroker(folder, port=port)
    broker.start()
    return broker
