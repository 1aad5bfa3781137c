"""The maps of one element on their way through the scan, each judged by what came before it.

What enters the history depends on the scores before, so maps could only be scored one after another. A normal
map hardly ever changes sides: a few are scored together on the guess that they all stay on the side of the
last one, and those behind a wrong guess again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.detector import Adaptation, RawScores, SeriesWindow
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.history.memory import Memory, Noise
from anomalyd.detectors.maps.likelihood.combined_odds import TRUSTED_ALONE, combined, total_of
from anomalyd.detectors.maps.likelihood.jobs import PRIOR_ALONE, Job, Step, is_over, scan_jobs
from anomalyd.detectors.maps.likelihood.local_judgement import LocalJudgement
from anomalyd.detectors.maps.likelihood.nearest_maps import NearestEvidence
from anomalyd.detectors.maps.likelihood.overdispersion import (
    measure_movement,
    measure_noise,
    measure_scatter,
)
from anomalyd.detectors.maps.likelihood.population import Population
from anomalyd.detectors.maps.neighbours.evidence import rarity, together
from anomalyd.detectors.maps.neighbours.local import judges_alone, local_evidence
from anomalyd.detectors.maps.neighbours.rate import RateJudgement, RateSeen, judge_rate
from anomalyd.detectors.maps.places.layouts import places_of
from anomalyd.detectors.maps.places.places import Counts, smallest_and_largest
from anomalyd.total import Total

_TRUSTED = 1.0
"""Log odds up to which a map joins the history by the history itself: one in a hundred normal maps lies
above."""

_VOUCHED = 8.0
"""The same by a map's own evidence, where its history finds nothing wrong: what was always odd is no fault.
"""

_LASTING = 0.33
"""Prior that a fault has lasted for three maps: a new one is not to drown in the noise of older maps."""

_GROWN = 0.1
"""Share of the profile's worth that the history holds before the profile is left out: of a wide loss the
profile of a plain histogram has taken over a part itself."""

LOCAL_MAPS = 10.0
"""Maps of history up to which a map is judged by itself, too. Behind them the history knows more."""

_FADING = 0.3
"""Nats that the former loses with each map of history: what was always odd is no fault."""

_USUAL_NOISE = 30.0
"""Cells that the usual noise of a population is worth."""

_KNOWN_NOISE = 5.0
"""Maps from which an element's noise is known."""

_CALMEST, _WILDEST = 1.0, 40.0

_STANDING = 6.0
"""Log odds from which a map counts to a standing alarm."""

_AHEAD = 32
"""Maps of one element that are scored together at most, on the guess that none of them changes sides. Behind
one that is not trusted the guess is usually wrong: one map, then twice as many each time that it is right."""

_WEAK = 0.0
"""Log odds of the sum of three below which it does not matter whether what it shows is over."""

_LEAST_EXPECTED = 0.25  # keeps the pull of a cell finite that was dead and counts again


