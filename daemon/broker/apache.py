"""Apache Kafka 4: one KRaft node, broker and controller at once, made small for a test machine."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

from anomalyd.daemon.broker.local import LocalBroker
from anomalyd.daemon.broker.ports import is_taken, reserve_port
from anomalyd.errors import BrokerError

_PROPERTIES = """\
process.roles=broker,controller
node.id=1
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.bootstrap.servers=127.0.0.1:{controller_port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
num.partitions=1
offsets.topic.num.partitions=4
offsets.topic.replication.factor=1
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=4
log.cleaner.dedupe.buffer.size=16777216
# a killed broker is only let back when its old session has run out: 3 s instead of 9
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
"""


class ApacheKafka(LocalBroker):
    """The unpacked Apache Kafka at `home` (its `bin/` and `libs/`), with a heap of 256 MB.

    `folder` keeps configuration, data and log: started again on the same folder, it goes on with the same
    topics, after `kill` too.
    """

    name = "Apache Kafka"
    ready_within_s = 300.0
    stops_within_s = 20.0

    def __init__(self, home: Path, folder: Path | None = None, *, port: int | None = None) -> None:
        super().__init__(folder, port=port)
        self._home = home.absolute()
        self._controller_port: int | None = None

    def _prepare(self, port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        environment = self._environment()
        if self._controller_port is None or is_taken(self._controller_port):
            self._controller_port = reserve_port()
        properties = self.folder.absolute() / "server.properties"
        data = self.folder.absolute() / "data"
        properties.write_text(
            _PROPERTIES.format(port=port, controller_port=self._controller_port, data=data), encoding="utf-8"
        )
        if not (data / "meta.properties").exists():
            self._format(properties, environment)
        return [self._script("kafka-server-start.sh"), str(properties)], environment

    def _environment(self) -> Mapping[str, str]:
        """Give the environment with a heap, a log folder beside the data, and a java that is there."""
        path = os.environ.get("PATH", os.defpath)
        if "JAVA_HOME" in os.environ:
            path = f"{os.environ['JAVA_HOME']}/bin{os.pathsep}{path}"
        if shutil.which("java", path=path) is None:
            raise BrokerError("Apache Kafka needs java 17 or newer: install it, put it into PATH")
        return os.environ | {
            "PATH": path,
            "KAFKA_HEAP_OPTS": "-Xms128m -Xmx256m",
            "LOG_DIR": str(self.folder.absolute() / "logs"),
        }

    def _script(self, name: str) -> str:
        script = self._home / "bin" / name
        if not script.is_file():
            raise BrokerError(f"{script} is not there; set KAFKA_HOME to an unpacked Apache Kafka 4")
        return str(script)

    def _format(self, properties: Path, environment: Mapping[str, str]) -> None:
        # Kafka's own spelling of a UUID; one that began with "-" would read as an option.
        cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]
        command = [self._script("kafka-storage.sh"), "format", "-t", cluster, "-c", str(properties)]
        done = subprocess.run(
            [*command, "--standalone"],
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=self.ready_within_s,
        )
        if done.returncode != 0:
            words = (done.stdout + done.stderr)[-800:].strip()
            raise BrokerError(f"Apache Kafka could not format {properties.parent}: {words}")
