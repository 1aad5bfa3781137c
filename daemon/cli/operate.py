"""Commands of the service: run, check-config."""

from __future__ import annotations

import signal

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, ConfigFile, log_to_stderr
from anomalyd.daemon.config.alert_config import AlertPolicy
from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.intake.formats.registry import format_of


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("run")(run)
    app.command("check-config")(check_config)


def run(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Run the daemon until SIGTERM or Ctrl-C."""
    log_to_stderr()
    from anomalyd.daemon.application import Daemon

    daemon = Daemon(load_config(config))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: daemon.stop())
    daemon.run()


def check_config(config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Check a configuration file; say what it means, or every mistake with its path."""
    found = load_config(config)
    for each in found.inputs:
        format_of(each)  # a format nobody knows, before a word is said
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
