"""The command neurons: which hidden units of a model tell faults apart, and what they look for."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anomalyd.errors import AnomalydError

if TYPE_CHECKING:
    from anomalyd.detectors.model import Model
    from anomalyd.interpret.neurons.samples import Windows

MEMBER = "autoencoder"


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("neurons")(neurons)


def neurons(
    model: Annotated[
        Path,
        typer.Argument(
            help="The folder of a model: a version's, or its `autoencoder`.", exists=True, file_okay=False
        ),
    ],
    data: Annotated[
        Path,
        typer.Option(
            help="Labelled data, an .npz: train, test, label of metrics, or maps and labels.",
            exists=True,
            dir_okay=False,
        ),
    ],
    out: Annotated[Path, typer.Option(help="The folder for neurons.json and neurons.png.", file_okay=False)],
    entity: Annotated[
        str | None, typer.Option(help="Whose metrics they are; the file's name by default.")
    ] = None,
    most: Annotated[int, typer.Option(min=1, max=30, help="Units on the sheet of pictures.")] = 8,
    samples: Annotated[
        int, typer.Option(min=12, help="Normal and anomalous samples that are looked at, at most.")
    ] = 200,
) -> None:
    """Rank a model's hidden units by how well they tell anomalous from normal samples.

    The best are mapped back to the input: on a sheet of pictures. What is usual of the units is kept beside
    the model, so that reports name those that fired unusually.
    """
    from anomalyd.detectors.detector import Explainable, Layered
    from anomalyd.interpret.neurons.sheet import draw_sheet
    from anomalyd.interpret.neurons.study import study_units

    loaded, folder = _load(model)
    detector: object = loaded.detector
    if not isinstance(detector, Layered) or not isinstance(detector, Explainable):
        raise AnomalydError(
            f"{folder}: {loaded.card.kind} has no hidden layers that its input reaches; "
            "map-autoencoder and vector-autoencoder have"
        )
    normal, anomalous = _windows(loaded, data, entity, samples)
    study = study_units(detector, normal, anomalous, most)
    out.mkdir(parents=True, exist_ok=True)
    title = f"{loaded.card.kind}, {data.name}: {len(anomalous)} anomalous of {len(anomalous) + len(normal)}"
    (out / "neurons.png").write_bytes(draw_sheet(study.mapped, title, loaded.card.features))
    ranked = [asdict(unit) for unit in study.ranked]
    (out / "neurons.json").write_text(json.dumps(ranked, indent=1))
    study.usual.save(folder)
    telling = sum(unit.p < 0.05 for unit in study.ranked)
    typer.echo(f"{telling} of {len(study.ranked)} hidden units tell them apart (corrected p < .05)")
    for unit in study.ranked[:most]:
        fires = "more" if unit.side > 0 else "less"
        typer.echo(f"{unit.layer} unit {unit.unit}: area {unit.area:.3f}, p {unit.p:.3f}, fires {fires}")
    typer.echo(f"pictures: {out / 'neurons.png'}")


def _load(folder: Path) -> tuple[Model, Path]:
    from anomalyd.detectors.model import load_model

    own = folder / MEMBER if (folder / MEMBER).is_dir() else folder
    return load_model(own), own


def _windows(model: Model, data: Path, entity: str | None, most: int) -> tuple[Windows, Windows]:
    from anomalyd.interpret.neurons.samples import map_windows, metric_windows

    if model.card.sample_kind == "map":
        return map_windows(data, most)
    return metric_windows(model, data, entity or data.stem, most)
