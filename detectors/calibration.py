"""Raw score -> calibrated score: 1 means alert, at a wanted false-alarm rate.

A post-processor apart from the model. The alert threshold is a quantile that lies beyond most of the data
(a false-alarm rate of 1e-3 from 60 samples), so the tail of the normal scores is described by a generalised
Pareto distribution and extrapolated: peaks over threshold, as in Siffer, Fouque, Termier, Largouet,
"Anomaly detection in streams with extreme value theory" (SPOT), KDD 2017.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.errors import TrainingError

MINIMUM_SAMPLES = 10
"""Fewer normal scores than this say nothing about a tail."""

ALERT = 1.0
"""The calibrated score above which a sample alerts, whatever the detector."""

SCORE_OF_CENTRE = 0.2
"""The score of a median normal sample: low, but with room below it so that ranks are kept."""

_LARGEST_RAW = 1e100
"""Raw scores are clipped here: beyond it differences would overflow, and nobody can tell them apart."""

_LARGEST_SCORE = 1e6
"""Scores are clipped here, so that they stay finite in JSON and in plots."""

_TAIL_SHARE = 0.1
_TAIL_LEAST = 12
"""The tail that is fitted: the highest tenth, or a dozen scores where that is more."""

_SUSPECT_SHARE = 0.005
"""Share of the training data that may be unlabelled anomalies: of these highest scores it is only used that
they are high, not how high."""

_SHAPE_MEAN, _SHAPE_SPREAD = 0.1, 0.1
"""Prior of the tail's shape, which few samples cannot tell: slightly heavier than exponential (a penalised
likelihood as in Coles and Dixon, Extremes 2, 1999, with the Gaussian width chosen narrower)."""

_ODDS_TAIL = 0.01
_ODDS_SHARE = 0.1
"""Largest share of the normal samples that log odds of 0 are exceeded by where a sample is judged by less
than in the training (a first map): the threshold is never lower than this lets it be."""
_USUAL_ODDS = -0.5  # of a median normal map, on simulation of every geometry
_ODDS_SCALE = 0.7
"""Scale of the tail of log odds: 1 is the bound; .6 to .7 was measured on simulated maps."""

_MOSTLY = 0.5
"""With more of the data beyond the bound than this it is the odds that are wrong, not the samples."""

_SHAPES = np.linspace(0.0, 0.5, 26)
"""Shapes tried. Not below 0: a bounded tail would put the threshold at the largest score seen."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """A monotone map of raw scores to calibrated ones: `centre` -> 0.2, `threshold` -> 1, linear above.

    `centre` is the median normal raw score, `threshold` the raw score that a normal sample exceeds with
    probability `false_alarm_rate`. `samples` normal scores were seen; the share `tail_share` of them that
    lies above `tail_start` gave a generalised Pareto tail of scale `tail_scale` and shape `tail_shape`.
    `follows`: whether it is where an entity begins, and its threshold is recomputed as the stream goes
    (`threshold`); not where the tail is known.
    """

    false_alarm_rate: float
    threshold: float
    centre: float
    samples: int
    tail_start: float
    tail_share: float
    tail_scale: float
    tail_shape: float
    follows: bool = False

    @classmethod
    def known(cls, false_alarm_rate: float, centre: float, threshold: float) -> Calibration:
        """Make one where both heights are known beforehand: no samples were seen, no tail was fitted."""
        return cls(false_alarm_rate, threshold, centre, 0, threshold, 0.0, 0.0, 0.0)

    def heights(self, raw: NDArray[np.float64]) -> NDArray[np.float64]:
        """Give how high raw scores (n,) are: 0 at the centre, 1 at the threshold."""
        clipped = np.minimum(np.maximum(raw, -_LARGEST_RAW), _LARGEST_RAW)
        heights: NDArray[np.float64] = (clipped - self.centre) / (self.threshold - self.centre)
        return heights

    def __call__(
        self, raw: NDArray[np.float64], threshold: NDArray[np.float64] | float = 1.0
    ) -> NDArray[np.float64]:
        """Calibrate raw scores (n,): within (0, 1e6], above 1 is an alert, NaN stays NaN.

        `threshold`, of each or of all, is the height that gives 1; that of training is at height 1.
        """
        far = self.heights(raw) / threshold
        slope = 1.0 - SCORE_OF_CENTRE
        # Below the centre an exponential that continues value and slope: never negative, ranks kept.
        below = SCORE_OF_CENTRE * np.exp(np.minimum(far, 0.0) * slope / SCORE_OF_CENTRE)
        return np.minimum(np.where(far < 0.0, below, SCORE_OF_CENTRE + slope * far), _LARGEST_SCORE)


def fit_calibration(raw: NDArray[np.float64], false_alarm_rate: float) -> Calibration:
    """Fit on held-out scores (n,) of mostly normal samples; NaN is left out.

    `false_alarm_rate` is the wanted probability that a normal sample alerts. With few samples the threshold
    errs upwards, and a few unlabelled anomalies (half a percent and one more) hardly move it.

    Raises:
        TrainingError: fewer than 10 scores, or a rate outside (0, 1).

    """
    if not 0.0 < false_alarm_rate < 1.0:
        raise TrainingError(
            f"false_alarm_rate is {false_alarm_rate}; it is a probability between 0 and 1, for example 0.001"
        )
    scores = np.sort(np.clip(raw[~np.isnan(raw)], -_LARGEST_RAW, _LARGEST_RAW))
    n = len(scores)
    if n < MINIMUM_SAMPLES:
        raise TrainingError(
            f"only {n} scores to calibrate on, at least {MINIMUM_SAMPLES} are needed; train on more samples"
        )
    centre = float(np.median(scores))
    count = max(int(_TAIL_SHARE * n), min(_TAIL_LEAST, n // 2))
    start = float(scores[n - count - 1])
    excesses = scores[scores > start] - start
    # Where (nearly) all scores are equal there is no tail: a fiftieth of their size stands in for it.
    smallest = 0.02 * max(abs(centre), abs(start)) / math.log(1e3) + 1e-9
    if len(excesses) == 0:
        scale, shape, share = smallest, 0.0, 1.0 / n
    else:
        suspect = 1 + int(_SUSPECT_SHARE * n) if len(excesses) > 3 else 0
        scale, shape = _fit_tail(excesses, min(suspect, len(excesses) - 1), smallest)
        share = len(excesses) / n
    threshold = start + scale * exceeded_by(max(share / false_alarm_rate, 1.0), shape)
    # A rate above the tail's share asks for a quantile inside the data.
    if share < false_alarm_rate:
        threshold = float(np.quantile(scores, 1.0 - false_alarm_rate))
    threshold = max(threshold, centre + scale)
    return Calibration(false_alarm_rate, threshold, centre, n, start, share, scale, shape, follows=True)


def fit_log_odds(raw: NDArray[np.float64], false_alarm_rate: float) -> Calibration:
    """Fit on held-out scores (n,) that are the log odds that a sample is broken; NaN is left out.

    Of a normal sample the odds are 1 in the mean, so that they exceed e^t with probability e^-t at most
    (Markov's inequality): the tail is exponential, and only its height is measured, at the 99 % quantile. The
    same bound holds the threshold down where more than one in a hundred samples is broken.

    Raises:
        TrainingError: fewer than 10 scores, or a rate outside (0, 1).

    """
    fitted = fit_calibration(raw, false_alarm_rate)
    scores = raw[~np.isnan(raw)]
    share = max(_ODDS_TAIL, false_alarm_rate)
    start = float(np.quantile(scores, 1 - share))
    threshold = start + _ODDS_SCALE * math.log(share / false_alarm_rate)
    bound = -math.log(false_alarm_rate)
    if float(np.mean(scores > bound)) < _MOSTLY:
        threshold = min(threshold, bound)
    threshold = max(threshold, fitted.centre + 0.1, bound + math.log(_ODDS_SHARE))
    return Calibration(
        false_alarm_rate, threshold, fitted.centre, len(scores), start, share, _ODDS_SCALE, 0.0
    )


def known_log_odds(false_alarm_rate: float) -> Calibration:
    """Give the calibration of log odds that no data were seen for: the least threshold of `fit_log_odds`."""
    threshold = max(-math.log(false_alarm_rate) + math.log(_ODDS_SHARE), _USUAL_ODDS + 0.1)
    return Calibration.known(false_alarm_rate, _USUAL_ODDS, threshold)


def exceeded_by(odds: float, shape: float) -> float:
    """Say how many scales above its start a tail of this shape is exceeded once in `odds` (1 or more)."""
    return math.log(odds) if shape < 1e-6 else math.expm1(shape * math.log(odds)) / shape


def _fit_tail(excesses: NDArray[np.float64], suspect: int, smallest: float) -> tuple[float, float]:
    """Fit scale and shape of a generalised Pareto to sorted excesses, the `suspect` highest only as "above".

    Penalised maximum likelihood on a grid (two parameters; nothing to converge), then the scale is raised by
    its own relative standard error, 1/sqrt(count): with few samples too high a threshold is the safer error.
    """
    trusted = excesses[: len(excesses) - suspect]
    cap = trusted[-1]
    # At most 512 evenly ranked excesses: the likelihood of more says the same and costs more.
    if len(trusted) > 512:
        trusted = trusted[np.linspace(0, len(trusted) - 1, 512).astype(int)]
    weight = (len(excesses) - suspect) / len(trusted)
    unit = max(float(np.mean(trusted)), smallest)
    scales = unit * np.geomspace(0.25, 4.0, 81)[:, None]
    best, best_scale, best_shape = -np.inf, unit, _SHAPE_MEAN
    for shape in _SHAPES:
        heights, cap_height = trusted / scales, cap / scales[:, 0]
        if shape < 1e-6:
            density, above = -heights.sum(axis=1), -cap_height
        else:
            density = -(1.0 + 1.0 / shape) * np.log1p(shape * heights).sum(axis=1)
            above = -np.log1p(shape * cap_height) / shape
        prior = -0.5 * ((shape - _SHAPE_MEAN) / _SHAPE_SPREAD) ** 2
        likelihood = weight * (density - len(trusted) * np.log(scales[:, 0])) + suspect * above + prior
        peak = int(np.argmax(likelihood))
        if likelihood[peak] > best:
            best, best_scale, best_shape = float(likelihood[peak]), float(scales[peak, 0]), float(shape)
    return max(best_scale, smallest) * (1.0 + 1.0 / math.sqrt(len(excesses))), best_shape
