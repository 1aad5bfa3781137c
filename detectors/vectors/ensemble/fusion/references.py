"""How rows stand to what does not follow the entity: memory and plane of training."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyd.detectors.vectors.ensemble.ewma import ewma
from anomalyd.detectors.vectors.ensemble.memory import PATCH_ROWS, Batch
from anomalyd.detectors.vectors.novelty import control_chart, patches
from anomalyd.detectors.vectors.novelty.memory import SMOOTHING, STRIDE
from anomalyd.detectors.vectors.novelty.reference import PLANE_SMOOTHING, References, filled
from anomalyd.detectors.vectors.novelty.regression import LAGS

_USUAL_PATCH, _USUAL_ROW = 1.0, float(np.log(2.0))
"""Nats of a usual row: said where nothing is known yet."""

PATCH, ROW, PLANE = range(3)
"""Places in `new_means`: smoothed nats of patches, distances of rows from those of training and from the
plane."""

Floats = NDArray[np.float64]
Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Referred:
    """How rows of E entities stand, (E, n) each.

    `patch`, `row`, `plane`: in nats above a usual row's. `chart`: the log by which control charts are over
    their limit, 0 where they are not looked at.
    """

    patch: Floats
    row: Floats
    plane: Floats
    chart: Floats


def refer(
    reference: References,
    memory: Batch,
    places: NDArray[np.int64],
    rows: Rows,
    clip: Rows,
    brief: NDArray[np.bool_],
) -> Referred:
    """Refer rows (E, n, F), less the offset of their entities, to what training says; `memory` moves on.

    `clip` (E, F): usual widths that a metric counts for at most; `brief` (E,): where control charts are
    looked at.
    """
    count = rows.shape[1]
    offset, most = memory.offset[:, None], clip[:, None]
    before = memory.patch_rows.copy()
    known = filled(np.concatenate([before[:, -1:] - offset, rows], axis=1))[:, 1:]
    memory.patch_rows[:] = np.concatenate([before[:, count:], known[:, -PATCH_ROWS:] + offset], axis=1)
    each = np.clip(known, -most, most)
    fresh = memory.fresh_rows[:, None] + np.arange(1, count + 1)
    memory.fresh_rows[:] = fresh[:, -1]
    means = memory.new_means
    looked = (fresh % STRIDE == 0) & (fresh > PATCH_ROWS)
    new = np.full((*looked.shape, 2), np.nan)
    whole = np.concatenate([np.clip(before - offset, -most, most), each], axis=1)
    if looked.any():
        _look(reference, places, whole, ~np.isnan(rows), looked, new)
    held = _hold(new, means[:, : ROW + 1])
    plane = _smooth(reference.distance(places, each), PLANE_SMOOTHING, means[:, PLANE])
    means[:, : ROW + 1], means[:, PLANE] = held[:, -1], plane[:, -1]
    return Referred(
        np.nan_to_num(held[..., PATCH] - _USUAL_PATCH),
        _row_nats(reference, places, held[..., ROW]),
        reference.plane_nats(places, plane) - _USUAL_ROW,
        _charted(reference, memory, places, whole[:, -LAGS - count :], np.isnan(rows), brief),
    )


def _charted(
    reference: References,
    memory: Batch,
    places: NDArray[np.int64],
    rows: Rows,
    missing: NDArray[np.bool_],
    brief: NDArray[np.bool_],
) -> Floats:
    """Give the log by which charts are over their limit (E, n), of rows (E, LAGS + n, F).

    The energies of the charts of metrics and of what their regression leaves over are averaged: where the
    metrics go their own ways anyway the second adds but noise. One metric alone may alarm in either.
    """
    found = np.zeros(missing.shape[:2])
    if brief.any():
        at, rows, missing = places[brief], rows[brief], missing[brief]
        charts, left_over = memory.charts[brief], memory.residual_charts[brief]
        together, alone = control_chart.follow(reference.chart, at, rows[:, LAGS:], missing, charts)
        left = reference.regression.residuals(at, rows)
        untold = reference.regression.untold(at, missing)
        of_left, alone_left = control_chart.follow(reference.residual, at, left, untold, left_over)
        both = np.logaddexp(together, of_left) - np.log(2.0)
        found[brief] = np.maximum(both, np.maximum(alone, alone_left))
        memory.charts[brief], memory.residual_charts[brief] = charts, left_over
    return found


def _look(
    reference: References,
    places: NDArray[np.int64],
    whole: Rows,
    observed: NDArray[np.bool_],
    looked: NDArray[np.bool_],
    new: Floats,
) -> None:
    """Put nats of patches and distances of rows into `new` (E, n, 2) where they are `looked` at (E, n).

    `whole` (E, 29 + n, F): the rows before, too, without gaps.
    """
    b, t = np.nonzero(looked)
    windows = np.lib.stride_tricks.sliding_window_view(whole, PATCH_ROWS + 1, axis=1)
    with torch.inference_mode():
        codes = patches.encode(torch.from_numpy(np.ascontiguousarray(windows[b, t])))
        # A memory is large: each is looked into once, for all rows that are compared with it.
        for place, k in _by_place(places[b]):
            known, e, row = reference.memory.at(place), b[k], t[k]
            seen = torch.from_numpy(observed[e, row]).float()
            new[e, row, PATCH] = known.patch_nats(codes[k], seen).numpy()
            new[e, row, ROW] = known.row_distance(torch.from_numpy(whole[e, PATCH_ROWS + row])).numpy()


def _by_place(places: NDArray[np.int64]) -> Iterator[tuple[int, NDArray[np.int64]]]:
    """Give each place among (K,) with where it stands."""
    order = np.argsort(places, kind="stable")
    each, begins = np.unique(places[order], return_index=True)
    yield from zip(each.tolist(), np.split(order, begins[1:]), strict=True)


def _hold(new: Floats, before: Floats) -> Floats:
    """Smooth what was looked at (E, n, 2), and hold it between; `before` (E, 2), NaN where there is none."""
    held, level = np.empty_like(new), before
    for t in range(new.shape[1]):
        now = new[:, t]
        moved = np.where(np.isnan(level), now, level + SMOOTHING * (now - level))
        level = np.where(np.isnan(now), level, moved)
        held[:, t] = level
    return held


def _smooth(each: Floats, weight: float, before: Floats) -> Floats:
    """Smooth values (E, n) in time; `before` (E,), NaN where there is none."""
    begin = np.where(np.isnan(before), each[:, 0], before)
    return np.ascontiguousarray(ewma(np.ascontiguousarray(each.T), weight, begin).T)


def _row_nats(reference: References, places: NDArray[np.int64], level: Floats) -> Floats:
    """Give how rare smoothed distances of rows (E, n) are, 0 where no row is remembered."""
    rare = np.zeros(level.shape)
    b, t = np.nonzero(~np.isnan(level) & reference.memory.has_rows[places][:, None])
    if len(b):
        levels = torch.from_numpy(level[b, t].astype(np.float32))
        rare[b, t] = reference.memory.row_nats(places[b], levels).numpy() - _USUAL_ROW
    return rare
