"""An Apache Kafka of three nodes on this machine, each broker and controller; three copies of everything."""

from __future__ import annotations

import base64
import subprocess
import uuid
from pathlib import Path
from typing import Self

from anomalyd.daemon.broker import ApacheKafka
from anomalyd.daemon.broker.child import ChildProcess
from anomalyd.daemon.broker.local import _answers
from anomalyd.daemon.broker.ports import reserve_port

_PROPERTIES = """\
process.roles=broker,controller
node.id={node}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
controller.quorum.voters={voters}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
log.dirs={data}
default.replication.factor=3
min.insync.replicas=2
offsets.topic.num.partitions=4
offsets.topic.replication.factor=3
transaction.state.log.num.partitions=4
transaction.state.log.replication.factor=3
transaction.state.log.min.isr=2
share.coordinator.state.topic.replication.factor=3
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=6000
broker.heartbeat.interval.ms=1000
"""


class ThreeBrokers(ApacheKafka):
    """Three nodes; `kill` and `begin` one by its number. `bootstrap_servers` names the first."""

    def __init__(self, home: Path, folder: Path) -> None:
        super().__init__(home, folder)
        self.ports = [reserve_port() for _ in range(3)]
        self._controllers = [reserve_port() for _ in range(3)]
        self._nodes: dict[int, ChildProcess] = {}
        self._cluster = "A" + base64.urlsafe_b64encode(uuid.uuid4().bytes).decode()[1:22]

    @property
    def bootstrap_servers(self) -> str:
        return f"127.0.0.1:{self.ports[0]}"

    def begin(self, node: int) -> None:
        """Begin a node, on the data that it has."""
        folder = self.folder / f"node{node}"
        folder.mkdir(parents=True, exist_ok=True)
        voters = ",".join(f"{n}@127.0.0.1:{port}" for n, port in enumerate(self._controllers))
        properties = folder / "server.properties"
        properties.write_text(
            _PROPERTIES.format(
                node=node,
                port=self.ports[node],
                controller=self._controllers[node],
                voters=voters,
                data=folder / "data",
            )
        )
        environment = {**self._environment(), "LOG_DIR": str(folder / "logs")}
        if not (folder / "data").exists():
            command = [self._script("kafka-storage.sh"), "format", "-t", self._cluster, "-c", str(properties)]
            subprocess.run(command, env=environment, check=True, capture_output=True)
        command = [self._script("kafka-server-start.sh"), str(properties)]
        self._nodes[node] = ChildProcess(command, folder / "broker.log", environment)

    def end(self, node: int, *, kill: bool) -> None:
        """End a node, as a power failure would or in order."""
        process = self._nodes.pop(node)
        if kill:
            process.kill()
        else:
            process.stop(60.0)

    def up(self, node: int) -> bool:
        """Say whether a client can talk to it."""
        return _answers(self.ports[node])

    def __enter__(self) -> Self:
        for node in range(3):
            self.begin(node)
        return self

    def stop(self) -> None:
        for process in self._nodes.values():
            process.kill()
        self._nodes.clear()
