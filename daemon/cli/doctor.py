"""The command doctor: everything that anomalyd stands on, tried, with what to do where it fails."""

from __future__ import annotations

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import typer

from anomalyd.assistant.language.phrasing import duration
from anomalyd.daemon.cli.options import DEFAULT_CONFIG, ConfigFile
from anomalyd.daemon.config.config import Config, load_config
from anomalyd.errors import AnomalydError, BrokerError, ConfigError, StoreError

_LEAST_DISK = 1_000_000_000
_CLOCK_S = 30.0
_BAD_SHARE = 0.05
_SILENT = 5
"""A daemon that has missed so many of its statuses no longer runs."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What was tried, and what is wrong with it (None: nothing); `note` says what was found."""

    what: str
    wrong: str | None = None
    note: str = ""


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Try everything: broker, ACLs, topics, formats, clocks, store, models, disk, ports; say what to do."""
    try:
        found = load_config(config)
    except ConfigError as error:
        typer.echo(f"FAIL  configuration: {error}")
        raise typer.Exit(1) from None
    typer.echo(f"ok    configuration: {config}")
    findings = list(examine(found))
    for each in findings:
        typer.echo(f"{'FAIL' if each.wrong else 'ok  '}  {each.what}: {each.wrong or each.note or 'good'}")
    if any(each.wrong for each in findings):
        raise typer.Exit(1)


def examine(config: Config) -> Iterator[Finding]:
    """Try everything that a configuration needs."""
    yield from connections(config)
    yield from _topics(config)
    yield from _clocks(config)
    yield _models(config)
    yield _disk(config)
    yield _port(config)


def connections(config: Config) -> Iterator[Finding]:
    """Try the brokers, what they let us do, and the store."""
    yield from _broker(config)
    yield _tried("store", lambda: _store(config))


def _broker(config: Config) -> Iterator[Finding]:
    from anomalyd.daemon.kafka.connection.access import access_problems

    servers = ", ".join(config.kafka.bootstrap_servers)
    try:
        problems = access_problems(config)
    except BrokerError as error:
        yield Finding("broker", str(error))
        return
    yield Finding("broker", note=servers)
    for problem in problems:
        yield Finding("access", problem)
    if not problems:
        yield Finding("access", note="every topic and the group may be used")


def _store(config: Config) -> str:
    from anomalyd.reports.storage.store import Store

    store = Store.open(config.store.url.get_secret_value())
    try:
        store.probe()
    finally:
        store.close()
    return "it can be written"


def _topics(config: Config) -> Iterator[Finding]:
    from anomalyd.daemon.kafka.newest_records import newest_records
    from anomalyd.daemon.learning.topic_survey import surveys

    formats = {i.topic: i.format for i in config.inputs}
    try:
        found = surveys(partial(newest_records, config.kafka), list(formats))
    except BrokerError:
        return  # said of the broker
    for topic, (records, seen) in found.items():
        what = f"topic {topic}"
        if not records:
            yield Finding(what, "it holds no messages; start what sends to it")
        elif seen is None:
            yield Finding(what, f"no format reads its {len(records)} newest; see docs/formats.md")
        elif seen.format != formats[topic]:
            yield Finding(what, f"messages are {seen.format!r}, and inputs.format is {formats[topic]!r}")
        elif seen.unread > _BAD_SHARE * seen.records:
            yield Finding(
                what, f"{seen.unread} of {seen.records} messages cannot be read; see the dead letters for why"
            )
        elif abs(seen.clock_s) > _CLOCK_S:
            apart = f"{duration(abs(seen.clock_s))} {'after' if seen.clock_s > 0 else 'before'}"
            yield Finding(
                what,
                f"event times lie {apart} Kafka's; set the clocks of senders and brokers (NTP), or give more "
                "inputs.lateness_s",
            )
        else:
            age = duration(max(1.0, time.time() - max(record.timestamp for record in records)))
            entities = seen.counted_entities
            yield Finding(what, note=f"{seen.format}, {entities}, the newest {age} old")


def _clocks(config: Config) -> Iterator[Finding]:
    """Say what the daemon has measured: producers whose clock is behind the others of their entity."""
    from anomalyd.daemon.intake.clocks import STATE_NAME, ProducerClocks
    from anomalyd.daemon.intake.grid_and_lateness import alignments
    from anomalyd.reports.storage.store import Store

    tolerances = {i.topic: i.clock_tolerance_s for i in config.inputs}
    clocks = ProducerClocks(alignments(config.inputs), tolerances)
    try:
        with closing(Store.open(config.store.url.get_secret_value())) as store:
            clocks.restore(store.states.intake(STATE_NAME))
    except StoreError:
        return  # said of the store
    behind = sorted(clocks.behind().items())
    if not behind:
        yield Finding("clocks", note="no producer is known to be behind the others of its entity")
    for (topic, entity), seconds in behind:
        corrected = seconds <= tolerances.get(topic, 0.0)
        then = "corrected" if corrected else "late: beyond inputs.clock_tolerance_s"
        yield Finding(
            "clocks",
            f"topic {topic}: a producer of {entity} is {seconds:.0f} s behind its others ({then}); "
            "set its clock (NTP)",
        )


def _models(config: Config) -> Finding:
    from anomalyd.detectors.library import ModelLibrary

    library = ModelLibrary(Path(config.store.models))
    missing = [d.name for d in config.detectors if not library.versions(d.name)]
    if missing:
        return Finding("models", f"none of {', '.join(missing)} yet; run `anomalyd train`")
    return Finding("models", note="every detector has one")


def _disk(config: Config) -> Finding:
    folder = Path(config.store.models).absolute()
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    if free < _LEAST_DISK:
        return Finding("disk", f"{free / 1e6:.0f} MB are free at {folder}; 1 GB is little already: make room")
    return Finding("disk", note=f"{free / 1e9:.0f} GB are free at {folder}")


def _port(config: Config) -> Finding:
    host, port = config.metrics.host, config.metrics.port
    try:
        with socket.create_server((host, port)):
            return Finding("port", note=f"{host}:{port} is free")
    except OSError as error:
        if _runs(config):
            return Finding("port", note=f"{host}:{port} is the running daemon's")
        return Finding(
            "port",
            f"{host}:{port} cannot be listened on ({error.strerror}), and not by a daemon of this "
            "configuration: end what listens there, or choose another metrics.port",
        )


def _runs(config: Config) -> bool:
    """Say whether a daemon of this configuration, on this machine, has lately said that it runs."""
    from anomalyd.daemon.status import instance_of
    from anomalyd.reports.queries import Queries

    try:
        with closing(Queries.open(config.store.url.get_secret_value())) as queries:
            daemons = queries.overview.daemons()
    except StoreError:
        return False
    now, ours = time.time(), instance_of(config)
    return any(
        each.instance == ours and not each.stopped and now - each.seen < _SILENT * each.every_s
        for each in daemons
    )


def _tried(what: str, attempt: Callable[[], str]) -> Finding:
    try:
        return Finding(what, note=attempt())
    except AnomalydError as error:
        return Finding(what, str(error))
