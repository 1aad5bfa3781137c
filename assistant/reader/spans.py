"""From logits to the best span of a paragraph, and how far it is above "no answer"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.assistant.reader.windows import Window

_LONGEST = 30  # tokens of an answer


@dataclass(frozen=True, slots=True)
class Guess:
    """The best span of a paragraph: characters `start` to `end`, both 0 if there is none.

    `margin` is its logit above that of "no answer" (Devlin et al. 2019). It is no probability.
    """

    start: int
    end: int
    margin: float


def best_span(
    windows: Sequence[Window],
    starts: Sequence[NDArray[np.float32]],
    ends: Sequence[NDArray[np.float32]],
    first_character: int = 0,
) -> Guess:
    """Choose the span of a paragraph from the logits of its windows, (t,) each.

    A span begins at `first_character` or later. "No answer" is worth what it is worth in the window that
    believes in it least.
    """
    best, start, end = -np.inf, 0, 0
    null = np.inf
    for window, s, e in zip(windows, starts, ends, strict=True):
        null = min(null, float(s[0] + e[0]))
        allowed = np.flatnonzero(window.offsets[:, 0] >= first_character)
        if not len(allowed):
            continue
        skipped = int(allowed[0])
        piece = slice(window.first + skipped, window.first + len(window.offsets))
        s, e = s[piece], e[piece]
        scores = s[:, None] + e[None, :]
        places = np.arange(len(s))
        length = places[None, :] - places[:, None]
        scores[(length < 0) | (length >= _LONGEST)] = -np.inf
        i, j = np.unravel_index(int(np.argmax(scores)), scores.shape)
        if scores[i, j] > best:
            best = float(scores[i, j])
            start, end = int(window.offsets[skipped + i, 0]), int(window.offsets[skipped + j, 1])
    return Guess(start, end, best - null if end else -np.inf)
