"""The command tune: better parameters for one's own data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
import yaml

from anomalyd.daemon.cli.learning.train import Csv, Entity, FromStore, Parquet, history_of
from anomalyd.daemon.cli.options import DEFAULT_CONFIG, ConfigFile, log_to_stderr
from anomalyd.daemon.config.config import Config, DetectorConfig, load_config

if TYPE_CHECKING:
    from anomalyd.daemon.learning.training import History
    from anomalyd.detectors.detector import Progress
    from anomalyd.detectors.evaluation.metrics.competitor import Competitor
    from anomalyd.detectors.tuning.folds import Fold
    from anomalyd.detectors.tuning.study import Tuned


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("tune")(tune)


def tune(
    detector: Annotated[
        str | None, typer.Argument(help="The detector to tune; needed where the configuration has several.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    data: Annotated[
        Path | None,
        typer.Option(
            help="A folder of labelled .npz files, as of evaluate metrics; needs --kind.", exists=True
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help="With --data: the kind of detector to tune, without a configuration.")
    ] = None,
    interval: Annotated[float, typer.Option(min=0.001, help="With --data: seconds between two rows.")] = 60.0,
    classical: Annotated[
        bool, typer.Option("--classical", help="Tune the classical peer instead of the autoencoder.")
    ] = False,
    csv: Csv = None,
    parquet: Parquet = None,
    entity: Entity = None,
    from_store: FromStore = False,
    trials: Annotated[int, typer.Option(min=1, help="How many sets of parameters are tried.")] = 50,
    jobs: Annotated[int, typer.Option(min=1, help="How many at a time, each in a process of its own.")] = 1,
    study: Annotated[
        Path, typer.Option(help="The file that keeps the trials; the same one goes on.", dir_okay=False)
    ] = Path("tune.journal"),
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same, with one job.")] = 0,
) -> None:
    """Look for better parameters on your own data, and print them for the configuration.

    Judged is the area under the precision-recall curve on later data than was trained on: of labelled
    anomalies (--data), or of anomalies of known size that are injected.
    """
    log_to_stderr()
    from anomalyd.daemon.progress import showing

    if (data is None) != (kind is None):
        raise typer.BadParameter("--data and --kind go together", param_hint="--data")
    with showing() as progress:
        if data is not None and kind is not None:
            competitor, folds = _labelled(data, kind, interval, seed)
            name = None
        else:
            found = load_config(config)
            chosen = _one(found, detector)
            history = history_of(found, csv, parquet, entity, from_store)
            competitor, folds = _unlabelled(found, chosen, history, classical, seed, progress)
            name = chosen.name
        from anomalyd.detectors.tuning.study import tune as search

        tuned = search(competitor, folds, study, trials=trials, jobs=jobs, seed=seed, progress=progress)
    typer.echo(_reported(name, competitor.kind, classical, competitor.parameters, tuned))


def _one(config: Config, name: str | None) -> DetectorConfig:
    from anomalyd.daemon.config.chosen_detectors import chosen_detectors

    chosen = chosen_detectors(config, name)
    if len(chosen) > 1:
        known = ", ".join(d.name for d in chosen)
        raise typer.BadParameter(f"name one of {known}", param_hint="DETECTOR")
    return chosen[0]


def _labelled(data: Path, kind: str, interval_s: float, seed: int) -> tuple[Competitor, list[Fold]]:
    from anomalyd.detectors.evaluation.metrics.competitor import Competitor
    from anomalyd.detectors.evaluation.metrics.labelled import files_of, read_labelled
    from anomalyd.detectors.tuning.folds import folds_with_labels

    competitor = Competitor(kind, seed=seed)
    competitor.check()
    return competitor, folds_with_labels([read_labelled(file, interval_s) for file in files_of(data)])


def _unlabelled(
    config: Config,
    detector: DetectorConfig,
    history: History | None,
    classical: bool,
    seed: int,
    progress: Progress,
) -> tuple[Competitor, list[Fold]]:
    from anomalyd.daemon.learning.history import read_history
    from anomalyd.daemon.scoring.alert_policy import Policy
    from anomalyd.detectors.evaluation.metrics.competitor import Competitor
    from anomalyd.detectors.tuning.folds import folds_without_labels

    if classical:
        competitor = Competitor(detector.classical_kind, detector.classical_parameters, seed=seed)
    else:
        competitor = Competitor(detector.kind, detector.parameters, seed=seed)
    competitor.check()
    if history is None:
        training = read_history(config, [detector], progress=progress)[detector.name]
    else:
        training = history([detector])[detector.name]
    return competitor, folds_without_labels(Policy.of(detector).learnable(training), seed=seed)


def _reported(name: str | None, kind: str, classical: bool, given: Mapping[str, Any], tuned: Tuned) -> str:
    """Say what was found as YAML to be put into the configuration."""
    best = {**given, **{n: _short(value) for n, value in tuned.best.items()}}
    setting = "classical_parameters" if classical else "parameters"
    detector = {**({"name": name} if name else {"kind": kind}), setting: best}
    return (
        f"# {kind}: mean auprc {tuned.objective:.3f}, {tuned.given:.3f} as it was; {tuned.trials} trials\n"
        + yaml.safe_dump({"detectors": [detector]}, sort_keys=False).rstrip()
    )


def _short(value: float) -> float:
    """Four digits: more would only look exact."""
    return value if isinstance(value, int) else float(f"{value:.4g}")
