"""The odds that some place of a map is broken, and where: a Bayesian likelihood scan.

A place holds a counts where e are expected from a reference worth w counts. If its efficiency is f, the
likelihood ratio against "nothing is wrong" is that of a binomial: a ln f + (a + w) ln((e + w) / (f e + w)).
Averaged over efficiencies, places and classes of places, each with its prior, this is the ratio of the two
probabilities of the whole map. Its mean over normal maps is 1 whatever the counts, so its logarithm, the raw
score, means the same at every count level, and the price of looking in many places is in it.

What is expected comes from the rest of the map (or from sister rows) times the ratio in the reference, so
nothing is divided by a luminosity. Its error, 1/w, adds up the Poisson errors of the sums behind it and the
extra variance of the shape.

Sources: M. Kulldorff, "A spatial scan statistic", Commun. Stat. Theory Methods 26 (1997) 1481, for the scan;
D. B. Neill, A. W. Moore, G. F. Cooper, "A Bayesian spatial scan statistic", NIPS 2005, for the averaging.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from anomalyd.detectors.maps.likelihood.edges import sharpened
from anomalyd.detectors.maps.likelihood.empty_cells import Empties
from anomalyd.detectors.maps.likelihood.reference_test import Compared, Profile, Sums, laid_out, summed_up
from anomalyd.detectors.maps.places.box_sums import at_places
from anomalyd.detectors.maps.places.places import Cells, Counts, Index, Places

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

DEAD_SHARE = 0.3
"""Probability that a broken place is dead, the commonest fault; other losses are as likely as one another."""

LOSSES = (0.02, 0.4, 0.65, 0.8, 0.88, 0.93, 0.97)
EXCESSES = (1.05, 1.1, 1.25, 1.5, 2.0, 4.0)
"""What a broken place is taken to count of what it should."""

_NEGLIGIBLE = float(np.log(5e-4))
"""Places whose pull cannot make more of the odds than this are not looked at closer."""

_SMALLEST_PULL = 1.2

_FEWEST_LIKE, _SAMPLED = 30, 300
"""Places of one size that a map must have before they tell how far such places lie out, and how
many are asked."""

_CLUSTERED = 2.0
"""Noise of single cells from which that of larger places is measured in the map itself."""

_MEDIAN_CHI2 = 0.4549

_UNSEEN = 0.5
"""What the places that are not looked at closer are worth together, by priors that add up to 1."""

QUIET = float(np.log(_UNSEEN))
"""Log odds of a map in which no place is looked at closer."""

_SUSPECT = -0.6
"""Score from which all places share the blame: below, none stands out, and the likeliest one takes it."""

_UNLIKE, _FEW = 4.0, 3.0
"""One element in twenty (3 nats) strays four times as far from a profile as the others: some shapes are rare.

Single cells are so many that their spread is known.
"""

_STRIKING = 2.0
"""Score from which the edges of the likeliest place are looked at closer."""

_FITTED = 3.5
"""Nats that are gained by moving edges where nothing is to be gained: they fit the noise."""

_LIKELY = 8.0
"""Places that are this many nats less likely than all together are not blamed."""

_HIGHEST = 1e30  # nats: so many are as certain as infinitely many, and can be subtracted


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the scan says of maps (N, R, C).

    `score` (N,): ln of the odds, normal maps stay below t but for a share of e^-t. `family`, `place` (N,):
    the likeliest place, for `Places.cells_of`, -1 where none stands out; `observed`, `expected` (N,): its
    counts.
    `blame` (N, R, C): probability that a cell lies in the broken place, below 0 where counts are lost.
    """

    score: Doubles
    family: Index
    place: Index
    observed: Doubles
    expected: Doubles
    blame: Floats

    def efficiency(self) -> Doubles:
        """Say what the likeliest place (N,) counts of what it should, NaN where there is none."""
        return np.where(self.place >= 0, self.observed / np.maximum(self.expected, 1e-9), np.nan)


@dataclass(frozen=True, slots=True)
class _Close:
    """Places that are looked at closer: arrays (m,) of their map, place, log odds, counts and expectation."""

    number: int
    map: Index
    place: Index
    nats: Floats
    observed: Floats
    expected: Floats


def scan(
    counts: Counts,
    reference: Counts,
    places: Places,
    spread: Floats,
    profile: Profile | None = None,
    noise: Floats | None = None,
) -> Evidence:
    """Scan maps (N, R, C) against references (N, R, C), in counts as well; 0 in cells that do not count.

    `spread` (N, K): how far the maps of an element stray from its reference, beyond Poisson noise, for each
    kind of places. With a `profile` what is expected is the mean of both, each as its error lets it count.
    `noise` (N, K): variance over Poisson's of each kind of places; None: 1. Counts that come n at a time tell
    as much as an n-th of them.
    """
    size = len(counts)
    if noise is None:
        noise = np.ones((size, len(places.names)), dtype=np.float32)
    result = Evidence(
        np.full(size, QUIET),
        np.full(size, -1),
        np.full(size, -1),
        np.zeros(size),
        np.zeros(size),
        np.zeros(counts.shape, dtype=np.float32),
    )
    for part, seen, known, usual, zeros in laid_out(counts, reference, places, profile):
        close = [
            found
            for sums in summed_up(seen, known, places, usual)
            if (found := _look_closer(sums, spread[part], noise[part], zeros, places, usual)) is not None
        ]
        if close:
            odds = _sum_up(close, part, result, places)
            _sharpen(part, odds, seen, known if usual is None else known + usual.rates, result, places)
    return result


