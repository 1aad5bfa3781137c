"""From a fault to the control room: daemon, Prometheus, Alertmanager, and the webhook that it calls."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from monitoring import Alertmanager, Prometheus, Receiver, missing_programs, stopping

from anomalyd.daemon.broker import EmbeddedBroker
from anomalyd.daemon.config.config import Config, load_config
from anomalyd.daemon.deployment.alert_rules import alert_rules, rules_file
from anomalyd.daemon.deployment.alertmanager import alertmanager_file
from anomalyd.reports.report import Status

DASHBOARD = "http://control.example"
FARM = [f"node{i}" for i in range(100, 600)]
WITHIN_S = 180.0


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    missing = missing_programs()
    if missing:
        pytest.skip(
            f"not in PATH: {', '.join(missing)}; install Debian's prometheus and prometheus-alertmanager"
        )
    receiver = Receiver()
    yield receiver
    receiver.close()


@contextmanager
def watched(config: Config, daemon: Any, receiver: Receiver, folder: Path) -> Iterator[Alertmanager]:
    """Prometheus with the rules of a configuration, Alertmanager as `anomalyd deploy alertmanager` has it."""
    rules = rules_file(alert_rules(config, dashboard=DASHBOARD))
    # The shipped rules and routes; only what would be waited for is shorter.
    rules, waits = re.subn("keep_firing_for: 2m", "keep_firing_for: 1s", rules)
    assert waits == 1
    manager = Alertmanager(
        folder, alertmanager_file(webhook=receiver.url, group_wait="1s", group_interval="1s")
    )
    with stopping(manager):
        target = daemon.url.removeprefix("http://")
        prometheus = Prometheus(folder, target=target, rules=rules, alertmanager=manager.address)
        with stopping(prometheus):
            yield manager


def named(alerts: list[Any]) -> set[str]:
    return {alert["labels"]["entity"] for alert in alerts}


def test_a_fault_is_told_with_a_link_to_its_report_and_so_is_its_end(
    make_world: Any,
    embedded_broker: EmbeddedBroker,
    running: Any,
    make_stream: Any,
    plant: Any,
    eventually: Any,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    world = make_world(embedded_broker)
    begun, later = 30, 70
    faults = [plant("node01", begun, 20, "disk"), plant("node01", later, 20, "disk")]
    stream = make_stream(100, [*faults, plant("node02", later, 20, "cpu")])
    file = world.configure("alerts", explain=())
    config = load_config(file)
    with running(file) as daemon, watched(config, daemon, receiver, tmp_path) as manager:
        world.send(stream.hosts(range(begun + 10)))
        eventually(lambda: receiver.alerts("AnomalydIncident", "firing"), within_s=WITHIN_S)
        alert = receiver.alerts("AnomalydIncident", "firing")[-1]
        (incident,) = world.store(config).open_incidents()
        assert incident.entity == "node01"
        assert alert["labels"]["entity"] == "node01"
        assert alert["labels"]["severity"] in ("page", "ticket")
        assert f"{DASHBOARD}/incident?report={incident.id}" in alert["annotations"]["description"]
        assert alert["annotations"]["runbook_url"].endswith("incident.md")
        assert not receiver.alerts("AnomalydIncident", "resolved")

        world.send(stream.hosts(range(begun + 10, later)))
        eventually(lambda: not world.store(config).open_incidents(), within_s=WITHIN_S)
        eventually(lambda: receiver.alerts("AnomalydIncident", "resolved"), within_s=WITHIN_S)
        assert world.outcome(config).reports[incident.id].incident.status is Status.CLOSED

        manager.amtool("silence", "add", "entity=node01", "--author=me", "--comment=moved", "--duration=1h")
        told = len(receiver.notifications)
        world.send(stream.hosts(range(later, 90)))
        eventually(lambda: "node01" in manager.amtool("alert", "query", "--silenced"), within_s=WITHIN_S)
        eventually(lambda: "node02" in named(receiver.alerts("AnomalydIncident")), within_s=WITHIN_S)
        after = [a for n in receiver.notifications[told:] for a in n["alerts"] if a["status"] == "firing"]
        assert named([a for a in after if "entity" in a["labels"]]) == {"node02"}


def test_500_incidents_at_once_are_one_notification(
    make_world: Any,
    embedded_broker: EmbeddedBroker,
    running: Any,
    make_stream: Any,
    plant: Any,
    message: Any,
    eventually: Any,
    receiver: Receiver,
    tmp_path: Path,
) -> None:
    world = make_world(embedded_broker)
    stream = make_stream(22, [plant("node00", 16, 6, "disk")])
    rows = [json.loads(m.value) for m in stream.hosts(range(22)) if m.key == b"node00"]
    messages = [
        message("hosts", name.encode(), json.dumps({**row, "entity": name}).encode())
        for row in rows
        for name in FARM
    ]
    file = world.configure("farm", explain=())
    config = load_config(file)
    with running(file) as daemon:
        world.send(messages)
        eventually(lambda: len(world.store(config).open_incidents()) == len(FARM), within_s=WITHIN_S)
        with watched(config, daemon, receiver, tmp_path):

            def told() -> list[Any]:
                return [n for n in receiver.notifications if n["groupLabels"] == {"component": "anomalies"}]

            def hosts_told() -> set[str]:
                # Prometheus hands them over 64 at a time: on a busy machine the group is told before it is
                # whole, and then once more, as a whole.
                return named([a for n in told()[-1:] for a in n["alerts"] if "entity" in a["labels"]])

            eventually(lambda: hosts_told() == set(FARM), within_s=WITHIN_S)
            assert len({n["groupKey"] for n in told()}) == 1
            assert len(told()) < len(FARM) / 10
