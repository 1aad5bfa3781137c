"""What the daemon says in its output topic, line by line."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from kafka import KafkaConsumer

from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.kafka.connection.connection import connect

_POLL_MS = 200


class Bulletin:
    """Reads the output topic from its beginning, in a thread of its own; `on_event` gets each event."""

    def __init__(self, topic: str, config: KafkaConfig, on_event: Callable[[dict[str, Any]], None]) -> None:
        self._topic = topic
        self._config = config
        self._on_event = on_event
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="bulletin", daemon=True)

    def start(self) -> None:
        """Start reading."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join(5.0)

    def _run(self) -> None:
        consumer = connect(
            KafkaConsumer,
            self._config,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            metrics_enabled=False,
        )
        try:
            consumer.subscribe([self._topic])
            while not self._stopping.is_set():
                for records in consumer.poll(timeout_ms=_POLL_MS).values():
                    for record in records:
                        self._on_event(json.loads(record.value))
        finally:
            consumer.close()