def _look_closer(
    sums: Sums | Compared,
    spread: Floats,
    noise: Floats,
    zeros: Empties | None,
    places: Places,
    usual: Profile | None,
) -> _Close | None:
    """Weigh the places that pull far enough to matter."""
    stray = spread[:, sums.kind] ** 2
    wider = noise[:, sums.kind]
    least = max(_SMALLEST_PULL**2, 2 * (_NEGLIGIBLE - sums.prior))
    if places.tall:
        wider = _as_wide_as_its_like(sums, stray, wider)
    chosen, a, e, v = sums.striking(stray, wider, least)
    real = e > 0
    if not real.all():
        chosen, a, e, v = chosen[real], a[real], e[real], v[real]
    if not len(chosen):
        return None
    maps, place = np.divmod(chosen, sums.observed[0].size)
    width = wider[maps]
    d = width * (v - 1) / e + stray[maps]
    lost = places.lost[sums.kind]
    # Reference and map scatter alike: the counts of both are worth fewer.
    few, should = a / width, e / width
    nats = log_odds(few, should, (1 / d).astype(np.float32), lost)
    if usual is not None and places.names[sums.kind] != "cell":
        # What is known but for the profile, and what an element unlike the others leaves of that.
        trusted = 1 / usual.error[maps, sums.kind] ** 2
        worth = np.maximum(1 / d - (1 - _UNLIKE**-2) * trusted, 1 / (_UNLIKE**2 * d)).astype(np.float32)
        np.minimum(nats, log_odds(few, should, worth, lost) + _FEW, out=nats)
    if zeros is not None:
        if sums.number < len(places.families):
            family = places.families[sums.number]
            worth = at_places(zeros.worth, family, places, maps, place)
            excess = at_places(zeros.excess, family, places, maps, place)
        else:
            cells = places.listed[sums.number - len(places.families)].cells
            worth, excess = ((x @ cells).ravel()[chosen] for x in zeros.flat)
        # What looks hot may only stand beside dead cells.
        beside = zeros.flat[1].sum(1)[maps] - excess
        nats = np.where(a == 0, worth, nats * width - np.where(a < e, excess, beside)).astype(np.float32)
        nats /= width
    return _Close(sums.number, maps, place, nats + np.float32(sums.prior), a, e)


