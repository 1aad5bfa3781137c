"""Commands that write what runs around the daemon: deploy prometheus, alertmanager, grafana."""

from __future__ import annotations

from typing import Annotated

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, ConfigFile
from anomalyd.daemon.config.config import load_config

_LOCAL_DASHBOARD = "http://localhost:8501"

deploy = typer.Typer(help="Write what runs around the daemon.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(deploy, name="deploy")


@deploy.callback()
def _group() -> None:
    """Write what runs around the daemon."""


@deploy.command("prometheus")
def prometheus(
    config: ConfigFile = DEFAULT_CONFIG,
    dashboard: Annotated[
        str | None,
        typer.Option(help="The address of the dashboard, for links in alerts; by default dashboard.url."),
    ] = None,
    runbooks: Annotated[
        str, typer.Option(help="Where the runbooks are read: a folder or an address.")
    ] = "docs/runbooks",
    kubernetes: Annotated[
        bool, typer.Option("--kubernetes", help="As a PrometheusRule of the Prometheus operator.")
    ] = False,
) -> None:
    """Print the alert rules for Prometheus; their thresholds follow from the configuration."""
    from anomalyd.daemon.deployment.alert_rules import alert_rules, rules_file, rules_resource

    written = rules_resource if kubernetes else rules_file
    found = load_config(config)
    address = (dashboard or found.dashboard.url or _LOCAL_DASHBOARD).rstrip("/")
    typer.echo(written(alert_rules(found, dashboard=address), runbooks=runbooks), nl=False)


@deploy.command("alertmanager")
def alertmanager(
    webhook: Annotated[
        str, typer.Option(help="The address that notifications are sent to.")
    ] = "http://localhost:9999/alerts",
) -> None:
    """Print a configuration for Alertmanager; many incidents at once become one notification."""
    from anomalyd.daemon.deployment.alertmanager import alertmanager_file

    typer.echo(alertmanager_file(webhook=webhook), nl=False)


@deploy.command("grafana")
def grafana() -> None:
    """Print a dashboard for Grafana that shows every metric of the daemon."""
    from anomalyd.daemon.deployment.grafana import dashboard_file

    typer.echo(dashboard_file(), nl=False)
