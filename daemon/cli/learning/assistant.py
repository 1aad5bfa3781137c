"""The command evaluate assistant: the committed questions, asked and graded."""

from __future__ import annotations

import tempfile
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from anomalyd.daemon.cli.converse import library
from anomalyd.daemon.cli.learning.evaluate import evaluate


def add_to(app: typer.Typer) -> None:
    """Add the command to `evaluate`."""
    evaluate.command("assistant")(evaluate_assistant)


def evaluate_assistant(
    stores: Annotated[
        Path | None, typer.Option(help="Keep the generated stores here.", file_okay=False)
    ] = None,
    index: Annotated[Path | None, typer.Option(help="Search documents with an index in this folder.")] = None,
    failures: Annotated[
        bool, typer.Option("--failures", help="Print every question not answered exactly.")
    ] = False,
) -> None:
    """Ask the committed questions over generated stores, grade the answers, and print the figures by kind."""
    from anomalyd.assistant.answer import Assistant
    from anomalyd.assistant.evaluation.run import KINDS, table
    from anomalyd.assistant.evaluation.run import evaluate as ask_all
    from anomalyd.assistant.files import AssistantFiles
    from anomalyd.assistant.intent.opinion import SecondOpinion

    kinds = tuple(kind for kind in KINDS if index is not None or kind != "documents")
    with tempfile.TemporaryDirectory() as scratch:
        folder = stores or Path(scratch)
        folder.mkdir(parents=True, exist_ok=True)
        outcomes = ask_all(
            folder,
            lambda queries, plan: Assistant(
                queries,
                clock=lambda: plan.now,
                groups=plan.groups,
                library=None if index is None else library(queries, partial(AssistantFiles, index)),
                opinion=SecondOpinion(),
            ),
            kinds,
        )
    for outcome in outcomes:
        if failures and outcome.grade.verdict != "exact":
            typer.echo(
                f"{outcome.store} {outcome.kind} {outcome.grade.verdict}: {outcome.question}: "
                f"{outcome.grade.why}"
            )
    typer.echo(table(outcomes))
