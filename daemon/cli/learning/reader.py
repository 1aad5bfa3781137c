"""Commands of the assistant's reader and retrieval: train-reader, evaluate reader, evaluate retrieval."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anomalyd.daemon.cli.learning.evaluate import evaluate
from anomalyd.daemon.cli.options import Json, log_to_stderr

if TYPE_CHECKING:
    from anomalyd.assistant.reader.evaluation import ReaderFigures

Questions = Annotated[list[Path], typer.Argument(help="Files in SQuAD's layout.", exists=True)]
Folder = Annotated[
    Path | None,
    typer.Option("--model", help="Another one: a folder in Hugging Face's layout.", file_okay=False),
]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("train-reader")(train_reader)
    evaluate.command("reader")(evaluate_reader)
    evaluate.command("retrieval")(evaluate_retrieval)


def train_reader(
    files: Annotated[
        list[str],
        typer.Argument(help="Answerable questions in SQuAD's layout; FILE:5000 takes 5,000 of them."),
    ],
    deceptive: Annotated[
        list[Path],
        typer.Option(help="Questions that people wrote to have no answer, as SQuAD 2.0's.", exists=True),
    ],
    out: Annotated[Path, typer.Option(help="The folder of the reader.", file_okay=False)],
    work: Annotated[
        Path | None,
        typer.Option(help="Where what is done is kept and taken up; OUT/work by default.", file_okay=False),
    ] = None,
    steps: Annotated[
        int, typer.Option(min=0, help="Steps of the first stage; 0: all the questions. The shipped one: 500.")
    ] = 500,
    passes: Annotated[int, typer.Option(min=1, help="Passes over the questions of the second stage.")] = 1,
    rank: Annotated[
        int, typer.Option(min=1, help="Rank of what is written: larger files are closer to the training.")
    ] = 96,
    folds: Annotated[int, typer.Option(min=2, help="Parts in which articles are held out.")] = 6,
    measured: Annotated[int, typer.Option(min=1, help="How many of the parts are held out in turn.")] = 1,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same.")] = 1,
    threads: Annotated[int, typer.Option(min=1, help="Threads.")] = 1,
) -> None:
    """Train the reader from MiniLM's weights, measure and calibrate it on articles held out, and write it.

    Interrupted, it goes on where it was.
    """
    log_to_stderr()
    from anomalyd.assistant.reader.production import produce_reader
    from anomalyd.assistant.reader.recipe import Recipe, drawn
    from anomalyd.assistant.reader.squad import licence_of, read_squad
    from anomalyd.daemon.progress import showing

    wide, data = [], {}
    for given in files:
        path, most = _counted(given)
        examples = read_squad(path)
        wide += drawn(examples, len(examples) if most is None else most)
        data[path.name] = licence_of(path)
    hard = [example for path in deceptive for example in read_squad(path)]
    data |= {path.name: licence_of(path) for path in deceptive}
    recipe = Recipe(seed=seed, steps=steps or None, passes=passes, threads=threads)
    with showing() as progress:
        full, found = produce_reader(
            wide,
            hard,
            recipe=recipe,
            rank=rank,
            folds=folds,
            measured=measured,
            data=data,
            work=work or out / "work",
            out=out,
            progress=progress,
        )
    typer.echo(f"{out}: trained; held out, before the rank was cut to {rank}: F1 {100 * full.f1:.1f}")
    _show(found)


def evaluate_reader(files: Questions, model: Folder = None, as_json: Json = False) -> None:
    """Measure the reader on questions that it has not seen: F1, sentences, and whether probabilities hold."""
    log_to_stderr()
    from anomalyd.assistant.reader.evaluation import figures, read_all
    from anomalyd.assistant.reader.reader import Reader
    from anomalyd.assistant.reader.squad import read_squad

    reader = Reader.load(model)
    found = figures(read_all(reader, [example for path in files for example in read_squad(path)]))
    if as_json:
        typer.echo(json.dumps(asdict(found)))
    else:
        _show(found)


def evaluate_retrieval(files: Questions, model: Folder = None, as_json: Json = False) -> None:
    """Measure how often the paragraph of a question is found first, among the first five and ten."""
    log_to_stderr()
    from anomalyd.assistant.encoder import Encoder
    from anomalyd.assistant.reader.squad import read_squad
    from anomalyd.assistant.retrieval.evaluation import evaluate_search

    examples = [example for path in files for example in read_squad(path)]
    pairs = [(e.question, e.context) for e in examples if e.answers]
    found = evaluate_search(pairs, [e.context for e in examples], Encoder.load(model))
    if as_json:
        typer.echo(json.dumps(asdict(found)))
        return
    typer.echo(
        f"{found.questions} questions, {found.passages} paragraphs, {found.milliseconds:.0f} ms CPU each"
    )
    for name, recall in found.recall.items():
        typer.echo(f"{name:<8} " + "  ".join(f"R@{k} {100 * share:.1f} %" for k, share in recall.items()))


def _counted(given: str) -> tuple[Path, int | None]:
    name, colon, count = given.rpartition(":")
    path, most = (Path(name), int(count)) if colon and count.isdigit() else (Path(given), None)
    if not path.is_file():
        raise typer.BadParameter(f"there is no file {path}", param_hint="FILES")
    return path, most


def _show(found: ReaderFigures) -> None:
    typer.echo(
        f"{found.questions} questions, {found.answerable} answerable: "
        f"EM {100 * found.exact:.1f}, F1 {100 * found.f1:.1f} (at margin 0: {100 * found.f1_at_zero:.1f}); "
        f"always answering, on the answerable: F1 {100 * found.forced:.1f}, "
        f"in the sentence {100 * found.sentence:.1f} %; ECE {found.ece:.3f}"
    )
    typer.echo("probability   answers   mean   right")
    for b in found.table:
        typer.echo(f"{b.low:.1f} to {b.high:.1f}   {b.count:8} {b.probability:6.3f}  {b.right:6.3f}")
