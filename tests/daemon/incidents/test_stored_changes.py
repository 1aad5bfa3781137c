"""What is sent of a step's changes."""

from __future__ import annotations

import json
from typing import Any

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.incidents.stored_changes import outgoing
from anomalyd.daemon.incidents.tracking import Change
from anomalyd.reports.report import Incident, SeenBy, Severity, Status


def config(**more: Any) -> Config:
    return Config.model_validate({"inputs": [{"topic": "t"}], "detectors": [{"name": "hosts"}], **more})


def test_an_event_leads_to_the_report_s_page() -> None:
    found = Incident(
        id="abc", detector="hosts", entity="host/pc1", sample_kind="vector", severity=Severity.ERROR,
        status=Status.OPEN, onset=1.0, last=2.0, closed=None, samples=3, peak=2.5, peak_time=1.5,
        autoencoder=2.5, classical=0.5, seen_by=SeenBy.AUTOENCODER, causes=("cpu",), model="v1",
    )  # fmt: skip
    change = Change(found, ("opened",), None, fresh=False, points=())
    told = config(output={"topic": "out"}, dashboard={"url": "https://board.example/"})
    (entry,) = outgoing(told, [change], [], [])
    assert json.loads(entry.value or b"")["link"] == "https://board.example/incident?report=abc"
    assert outgoing(config(output={"topic": None}), [change], [], []) == []
