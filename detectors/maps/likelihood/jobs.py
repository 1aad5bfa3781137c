"""One map, or the sum of three, beside its reference: what the scan works on, many of one layout at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.history.history import History
from anomalyd.detectors.maps.history.memory import CellScatter
from anomalyd.detectors.maps.likelihood.diffuse import diffuse_evidence
from anomalyd.detectors.maps.likelihood.first_look import SUSPICIOUS, suspicion
from anomalyd.detectors.maps.likelihood.place_odds import QUIET, scan
from anomalyd.detectors.maps.likelihood.population import Population
from anomalyd.detectors.maps.likelihood.reference_test import Profile
from anomalyd.detectors.maps.neighbours.evidence import rarity
from anomalyd.detectors.maps.neighbours.grid import unit_evidence
from anomalyd.detectors.maps.neighbours.local import judges_alone
from anomalyd.detectors.maps.places.places import Counts, Places, smallest_and_largest

PRIOR_ALONE = 0.2
"""Prior share of what a map says of itself: so that normal maps reach as far with it as with a history."""


_OVER = -6.0
"""Nats of a map against what it and the two before it show together, from which that is over."""

_FAINTEST = 0.01


@dataclass(slots=True)
class Job:
    """One map, or sum of three, beside its reference: what the scan works on, and what it found.

    `moved`: how far the element's units move as a whole (relative), if that is known of itself; `scatter`:
    what is known of how wide its cells scatter.
    """

    geometry: Geometry
    places: Places
    population: Population
    drawn: Counts
    reference: Counts
    profiled: bool
    dispersion: float = 1.0
    moved: float | None = None
    scatter: CellScatter = field(default_factory=CellScatter)
    score: float = float("nan")
    blame: Counts = field(default_factory=lambda: np.zeros(0, dtype=np.float32))


@dataclass(slots=True)
class Step:
    """One map of a chunk: its job, that of the sum of three, and what it says of noise and movement.

    `before`, `after`: the history that it was laid beside, and what this becomes with it if it was guessed
    right.
    """

    single: Job | None
    three: Job | None
    measured: tuple[float, float] = (1.0, 0.0)
    moved: float | None = None
    scattered: tuple[float, float] = (0.0, 0.0)
    before: History | None = None
    after: History | None = None


def scan_jobs(jobs: Sequence[Job]) -> None:
    """Scan maps of one layout, all beside a profile or none."""
    drawn = np.stack([j.drawn for j in jobs])
    missing = np.isnan(drawn)
    counts = np.where(missing, 0, drawn).clip(0).astype(np.float32)
    reference = np.where(missing, 0, np.stack([j.reference for j in jobs])).astype(np.float32)
    profile = None
    if jobs[0].profiled:
        rates = np.stack([j.population.profile for j in jobs])
        profile = Profile(
            np.where(missing, 0, rates).astype(np.float32), np.stack([j.population.stray for j in jobs])
        )
    drift = np.stack([j.population.drift for j in jobs])
    gain = np.stack([j.population.gain for j in jobs])
    wider = np.array([j.dispersion for j in jobs], dtype=np.float32)[:, None]
    noise = 1 + gain * (wider - 1)
    some = np.arange(len(jobs))
    if profile is None:
        some = np.flatnonzero(suspicion(counts, reference, jobs[0].places, drift, noise) > SUSPICIOUS)
        nowhere = np.zeros_like(jobs[0].drawn)
        nowhere.flags.writeable = False
        for job in jobs:
            job.score, job.blame = QUIET, nowhere
    found = scan(counts[some], reference[some], jobs[0].places, drift[some], profile, noise[some])
    for k, score, blame in zip(some.tolist(), found.score, found.blame, strict=True):
        jobs[k].score, jobs[k].blame = float(score), blame
    # Of a plain histogram a shape that moves cannot be told from one that is uneven.
    if profile is None and judges_alone(jobs[0].geometry):
        _with_diffuse(jobs, counts, reference, drift, noise)
    if jobs[0].geometry.segments and not jobs[0].profiled:
        _beside_units(jobs, counts, reference)


def _with_diffuse(
    jobs: Sequence[Job], counts: Counts, reference: Counts, drift: Counts, noise: Counts
) -> None:
    """Add the odds of faults that lie in no one place."""
    cell, whole = smallest_and_largest(jobs[0].places)
    moved = [usual if j.moved is None else j.moved for j, usual in zip(jobs, drift[:, whole], strict=True)]
    found = diffuse_evidence(
        counts,
        reference,
        jobs[0].geometry,
        (noise[:, cell], drift[:, cell]),
        (noise[:, whole], np.array(moved, dtype=np.float32)),
        [j.scatter for j in jobs],
    )
    odds = found.odds
    for k, job in enumerate(jobs):
        if odds[k] > job.score:
            job.blame = found.cells(k)
        job.score = float(np.logaddexp(job.score, odds[k]))


def _beside_units(jobs: Sequence[Job], counts: Counts, reference: Counts) -> None:
    """Add what units have lost beside their like, as far as the history did not show it."""
    units = unit_evidence(counts, reference, jobs[0].geometry)
    if not units:
        return
    odds = rarity(units, jobs[0].population.prices) + float(np.log(PRIOR_ALONE))
    for k, job in enumerate(jobs):
        best = int(odds[k].argmax())
        if odds[k, best] > job.score:
            share = np.float32(-1 if units[best].lost[k] else 1)
            job.blame = units[best].cells(k) * share
        job.score = float(np.logaddexp(job.score, np.logaddexp.reduce(odds[k])))


def is_over(three: Job, single: Job) -> bool:
    """Say whether what the sum of three maps shows is over in the last of them: a fault of those before."""
    size = np.abs(three.blame)
    if not size.any():
        return False
    cells = size > size.max() / 2
    expected = [_expected_in(job, cells) for job in (three, single)]
    if min(expected) <= 0:
        return False
    change = float(np.nansum(three.drawn[cells])) / expected[0]
    seen = float(np.nansum(single.drawn[cells]))
    # The likelihood ratio of the last map, for the change that all three show against none.
    nats = seen * np.log(max(change, _FAINTEST)) - expected[1] * (change - 1)
    return bool(nats / single.dispersion < _OVER)


def _expected_in(job: Job, cells: NDArray[np.bool_]) -> float:
    """Give the counts that some cells of a map should have, by all the others."""
    reference, drawn = np.where(np.isnan(job.drawn), 0, job.reference), np.nan_to_num(job.drawn)
    known = float(reference[cells].sum(dtype=np.float64))
    rest = float(reference.sum(dtype=np.float64)) - known
    return known * float(drawn[~cells].sum(dtype=np.float64)) / rest if rest > 0 else 0.0
