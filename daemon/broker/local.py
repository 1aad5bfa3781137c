"""What every broker on this machine does: start on loopback, be ready, stop, be killed and come back."""

from __future__ import annotations

import shutil
import tempfile
import time
import uuid
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError

from anomalyd.daemon.broker.child import ChildProcess
from anomalyd.daemon.broker.ports import is_taken, reserve_port
from anomalyd.errors import BrokerError

# A port that was reserved can only be lost to someone who asks for it by number: twice is enough.
_ATTEMPTS = 3


class LocalBroker(ABC):
    """One broker, a child process that listens on 127.0.0.1 only; a context manager.

    It keeps its port from the first `start` on, so that clients find it again after `kill` and `start`.
    Start it from a thread that lives as long as the broker should (see `ChildProcess`).
    """

    name: str
    ready_within_s: float = 30.0
    stops_within_s: float = 10.0

    def __init__(self, folder: Path | None = None, *, port: int | None = None) -> None:
        self._temporary = folder is None
        # only named here, and made by `start`
        self.folder = folder or Path(tempfile.gettempdir()) / f"anomalyd-broker-{uuid.uuid4().hex[:12]}"
        self._port = port
        self._process: ChildProcess | None = None

    @abstractmethod
    def _prepare(self, port: int) -> tuple[Sequence[str], Mapping[str, str]]:
        """Make the folder ready, and give the command and its environment."""

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients, `127.0.0.1:PORT`."""
        if self._port is None:
            raise BrokerError(f"{self.name} has no port yet; start it first")
        return f"127.0.0.1:{self._port}"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._process is not None and self._process.alive

    @property
    def log(self) -> Path:
        """The file with everything it wrote."""
        return self.folder / "broker.log"

    def start(self) -> None:
        """Start it and wait until a client can talk to it; nothing happens if it runs.

        Raises:
            BrokerError: it is not installed, or died, or is not ready in time; with its last words.

        """
        if self.alive:
            return
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def _start(self) -> None:
        # what lies in the temporary folder of the machine is anybody's to read: this is not
        self.folder.mkdir(mode=0o700 if self._temporary else 0o777, parents=True, exist_ok=True)
        for attempt in range(_ATTEMPTS):
            port = reserve_port() if self._port is None else self._port
            if is_taken(port):
                raise BrokerError(f"{self.name}: port {port} of 127.0.0.1 is taken; choose another")
            command, environment = self._prepare(port)
            process = ChildProcess(command, self.log, environment)
            try:
                self._wait_until_ready(process, port)
            except BaseException as error:
                process.kill()
                lost_the_port = self._port is None and is_taken(port)
                if isinstance(error, BrokerError) and lost_the_port and attempt + 1 < _ATTEMPTS:
                    continue
                raise
            self._port, self._process = port, process
            return

    def stop(self) -> None:
        """Stop it in an orderly way; a temporary folder goes with it."""
        if self._process is not None:
            self._process.stop(self.stops_within_s)
            self._process = None
        if self._temporary:
            shutil.rmtree(self.folder, ignore_errors=True)

    def kill(self) -> None:
        """SIGKILL, as a power failure would; `start` brings it back on the same port and folder."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _wait_until_ready(self, process: ChildProcess, port: int) -> None:
        deadline = time.monotonic() + self.ready_within_s
        while not _answers(port):
            if not process.alive:
                raise BrokerError(f"{self.name} died while starting; its last words:\n{process.last_words()}")
            if time.monotonic() > deadline:
                raise BrokerError(
                    f"{self.name} was not ready after {self.ready_within_s:g} s; "
                    f"its last words:\n{process.last_words()}"
                )
            time.sleep(0.05)
        if not process.alive:  # so it was somebody else who answered
            raise BrokerError(f"{self.name} died while starting; its last words:\n{process.last_words()}")


def _answers(port: int) -> bool:
    """Say whether a client can bootstrap and is told of a broker."""
    if not is_taken(port):  # spares kafka-python's back-off, and its warnings
        return False
    try:
        admin = KafkaAdminClient(bootstrap_servers=f"127.0.0.1:{port}", bootstrap_timeout_ms=2000)
    except KafkaError:
        return False
    try:
        return bool(admin.describe_cluster()["brokers"])
    except KafkaError:
        return False
    finally:
        admin.close()
