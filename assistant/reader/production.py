"""From question files to a reader that can be used: trained, measured on articles held out, calibrated."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from anomalyd.assistant.encoder import fast_type, installed_folder
from anomalyd.assistant.reader.calibration import Calibration
from anomalyd.assistant.reader.evaluation import Read, ReaderFigures, figures, read_all
from anomalyd.assistant.reader.reader import Reader
from anomalyd.assistant.reader.recipe import Course, Recipe, fold_of
from anomalyd.assistant.reader.squad import Example
from anomalyd.assistant.reader.weights import applied, difference, save_reader
from anomalyd.detectors.detector import Progress
from anomalyd.errors import TrainingError
from anomalyd.extras import extra


def produce_reader(
    wide: Sequence[Example],
    deceptive: Sequence[Example],
    *,
    recipe: Recipe,
    rank: int,
    folds: int,
    measured: int,
    data: Mapping[str, str],
    work: Path,
    out: Path,
    progress: Progress,
    clock: Callable[[], float] = time.time,
) -> tuple[ReaderFigures, ReaderFigures]:
    """Train a reader and write it to `out`; gives the figures of the network as tuned, and as written.

    `measured` of the `folds` of `deceptive` are held out in turn, articles whole: their questions give the
    figures and the calibration. The one that held out the first fold is written; it is not trained again on
    everything, because the calibration would belong to another reader. What is done is kept in `work`, and
    taken up there. `data` names the files with their licences, for the card.

    Raises:
        TrainingError: there is nothing to hold out, or `work` holds the training on other questions.

    """
    fold = fold_of(deceptive, folds)
    if not 1 <= measured <= folds or len(set(fold.values())) < 2:
        raise TrainingError(
            f"{len(fold)} articles in {folds} folds of which {measured} are measured: nothing can be held "
            "out; give a file with more articles, or fewer folds"
        )
    with extra("assistant", "the reader"):
        from transformers import AutoTokenizer
    tokenizer = AutoTokenizer.from_pretrained(installed_folder(), local_files_only=True)
    course = Course(wide, recipe, tokenizer, work, progress)
    first = course.first()
    tuned: list[Read] = []
    written: list[Read] = []
    differences = []
    for k in range(measured):
        kept = [e for e in deceptive if fold[e.article] != k]
        held = [e for e in deceptive if fold[e.article] == k]
        network = course.second(copy.deepcopy(first), kept, f"second-{k}")
        differences.append(difference(network, rank))
        tuned += read_all(_reader(network, tokenizer), held)
        written += read_all(_reader(applied(differences[-1]), tokenizer), held)
    full, found = figures(tuned, fold), figures(written, fold)
    card = {
        "recipe": asdict(recipe),
        "rank": rank,
        "data": dict(data),
        "questions": {"first stage": len(wide), "second stage": sum(fold[e.article] != 0 for e in deceptive)},
        "held_out": sorted(name for name, k in fold.items() if k == 0),
        "created": clock(),
        "figures": {"folds": folds, "measured": measured, "f1_of_full_rank": full.f1, **asdict(found)},
    }
    save_reader(out, differences[0], found.calibration, card)
    return full, found


def _reader(network: Any, tokenizer: Any) -> Reader:
    return Reader(network.to(fast_type()).eval(), tokenizer, Calibration(1.0, 0.0))
