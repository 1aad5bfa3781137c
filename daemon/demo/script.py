"""What happens in the demo, in order.

Two clocks matter: `--once` has five minutes in all, and what is normal for a host is learnt while the daemon
is at work and nothing else. So the detectors are trained one after the other: the chambers first, then, with
the daemon running, the host.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import numpy as np
import psutil

from anomalyd.assistant.answer import Assistant
from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.daemon.demo.burst import SOCKETS, THREADS, load
from anomalyd.daemon.demo.comparison import Comparison, Injected, judge
from anomalyd.daemon.demo.environment import CHAMBERS, HOSTS, LUMISECTION_S, Stage, wait_until
from anomalyd.daemon.demo.missed_fault import look_again
from anomalyd.daemon.demo.output_events import Bulletin
from anomalyd.daemon.learning.training import train_detectors
from anomalyd.daemon.producers.chambers import Injection
from anomalyd.daemon.producers.ticks import Ticks
from anomalyd.daemon.progress import showing
from anomalyd.daemon.terminal import answer_lines, incident_line
from anomalyd.detectors.detector import Progress
from anomalyd.detectors.maps.geometries.drift_tubes import dt_chambers
from anomalyd.detectors.maps.simulate.faults import (
    DeadBlock,
    DeadChamber,
    DeadLayer,
    DeadRegion,
    Fault,
    HotWires,
    LowEfficiency,
    LowVoltage,
    random_fault,
)
from anomalyd.errors import AnomalydError
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.report import Incident, SeenBy, Severity, Status

_MAPS_S = 30
"""Of each chamber so many maps are learnt from: 30 maps of 24 chambers are 720."""

_HOST_S = 45
"""Of the host so many seconds, two samples each, with the daemon at work and nothing else: that is its normal
state here."""

_BUSY_PERCENT, _BUSY_HOST_S = 60.0, 180
"""From so much CPU on the machine does other work, and the host is watched for so long: few samples that
scatter much put the threshold where no load can reach it."""

_LOAD_S = 12.0
_FAULT_LUMISECTIONS = 8
_TOLERANCE_S = 15.0

_CLOSING_S = 8.0
"""Seconds after the last fault in which its incident is closed: eight rows of a host."""

_BEHIND_S = 120.0
"""Seconds that a daemon which is behind is waited for."""

_SEED = 7


def run_demo(folder: Path, *, once: bool, ui: bool) -> int:
    """Run the demo: 0 if all that was injected was found, 1 if not. Ctrl-C ends it in order."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with Stage(folder) as stage, showing() as progress:
            return _play(stage, progress, once=once, ui=ui)
    except KeyboardInterrupt:
        _say("stopped")
        return 130


def _play(stage: Stage, progress: Progress, *, once: bool, ui: bool) -> int:
    _say(f"broker at {stage.broker.bootstrap_servers}, everything else in {stage.folder}/")
    dashboard = stage.start_dashboard() if ui else None
    _wait(progress, f"collecting {_MAPS_S} lumisections of {len(stage.chambers)} simulated chambers", _MAPS_S)
    _train(stage, CHAMBERS, progress)
    daemon = stage.start_daemon()
    wait_until(lambda: _answers(stage.metrics_url), 60.0, f"the daemon (its log: {stage.folder}/daemon.log)")
    bulletin = Bulletin(stage.config.output.topic or "", stage.config.kafka, _print_event)
    bulletin.start()
    try:
        _say(
            f"the daemon runs: metrics at {stage.metrics_url}" + (f", dashboard at {dashboard}" if ui else "")
        )
        _train(stage, HOSTS, progress, history_s=_watch_host(stage, progress))
        wait_until(
            lambda: _ready(stage.metrics_url),
            30.0,
            f"the daemon with both models (its log: {stage.folder}/daemon.log)",
        )
        injected = _disturb(stage, progress)
        verdict = _sum_up(stage, injected)
        if not once:
            _say("watching on; Ctrl-C ends it")
            while daemon.alive:
                _wait(progress, "", 1.0)
    finally:
        bulletin.stop()
    return 1 if verdict.missed else 0


def _watch_host(stage: Stage, progress: Progress) -> float:
    """Let the host be watched, longer where other work fills the machine; gives for how many seconds."""
    what = f"watching what is normal for {stage.agent.entity}"
    psutil.cpu_percent()  # the next call tells what it was since
    _wait(progress, what, _HOST_S)
    busy = psutil.cpu_percent()
    if busy < _BUSY_PERCENT:
        return _HOST_S
    _say(f"the machine is busy ({busy:.0f} % CPU): {what} for {_BUSY_HOST_S} s, so that a load can be told")
    _wait(progress, what, _BUSY_HOST_S - _HOST_S)
    return _BUSY_HOST_S


def _train(stage: Stage, name: str, progress: Progress, history_s: float | None = None) -> None:
    config = stage.config
    if history_s is not None:
        detectors = [_with_history(d, history_s) for d in config.detectors]
        config = config.model_copy(update={"detectors": detectors})
    ((version, card),) = train_detectors(config, name, progress=progress).values()
    _say(f"{name}: trained on {card.samples} samples of {len(card.shapes)} entities, model {version}")


def _with_history(detector: DetectorConfig, history_s: float) -> DetectorConfig:
    training = detector.training.model_copy(update={"history_s": history_s})
    return detector.model_copy(update={"training": training})


