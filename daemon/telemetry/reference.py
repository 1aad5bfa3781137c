"""The reference of metrics, `docs/metrics.md`, made from the registry by `make docs`."""

from __future__ import annotations

import numpy as np
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.otlp_config import OtlpConfig
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.reports.report import Incident, SeenBy, Severity, Status

_HEAD = """# Metrics

Every metric that the daemon exports at `/metrics`, beside those of its process (`process_...`). This page is
made from the registry by `make docs`; do not edit it.

| metric | type | labels | meaning |
|---|---|---|---|
"""


def markdown() -> str:
    """Give the page."""
    registry = CollectorRegistry()
    telemetry = Telemetry(
        registry,
        topics=["t"],
        detectors=["d"],
        output_topics=["o"],
        explain_methods=["occlusion"],
        scores=["*"],
        otlp=OtlpConfig(url="http://localhost:4318/v1/metrics"),
    )
    # Gauges without a value yet have no sample to read their labels from.
    telemetry.kafka.lag({("t", 0): 0})
    telemetry.kafka.last_event_time({("t", 0): 0.0})
    telemetry.intake.clocks({("t", "e"): 0.0})
    telemetry.entity_scores.scored("d", "e", np.ones(1), np.ones(1))
    telemetry.incidents.open([_incident()])
    telemetry.scoring.wanted("d", 0.0)
    telemetry.scoring.realised("d", rate=0.0, alarms=0, wanted_alarms=0.0)
    telemetry.scoring.model("d", "v", "k")
    rows = []
    for family in registry.collect():
        if not family.name.startswith("anomalyd_"):
            continue
        labels = sorted({name for sample in family.samples for name in sample.labels} - {"le"})
        suffix = {"counter": "_total", "info": "_info"}.get(family.type, "")
        rows.append(
            f"| `{family.name}{suffix}` | {family.type} | {', '.join(f'`{n}`' for n in labels)} "
            f"| {family.documentation} |"
        )
    return _HEAD + "\n".join(sorted(rows)) + "\n"


def _incident() -> Incident:
    return Incident(
        "r",
        "d",
        "e",
        "vector",
        Severity.ERROR,
        Status.OPEN,
        onset=0.0,
        last=0.0,
        closed=None,
        samples=1,
        peak=2.0,
        peak_time=0.0,
        autoencoder=2.0,
        classical=2.0,
        seen_by=SeenBy.BOTH,
        causes=(),
        model="v",
    )


if __name__ == "__main__":
    print(markdown(), end="")
