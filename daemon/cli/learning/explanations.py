"""The command evaluate explanations: how good explanations of maps are, on simulated faults."""

from __future__ import annotations

from typing import Annotated

import typer

from anomalyd.daemon.cli.learning.evaluate import Out, Seed, evaluate
from anomalyd.daemon.cli.options import log_to_stderr


def add_to(app: typer.Typer) -> None:
    """Add the command to `evaluate`."""
    evaluate.command("explanations")(explanations)


def explanations(
    out: Out,
    geometry: Annotated[str, typer.Option(help="dt, ecal-barrel, ecal-endcap, hcal, or a YAML file.")] = "dt",
    kind: Annotated[str, typer.Option(help="The kind of detector.")] = "map-autoencoder",
    counts: Annotated[float, typer.Option(min=1, help="Mean counts of a cell.")] = 50.0,
    number: Annotated[int, typer.Option("--maps", min=2, help="Faulty maps of each kind.")] = 10,
    seed: Seed = 0,
) -> None:
    """Explain simulated faults by every method and judge it: cells, fidelity, cost; and outline them."""
    log_to_stderr()
    from anomalyd.interpret.evaluation import explanations_table, judge_explanations

    found = judge_explanations(geometry, kind, counts, number, seed)
    out.mkdir(parents=True, exist_ok=True)
    table = explanations_table(found)
    (out / "explanations.md").write_text(table, encoding="utf-8")
    typer.echo(table)
