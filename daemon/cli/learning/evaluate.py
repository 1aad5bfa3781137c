"""Commands that measure detectors: evaluate metrics, cases, maps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from anomalyd.daemon.cli.options import log_to_stderr

if TYPE_CHECKING:
    from anomalyd.detectors.evaluation.maps.faults import MapTask
    from anomalyd.detectors.evaluation.metrics.competitor import Competitor

Kind = Annotated[
    str,
    typer.Option(help="The kind of detector: an autoencoder's is measured beside its classical peer."),
]
Parameters = Annotated[
    str, typer.Option(help='Its parameters as JSON, as {"epochs": 20}; what is not named has its default.')
]
Jobs = Annotated[int, typer.Option(min=1, help="How many at a time, each in a process of its own.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same.")]
Out = Annotated[Path, typer.Option(help="The folder for what is found.", file_okay=False)]

DEFAULT_KIND = "vector-ensemble"

SOME_FAILED = 1
"""Exit status where some series could not be measured; 2, as everywhere, where nothing could be done."""

evaluate = typer.Typer(help="Measure detectors.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(evaluate, name="evaluate")


@evaluate.callback()
def _evaluate() -> None:
    """Measure detectors."""


@evaluate.command("metrics")
def metrics(
    data: Annotated[Path, typer.Option(help="A folder of labelled .npz files, or one file.", exists=True)],
    out: Out,
    interval: Annotated[float, typer.Option(min=0.001, help="Seconds between two rows.")] = 60.0,
    kind: Kind = DEFAULT_KIND,
    parameters: Parameters = "{}",
    jobs: Jobs = 1,
    seed: Seed = 0,
    systematics: Annotated[
        bool,
        typer.Option(
            "--systematics",
            help="Also measure over five seeds, with less training data, missing values, noise, and a metric "
            "missing: systematics.md, .json and .png.",
        ),
    ] = False,
    rates: Annotated[
        bool,
        typer.Option(
            "--rates", help="Also measure false alarms a day where 0.1, 1 and 5 are wanted: rates.md, .json."
        ),
    ] = False,
    ablate: Annotated[
        bool,
        typer.Option(
            "--ablate", help="Also measure without each of its parts, over three seeds: ablation.md, .json."
        ),
    ] = False,
) -> None:
    """Train on each file's `train`, stream its `test` causally, and print the figures.

    A file that cannot be used is named with its reason, the others are measured, and the exit status is 1.
    """
    log_to_stderr()
    from anomalyd.daemon.progress import showing
    from anomalyd.detectors.evaluation.metrics.evaluate import evaluate_metrics
    from anomalyd.detectors.evaluation.tables import figures_table

    competitor = _competitor(kind, parameters, seed)
    with showing() as progress:
        how: dict[str, Any] = {"interval_s": interval, "jobs": jobs, "progress": progress}
        measured = evaluate_metrics(data, out, competitor, **how)
        _show(out / "results.md", figures_table(measured.rows))
        if systematics:
            _systematics(data, out, competitor, how)
        if rates:
            _rates(data, out, competitor, how)
        if ablate:
            _ablation(data, out, competitor, how)
    _end(measured.failed)


def _systematics(data: Path, out: Path, competitor: Competitor, how: dict[str, Any]) -> None:
    from anomalyd.detectors.evaluation.metrics.systematics import measure_systematics
    from anomalyd.detectors.evaluation.metrics.systematics_plot import draw_systematics
    from anomalyd.detectors.evaluation.tables import systematics_table

    strained = measure_systematics(data, out, competitor, **how)
    draw_systematics(strained, out / "systematics.png")
    _show(out / "systematics.md", systematics_table(strained))


def _rates(data: Path, out: Path, competitor: Competitor, how: dict[str, Any]) -> None:
    from anomalyd.detectors.evaluation.metrics.rates import measure_rates
    from anomalyd.detectors.evaluation.tables import rates_table

    _show(out / "rates.md", rates_table(measure_rates(data, out, competitor, **how)))


def _ablation(data: Path, out: Path, competitor: Competitor, how: dict[str, Any]) -> None:
    from anomalyd.detectors.evaluation.metrics.ablation import measure_ablation
    from anomalyd.detectors.evaluation.tables import ablation_table

    _show(out / "ablation.md", ablation_table(measure_ablation(data, out, competitor, **how)))


@evaluate.command("cases")
def cases(
    out: Out,
    machines: Annotated[int, typer.Option(min=1, help="How many made-up machines each is laid on.")] = 5,
    kind: Kind = DEFAULT_KIND,
    parameters: Parameters = "{}",
    jobs: Jobs = 1,
    seed: Seed = 0,
) -> None:
    """Show what a detector does on constructed cases: drifts, steps, what lasts, freezes or vanishes.

    And on as many made-up plants of each fault: a row a second, 400 of them to train on.
    """
    log_to_stderr()
    from anomalyd.daemon.progress import showing
    from anomalyd.detectors.evaluation.metrics.case_results import evaluate_cases
    from anomalyd.detectors.evaluation.metrics.plant_results import evaluate_plants
    from anomalyd.detectors.evaluation.tables import cases_table, plants_table

    competitor = _competitor(kind, parameters, seed)
    with showing() as progress:
        plants = evaluate_plants(out, competitor, plants=machines, jobs=jobs, progress=progress)
        _show(out / "plants.md", plants_table(plants))
        rows = evaluate_cases(out, competitor, machines=machines, jobs=jobs, progress=progress)
    _show(out / "cases.md", cases_table(rows))


@evaluate.command("maps")
def maps(
    out: Out,
    geometry: Annotated[
        str | None, typer.Option(help="Simulate: dt, ecal-barrel, ecal-endcap, hcal, or a YAML file.")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="Or labelled maps: an .npz of maps and labels.", exists=True)
    ] = None,
    kinds: Annotated[str, typer.Option(help="The kinds of detector, with commas.")] = "map-scan",
    faults: Annotated[str, typer.Option(help="The kinds of fault, with commas; all by default.")] = "",
    counts: Annotated[str, typer.Option(help="Mean counts of a cell, with commas.")] = "5,15,50,300",
    number: Annotated[
        int, typer.Option("--maps", min=20, help="Normal maps, and faulty ones of each.")
    ] = 1000,
    history: Annotated[int, typer.Option(min=0, help="Earlier maps that each element has.")] = 20,
    drift: Annotated[float, typer.Option(min=0, max=0.5, help="Relative drift of the shapes, rms.")] = 0.0,
    seeds: Annotated[int, typer.Option(min=1, help="How often all is repeated.")] = 3,
    sequences: Annotated[
        bool, typer.Option("--sequences", help="Also delay and false alarms in a stream: sequences.md.")
    ] = False,
    normal: Annotated[
        bool, typer.Option("--normal", help="Only say what simulated normal maps look like: normal.md.")
    ] = False,
    alarms: Annotated[
        bool, typer.Option("--alarms", help="Only count alarms of normal maps, --maps elements: alarms.md.")
    ] = False,
    noise: Annotated[
        str,
        typer.Option(help="Variances of the sum of four sister layers over Poisson's, with commas."),
    ] = "",
    rate: Annotated[float, typer.Option(min=1e-6, max=0.5, help="The false-alarm rate.")] = 0.001,
    jobs: Jobs = 1,
    seed: Seed = 0,
) -> None:
    """Measure map detectors beside the classical tests and, simulated, beside the statistical limit."""
    log_to_stderr()
    from anomalyd.detectors.evaluation.maps.faults import MapTask

    if (geometry is None) == (data is None):
        raise typer.BadParameter("give either --geometry or --data", param_hint="--geometry")
    out.mkdir(parents=True, exist_ok=True)
    chosen = _listed(kinds)
    if data is not None:
        return _labelled_maps(data, out, chosen, rate, seed)
    if normal:
        return _normal_maps(geometry or "", out, seed)
    if alarms:
        return _alarm_shares(
            geometry or "", out, (_levels(noise or "1,1.8,2.6"), _levels(counts)), number, seed
        )
    tasks = [
        MapTask(geometry or "", level, seed + s, number, history, drift, chosen, _listed(faults), wide)
        for s in range(seeds)
        for wide in _levels(noise or "1")
        for level in _levels(counts)
    ]
    _simulated_maps(tasks, out, rate, jobs)
    if sequences:
        _sequences([task for task in tasks if task.seed == seed], out, rate)


def _normal_maps(geometry: str, out: Path, seed: int) -> None:
    from anomalyd.detectors.evaluation.maps.normal_maps import normal_figures
    from anomalyd.detectors.evaluation.maps.tables import normal_table
    from anomalyd.detectors.maps.geometries.known import load_type

    _show(out / "normal.md", normal_table(normal_figures(load_type(geometry), seed)))


def _alarm_shares(
    geometry: str, out: Path, levels: tuple[Sequence[float], Sequence[float]], number: int, seed: int
) -> None:
    from anomalyd.daemon.progress import showing
    from anomalyd.detectors.evaluation.maps.alarm_rates import measure_alarm_shares, shares_table

    with showing() as progress:
        found = measure_alarm_shares(geometry, *levels, elements=number, seed=seed, progress=progress)
    _show(out / "alarms.md", shares_table(found))


def _simulated_maps(tasks: list[MapTask], out: Path, rate: float, jobs: int) -> None:
    from anomalyd.daemon.progress import showing
    from anomalyd.detectors.evaluation.maps.faults import measure_maps
    from anomalyd.detectors.evaluation.maps.tables import alarms_table, faults_table, write_rows

    with showing() as progress:
        measured = measure_maps(tasks, false_alarm_rate=rate, jobs=jobs, progress=progress)
    write_rows(measured.rows, out / "results.json")
    _show(out / "results.md", faults_table(measured.rows))
    _show(out / "alarms.md", alarms_table(measured.alarms))


def _sequences(tasks: list[MapTask], out: Path, rate: float) -> None:
    from anomalyd.detectors.evaluation.maps.sequences import measure_sequences
    from anomalyd.detectors.evaluation.maps.tables import sequences_table

    found = [row for task in tasks for row in measure_sequences(task, rate)]
    _show(out / "sequences.md", sequences_table(found))


def _labelled_maps(data: Path, out: Path, kinds: tuple[str, ...], rate: float, seed: int) -> None:
    import numpy as np

    from anomalyd.daemon.progress import showing
    from anomalyd.detectors.evaluation.maps.data import (
        classical_scores,
        data_rows,
        flagged_table,
        judge_maps,
        read_maps,
    )
    from anomalyd.detectors.evaluation.maps.tables import faults_table, write_rows

    labelled = read_maps(data)
    if not labelled.shipped:
        shape = labelled.maps.shape[1:]
        typer.echo(f"{data}: no geometry; what its cells are is guessed by their shape {shape}")
    with showing() as progress:
        judged = judge_maps(labelled, kinds, false_alarm_rate=rate, seed=seed, progress=progress)
    rows = data_rows(labelled, {k: j.score for k, j in judged.items()} | classical_scores(labelled), seed)
    write_rows(rows, out / "results.json")
    first = judged[kinds[0]]
    np.savez_compressed(
        out / "scores.npz",
        score=first.score,
        cells=first.cells,
        units=first.units.pulls,
        unit_names=np.array(first.units.names, dtype=str),
    )
    _show(out / "results.md", faults_table(rows))
    _show(out / "flagged.md", flagged_table(labelled, judged))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _levels(text: str) -> tuple[float, ...]:
    try:
        levels = tuple(float(part) for part in _listed(text))
    except ValueError:
        raise typer.BadParameter(f"not numbers with commas: {text}", param_hint="--counts") from None
    if not levels or min(levels) <= 0:
        raise typer.BadParameter("at least one number above 0", param_hint="--counts")
    return levels


def _competitor(kind: str, parameters: str, seed: int) -> Competitor:
    from anomalyd.detectors.evaluation.metrics.competitor import Competitor

    try:
        given: Any = json.loads(parameters)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="--parameters") from None
    if not isinstance(given, dict):
        raise typer.BadParameter(
            f'expected an object as {{"epochs": 20}}, found {parameters}', param_hint="--parameters"
        )
    return Competitor(kind, given, seed=seed)


def _show(file: Path, text: str) -> None:
    file.write_text(text + "\n", encoding="utf-8")
    typer.echo(text)


def _end(failed: Mapping[str, str]) -> None:
    """Name what could not be measured, and end with the status that says so."""
    if failed:
        for reason in failed.values():
            typer.echo(f"anomalyd: {reason}", err=True)
        typer.echo(f"anomalyd: {len(failed)} could not be measured, see failed.json", err=True)
        raise typer.Exit(SOME_FAILED)
