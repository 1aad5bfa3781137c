"""Commands of the trained versions: models list, models pin, models unpin, models compare."""

from __future__ import annotations

import getpass
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anomalyd.daemon.cli.learning.train import Csv, Entity, FromStore, Parquet, history_of
from anomalyd.daemon.cli.options import DEFAULT_CONFIG, ConfigFile, Json, log_to_stderr, print_json
from anomalyd.daemon.config.chosen_detectors import chosen_detectors
from anomalyd.daemon.config.config import load_config

if TYPE_CHECKING:
    from anomalyd.daemon.learning.promotion import Decision

models = typer.Typer(help="The trained versions: which is at work, and how two differ.", no_args_is_help=True)

Detector = Annotated[str, typer.Argument(help="The detector, by its name in the configuration.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(models, name="models")


@models.command("list")
def list_(config: ConfigFile = DEFAULT_CONFIG, as_json: Json = False) -> None:
    """List the versions of every detector, the newest last, and say which is pinned."""
    from anomalyd.detectors.library import ModelLibrary

    found = load_config(config)
    library = ModelLibrary(Path(found.store.models))
    rows = []
    for detector in found.detectors:
        pinned = library.pinned(detector.name)
        rows += [
            (detector.name, version, pinned if pinned is not None and pinned.version == version else None)
            for version in library.versions(detector.name)
        ]
    if as_json:
        print_json([{"detector": d, "version": v, "pinned": pin is not None} for d, v, pin in rows])
        return
    for name, version, pin in rows:
        typer.echo(f"{name} {version}" + (f" pinned by {pin.who}: {pin.reason}" if pin else ""))


@models.command("pin")
def pin(
    detector: Detector,
    version: Annotated[str, typer.Argument(help="The version to keep at work.")],
    reason: Annotated[str, typer.Option(help="Why.")],
    config: ConfigFile = DEFAULT_CONFIG,
    who: Annotated[str | None, typer.Option(help="Your name; the login name by default.")] = None,
) -> None:
    """Roll back: keep a version at work, whatever is published later; daemons take it within seconds."""
    from anomalyd.detectors.library import ModelLibrary, Pin

    found = load_config(config)
    [name] = [d.name for d in chosen_detectors(found, detector)]
    library = ModelLibrary(Path(found.store.models))
    library.pin(name, Pin(version, who or getpass.getuser(), reason, time.time()))
    typer.echo(f"{name}: {version} stays at work until `anomalyd models unpin {name}`")


@models.command("unpin")
def unpin(detector: Detector, config: ConfigFile = DEFAULT_CONFIG) -> None:
    """Let the newest version be at work again."""
    from anomalyd.detectors.library import ModelLibrary

    found = load_config(config)
    [name] = [d.name for d in chosen_detectors(found, detector)]
    ModelLibrary(Path(found.store.models)).unpin(name)
    typer.echo(f"{name}: the newest version is at work")


@models.command("compare")
def compare(
    detector: Detector,
    candidate: Annotated[str, typer.Argument(help="A version, or one of the candidates.")],
    old: Annotated[str, typer.Argument(help="The version to hold it against.")],
    config: ConfigFile = DEFAULT_CONFIG,
    csv: Csv = None,
    parquet: Parquet = None,
    entity: Entity = None,
    from_store: FromStore = False,
    as_json: Json = False,
) -> None:
    """Score the newest tenth of the samples by two versions: where do they differ?

    The dashboard shows it, too. The samples are those that the topics still hold, that the store kept, or
    of files.
    """
    log_to_stderr()
    from anomalyd.daemon.learning.comparisons import compared

    found = load_config(config)
    [about] = chosen_detectors(found, detector)
    history = history_of(found, csv, parquet, entity, from_store)
    samples = None if history is None else history([about])[about.name]
    decision = compared(found, about, candidate, old, samples)
    if as_json:
        print_json(decision.as_dict() | {"old_version": old})
        return
    for line in comparison_lines(decision):
        typer.echo(line)


def comparison_lines(decision: Decision) -> list[str]:
    """Say how two versions compare."""
    lines = []
    for who, of in (("candidate", decision.candidate), ("old", decision.old)):
        if of is not None:
            lines.append(
                f"{who}: {of.alert_rate:.2%} of the samples alert, {of.faults_found:.0%} of made faults found"
            )
    lines.append(f"gate: {decision.why or 'passed'}")
    if (differs := decision.differs) is not None:
        lines.append(
            f"of {differs.samples} samples: {differs.candidate} by the candidate alone, {differs.old} by the "
            f"old one alone, {differs.both} by both"
        )
        lines += [f"  {e.entity}: {e.candidate} / {e.old} / {e.both}" for e in differs.entities]
    return lines
