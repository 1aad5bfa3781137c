"""Commands of maintenance windows: maintenance add, maintenance list, maintenance end."""

from __future__ import annotations

import re
import time
from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, Json, MaybeConfig, StoreUrl, print_json, store_url
from anomalyd.daemon.config.alert_config import moment
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.repositories.maintenance import Window
from anomalyd.reports.storage.store import Store

_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86_400.0}

maintenance = typer.Typer(
    help="Times of work, in which no incident opens and no training looks: add, list, end. A running daemon "
    "takes them within seconds.",
    no_args_is_help=True,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(maintenance, name="maintenance")


@maintenance.command("add")
def add(
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    entity: Annotated[
        list[str] | None, typer.Option(help="What is worked on (shell patterns); everything by default.")
    ] = None,
    detector: Annotated[str, typer.Option(help="Only for these detectors (a shell pattern).")] = "*",
    begin: Annotated[
        str | None, typer.Option("--from", metavar="TIME", help="Since when (ISO 8601 with a zone); now.")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--to", metavar="TIME", help="Until when (ISO 8601 with a zone).")
    ] = None,
    lasting: Annotated[
        str | None, typer.Option("--for", metavar="SPAN", help="Instead of --to: how long, as 90m, 2h, 1d.")
    ] = None,
    reason: Annotated[str, typer.Option(help="Why.")] = "",
) -> None:
    """Open a maintenance window."""
    if (end is None) == (lasting is None):
        raise typer.BadParameter("say when it ends, with one of --to and --for", param_hint="--to")
    since = time.time() if begin is None else _moment(begin, "--from")
    until = _moment(end, "--to") if end is not None else since + _span(lasting or "")
    with closing(Store.open(store_url(config, store))) as writer:
        window = writer.maintenance.add(Window(tuple(entity or ["*"]), since, until, reason, detector))
    typer.echo(window_line(window))


@maintenance.command("list")
def list_windows(
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    everything: Annotated[bool, typer.Option("--all", help="Those that are over, too.")] = False,
    as_json: Json = False,
) -> None:
    """List the windows that were opened here; the planned ones stand in the configuration."""
    with closing(Queries.open(store_url(config, store))) as queries:
        now = time.time()
        found = [
            window
            for window in queries.maintenance()
            if everything or max(now, window.since) < window.until  # not over, and not ended beforehand
        ]
    if as_json:
        print_json([asdict(window) for window in found])
        return
    for window in found:
        typer.echo(window_line(window))
    if not found:
        typer.echo("no maintenance")


@maintenance.command("end")
def end(
    number: Annotated[int, typer.Argument(metavar="ID", help="The window's number, as listed.")],
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
) -> None:
    """End a window now; one that has not begun never does."""
    with closing(Store.open(store_url(config, store))) as writer:
        window = writer.maintenance.end(number)
    typer.echo(window_line(window))


def window_line(window: Window) -> str:
    """Say a window in one line."""
    on = "" if window.detector == "*" else f" (detector {window.detector})"
    why = f": {window.reason}" if window.reason else ""
    what = ", ".join(window.entities)
    return f"{window.id:>4}  {_utc(window.since)} to {_utc(window.until)}  {what}{on}{why}"


def _moment(text: str, option: str) -> float:
    try:
        return moment(text)
    except ValueError as error:
        raise typer.BadParameter(f"{text!r}: {error}", param_hint=option) from None


def _span(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise typer.BadParameter(f"{text!r}: expected a span as in 90m, 2h or 1d", param_hint="--for")
    return float(found[1]) * _UNITS[found[2]]


def _utc(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"