def _as_wide_as_its_like(sums: Sums | Compared, stray: Floats, wider: Floats) -> Floats:
    """Widen the noise (N,) of a family to how far its places are seen to lie out in the map itself.

    Towers that are read out together make noise that neighbours share, and large boxes all the more. Where
    the map is as calm as it should be nothing changes.
    """
    places = sums.observed[0].size
    if places < _FEWEST_LIKE or float(wider.max()) < _CLUSTERED:
        return wider
    compared = sums.compared() if isinstance(sums, Sums) else sums
    n = len(compared.observed)
    observed, expected, variance = (
        x.reshape(n, -1)[:, :: max(1, places // _SAMPLED)]
        for x in (compared.observed, compared.expected, compared.variance)
    )
    pull = (observed - expected) ** 2 / np.maximum(expected * variance, 1e-6)
    shape = stray[:, None] * expected / variance
    median = np.median(np.maximum(pull - shape, 0), axis=1) / _MEDIAN_CHI2
    return np.where(wider >= _CLUSTERED, np.maximum(wider, median), wider).astype(np.float32)


def _sum_up(close: list[_Close], part: slice, result: Evidence, places: Places) -> Doubles:
    """Add the odds of all places up, find the likeliest one of each map, and give its share (n,) in them."""
    maps = np.concatenate([c.map for c in close])
    nats = np.minimum(np.concatenate([c.nats for c in close]), _HIGHEST, dtype=np.float64)
    size = len(result.score[part])
    highest = np.full(size, -np.inf)
    for c in close:  # their maps are in rising order
        begins = np.flatnonzero(np.diff(c.map, prepend=-1))
        first = c.map[begins]
        highest[first] = np.maximum(highest[first], np.maximum.reduceat(c.nats, begins))
    np.minimum(highest, _HIGHEST, out=highest)
    shift = np.maximum(highest, 0.0)
    odds = np.bincount(maps, np.exp(nats - shift[maps]), size)
    result.score[part] = np.log(odds + _UNSEEN * np.exp(-shift)) + shift
    best = np.flatnonzero(nats == highest[maps])
    at = part.start + maps[best]
    result.family[at] = np.repeat([c.number for c in close], [len(c.map) for c in close])[best]
    result.place[at] = np.concatenate([c.place for c in close])[best]
    result.observed[at] = np.concatenate([c.observed for c in close])[best]
    result.expected[at] = np.concatenate([c.expected for c in close])[best]
    suspect = result.score[part] > _SUSPECT
    if suspect.any():
        result.blame[part] = _blame(close, result.score[part], suspect, places)
    share: Doubles = np.exp(highest - result.score[part])
    for one in np.flatnonzero(~suspect & (result.place[part] >= 0)):
        at = part.start + one
        cells = places.cells_of(int(result.family[at]), int(result.place[at]))
        lost = result.observed[at] < result.expected[at]
        result.blame[at] = cells * np.float32(-share[one] if lost else share[one])
    return share


def _sharpen(
    part: slice, share: Doubles, seen: Floats, known: Floats, result: Evidence, places: Places
) -> None:
    """Let the likeliest place of a striking map share its blame with one whose edges fit better."""
    for one in np.flatnonzero(result.score[part] > _STRIKING):
        at = part.start + one
        number = int(result.family[at])
        # Whole rows and listed places are units of the hardware: they end where they end.
        if number >= len(places.families) or places.families[number].width == 0:
            continue
        ratio = float(result.observed[at]), float(result.expected[at])
        cells, gain = sharpened(seen[one], known[one], places, number, int(result.place[at]), ratio)
        likelier = np.exp(min(gain - _FITTED, _LIKELY)) * share[one]
        sign = -1 if ratio[0] < ratio[1] else 1
        result.blame[at] = (result.blame[at] + sign * likelier * cells) / (1 + likelier)


def _blame(close: list[_Close], score: Doubles, suspect: Cells, places: Places) -> Floats:
    """Spread the probability of every place over its cells (n, R, C): `sums_of` and `windows` backwards.

    Of maps that are not `suspect` (n,) nobody is blamed, and few are.
    """
    size, (_, columns) = int(suspect.sum()), places.shape
    among = np.cumsum(suspect) - 1
    most = max((f.width for f in places.families), default=1) if places.wrap else 0
    shape = (size, len(places.groups), columns + most + 1)
    begins: list[Index] = []
    ends: list[Index] = []
    weights: list[Doubles] = []
    listed = np.zeros((size, columns * places.shape[0]), dtype=np.float32)
    for c in close:
        likely = np.flatnonzero((c.nats > score[c.map] - _LIKELY) & suspect[c.map])
        if not len(likely):
            continue
        maps, place = among[c.map[likely]], c.place[likely]
        odds = np.exp(c.nats[likely] - score[c.map[likely]])
        odds *= np.where(c.observed[likely] < c.expected[likely], -1.0, 1.0)
        if c.number >= len(places.families):
            cells = places.listed[c.number - len(places.families)].cells
            each = np.zeros((size, cells.shape[1]), dtype=np.float32)
            each[maps, place] = odds
            listed += each @ cells.T
            continue
        family = places.families[c.number]
        group, first = np.divmod(place, places.starts(family))
        at = (maps * shape[1] + family.group[group]) * shape[2] + first
        begins.append(at)
        ends.append(at + (family.width or columns))
        weights.append(odds)
    inside = np.zeros(shape, dtype=np.float32)
    if begins:
        at, odds = np.concatenate([*begins, *ends]), np.concatenate(weights)
        edges = np.bincount(at, np.concatenate([odds, -odds]), inside.size).astype(np.float32)
        np.cumsum(edges.reshape(shape), axis=2, out=inside)
    if most:
        inside[:, :, :most] += inside[:, :, columns : columns + most]
    found: Floats = np.matmul(places.groups.T, inside[:, :, :columns])
    found += listed.reshape(found.shape)
    blame = np.zeros((len(score), *places.shape), dtype=np.float32)
    blame[suspect] = found
    return blame


def log_odds(observed: Floats, expected: Floats, worth: Floats, lost: float = 0.5) -> Floats:
    """Give the ln of the likelihood ratio (m,), averaged over the losses, or the excesses where more came.

    `lost`: probability that it is a loss, but for dead places, whose share is always the same.
    """
    nats = np.empty_like(observed)
    less = observed < expected
    alive = 1 - DEAD_SHARE
    losses = (DEAD_SHARE, *[alive * lost / (len(LOSSES) - 1)] * (len(LOSSES) - 1))
    excesses = [alive * (1 - lost) / len(EXCESSES)] * len(EXCESSES)
    for side, efficiencies, priors in ((less, LOSSES, losses), (~less, EXCESSES, excesses)):
        chosen = np.flatnonzero(side)
        a, e, w = observed[chosen], expected[chosen], worth[chosen]
        f = np.array(efficiencies, dtype=np.float32)[:, None]
        change = (f - 1) * (e / (e + w))
        torch.from_numpy(change).log1p_()  # in a third of NumPy's time
        change *= a + w
        each = a * np.log(f)
        each -= change
        each += np.log(np.array(priors, dtype=np.float32))[:, None]
        highest = each.max(0, initial=-np.inf)
        each -= highest
        nats[chosen] = highest + np.log(np.exp(each, out=each).sum(0))
    return nats
