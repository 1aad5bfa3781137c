"""Commands of the service: run, check-config, replay."""

from __future__ import annotations

import logging
import os
import signal
import sys
import tempfile
import threading
import time
from datetime import UTC, datetime
from typing import Annotated

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, ConfigFile, log_to_stderr
from anomalyd.daemon.cli.reload import ConfigWatch
from anomalyd.daemon.config.alert_config import AlertPolicy
from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.intake.formats.registry import format_of
from anomalyd.errors import ConfigError

_LONGEST_END_S = 8.5
"""The daemon has promised to end within 10 seconds."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(run)
    app.command("check-config")(check_config)
    app.command("replay")(replay)


def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Run the daemon until SIGTERM or Ctrl-C; a changed configuration is taken by itself, or on SIGHUP."""
    loaded = load_config(config)
    stops = (signal.SIGTERM, signal.SIGINT)
    for number in stops:
        signal.signal(number, lambda *_: os._exit(0))  # nothing is begun yet
    log_to_stderr(
        logging.getLevelNamesMapping()[loaded.log.level.upper()], as_json=loaded.log.format == "json"
    )
    from anomalyd.daemon.application import Daemon

    daemon = Daemon(loaded)
    asked, ask = os.pipe()
    threading.Thread(target=_leave_in_time, args=(asked,), name="last-resort", daemon=True).start()

    ending = threading.Event()

    def stop(*_: object) -> None:
        ending.set()
        daemon.stop()
        os.write(ask, b".")

    changed = threading.Event()

    def take_anew() -> None:
        changed.set()
        daemon.stop(reload=True)

    watch = ConfigWatch(config, loaded, on_changed=take_anew, on_refused=daemon.config_refused)
    for number in stops:
        signal.signal(number, stop)
    signal.signal(signal.SIGHUP, lambda *_: watch.ask())
    watch.start()
    daemon.run()
    if changed.is_set() and not ending.is_set():
        logging.shutdown()
        # The same process begins anew: nothing of the old configuration can be left in it.
        os.execv(sys.executable, sys.orig_argv)
    _leave()


def _leave_in_time(asked: int) -> None:
    """End the process some seconds after somebody wrote to `asked`, whatever hangs."""
    os.read(asked, 1)
    time.sleep(_LONGEST_END_S)
    logging.getLogger(__name__).warning("not everything has ended within %g s; leaving", _LONGEST_END_S)
    _leave()


def _leave() -> None:
    """End the process at once: what is kept is kept in transactions, and the rest is not needed.

    Python's own end takes seconds with all that is imported, and takes what a thread still computes with from
    under it: torch then aborts.
    """
    logging.shutdown()
    os._exit(0)


def check_config(
    config: ConfigFile = DEFAULT_CONFIG,
    connect: Annotated[
        bool, typer.Option("--connect", help="Try the broker, the topics, the ACLs and the store, too.")
    ] = False,
) -> None:
    """Check a configuration file; say what it means, or every mistake with its path."""
    found = load_config(config)
    mistakes = []
    for each in found.inputs:
        try:
            format_of(each)
        except ConfigError as error:
            mistakes.append(str(error))
    if connect:
        from anomalyd.daemon.cli.doctor import connections

        mistakes += [f"{each.what}: {each.wrong}" for each in connections(found) if each.wrong]
    if mistakes:
        raise ConfigError(f"{config}: " + f"\n{config}: ".join(mistakes))
    for each in found.inputs:
        typer.echo(f"input     {each.topic} ({each.format})")
    for detector in found.detectors:
        typer.echo(
            f"detector  {detector.name}: {detector.kind} and {detector.classical_kind} on "
            f"{', '.join(detector.entities)}; {_wanted(detector.alert)}"
        )
    typer.echo(f"{config}: good")


def replay(
    begin: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="OFFSET|TIME",
            help="The first offset of every partition, or a time (ISO 8601, UTC where it names no zone).",
        ),
    ],
    config: ConfigFile = DEFAULT_CONFIG,
    into: Annotated[
        str | None, typer.Option(help="The URL of a new store to keep the replay's reports in.")
    ] = None,
) -> None:
    """Read again what was read, into another store, and say whether the same reports come out."""
    from anomalyd.daemon.replay import replay as read_again

    loaded = load_config(config)
    log_to_stderr(logging.getLevelNamesMapping()[loaded.log.level.upper()])
    if into == loaded.store.url.get_secret_value():
        raise ConfigError("--into is the store of the configuration itself; name another, new one")
    with tempfile.TemporaryDirectory() as folder:
        found = read_again(loaded, _begin(begin), into or f"sqlite:///{folder}/replay.db")
    typer.echo(f"{len(found.same)} reports are the same")
    for what in ("different", "missing", "new"):
        for report_id in getattr(found, what):
            typer.echo(f"{what:<9} {report_id}")
    if found.other_model:
        typer.echo(f"{len(found.other_model)} reports were made by another model, and are not compared")
    if found.other_configuration:
        typer.echo(f"{found.other_configuration} reports were made with another configuration")
    if not found.equal:
        raise typer.Exit(1)


def _begin(text: str) -> int | datetime:
    if text.isdigit():
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"--from {text!r} is neither an offset nor a time; give 12000, or 2026-11-29T10:00:00Z"
        ) from None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _wanted(alert: AlertPolicy) -> str:
    if alert.alarms_per_day is not None:
        return f"{alert.alarms_per_day:g} false alarms a day and entity"
    return f"{alert.false_alarm_rate:g} false alarms a sample"
