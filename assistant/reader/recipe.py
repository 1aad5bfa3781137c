"""What the reader is trained on, and in which order."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomalyd.assistant.reader.network import untrained
from anomalyd.assistant.reader.squad import Example
from anomalyd.assistant.reader.training import Sample, Stage, train_stage
from anomalyd.assistant.reader.unanswerable import made_unanswerable
from anomalyd.assistant.reader.windows import WindowShape, windows_of
from anomalyd.detectors.detector import Progress

_SHORT, _MIDDLE = WindowShape(tokens=96, shared=24, question=48), WindowShape(tokens=176, shared=64)
"""Windows of the two stages: shorter than those that are read later, for more questions in the same time."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """First many answerable questions with some made unanswerable, then those that people wrote to deceive.

    The first stage has `steps` steps (None: all) over questions of which `made` were made unanswerable. The
    second goes over its questions `passes` times, and repeats `replayed` of the first, so that it forgets
    nothing. The learning rate rises over `warm` steps, falls from `rate` to `handover` in the first stage,
    and from there to 0 in the second.
    """

    seed: int = 1
    made: int = 6000
    steps: int | None = 500
    warm: int = 56
    rate: float = 1.2e-4
    handover: float = 7.02e-5
    passes: int = 1
    replayed: int = 2000
    threads: int = 1


class Course:
    """Trains readers on `wide` questions first. Everything is kept in `folder`, and taken up there."""

    def __init__(
        self, wide: Sequence[Example], recipe: Recipe, tokenizer: Any, folder: Path, progress: Progress
    ) -> None:
        self._wide = [*wide, *made_unanswerable([e for e in wide if e.answers], recipe.made, recipe.seed)]
        self._recipe = recipe
        self._tokenizer = tokenizer
        self._folder = folder
        self._progress = progress

    def first(self) -> Any:
        """Train the first stage, and give the network."""
        r = self._recipe
        network = untrained(r.seed)
        samples = list(self._samples(self._wide, _SHORT, r.seed))
        self._train(network, Stage("first", samples, r.rate, r.handover, r.warm, r.steps, r.seed))
        return network

    def second(self, network: Any, deceptive: Sequence[Example], name: str) -> Any:
        """Train the network of the first stage on with the questions written to deceive."""
        r = self._recipe
        replayed = random.Random(r.seed).sample(self._wide, min(r.replayed, len(self._wide)))
        samples = [s for k in range(r.passes) for s in self._samples(deceptive, _MIDDLE, r.seed + k)]
        samples += self._samples(replayed, _MIDDLE, r.seed)
        self._train(network, Stage(name, samples, r.handover, seed=r.seed))
        return network

    def _train(self, network: Any, stage: Stage) -> None:
        padding = self._tokenizer.pad_token_id
        train_stage(network, stage, padding, self._folder, self._progress, self._recipe.threads)

    def _samples(self, examples: Sequence[Example], shape: WindowShape, seed: int) -> Iterator[Sample]:
        """Give one window of each question: with an answer, if it has one."""
        draw = random.Random(seed)
        pairs = [(e.question, e.context) for e in examples]
        for example, windows in zip(examples, windows_of(pairs, self._tokenizer, shape), strict=True):
            if not example.answers:
                yield Sample(draw.choice(windows))
                continue
            gold = draw.choice(example.answers)
            places = [(w, place) for w in windows if (place := w.place(gold.start, gold.end))]
            if places:
                window, (start, end) = draw.choice(places)
                yield Sample(window, start, end)


def drawn(examples: Sequence[Example], most: int) -> list[Example]:
    """Give at most so many questions, in an order drawn by lot."""
    return random.Random(0).sample(examples, len(examples))[:most]


def fold_of(examples: Sequence[Example], folds: int) -> dict[str, int]:
    """Give each article its fold: questions about one article are never on both sides."""
    return {article: k % folds for k, article in enumerate(sorted({e.article for e in examples}))}