def _disturb(stage: Stage, progress: Progress) -> list[Injected]:
    """Inject a fault of each kind, one chamber each, and load this machine meanwhile."""
    first = stage.stream.next_lumisection + 2
    injections = [
        Injection(entity, fault, first + 2 * n, first + 2 * n + _FAULT_LUMISECTIONS - 1)
        for n, (entity, fault) in enumerate(chamber_faults(stage.chambers[::3]).items())
    ]
    now = time.time()
    begin = now + (first - stage.stream.next_lumisection) * LUMISECTION_S
    injected = []
    for injection in injections:
        stage.stream.inject(injection)
        from_s, to_s = ((ls - first) * LUMISECTION_S for ls in (injection.first, injection.last))
        injected.append(Injected(injection.entity, injection.kind, begin + from_s, begin + to_s))
        span = f"lumisections {injection.first}-{injection.last}"
        _say(f"injecting  {injection.entity}  {injection.kind}, {span}")
    _say(
        f"loading    {stage.agent.entity}  every core, 1 GiB of memory, the disk, {THREADS} threads and "
        f"{SOCKETS} sockets, for {_LOAD_S:.0f} s"
    )
    burst = load(_LOAD_S, stage.folder)
    injected.append(Injected(stage.agent.entity, burst.kind, burst.first, burst.last))
    over = max(each.last for each in injected)
    # Until the last fault is over, and its incident is closed and explained.
    _wait(progress, "waiting for the last fault to be over", max(0.0, over - time.time()) + _CLOSING_S)
    _catch_up(stage, injected, over + _CLOSING_S)
    return injected


def _catch_up(stage: Stage, injected: Sequence[Injected], until: float) -> None:
    """Wait for a daemon that is behind: until everything that was sent up to a time is scored."""
    queries = Queries.open(stage.config.store.url.get_secret_value())

    def scored() -> bool:
        activity = queries.activity()
        return all(each.entity in activity and activity[each.entity].last >= until for each in injected)

    try:
        wait_until(scored, _BEHIND_S, "the scores of the last samples")
    except AnomalydError as error:
        _say(f"{error}: what follows is of the samples before")
    finally:
        queries.close()


def chamber_faults(chambers: Sequence[str]) -> dict[str, Fault]:
    """Give each chamber a fault of another kind: dead ones, weak ones, hot wires side by side.

    A single hot wire would be noted as an odd cell, and is no fault.
    """
    rng = np.random.default_rng(_SEED)
    weak, dead, hot = LowVoltage(), DeadChamber(), HotWires(2, 10, 12, noise=6.0)
    drawn = (DeadRegion, DeadBlock, DeadLayer, LowEfficiency)
    kinds: list[Fault | type[Fault]] = [dead, weak, hot, *drawn]
    known = {chamber.entity: chamber for chamber in dt_chambers()}
    return {
        entity: fault if isinstance(fault, Fault) else random_fault(fault.kind, known[entity], rng)
        for entity, fault in zip(chambers, kinds, strict=False)
    }


def _sum_up(stage: Stage, injected: list[Injected]) -> Comparison:
    queries = Queries.open(stage.config.store.url.get_secret_value())
    try:
        incidents = [r.incident for r in queries.reports(Selection(), limit=1000)]
        activity = queries.activity()
        verdict = judge(injected, incidents, _TOLERANCE_S)
        assistant = Assistant(queries)
        for question in (
            "How many incidents were there in the last hour?",
            "What was the worst incident today?",
            f"Why was {injected[0].entity} flagged?",
        ):
            _say(f"\n? {question}")
            _say(answer_lines(assistant.ask(question)))
    finally:
        queries.close()
    samples = sum(seen.samples for seen in activity.values())
    _say(f"\n{samples} samples of {len(activity)} entities, {len(incidents)} incidents")
    for each, incident in verdict.found:
        _say(f"found      {each.entity}  {each.what}: score {incident.peak:.1f}, [{incident.id}]")
    for each in verdict.missed:
        _say(f"MISSED     {each.entity}  {each.what}: {look_again(stage.config, each, _TOLERANCE_S)}")
    for incident in verdict.false_alarms:
        _say(f"false      {incident_line(incident)}")
    _say(
        f"injected {len(injected)}, found {len(verdict.found)}, missed {len(verdict.missed)}, "
        f"false alarms {len(verdict.false_alarms)}"
    )
    _say(f"look on: anomalyd reports list -c {stage.config_file}")
    return verdict


def _print_event(event: dict[str, Any]) -> None:
    """Print the opening and the end of an incident as a line each."""
    if event["event"] not in ("opened", "closed"):
        return
    known = {f.name for f in fields(Incident)}
    about = {name: value for name, value in event.items() if name in known}
    about |= {
        "severity": Severity(about["severity"]),
        "status": Status(about["status"]),
        "seen_by": SeenBy(about["seen_by"]),
    }
    _say(incident_line(Incident(**about)))


def _wait(progress: Progress, what: str, seconds: float) -> None:
    """Let time pass, and show it."""
    total = max(1, round(seconds))
    for second in Ticks(1.0):
        if what:
            progress(what, min(second, total), total)
        if second >= seconds:
            return


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=2.0) as answer:  # nosec B310
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _ready(metrics_url: str) -> bool:
    return _answers(metrics_url.replace("/metrics", "/readyz"))


def _say(text: str) -> None:
    print(text, file=sys.stdout, flush=True)
