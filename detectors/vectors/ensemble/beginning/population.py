"""The population: what is usual of the entities in a model together, for one that training did not know.

All are measured in one scale, each from its own level, so that their daily courses and what they do beyond
them lie over one another. What any of them showed is usual of their like; the highest is the ceiling below
which a newcomer does not alarm on its first day.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Series, SeriesWindow, State
from anomalyd.detectors.vectors.ensemble import views
from anomalyd.detectors.vectors.ensemble.alarm.sustained_activity import spreads
from anomalyd.detectors.vectors.ensemble.alarm.views_alarm import end_of
from anomalyd.detectors.vectors.ensemble.baseline_statistics import measure_usual
from anomalyd.detectors.vectors.ensemble.beginning.newcomer import LEARNS_S, SETTLED_ROWS
from anomalyd.detectors.vectors.ensemble.feature_extraction import follow
from anomalyd.detectors.vectors.ensemble.memory import Layout
from anomalyd.detectors.vectors.ensemble.predictive import Predictor
from anomalyd.detectors.vectors.ensemble.reference_windows import DAY_SLOTS, SLOT_S
from anomalyd.detectors.vectors.ensemble.views import LARGEST, Usual
from anomalyd.detectors.vectors.novelty import reference
from anomalyd.detectors.vectors.novelty.reference import Reference
from anomalyd.detectors.vectors.scale import Scale

MOST = 10
"""So many entities make the population: more of a kind say the same."""

_ROWS, _NEWEST = 20_000, 10_000
"""Rows of all in the reference, and the newest of each that are looked at."""

_SHOWN = 4 * 48
"""Samples of all that say what is rare: those of four days, so that a newcomer's own soon outweigh them."""

_NO_ALARM = 1e3
"""A ceiling above anything."""

_DAYS = 2
"""Days of each entity that are taken for first ones."""

_NOBODY = "\0"
"""The name of an entity that training did not know."""

_HIGHEST = ("displacement", "blame", "leap", "still")
_SETTLING = 100

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Population:
    """What is usual of all together, in the scale of those that training did not know.

    `daily` (96, F): the median course of a day about its level, in quarter hours; `ceiling` (2,): how far
    above its bulk agreement, and how many spreads sustained activity, stands at most in normal days of
    newcomers.
    """

    usual: Usual
    reference: Reference
    daily: Tensor
    ceiling: Tensor


def measure(
    network: Predictor, series: Mapping[str, Series], scale: Scale, shares: Tensor, seed: int
) -> Population:
    """Measure the population of some training series, in one scale (F,)."""
    clip = np.minimum(scale.cap, np.float32(LARGEST))
    found, rows_of, days = list[Usual](), list[Rows](), list[Rows]()
    for each in list(series.values())[:MOST]:
        times, rows = each.times[-_NEWEST:], _levelled(each.values[-_NEWEST:], scale)
        followed = follow(times[None], rows[None], Layout(rows.shape[1], 1).blank(), clip[None])
        settled = slice(min(_SETTLING, len(rows) // 4), None)
        usual = measure_usual(network, followed, torch.from_numpy(clip), times, settled, shares)
        found.append(usual)
        rows_of.append(rows[: _ROWS // min(len(series), MOST)])
        days.append(_daily(times, rows))
    usual = _together(found)
    known = reference.measure(np.concatenate(rows_of), clip, seed)
    # Of how much it is worth for a newcomer nothing is known.
    known = replace(known, memory=replace(known.memory, worth=torch.zeros(1)))
    return Population(usual, known, torch.from_numpy(_median(np.stack(days))), torch.full((2,), _NO_ALARM))


def first_days(series: Mapping[str, Series]) -> list[SeriesWindow]:
    """Give days of training, each as the first one of a newcomer."""
    found = []
    for each in list(series.values())[:MOST]:
        for back in range(1, _DAYS + 1):
            begin, end = np.searchsorted(each.times, each.times[-1] - np.array([back, back - 1]) * LEARNS_S)
            if end - begin >= 2 * SETTLED_ROWS:
                found.append(SeriesWindow(_NOBODY, each.times[begin:end], each.values[begin:end]))
    return found


def ceiling_of(population: Population, days: Sequence[State]) -> Population:
    """Put the ceiling where newcomers stood at most, by what was remembered of them after their first day."""
    weeks = [np.asarray(state["week"], dtype=np.float64) for state in days]
    week = np.concatenate(weeks) if weeks else np.empty((0, 5))
    if not len(week):
        return replace(population, ceiling=torch.zeros(2))
    bulk = population.usual.bulk.numpy()
    agreement, counted = week[:, 0] - end_of(bulk[0]), spreads(week[:, 1:], bulk[1:])[:, 0]
    return replace(population, ceiling=torch.tensor([float(agreement.max()), float(counted.max())]))


def _levelled(values: Rows, scale: Scale) -> Rows:
    with np.errstate(over="ignore", invalid="ignore"):
        rows = (values - scale.centre) / scale.width
    rows = np.where(scale.cap > 0, np.clip(rows, -1e4, 1e4), np.nan).astype(np.float32)
    found: Rows = rows - np.nan_to_num(_median(rows))
    return found


def _daily(times: NDArray[np.float64], rows: Rows) -> Rows:
    """Give the course of a day (96, F) of rows (T, F), from each metric's level."""
    places = (times // SLOT_S).astype(np.int64) % DAY_SLOTS
    found = np.zeros((DAY_SLOTS, rows.shape[1]), dtype=np.float32)
    for place in np.unique(places).tolist():
        found[place] = np.nan_to_num(_median(rows[places == place]))
    return found


def _median(values: Rows) -> Rows:
    """Give medians over the first axis without what is missing, NaN where all is."""
    found = np.full(values.shape[1:], np.nan, dtype=np.float32)
    known = ~np.isnan(values).all(axis=0)
    found[known] = np.nanmedian(values[:, known], axis=0)
    return found


def _together(each: Sequence[Usual]) -> Usual:
    """Give what is usual of any of them."""
    shown = torch.cat([one.shown for one in each])
    kept = shown[torch.linspace(0, len(shown) - 1, min(_SHOWN, len(shown))).long()]
    highest = {name: torch.stack([getattr(one, name) for one in each]).amax(0) for name in _HIGHEST}
    return replace(
        each[0],
        **highest,
        surprise=torch.stack([one.surprise for one in each]).mean(0),
        shown=kept,
        trained_to=torch.stack([one.trained_to for one in each]).amax(0),
        bulk=torch.stack([one.bulk for one in each]).amax(0),
        interval=torch.stack([one.interval for one in each]).median(0).values,
    )


def as_tensors(population: Population) -> dict[str, Tensor]:
    """Give it by name, for safetensors."""
    return {
        **{f"usual.{name}": each for name, each in views.as_tensors(population.usual).items()},
        **{f"reference.{name}": each for name, each in reference.as_tensors(population.reference).items()},
        "daily": population.daily,
        "ceiling": population.ceiling,
    }


def from_tensors(tensors: Mapping[str, Tensor]) -> Population:
    """Make one of what `as_tensors` gave."""

    def below(prefix: str) -> dict[str, Tensor]:
        return {n.removeprefix(prefix): t for n, t in tensors.items() if n.startswith(prefix)}

    return Population(
        views.from_tensors(below("usual.")),
        reference.from_tensors(below("reference.")),
        tensors["daily"],
        tensors["ceiling"],
    )
