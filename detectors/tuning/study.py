"""The search itself: trials of parameters, several at once, kept in a file and taken up again.

Optuna's tree-structured Parzen estimator (Bergstra et al., "Algorithms for hyper-parameter optimization",
NeurIPS 2011) proposes; a trial that is worse than the median of the others after the same folds is given up.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from anomalyd.detectors.detector import Progress, silent
from anomalyd.detectors.evaluation.jobs import spread
from anomalyd.detectors.evaluation.metrics.competitor import Competitor
from anomalyd.detectors.training import data_sha256
from anomalyd.detectors.tuning.folds import Fold, judge
from anomalyd.detectors.tuning.space import Dimension, search_space
from anomalyd.errors import TrainingError
from anomalyd.extras import extra

if TYPE_CHECKING:
    import optuna

_RANDOM = 8
"""Trials that are drawn by chance before the estimator has something to go by."""

_UNPRUNED = 5
"""Trials that are always finished, so that there is a median to be worse than."""

_ENDED = ("COMPLETE", "PRUNED", "FAIL")
"""What became of a trial; one that a kill interrupted stays RUNNING for ever and does not count."""


@dataclass(frozen=True, slots=True)
class Tuned:
    """What came of a study: the best parameters with their objective, and that of the parameters given.

    `trials` were finished or given up by now, those of earlier runs included.
    """

    best: Mapping[str, int | float]
    objective: float
    given: float
    trials: int


@dataclass(frozen=True, slots=True)
class _Task:
    """All that a process needs for a trial."""

    file: Path
    competitor: Competitor
    folds: Sequence[Fold]
    space: tuple[Dimension, ...]


def tune(
    competitor: Competitor,
    folds: Sequence[Fold],
    file: Path,
    *,
    trials: int = 50,
    jobs: int = 1,
    seed: int = 0,
    progress: Progress = silent,
) -> Tuned:
    """Look for the parameters of the competitor's kind with the highest mean area over the folds.

    The study is kept in `file`; where there is one already, it goes on until it has `trials`. The first trial
    is the competitor's own parameters, so that what is found is never worse on these folds. With one job the
    same seed gives the same trials.

    Raises:
        TrainingError: Optuna is not installed, the kind declares nothing to tune, the file belongs to other
            data or another kind, or the competitor cannot be trained on the folds.

    """
    task = _Task(file, replace(competitor, alone=True), folds, _space_around(competitor))
    study = _open(task)
    _refuse_another(study, task)
    if not _with_state(study, "COMPLETE"):
        study.enqueue_trial({d.name: competitor.parameters.get(d.name, d.default) for d in task.space})
        # Alone: an error that every trial would have is one error, and there is something to compare with.
        _trial(seed, task=task, first=True)
    done = len(_with_state(study, *_ENDED))
    progress("tune", done, max(trials, done), {"best": study.best_value})
    seeds = [seed + number for number in range(done, trials)]
    for step, _ in enumerate(spread(partial(_trial, task=task), seeds, jobs), done + 1):
        progress("tune", step, trials, {"best": study.best_value})
    given = _with_state(study, "COMPLETE")[0].value
    assert given is not None
    return Tuned(dict(study.best_params), study.best_value, given, len(_with_state(study, *_ENDED)))


def _space_around(competitor: Competitor) -> tuple[Dimension, ...]:
    """Give the kind's search space, wide enough for what the competitor was given."""
    return tuple(
        replace(d, least=min(d.least, given), most=max(d.most, given))
        for d in search_space(competitor.kind)
        for given in (competitor.parameters.get(d.name, d.default),)
    )


def _trial(seed: int, *, task: _Task, first: bool = False) -> None:
    """Run one trial of the study, in this process."""
    import optuna

    study = _open(task, seed)

    def objective(trial: optuna.Trial) -> float:
        given = {**task.competitor.parameters, **{d.name: _suggest(trial, d) for d in task.space}}
        areas: list[float] = []
        for step, fold in enumerate(task.folds):
            areas.append(judge(replace(task.competitor, parameters=given), fold))
            trial.report(float(np.mean(areas)), step)
            if trial.should_prune():
                raise optuna.TrialPruned
        return float(np.mean(areas))

    # Parameters that this data cannot be trained with are a bad trial; those that were given must work.
    study.optimize(objective, n_trials=1, catch=() if first else (TrainingError,))


def _suggest(trial: optuna.Trial, d: Dimension) -> int | float:
    if d.whole:
        return trial.suggest_int(d.name, int(d.least), int(d.most), log=d.log)
    return trial.suggest_float(d.name, d.least, d.most, log=d.log)


def _open(task: _Task, seed: int | None = None) -> optuna.Study:
    """Open the study's file, made if needed.

    Raises:
        TrainingError: the file is no study's.
        MissingExtra: Optuna is not installed.

    """
    with extra("tune", "the search for parameters"):
        import optuna
        from optuna.storages.journal import JournalFileBackend
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        return optuna.create_study(
            storage=optuna.storages.JournalStorage(JournalFileBackend(str(task.file))),
            study_name=task.competitor.kind,
            direction="maximize",
            load_if_exists=True,
            sampler=optuna.samplers.TPESampler(seed=seed, n_startup_trials=_RANDOM),
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_UNPRUNED),
        )
    except (OSError, ValueError, KeyError) as error:
        raise TrainingError(f"{task.file}: cannot be used as the file of a study: {error}") from error


def _refuse_another(study: optuna.Study, task: _Task) -> None:
    """See that a study that goes on is of the same data and settings.

    Raises:
        TrainingError: it is not; its figures could not be compared.

    """
    digest = hashlib.sha256()
    for fold in task.folds:
        digest.update(data_sha256(fold.training).encode())
        for scene in fold.scenes:
            digest.update(scene.values.tobytes())
    tuned = {d.name for d in task.space}
    fixed = {name: value for name, value in sorted(task.competitor.parameters.items()) if name not in tuned}
    about = json.dumps({"data": digest.hexdigest(), "fixed": fixed, "seed": task.competitor.seed})
    if study.user_attrs.setdefault("about", about) != about:
        raise TrainingError(
            f"{task.file}: holds a study of other data or settings; name another file, or remove it"
        )
    study.set_user_attr("about", about)


def _with_state(study: optuna.Study, *states: str) -> list[optuna.trial.FrozenTrial]:
    return [trial for trial in study.get_trials(deepcopy=False) if trial.state.name in states]
