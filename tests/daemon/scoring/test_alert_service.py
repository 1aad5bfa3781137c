"""The policy at work in the service: what is kept back opens nothing and is counted; windows come and go."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from handed_source import HandedSource
from prometheus_client import CollectorRegistry

from anomalyd.daemon.cli import main
from anomalyd.daemon.config.config import Config
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Found, Service
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.library import ModelLibrary
from anomalyd.reports.report import SeenBy
from anomalyd.reports.storage.repositories.maintenance import Window
from anomalyd.reports.storage.store import Store

PLACE = ("metrics", 0)


class Bench:
    """A service with one detector on three hosts, one of which may jump in its memory.

    `begin` is the event time of the first second, the experiment's by default.
    """

    def __init__(
        self, experiment: Any, models: Path, store: Store, begin: float | None = None, **alert: Any
    ) -> None:
        config = Config.model_validate(
            {
                "inputs": [{"topic": "metrics"}],
                "detectors": [
                    {
                        "name": "hosts",
                        "kind": "vector-autoencoder",
                        "alert": {"open_after": 2, "close_after": 3, **alert},
                    }
                ],
            }
        )
        self._experiment = experiment
        self._begin = experiment.begin if begin is None else begin
        self.registry = CollectorRegistry()
        self.found: list[Found] = []
        self.stopwatch = 0.0
        self.source = HandedSource(PLACE)
        self.offset = 0
        self.service = Service(
            config,
            self.source,
            store,
            [ActiveModel(detector, ModelLibrary(models)) for detector in config.detectors],
            Telemetry.for_config(config, self.registry),
            clock=lambda: self._begin + 100,
            stopwatch=lambda: self.stopwatch,
            on_found=self.found.append,
        )
        self.service.step(0.0)  # takes the partition

    def send(self, seconds: range, jump: Sequence[int] = (), refresh: bool = True) -> None:
        """Let every host send once a second; the first one jumps in the seconds `jump`."""
        records = []
        for second in seconds:
            for host in self._experiment.hosts:
                far = -15.0 if second in jump and host == self._experiment.hosts[0] else 0.0
                values = self._experiment.row(host, second, far)
                message = json.dumps({"entity": host, "time": self._begin + second, "values": values})
                records.append(self._experiment.record(PLACE[0], self.offset, message.encode()))
                self.offset += 1
        if refresh:
            self.stopwatch += 10.0
        self.source.waiting.append(PollResult((Batch(*PLACE, records),)))
        self.service.step(0.0)

    @property
    def opened(self) -> list[str]:
        return [found.incident.entity for found in self.found if "opened" in found.events]

    def value(self, name: str, **labels: str) -> float | None:
        return self.registry.get_sample_value(f"anomalyd_{name}", {"detector": "hosts", **labels})

    @property
    def alerts(self) -> float:
        return sum(self.value("alerts_total", seen_by=seen_by) or 0.0 for seen_by in SeenBy)

    def suppressed(self, reason: str) -> float | None:
        return self.value("alerts_suppressed_total", reason=reason)


@pytest.fixture(scope="session")
def models(experiment: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    root: Path = tmp_path_factory.mktemp("models")
    ModelLibrary(root).publish("hosts", experiment.host_pair)
    return root


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path}/reports.db"


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store.open(url)
    yield store
    store.close()


@pytest.fixture
def bench(experiment: Any, models: Path, store: Store) -> Callable[..., Bench]:
    return lambda **alert: Bench(experiment, models, store, **alert)


@pytest.fixture
def anomalyd(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command on the store as the shell does: exit status, output, errors."""
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["anomalyd", *map(str, arguments), "--store", url])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


JUMPS = range(20, 25)


def test_without_a_policy_the_jump_opens_an_incident(bench: Callable[..., Bench], experiment: Any) -> None:
    it = bench()
    it.send(range(30), JUMPS)
    assert it.opened == [experiment.hosts[0]]
    for reason in ("direction", "deviation", "quiet-hours", "maintenance"):
        assert it.suppressed(reason) == 0.0


@pytest.mark.parametrize(
    ("alert", "reason"),
    [
        ({"direction": {"mem*": "up"}}, "direction"),
        ({"min_deviation": {"*": "900%"}}, "deviation"),
        ({"quiet_hours": [{"from": "00:00", "to": "00:00"}]}, "quiet-hours"),
        (
            {
                "maintenance": [
                    {"entities": ["host/a"], "from": "2020-01-01T00:00Z", "to": "2099-01-01T00:00Z"}
                ]
            },
            "maintenance",
        ),
    ],
)
def test_a_suppressed_alert_opens_nothing_and_is_counted(
    bench: Callable[..., Bench], alert: dict[str, Any], reason: str
) -> None:
    it = bench(**alert)
    it.send(range(30), JUMPS)
    assert it.opened == []
    assert it.suppressed(reason) == it.alerts >= len(JUMPS)
    assert it.value("samples_scored_total") == 90.0