class MapStream:
    """One window of maps on its way through the scan."""

    def __init__(
        self,
        window: SeriesWindow,
        geometry: Geometry,
        population: Population,
        memory: Memory,
        rates: Sequence[RateSeen],
        unfit_after: int,
    ) -> None:
        self.geometry = geometry
        self.population = population
        self._window = window
        self._places = places_of(geometry)
        self._memory = memory
        self._rates = rates
        self._span = unfit_after
        self._grown = _GROWN * float(population.profile.sum())
        self._alone = judges_alone(geometry)
        _, whole = smallest_and_largest(self._places)
        self._units = len(geometry.units) > 1
        self._moves, self._unit_gain = float(population.drift[whole]), float(population.gain[whole])
        self._at = 0
        self._guess, self._ahead = True, _AHEAD
        self._steps: list[Step] = []
        self._local: LocalJudgement | None = None
        # What an operator called normal is judged by its own history.
        self._nearest = None if memory.history.alone else population.nearest_of(window.entity)
        self._beside: NearestEvidence | None = None
        n, *shape = window.values.shape
        self._raw = np.full(n, np.nan)
        self._missing = np.isnan(window.values)
        self._whole = np.asarray(~self._missing.any((1, 2)), dtype=np.bool_)
        self._totals = np.where(self._missing, 0, window.values).sum((1, 2), dtype=np.float64)
        self._blame = np.zeros((n, *shape), dtype=np.float32)
        self._expected = np.zeros((n, *shape), dtype=np.float32)
        self._adaptations: list[Adaptation] = []
        self._totals_found: list[tuple[int, Total]] = []

    @property
    def done(self) -> bool:
        """Whether every map is scored."""
        return self._at >= len(self._window.values)

    @property
    def kinds_of_places(self) -> int:
        """How many kinds of places the scan looks at in maps of this element."""
        return len(self._places.names)

    def local_maps(self) -> Counts | None:
        """Give the next maps (n, R, C) if they are to be judged by themselves, too."""
        history = self._memory.history
        self._local = None
        if not self._alone or history.alone or history.settled.weight >= LOCAL_MAPS:
            return None
        return self._window.values[self._at : self._at + self._ahead]

    def take_local(self, judgement: LocalJudgement) -> None:
        """Take what `local_maps` say of themselves."""
        self._local = judgement

    def look_ahead(self) -> list[Job]:
        """Lay out the next maps beside their references, on the guess that all of them are like the last
        one.
        """
        self._steps = []
        history = self._memory.history
        if self._nearest is not None:
            ahead = self._window.values[self._at : self._at + self._ahead]
            self._beside = self._nearest.judge(ahead)
            self._steps = [Step(None, None) for _ in ahead]
            return []
        for k, drawn in enumerate(self._window.values[self._at : self._at + self._ahead]):
            step = Step(self._job(drawn, history.reference(), history.alone), None)
            together_ = history.three(drawn)
            if together_ is not None and step.single is not None:
                three = self._job(together_, history.settled.reference(), history.alone)
                # The pending maps tell what is usual here better than any profile, but are in the sum.
                if three is not None and three.profiled == step.single.profiled:
                    step.three = three
            if self._local is not None and self._local.evidence.noise.worth[self._local.first + k] > 0:
                noise = self._local.evidence.noise
                step.measured = (
                    float(noise.value[self._local.first + k]),
                    float(noise.worth[self._local.first + k]),
                )
            self._steps.append(step)
            step.before = history
            history = step.after = history.after(drawn, self._guess)
        return [s.single for s in self._steps if s.single is not None and not s.single.profiled]

    def roll_noise(self, said: NDArray[np.float64]) -> Iterator[Job]:
        """Take what the maps beside their references say of the noise (6, n); gives the jobs to scan.

        In order: variance over Poisson's, the cells behind it, mean square of how far the units lie off,
        Poisson's part of that, how wide the cells scatter (logarithm), and the cells behind it.
        """
        measured = iter(said.T.tolist())
        noise, movement, scatter = self._memory.noise, self._memory.movement, self._memory.scatter
        for step in self._steps:
            if step.single is not None and not step.single.profiled:
                value, worth, square, usual, *scattered = next(measured)
                step.scattered = scattered[0], scattered[1]
                step.measured = max((value, worth), step.measured, key=lambda m: m[1])
            # What is broken everywhere looks like noise: once that is known a map says nothing of its own.
            own = step.measured if noise.maps < _KNOWN_NOISE else (1.0, 0.0)
            width = noise.beside(self.population.dispersion, _USUAL_NOISE, *own)
            if not self._alone:
                width = 1.0  # of a plain histogram noise and a shape that moves cannot be told apart
            for job in (step.single, step.three):
                if job is not None:
                    job.dispersion, job.scatter = min(max(width, _CALMEST), _WILDEST), scatter
                    if self._units:
                        job.moved = movement.beside(self._moves)
                    yield job
            if self._guess:
                noise, scatter = noise.after(*step.measured), scatter.after(*step.scattered)
            if step.single is not None and not step.single.profiled and self._units:
                step.moved = square - usual * (1 + self._unit_gain * (step.single.dispersion - 1))
                if self._guess:
                    movement = movement.after(step.moved)

    def _job(self, drawn: Counts, reference: Counts, alone: bool) -> Job | None:
        known = float(reference.sum())
        there = known > 0
        grown = alone or known >= self._grown
        profiled = not self._alone and self.population.known and not grown
        if not there and not profiled:
            return None
        return Job(self.geometry, self._places, self.population, drawn, reference, profiled)

    def accept(self) -> None:
        """Keep what was scored, up to the first map that was not guessed right."""
        for k, step in enumerate(self._steps):
            drawn = self._window.values[self._at]
            seen = self._rates[self._at]
            history, blame, expected = self._by_history(step) if self._beside is None else self._by_nearest(k)
            alone = -np.inf
            if self._local is not None and self._memory.history.settled.weight < LOCAL_MAPS:
                faded = _FADING * self._memory.history.settled.weight
                alone = float(self._local.score[k]) + float(np.log(PRIOR_ALONE)) - faded
                if step.single is None:
                    expected = self._local.evidence.expected[self._local.first + k]
            rate = self._rate(seen, step)
            raw, leading = combined(history, alone, rate.nats)
            if leading == "alone" and self._local is not None:
                blame = self._local.blame(k)
            elif leading == "rate" or blame is None:
                blame = np.full(drawn.shape, -1.0 if rate.lost else 1.0, dtype=np.float32)
                if leading == "nothing":
                    blame *= 0
            if (total := total_of(seen, rate, leading, history, alone)) is not None:
                self._totals_found.append((self._at, total))
            judged = not rate.no_beam and bool(self._whole[self._at] or not self._missing[self._at].all())
            self._raw[self._at] = raw if judged else np.nan
            self._blame[self._at] = blame
            if self._beside is None or leading == "rate":
                expected = self._scaled(expected, rate, leading)
            assert expected is not None
            self._expected[self._at] = expected
            known = step.single is not None and not step.single.profiled
            own = _TRUSTED if self._beside is None else TRUSTED_ALONE
            trusted = judged and bool(
                (history <= own or not (known or self._beside is not None))
                and alone <= (_VOUCHED if known else TRUSTED_ALONE)
                and rate.nats <= TRUSTED_ALONE
            )
            self._remember(drawn, seen, step, judged, trusted, raw)
            self._at += 1
            if trusted != self._guess:
                self._guess, self._ahead = trusted, _AHEAD if trusted else 1
                break
        else:
            self._ahead = min(2 * self._ahead, _AHEAD)
        self._steps = []

    def _by_history(self, step: Step) -> tuple[float, Counts | None, Counts | None]:
        """Give the log odds, the blame and what was expected (not to scale) by the history."""
        if step.single is None:
            return -np.inf, None, None
        raw, blame = step.single.score, step.single.blame
        if step.three is not None and (step.three.score < _WEAK or not is_over(step.three, step.single)):
            new, lasting = raw + np.log(1 - _LASTING), step.three.score + np.log(_LASTING)
            raw = float(np.logaddexp(new, lasting))
            if lasting > new:
                blame = step.three.blame
        usual = step.single.reference
        if step.single.profiled:
            usual = usual + self.population.profile
        return raw, blame, usual

    def _by_nearest(self, k: int) -> tuple[float, Counts | None, Counts | None]:
        """Give the log odds, the blame and what was expected of the k-th map beside the nearest."""
        assert self._beside is not None
        return float(self._beside.odds[k]), self._beside.blame[k], self._beside.expected[k]

    def _rate(self, seen: RateSeen, step: Step) -> RateJudgement:
        memory = self._memory
        if memory.history.alone and memory.rate.sisters.n == 0 and seen.total > 0:
            # An operator took it for normal: its share is learnt first.
            seen = replace(seen, sisters=0)
        width = step.single.dispersion if step.single is not None else self.population.dispersion
        return judge_rate(seen, memory.rate, max(width, 1.0) ** 2)

    def _scaled(self, usual: Counts | None, rate: RateJudgement, leading: str) -> NDArray[np.float32]:
        """Scale what is expected to the map's counts; to those of the rate where that is what is wrong."""
        if usual is None:
            usual = self.population.profile
        there = usual if self._whole[self._at] else np.where(self._missing[self._at], 0, usual)
        behind = float(there.sum(dtype=np.float64))
        total = float(self._totals[self._at])
        if leading == "rate" and np.isfinite(rate.expected):
            total = rate.expected
        return np.asarray(usual * (total / behind if behind else 0.0), dtype=np.float32)

    def _remember(
        self, drawn: Counts, seen: RateSeen, step: Step, judged: bool, trusted: bool, raw: float
    ) -> None:
        before = self._memory
        if not judged:
            # No beam, or nothing but missing cells: it says nothing of the element.
            self._memory = replace(before, rate=before.rate.after(seen, trusted=False))
            return
        noise: Noise = before.noise.after(*step.measured) if trusted else before.noise
        movement = before.movement
        if trusted and step.moved is not None:
            movement = movement.after(step.moved)
        scatter = before.scatter.after(*step.scattered) if trusted else before.scatter
        guessed = step.after if trusted == self._guess and step.before is before.history else None
        after = replace(before, noise=noise, movement=movement, scatter=scatter).after(
            drawn, seen, trusted, raw > _STANDING, self._span, guessed
        )
        if after.standing.unfit and not before.standing.unfit:
            alerts = sum(after.standing.alerts)
            self._adaptations.append(
                Adaptation(
                    float(self._window.times[self._at]),
                    "model-does-not-fit",
                    f"{alerts} of the last {self._span} maps alert: either the fault lasts, or the model "
                    "does not fit this element. A provisional history begins; say normal to judge by it "
                    "from now on, or broken to drop it.",
                    before.state(),
                )
            )
        self._memory = after

    def scores(self) -> RawScores:
        """Give all scores of the window."""
        values = self._window.values
        missing = self._missing
        error = (values - self._expected) / np.sqrt(np.maximum(self._expected, _LEAST_EXPECTED))
        return RawScores(
            raw=self._raw,
            error=error.astype(np.float32),
            expectation=np.where(missing, np.nan, self._expected).astype(np.float32),
            contribution=np.where(missing, np.nan, np.abs(self._blame)).astype(np.float32),
            state=self._memory.state(),
            adaptations=tuple(self._adaptations),
            signed=np.where(missing, np.nan, self._blame).astype(np.float32),
            totals=tuple(self._totals_found),
        )


