"""The command compare: a run at a glance, and beside reference runs."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict
from typing import Annotated

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, Json, MaybeConfig, StoreUrl, print_json, store_url
from anomalyd.errors import QuestionError
from anomalyd.reports.queries import Queries
from anomalyd.reports.run_summary import as_text, best_references

_PROPOSED = 3


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("compare")(compare)


def compare(
    run: Annotated[int, typer.Option("--run", min=0, help="The run.")],
    reference: Annotated[
        list[int] | None, typer.Option("--reference", help="A run to hold it against; may be repeated.")
    ] = None,
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    as_json: Json = False,
) -> None:
    """Summarise a run by detector system, beside reference runs; says which runs would serve as one."""
    with closing(Queries.open(store_url(config, store))) as queries:
        known = queries.runs()
        for each in (run, *(reference or ())):
            if each not in known:
                shown = ", ".join(map(str, known[-10:])) or "none"
                raise QuestionError(f"run {each}: no lumisection was seen of it; known runs: {shown}")
        summary = queries.run_summary(run)
        references = [queries.run_summary(each) for each in reference or ()]
        good = best_references(summary, (queries.run_summary(r) for r in known))[:_PROPOSED]
    if as_json:
        print_json(
            {
                "run": asdict(summary),
                "references": [asdict(r) for r in references],
                "good_references": good,
            }
        )
        return
    typer.echo(as_text(summary, references))
    if not references:
        named = ", ".join(map(str, good)) or "none: no other run has its systems"
        typer.echo(f"\nGood references, the best first: {named}")