def test_an_ignored_metric_neither_alarms_nor_is_seen(bench: Callable[..., Bench]) -> None:
    it = bench(ignore=["memory"])
    it.send(range(30), JUMPS)
    assert it.opened == []
    assert it.alerts == 0
    assert it.suppressed("direction") == 0.0


def test_what_it_alarms_is_set_beside_what_was_wanted(bench: Callable[..., Bench], experiment: Any) -> None:
    it = bench()
    assert it.value("alert_rate_wanted") == experiment.host_pair.false_alarm_rate
    assert it.value("alert_rate_realised") is None
    assert it.value("alarms_per_day_realised") == 0.0
    it.send(range(30), JUMPS)
    it.send(range(30, 31))  # figures are set when models are looked for
    rate = it.value("alert_rate_realised")
    assert rate is not None
    assert 0 < rate < 1
    # The first rows of each host, the warm-up, are no judged samples.
    assert it.alerts / 93 <= rate <= it.alerts / 30
    assert it.value("alarms_per_day_realised") == 1.0
    assert it.value("alarms_per_day_wanted") is None


def test_a_window_opened_and_ended_by_command_is_taken_without_a_restart(
    bench: Callable[..., Bench], experiment: Any, anomalyd: Callable[..., tuple[int, str, str]]
) -> None:
    # A window ends by the clock on the wall, and counts by event time: these hosts send from soon on.
    it = bench(begin=time.time() + 100)
    hosts = "host/a*"
    window = ("--from", "2020-01-01T00:00Z", "--to", "2099-01-01T00:00Z", "--reason", "new disks")
    code, said, _ = anomalyd("maintenance", "add", "--entity", hosts, *window)
    assert (code, said) == (
        0,
        "   1  2020-01-01 00:00:00Z to 2099-01-01 00:00:00Z  host/a*: new disks\n",
    )
    it.send(range(30), JUMPS)
    assert it.opened == []
    assert it.suppressed("maintenance") >= len(JUMPS)
    code, said, _ = anomalyd("maintenance", "end", 1)
    assert code == 0
    it.send(range(30, 60), range(40, 45), refresh=False)
    assert it.opened == []  # not looked for at every step
    it.send(range(60, 90), range(70, 75))
    assert it.opened == [experiment.hosts[0]]


def test_windows_are_listed_until_they_are_over(
    store: Store, anomalyd: Callable[..., tuple[int, str, str]]
) -> None:
    assert anomalyd("maintenance", "list")[1] == "no maintenance\n"
    store.maintenance.add(Window(("db", "host/*"), 0.0, 60.0, detector="hosts"))
    assert anomalyd("maintenance", "list")[1] == "no maintenance\n"
    line = "   1  1970-01-01 00:00:00Z to 1970-01-01 00:01:00Z  db, host/* (detector hosts)\n"
    assert anomalyd("maintenance", "list", "--all")[1] == line
    assert anomalyd("maintenance", "add", "--for", "2h")[0] == 0
    (found,) = store.maintenance.windows()[1:]
    assert found.until - found.since == 7200.0
    listed = anomalyd("maintenance", "list")[1]
    assert listed.startswith("   2  ")
    assert listed.count("\n") == 1
    later = ("--from", "2098-01-01T00:00Z", "--to", "2099-01-01T00:00Z")
    anomalyd("maintenance", "add", *later)
    anomalyd("maintenance", "end", 3)  # before it begins
    assert anomalyd("maintenance", "list")[1] == listed
    assert '"reason": ""' in anomalyd("maintenance", "list", "--json")[1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("add",), "one of --to and --for"),
        (("add", "--for", "2h", "--to", "2099-01-01T00:00Z"), "one of --to and --for"),
        (("add", "--for", "two hours"), "expected a span as in 90m"),
        (("add", "--to", "2099-01-01T00:00"), "say the offset from UTC"),
        (("add", "--to", "2001-01-01T00:00Z"), "an end after its beginning"),
        (("end", "7"), "there is no maintenance window 7"),
    ],
)
def test_a_mistake_is_one_clear_error(
    anomalyd: Callable[..., tuple[int, str, str]], arguments: tuple[str, ...], said: str, store: Store
) -> None:
    code, out, err = anomalyd("maintenance", *arguments)
    assert (code, out) == (2, "")
    assert said in " ".join(err.split())
    assert store.maintenance.windows() == []