def judge_alone(streams: Sequence[MapStream]) -> None:
    """Let the next maps of streams of one geometry and population be judged by themselves, in one batch."""
    waiting = [(s, maps) for s in streams if (maps := s.local_maps()) is not None]
    if not waiting:
        return
    first = waiting[0][0]
    profile = first.population.profile if first.population.known else None
    evidence = local_evidence(
        np.concatenate([maps for _, maps in waiting]), first.geometry, first.population.units, profile
    )
    if evidence is None:
        return
    odds = rarity(evidence.classes, first.population.prices)
    score = together(odds)
    at = 0
    for stream, maps in waiting:
        part = slice(at, at + len(maps))
        stream.take_local(LocalJudgement(evidence, at, odds[part], score[part]))
        at += len(maps)


def advance(streams: Sequence[MapStream]) -> None:
    """Score the next maps of streams, those of one geometry and population side by side."""
    alike: dict[tuple[int, int], list[MapStream]] = {}
    for stream in streams:
        alike.setdefault((id(stream.geometry), id(stream.population)), []).append(stream)
    waiting: dict[tuple[int, bool], list[Job]] = {}
    for group in alike.values():
        judge_alone(group)
        ahead = [s.look_ahead() for s in group]
        beside = [job for some in ahead for job in some]
        said = np.zeros((6, 0))
        if beside:
            counts = np.nan_to_num(np.stack([j.drawn for j in beside])).clip(0)
            known = np.where(np.isnan([j.drawn for j in beside]), 0, np.stack([j.reference for j in beside]))
            known = known.astype(np.float32)
            noise = measure_noise(counts, known, group[0].geometry)
            geometry = group[0].geometry
            moved = measure_movement(counts, known, geometry)
            scattered = measure_scatter(counts, known, geometry, noise.value)
            said = np.stack([noise.value, noise.worth, *moved, *scattered])
        at = 0
        for stream, some in zip(group, ahead, strict=True):
            part = slice(at, at + len(some))
            for job in stream.roll_noise(said[:, part]):
                waiting.setdefault((id(job.places), job.profiled), []).append(job)
            at += len(some)
    for jobs in waiting.values():
        scan_jobs(jobs)
    for stream in streams:
        stream.accept()
