"""The command train, and where training data come from: the topics, the store, or files."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, ConfigFile, log_to_stderr
from anomalyd.daemon.config.config import Config, DetectorConfig, load_config

if TYPE_CHECKING:
    from anomalyd.daemon.learning.training import History
    from anomalyd.detectors.detector import TrainingSet

Csv = Annotated[
    list[Path] | None,
    typer.Option(
        "--csv",
        help="Take this CSV file instead of the topics: columns time, perhaps entity, and one for each "
        "metric; or time, metric, value. May be given more than once.",
        dir_okay=False,
    ),
]
Parquet = Annotated[
    list[Path] | None, typer.Option("--parquet", help="The same as a Parquet file.", dir_okay=False)
]
Entity = Annotated[
    str | None, typer.Option(help="The entity of files that have no such column; the file's name by default.")
]
FromStore = Annotated[
    bool, typer.Option("--from-store", help="Take what the store kept (store.keep_samples_s).")
]


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("train")(train)


def train(
    detector: Annotated[
        str | None, typer.Argument(help="The detector to train; all of them if none is named.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    csv: Csv = None,
    parquet: Parquet = None,
    entity: Entity = None,
    from_store: FromStore = False,
    geometry: Annotated[
        str | None,
        typer.Option(help="Train the map scan on simulated elements: dt, ecal-barrel, ..., or a YAML file."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="With --geometry: the folder of the model.", file_okay=False)
    ] = None,
) -> None:
    """Train detectors and publish the models; a running daemon takes them.

    They are trained on what the topics still hold, on what the store kept, or on files.
    """
    log_to_stderr()
    if (geometry is None) != (out is None):
        raise typer.BadParameter("--geometry and --out go together", param_hint="--geometry")
    if geometry is not None and out is not None:
        return _train_geometry(geometry, out)
    from anomalyd.daemon.learning.training import train_detectors
    from anomalyd.daemon.progress import showing

    found = load_config(config)
    history = history_of(found, csv, parquet, entity, from_store)
    with showing() as progress:
        cards = train_detectors(found, detector, history=history, progress=progress)
    for name, (version, card) in cards.items():
        typer.echo(
            f"{name}: model {version}, {card.samples} samples of {len(card.shapes)} entities, "
            f"{card.trained_to - card.trained_from:.0f} s of data"
        )


def _train_geometry(geometry: str, out: Path) -> None:
    from anomalyd.daemon.progress import showing
    from anomalyd.detectors.maps.geometries.known import load_type
    from anomalyd.detectors.maps.shipped import train_geometry
    from anomalyd.detectors.model import save_model

    kind = load_type(geometry)
    with showing() as progress:
        model = train_geometry(kind, created=time.time(), progress=progress)
    save_model(model, out)
    typer.echo(f"{out}: {model.card.kind} of {kind.name}, {model.card.samples} simulated maps")


def history_of(
    config: Config,
    csv: Sequence[Path] | None,
    parquet: Sequence[Path] | None,
    entity: str | None,
    from_store: bool,
) -> History | None:
    """Give where training data come from: files, the store, or None: the topics."""
    if from_store and (csv or parquet):
        raise typer.BadParameter("take files or the store, not both", param_hint="--from-store")
    if from_store:
        from anomalyd.daemon.learning.sample_retention import kept_history
        from anomalyd.reports.storage.store import Store

        def kept(detectors: Sequence[DetectorConfig]) -> Mapping[str, TrainingSet]:
            with closing(Store.open(config.store.url.get_secret_value())) as store:
                return kept_history(store, detectors, time.time())

        return kept
    if csv or parquet:
        from anomalyd.daemon.learning.training_data import training_set_of
        from anomalyd.daemon.learning.training_files import read_csv, read_parquet

        blocks = [block for file in csv or () for block in read_csv(file, entity)]
        blocks += [block for file in parquet or () for block in read_parquet(file, entity)]
        return lambda detectors: {d.name: training_set_of(blocks, d) for d in detectors}
    return None
