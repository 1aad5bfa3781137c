"""Commands of the service: run, check-config."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from typing import Annotated

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, ConfigFile, log_to_stderr
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


def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    stops = (signal.SIGTERM, signal.SIGINT)
    for number in stops:
        signal.signal(number, lambda *_: os._exit(0))  # nothing is begun yet
    log_to_stderr()
    from anomalyd.daemon.application import Daemon

    daemon = Daemon(load_config(config))
    asked, ask = os.pipe()
    threading.Thread(target=_leave_in_time, args=(asked,), name="last-resort", daemon=True).start()

    def stop(*_: object) -> None:
        daemon.stop()
        os.write(ask, b".")

    for number in stops:
        signal.signal(number, stop)
    if not daemon.run():
        _leave()


def _leave_in_time(asked: int) -> None:
    """End the process some seconds after somebody wrote to `asked`, whatever hangs."""
    os.read(asked, 1)
    time.sleep(_LONGEST_END_S)
    logging.getLogger(__name__).warning("not everything has ended within %g s; leaving", _LONGEST_END_S)
    _leave()


def _leave() -> None:
    """End the process without waiting for threads: all that they do is in transactions.

    Python's own end would take what they still compute with from under them; torch then aborts.
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


def _wanted(alert: AlertPolicy) -> str:
    if alert.alarms_per_day is not None:
        return f"{alert.alarms_per_day:g} false alarms a day and entity"
    return f"{alert.false_alarm_rate:g} false alarms a sample"
