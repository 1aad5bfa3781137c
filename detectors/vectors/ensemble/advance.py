"""One step of a batch: rows of E entities through every stage, what is remembered of them moving on.

rows in usual widths -> surroundings -> views, smoothed -> how rare they are -> alarm
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.vectors.by_entity import EntityArrays
from anomalyd.detectors.vectors.ensemble import tail_probability
from anomalyd.detectors.vectors.ensemble.alarm import spikes, sustained_activity, target_rate, views_alarm
from anomalyd.detectors.vectors.ensemble.alarm.sustained_activity import Spans
from anomalyd.detectors.vectors.ensemble.baseline_statistics import levels_of, pick, stacked, views_of
from anomalyd.detectors.vectors.ensemble.beginning.population import Population
from anomalyd.detectors.vectors.ensemble.ensemble_parameters import Parameters
from anomalyd.detectors.vectors.ensemble.feature_extraction import Followed, follow
from anomalyd.detectors.vectors.ensemble.fusion import final_alarm, recurring_alarms
from anomalyd.detectors.vectors.ensemble.fusion.references import refer
from anomalyd.detectors.vectors.ensemble.memory import Batch, Layout, Memory
from anomalyd.detectors.vectors.ensemble.predictive import Predictor
from anomalyd.detectors.vectors.ensemble.tail_probability import Rarity, Trained
from anomalyd.detectors.vectors.ensemble.views import LARGEST, VIEWS, Usual, logs, shares_of
from anomalyd.detectors.vectors.novelty import reference
from anomalyd.detectors.vectors.novelty.reference import References
from anomalyd.detectors.vectors.standstill import repeats

Rows = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Learnt:
    """What training says: the network, and of each entity what is usual, in the order of `places`.

    Last stands the population, for entities that training did not know. `usual` is stacked, (M + 1, 1, F);
    `intervals_s`: how often each sends;
    `samples`: what each showed; `heights`, `spans`: of its alarms. `newcomer`: the heights of the population
    on its first day, `stranger`: what is remembered before its first row of one that training did not know;
    `daily` (96, F): the population's course of a day.
    """

    parameters: Parameters
    network: Predictor
    places: Mapping[str, int]
    usual: Usual
    reference: References
    intervals_s: Sequence[float]
    samples: Sequence[NDArray[np.float16]]
    shares: Tensor
    rate: float
    heights: Sequence[views_alarm.Heights]
    spans: Spans
    layout: Layout
    newcomer: views_alarm.Heights
    stranger: Memory
    daily: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        parameters: Parameters,
        network: Predictor,
        entities: Sequence[str],
        usual: EntityArrays,
        references: EntityArrays,
        population: Population,
        rate: float,
    ) -> Learnt:
        """Put together what was fitted, of entities and of the population; the arrays of entities, by name,
        are left where they lie if they are large."""
        together = stacked(usual, population.usual)
        intervals = together.interval.numpy()[:, 0, 0]
        spans = Spans.of(intervals)
        layout = Layout(population.usual.clip.shape[0], int(spans.hour.max()))
        heights = [target_rate.heights_at(parameters, rate, interval) for interval in intervals.tolist()]
        return cls(
            parameters,
            network,
            {entity: place for place, entity in enumerate(entities)},
            together,
            reference.stacked(references, population.reference),
            intervals.tolist(),
            [*(usual.get(e, "shown") for e in range(usual.count)), population.usual.shown.numpy()],
            shares_of({view: getattr(parameters, view) for view in VIEWS}),
            rate,
            heights,
            spans,
            layout,
            _above(heights[-1], *population.ceiling.tolist()),
            _beginning(layout, together, -1, population.usual.shown.numpy()),
            population.daily.numpy(),
        )

    def place(self, entity: str) -> int:
        """Give the place of an entity; the last is that of those that training did not know."""
        return self.places.get(entity, len(self.places))

    def beginning(self, place: int) -> Memory:
        """Give what is remembered of the entity at a place before its first row: made anew each time, for it
        is large and wanted once."""
        if self.is_unknown(place):
            return self.stranger
        return _beginning(self.layout, self.usual, place, self.samples[place])

    def is_unknown(self, place: int) -> bool:
        """Say whether it is the place of entities that training did not know."""
        return place == len(self.places)


def _above(heights: views_alarm.Heights, agree: float, stir: float) -> views_alarm.Heights:
    """Raise heights above what was ever seen."""
    higher = max(agree - heights.agree, 0.0), max(stir - heights.stir, 0.0)
    return replace(
        heights,
        agree=heights.agree + higher[0],
        stir=heights.stir + higher[1],
        lasting=False,
    )


def _beginning(layout: Layout, usual: Usual, place: int, shown: NDArray[np.float16]) -> Memory:
    batch, rarity = layout.blank(), Rarity.measure(shown)
    batch.steps[0], batch.tail[0] = rarity.steps.numpy(), rarity.tail.numpy()
    batch.rarity_day[0] = tail_probability.day_of(float(usual.trained_to[place]))
    batch.bulk[0] = usual.bulk[place, 0].numpy()
    return layout.part(batch, [{}])[0]


@dataclass(frozen=True, slots=True)
class Seen:
    """Rows of a batch as they are seen, and what is usual of their entities at `places` (E,).

    `logged` (E, n, C): logs of the smoothed views; `means` (E, n, 2): the slow and the quick mean of how rare
    they are, in nats.
    """

    places: NDArray[np.int64]
    usual: Usual
    followed: Followed
    logged: Tensor
    means: NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Advanced:
    """What is said of rows, in usual widths: `raw` (E, n); `error`, `expectation`, `contribution` (E, n, F).

    `accepted`: of each entity, the rows at which what goes on was taken for normal; `mended` (E,): the row at
    which what an operator called broken was over, or -1.
    """

    raw: NDArray[np.float64]
    error: Rows
    expectation: Rows
    contribution: Rows
    accepted: list[list[int]]
    mended: NDArray[np.int64]


def look(
    learnt: Learnt, memory: Batch, places: NDArray[np.int64], times: NDArray[np.float64], rows: Rows
) -> Seen:
    """See rows (E, n, F), less the offset of their entities, at times (E, n); `memory` moves on."""
    usual = pick(learnt.usual, torch.from_numpy(places))
    followed = follow(times, rows, memory, usual.clip.numpy()[:, 0])
    levels = levels_of(views_of(learnt.network, followed, usual), memory.levels)
    memory.levels[:] = levels[:, -1].numpy()
    logged = logs(levels)
    trained = Trained([learnt.samples[place] for place in places.tolist()], usual.trained_to.numpy()[:, 0, 0])
    nats = tail_probability.follow(times, logged, trained, memory)
    means = (nats @ learnt.shares[:, :2]).numpy().astype(np.float64)
    return Seen(places, usual, followed, logged, means)


def advance(
    learnt: Learnt, memory: Batch, places: NDArray[np.int64], times: NDArray[np.float64], rows: Rows
) -> Advanced:
    """Score rows (E, n, F) in usual widths at times (E, n) of the entities at `places` (E,)."""
    offset = memory.offset.copy()[:, None]
    last = memory.recent[:, -1].copy()
    rows = rows - offset
    seen = look(learnt, memory, places, times, rows)
    followed, usual = seen.followed, seen.usual
    clip = usual.clip.numpy()[:, 0]
    leapt = spikes.leaps_of(followed, clip, usual.leap.numpy()[:, 0], usual.flip.numpy()[:, 0])
    leaps = spikes.follow(times, leapt, memory, target_rate.jolts_at(learnt.rate))
    runs = repeats(rows, last, memory.runs)
    memory.runs[:] = runs[:, -1]
    stuck = runs > usual.still.numpy()
    confirmed = spikes.confirmed(leaps, seen.means[..., 1])
    jolts = confirmed if learnt.parameters.jolts else np.full(times.shape, -np.inf)
    shown = views_alarm.Shown(
        seen.means[..., 0],
        sustained_activity.commotion_of(seen.logged, learnt.shares[:, 2]),
        jolts,
        np.asarray(stuck.any(axis=2)),
    )
    heights = [
        learnt.newcomer if learns else learnt.heights[place]
        for place, learns in zip(places.tolist(), (~np.isnan(memory.learns_since)).tolist(), strict=True)
    ]
    memory.newest[:] = times[:, -1]
    broken = memory.broken.copy()
    gone = views_alarm.follow(times, shown, memory, heights, learnt.spans.at(places))
    absent = np.isnan(rows)
    known = learnt.reference
    count = known.count.numpy()[places].astype(np.float64)
    brief = final_alarm.brief_of(count, usual.interval.numpy()[:, 0, 0], known.worth[places])
    evidence = final_alarm.Evidence(
        gone.over,
        views_alarm.is_quiet(seen.means[..., 1], memory),
        shown.stuck | (broken[:, None] & ~_is_over(gone.mended, times.shape[1])),
        refer(known, memory, places, rows, clip, brief > 0.0),
    )
    rule = final_alarm.Rule(known.worth[places], brief, learnt.rate, heights[0].accept_s)
    excess = final_alarm.follow(times, evidence, memory, rule, gone.accepted)
    threshold = target_rate.open_at(learnt.parameters, learnt.rate)
    raw = recurring_alarms.follow(times, excess, _away(seen, excess > 0.0), 1.0 + threshold, memory)
    raw += threshold
    raw[absent.all(axis=2)] = np.nan
    contribution = _blame(memory, seen, stuck)
    error = followed.rows - followed.around.median15
    contribution[absent], error[absent] = np.nan, np.nan
    expectation = followed.around.median15 + offset
    return Advanced(raw, error, expectation, contribution, gone.accepted, gone.mended)


def _away(seen: Seen, rows: NDArray[np.bool_]) -> Rows:
    """Give how far the metrics of some of the rows (E, n) are from their day, in usual distances (K, F)."""
    b, t = np.nonzero(rows)
    now, around = seen.followed.rows[b, t], seen.followed.around
    away = np.minimum(np.abs(now - around.day[b, t]), np.abs(now - around.profile[b, t]))
    away = away / seen.usual.displacement.numpy()[b, 0] * seen.followed.observed[b, t]
    found: Rows = np.nan_to_num(away)
    return found


def _is_over(mended: NDArray[np.int64], count: int) -> NDArray[np.bool_]:
    """Say at which of `count` rows (E, n) what was called broken is over, from the rows `mended` (E,)."""
    over: NDArray[np.bool_] = (mended >= 0)[:, None] & (np.arange(count) >= mended[:, None])
    return over


def _blame(memory: Batch, seen: Seen, stuck: NDArray[np.bool_]) -> Rows:
    """Give who is to blame (E, n, F): with the row before, for who moves on is to blame rather than who leapt
    once."""
    followed = seen.followed
    moved = np.abs(followed.rows - followed.around.mean10) * followed.observed / seen.usual.blame.numpy()
    first = np.where(np.isnan(memory.moved), moved[:, 0], memory.moved)
    blamed = (moved + np.concatenate([first[:, None], moved[:, :-1]], axis=1)) / np.float32(2)
    memory.moved[:] = moved[:, -1]
    found: Rows = np.where(stuck, np.maximum(blamed, np.float32(LARGEST)), blamed)
    return found
