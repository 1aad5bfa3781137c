"""Commands of the report store itself: store stats, store prune."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, ConfigFile, Json, print_json
from anomalyd.daemon.config.config import load_config
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.repositories.retention import Pruned
from anomalyd.reports.storage.store import Store

store = typer.Typer(
    help="What the report store holds, and what its retention lets go of.", no_args_is_help=True
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(store, name="store")


@store.command("stats")
def stats(config: ConfigFile = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Say how many rows each table holds, and about how many bytes."""
    with closing(Store.open(load_config(config).store.url.get_secret_value())) as opened:
        found = opened.retention.sizes()
    if as_json:
        print_json({name: asdict(size) for name, size in found.items()})
        return
    for name, size in found.items():
        typer.echo(f"{name:<14} {size.rows:>10} rows  {size.bytes / 1e6:>10.1f} MB")


@store.command("prune")
def prune(
    config: ConfigFile = DEFAULT_CONFIG,
    vacuum: Annotated[bool, typer.Option(help="Give the space back to the disk, too.")] = True,
) -> None:
    """Let go now of what store.retention does not keep; a running daemon does so every few minutes."""
    about = load_config(config).store
    total = Pruned()
    with closing(Store.open(about.url.get_secret_value())) as opened:
        while (pruned := opened.retention.prune(about.retention.limits())) != Pruned():
            total += pruned
        if vacuum:
            opened.retention.vacuum()
    typer.echo(f"let go of {total.reports} reports, and of the evidence of {total.evidence}")


@store.command("canaries")
def canaries(config: ConfigFile = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """Say what became of the newest canary of each detector and kind (canary.enabled)."""
    about = load_config(config, parameters=False)
    with closing(Queries.open(about.store.url.get_secret_value())) as queries:
        found = queries.overview.canaries()
    if as_json:
        print_json([asdict(check) for check in found])
        return
    if not found:
        typer.echo("no canary has come back yet; canary.enabled says whether any are sent")
    for check in found:
        score = "no score" if check.score is None else f"score {check.score:.2f}"
        sent = datetime.fromtimestamp(check.sent, UTC).isoformat(timespec="seconds")
        verdict = "right" if check.right else "WRONG"
        took = f"stored {check.latency_s:.1f} s later"
        typer.echo(f"{check.detector}  {check.kind:<8} sent {sent}, {took}, {score}: {verdict}")
