"""Broker, agent, chambers, daemon, dashboard: started and stopped together."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import yaml

from anomalyd.daemon.broker import LocalBroker, create_topics, start_broker
from anomalyd.daemon.broker.child import ChildProcess
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.daemon.config.config import Config, load_config
from anomalyd.daemon.producers.agent import HostAgent
from anomalyd.daemon.producers.chambers import ChamberStream, choose_chambers
from anomalyd.daemon.producers.host import HostMetrics
from anomalyd.daemon.producers.sender import Sender
from anomalyd.daemon.producers.ticks import Ticks
from anomalyd.errors import AnomalydError

HOSTS, CHAMBERS = "hosts", "chambers"
"""The demo's two detectors."""

LUMISECTION_S = 1.0
"""A real one takes 23.3 s; nobody would watch that."""

_HOST_EVERY_S = 0.5
"""A real agent takes ten seconds or more; the less often, the longer everybody waits until it has learnt."""

_HOST_RATE = 0.02
"""What is learnt in the demo leaves some 36 samples to say how rare a score is: they carry one in a hundred
or so, not one in thousands, and four in a row is rare enough."""

_CHAMBERS = 24
_SEED = 1
_MEAN_COUNTS = 40.0
"""Hits of a wire in a map: a chamber of the inner station, as published runs have it."""


class Stage:
    """Everything that the demo runs, in one folder; a context manager that leaves no process behind."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config_file = folder / "anomalyd.yaml"
        self._closing = ExitStack()

    def __enter__(self) -> Self:
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        with ExitStack() as closing:
            self.broker: LocalBroker = closing.enter_context(start_broker(folder=self.folder / "broker"))
            self.config = self._configure()
            kafka = self.config.kafka
            create_topics(
                self.broker.bootstrap_servers,
                {"host-metrics": 1, "dt-maps": 2, "anomalyd-reports": 1, "anomalyd-dead-letters": 1},
            )
            hosts = closing.enter_context(Sender.to("host-metrics", kafka))
            maps = closing.enter_context(Sender.to("dt-maps", kafka))
            self.agent = HostAgent(hosts, HostMetrics().measure, ticks=Ticks(_HOST_EVERY_S))
            self.chambers = choose_chambers(_CHAMBERS, _SEED)
            self.stream = ChamberStream(
                maps,
                self.chambers,
                seed=_SEED,
                run=401_000,
                mean_counts=_MEAN_COUNTS,
                ticks=Ticks(LUMISECTION_S),
            )
            for name, run, stop in (
                ("agent", self.agent.run, self.agent.stop),
                ("chambers", self.stream.run, self.stream.stop),
            ):
                closing.callback(_in_a_thread(name, run, stop))
            self._closing = closing.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.close()

    def start_daemon(self) -> ChildProcess:
        """Start `anomalyd run` as a process of its own, as a user would."""
        return self._start("daemon.log", ["run", "--config", str(self.config_file)])

    def start_dashboard(self) -> str:
        """Start the dashboard and give its address."""
        port = reserve_port()
        self._start("dashboard.log", ["dashboard", "--config", str(self.config_file), "--port", str(port)])
        return f"http://127.0.0.1:{port}"

    @property
    def metrics_url(self) -> str:
        """Where the daemon's metrics are."""
        return f"http://{self.config.metrics.host}:{self.config.metrics.port}/metrics"

    def _start(self, log: str, command: list[str]) -> ChildProcess:
        # The command of this very Python: the one on the PATH may be another installation's.
        program = [sys.executable, "-c", "from anomalyd.daemon.cli import main; main()", *command]
        child = ChildProcess(program, self.folder / log, os.environ)
        self._closing.callback(child.stop, 10.0)
        return child

    def _configure(self) -> Config:
        """Write the configuration that the demo runs with; a user may look at it and go on from there."""
        text = {
            "kafka": {
                "bootstrap_servers": [self.broker.bootstrap_servers],
                # The embedded broker takes half of it to let a member in.
                "session_timeout_s": 6.0,
            },
            "inputs": [{"topic": "host-metrics"}, {"topic": "dt-maps"}],
            "detectors": [
                {
                    "name": HOSTS,  # no kind: the recommended one
                    "entities": ["host/*"],
                    "training": {"automatic": False},  # the demo says when, and on how much
                    "alert": {
                        "open_after": 4,
                        "close_after": 16,
                        "false_alarm_rate": _HOST_RATE,
                        "alert_on": "either",
                    },
                },
                {
                    "name": CHAMBERS,
                    "samples": "maps",
                    "entities": ["DT/*"],
                    "training": {"automatic": False},
                    "alert": {"open_after": 2, "close_after": 3, "false_alarm_rate": 0.0005},
                },
            ],
            "store": {
                "url": f"sqlite:///{(self.folder / 'anomalyd.db').resolve()}",
                "models": str((self.folder / "models").resolve()),
            },
            "metrics": {"port": reserve_port()},
        }
        self.config_file.write_text(yaml.safe_dump(text, sort_keys=False), encoding="utf-8")
        return load_config(self.config_file)


def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
    """Look every quarter of a second whether it is so.

    Raises:
        AnomalydError: it was not within the time.

    """
    ticks = Ticks(0.25)
    for tick in ticks:
        if condition():
            return
        if tick * 0.25 > timeout_s:
            raise AnomalydError(f"{what} did not come within {timeout_s:.0f} s")


def _in_a_thread(name: str, run: Callable[[], None], stop: Callable[[], None]) -> Callable[[], None]:
    """Start a thread; gives what ends it."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    thread.start()

    def end() -> None:
        stop()
        thread.join(5.0)

    return end
