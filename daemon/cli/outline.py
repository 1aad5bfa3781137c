"""The command outline: the fault around one cell of a report's map, kept as an operator's label."""

from __future__ import annotations

import getpass
from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, MaybeConfig, StoreUrl, store_url
from anomalyd.daemon.cli.read import Json, print_json
from anomalyd.errors import AnomalydError
from anomalyd.reports.outline import Outline
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.store import Store


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("outline")(outline)


def outline(
    report: Annotated[str, typer.Argument(help="The report's id, or its first letters.")],
    cell: Annotated[
        str, typer.Option(metavar="ROW,COL", help="A cell in the fault: its layer or row, and its column.")
    ],
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    who: Annotated[str | None, typer.Option(help="Whose label it is; the login name by default.")] = None,
    keep: Annotated[bool, typer.Option("--keep/--look", help="Keep it with the report, or look.")] = True,
    as_json: Json = False,
) -> None:
    """Outline the fault around one cell of a map: cells, hardware units, edges and its own odds.

    Rows carry the numbers people use (layers of a chamber), columns count from 1.
    """
    from anomalyd.interpret.maps.label import outline_of

    url = store_url(config, store)
    with closing(Queries.open(url)) as queries:
        found = queries.report(report)
        evidence = queries.evidence(found.incident.id)
    if evidence is None or evidence.values.ndim != 2:
        raise AnomalydError(f"report {found.incident.id}: no map is kept with it; only maps have cells")
    try:
        row, column = (int(part) for part in cell.split(","))
    except ValueError:
        raise typer.BadParameter(f"{cell!r} is not ROW,COL, as 9,31", param_hint="--cell") from None
    drawn = outline_of(found.incident, evidence, row, column, who or getpass.getuser())
    if keep:
        with closing(Store.open(url)) as writer:
            drawn = writer.outlines.keep(drawn)
    if as_json:
        print_json(asdict(drawn))
        return
    for line in lines(drawn):
        typer.echo(line)


def lines(drawn: Outline) -> list[str]:
    """Say an outline in sentences."""
    told = [
        f"{drawn.text} ({drawn.seen:.0f} of {drawn.expected:.0f} in {len(drawn.cells)} cells)",
        f"log odds {drawn.nats:.1f}" + ("" if drawn.nats > 0 else ": no more than chance"),
    ]
    if drawn.units:
        told.append(f"hardware units: {', '.join(drawn.units)}")
    told += ["edge: " + " ".join(f"{c:g},{r:g}" for c, r in polygon) for polygon in drawn.polygons]
    return [*told, f"kept as label {drawn.id} by {drawn.who}"] if drawn.id else told
