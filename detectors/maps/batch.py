"""Maps of one shape, side by side with what is expected of them: what the map detectors work on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Floats, RawScores, SeriesWindow
from anomalyd.detectors.maps.reference import Origin, Reference, References
from anomalyd.detectors.maps.simulate.luminosity import Cells, Counts, isolated_zeros, luminosity

_CHUNK_CELLS = 200_000
"""Cells that are worked on together, some 300 chambers' maps: few enough for the processor's caches."""


_DOUBT: dict[Origin, float] = {"own": 0.0, "shape": 0.1, "other": 0.3}
"""How wrong a profile may be as a whole: chambers of a station differ by some 10 %."""


@dataclass(frozen=True, slots=True)
class MapBatch:
    """Maps (N, R, C), each with the reference of its element.

    `counts`: 0 where missing; `missing`: NaN in the map, masked or behind a ragged end; `usable`: neither
    missing nor dead when the reference was learnt; `profile`: relative rates, mean about 1; `exposure` (N,):
    luminosity behind the profile; `lowest`, `highest` (N,): luminosities to believe; `origin` (N,).
    """

    counts: Counts
    missing: Cells
    usable: Cells
    profile: Counts
    exposure: NDArray[np.float64]
    lowest: NDArray[np.float64]
    highest: NDArray[np.float64]
    origin: tuple[Origin, ...]

    def doubt(self) -> NDArray[np.float64]:
        """Say how wrong each profile (N,) may be as a whole (relative), by where it comes from."""
        return np.array([_DOUBT[origin] for origin in self.origin])

    def luminosity(self) -> NDArray[np.float64]:
        """Estimate the luminosity (N,), unmoved by faults."""
        seen = luminosity(self.counts, self.profile, self.usable, self.doubt())
        return np.clip(seen, self.lowest, self.highest)

    def weight(self, light: NDArray[np.float64]) -> Cells:
        """Say which cells (N, R, C) count: the usable ones without isolated dead wires."""
        return self.usable & ~isolated_zeros(self.counts, light[:, None, None] * self.profile, self.usable)


def batch_of(maps: Counts, references: Sequence[Reference]) -> MapBatch:
    """Put maps (N, R, C) beside their references, one for each."""
    missing = ~np.isfinite(maps)
    bounds = [r.luminosity_bounds() for r in references]
    return MapBatch(
        counts=np.where(missing, 0, np.maximum(maps, 0)).astype(np.float32),
        missing=missing,
        usable=np.stack([r.usable for r in references]) & ~missing,
        profile=np.stack([r.profile for r in references]),
        exposure=np.array([r.exposure for r in references]),
        lowest=np.array([low for low, _ in bounds]),
        highest=np.array([high for _, high in bounds]),
        origin=tuple(r.origin for r in references),
    )


@dataclass(frozen=True, slots=True)
class MapScores:
    """What a detector says of the maps of a batch: as `RawScores`, (N,) and (N, R, C)."""

    raw: NDArray[np.float64]
    error: Floats
    expectation: Floats
    contribution: Floats


def score_by_shape(
    windows: Sequence[SeriesWindow], references: References, score: Callable[[MapBatch], MapScores]
) -> list[RawScores]:
    """Score windows of different elements in batches of one shape, and put the scores back in order.

    Raises:
        ModelMismatch: values that are no maps, or of a shape that was not trained on.

    """
    expected = [references.of(s.entity, s.values.shape[1:]) for s in windows]
    scores = [
        RawScores(
            raw=np.empty(len(s.values)),
            error=np.empty(s.values.shape, dtype=np.float32),
            expectation=np.empty(s.values.shape, dtype=np.float32),
            contribution=np.empty(s.values.shape, dtype=np.float32),
            state={},
        )
        for s in windows
    ]
    by_shape: dict[tuple[int, ...], list[int]] = {}
    for i, window in enumerate(windows):
        by_shape.setdefault(window.values.shape[1:], []).append(i)
    for (rows, columns), alike in by_shape.items():
        for parts in _chunks(windows, alike, max(1, _CHUNK_CELLS // max(1, rows * columns))):
            maps = np.concatenate([windows[i].values[some] for i, some in parts])
            scored = score(batch_of(maps, [expected[i] for i, some in parts for _ in windows[i].times[some]]))
            at = 0
            for i, some in parts:
                of = slice(at, at := at + some.stop - some.start)
                scores[i].raw[some] = scored.raw[of]
                scores[i].error[some] = scored.error[of]
                scores[i].expectation[some] = scored.expectation[of]
                scores[i].contribution[some] = scored.contribution[of]
    return scores


def _chunks(
    windows: Sequence[SeriesWindow], chosen: Sequence[int], most: int
) -> Iterator[list[tuple[int, slice]]]:
    """Part the maps of some windows into chunks of at most so many: which of which window."""
    parts: list[tuple[int, slice]] = []
    left = most
    for i in chosen:
        start = 0
        while start < len(windows[i].values):
            stop = min(start + left, len(windows[i].values))
            parts.append((i, slice(start, stop)))
            left -= stop - start
            start = stop
            if not left:
                yield parts
                parts, left = [], most
    if parts:
        yield parts
