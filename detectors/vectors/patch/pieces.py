"""Parts of a window that are scored at once, and their scores put together again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Adaptation, RawScores, State
from anomalyd.detectors.vectors.patch.advance import Advanced


@dataclass(slots=True)
class Piece:
    """A part of a window that is scored at once, and the state before it."""

    window: int
    begin: int
    times: NDArray[np.float64]
    values: NDArray[np.float32]
    after_gap: bool


def cut(piece: Piece, start: int, end: int | None) -> Piece:
    """Give the rows from `start` to `end` of a piece."""
    part = slice(start, end)
    return Piece(
        piece.window,
        piece.begin + start,
        piece.times[part],
        piece.values[part],
        piece.after_gap and start == 0,
    )


def joined(
    parts: Sequence[Advanced], state: State, adaptations: Sequence[Adaptation], rows: int, metrics: int
) -> RawScores:
    """Put the scores of consecutive parts of a window together."""
    if len(parts) == 1:
        (one,) = parts
        return RawScores(one.raw, one.error, one.expectation, one.contribution, state, tuple(adaptations))
    assert rows == sum(len(part.raw) for part in parts)
    nothing = np.empty((0, metrics), dtype=np.float32)
    return RawScores(
        np.concatenate([np.empty(0), *(part.raw for part in parts)]),
        np.concatenate([nothing, *(part.error for part in parts)]),
        np.concatenate([nothing, *(part.expectation for part in parts)]),
        np.concatenate([nothing, *(part.contribution for part in parts)]),
        state,
        tuple(adaptations),
    )
