"""How well a reader reads: the figures of SQuAD 2.0, and whether its probabilities hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.assistant.reader.calibration import (
    Bin,
    Calibration,
    expected_calibration_error,
    fit_calibration,
    reliability,
)
from anomalyd.assistant.reader.reader import Reader
from anomalyd.assistant.reader.scoring import exact, f1
from anomalyd.assistant.reader.sentences import around, sentences
from anomalyd.assistant.reader.squad import Example


@dataclass(frozen=True, slots=True)
class Read:
    """What a reader made of a question: the span's margin, its scores, whether its sentence answers.

    `forced` and `exact` are those of the span, `sentence` says that the sentence around it holds an answer.
    Of an unanswerable question all are 0.
    """

    article: str
    answerable: bool
    margin: float
    forced: float
    exact: bool
    sentence: bool


@dataclass(frozen=True, slots=True)
class ReaderFigures:
    """Figures of n questions, all from 0 to 1.

    `exact` and `f1`: with "no answer" below `margin`, which was chosen for the best F1 on these questions
    (as the official script does). `forced` and `sentence`: on the answerable ones, always answering. `ece`:
    mean distance of probability and share right, `table` its bins; the probability of each article comes
    from a calibration on the others. `calibration` is that of all.
    """

    questions: int
    answerable: int
    exact: float
    f1: float
    margin: float
    f1_at_zero: float
    forced: float
    sentence: float
    ece: float
    table: tuple[Bin, ...]
    calibration: Calibration


def read_all(reader: Reader, examples: Sequence[Example]) -> list[Read]:
    """Read each question's paragraph."""
    guesses = reader.guesses([(e.question, e.context) for e in examples])
    found = []
    for example, guess in zip(examples, guesses, strict=True):
        wanted = [gold.text for gold in example.answers]
        text = example.context[guess.start : guess.end]
        a, b = around(guess.start, guess.end, sentences(example.context))
        held = any(a <= gold.start and gold.end <= b for gold in example.answers)
        found.append(
            Read(
                example.article,
                bool(wanted),
                guess.margin,
                f1(text, wanted) if wanted else 0.0,
                exact(text, wanted) if wanted else False,
                held or any(gold in example.context[a:b] for gold in wanted),
            )
        )
    return found


def figures(reads: Sequence[Read], groups: Mapping[str, int] | None = None) -> ReaderFigures:
    """Reckon the figures. `groups` says which articles were held out together; each alone by default."""
    margins = np.array([r.margin for r in reads])
    answerable = np.array([r.answerable for r in reads])
    forced = np.array([r.forced for r in reads])
    right = np.array([r.sentence for r in reads])
    best, f1_best = _best_threshold(margins, forced, answerable)
    at_best = _answered(margins, best, np.array([r.exact for r in reads], dtype=float), answerable)
    probabilities = _held_out([(groups or {}).get(r.article, r.article) for r in reads], margins, right)
    table = reliability(probabilities, right)
    return ReaderFigures(
        questions=len(reads),
        answerable=int(answerable.sum()),
        exact=float(at_best.mean()),
        f1=f1_best,
        margin=best,
        f1_at_zero=float(_answered(margins, 0.0, forced, answerable).mean()),
        forced=float(forced[answerable].mean()),
        sentence=float(right[answerable].mean()),
        ece=expected_calibration_error(table),
        table=tuple(table),
        calibration=fit_calibration(margins, right),
    )


def _answered(
    margins: NDArray[np.float64], threshold: float, scores: NDArray[np.float64], answerable: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Give each question's score: that of the span above the threshold, else that of "no answer"."""
    return np.where(margins > threshold, scores, ~answerable)


def _best_threshold(
    margins: NDArray[np.float64], scores: NDArray[np.float64], answerable: NDArray[np.bool_]
) -> tuple[float, float]:
    """Give the margin from which answering is best on the mean, and the mean."""
    order = np.argsort(-margins, kind="stable")
    gain = scores[order] - ~answerable[order]
    total = np.concatenate([[0.0], np.cumsum(gain)]) + (~answerable).sum()
    k = int(np.argmax(total))
    threshold = float(margins[order[k]]) if k < len(order) else float(margins.min() - 1.0)
    return threshold, float(total[k] / len(margins))


def _held_out(
    groups: Sequence[object], margins: NDArray[np.float64], right: NDArray[np.bool_]
) -> NDArray[np.float64]:
    """Give the probabilities of each group by a calibration on the others."""
    names = list(dict.fromkeys(groups))
    place = np.array([names.index(each) for each in groups])
    found = np.zeros(len(margins))
    for k in range(len(names)):
        there = place == k
        others = ~there if len(names) > 1 else there
        found[there] = fit_calibration(margins[others], right[others]).probability(margins[there])
    return found
