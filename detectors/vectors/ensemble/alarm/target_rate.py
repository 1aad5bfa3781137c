"""What heights of the ensemble's alarm give a wanted rate of false alarms, for rows that come so often."""

from __future__ import annotations

import math

from anomalyd.detectors.vectors.ensemble.alarm.views_alarm import Heights
from anomalyd.detectors.vectors.ensemble.ensemble_parameters import Parameters

RATE = 1e-3
PER_HEIGHT, _PER_SPREAD = 0.85, 0.45
"""Where alarms began at the heights `open` and `stir` on labelled servers: at about one in 1000 normal rows,
and at fewer by a factor e for each 1 / 0.85 nats, or 1 / 0.45 spreads, more."""

_PACE_S = 300.0
"""Views agree for minutes, not for rows: where rows come more often than every five minutes, `open` is as
much higher as keeps the alarms of an hour the same."""

_JOLTS = 0.0017 / RATE
"""So many rows may be jolts for one that may begin an alarm: most stand in alarms, or beside others."""

_LEAST_OPEN, _LEAST_STIR = 0.1, 1.0


def open_at(parameters: Parameters, rate: float) -> float:
    """Give the height from which views agree on an alarm, of rows five minutes apart."""
    return max(parameters.open + math.log(RATE / rate) / PER_HEIGHT, _LEAST_OPEN)


def heights_at(parameters: Parameters, rate: float, interval_s: float) -> Heights:
    """Give all heights, of rows that come every `interval_s` seconds."""
    rarer = math.log(RATE / rate) / _PER_SPREAD
    return Heights(
        agree=open_at(parameters, rate) + max(0.0, math.log(_PACE_S / interval_s)) / PER_HEIGHT,
        hold=parameters.hold,
        stir=max(parameters.stir + rarer, _LEAST_STIR),
        lasting=bool(parameters.lasting),
        accept_s=parameters.accept_days * 86_400.0,
    )


def jolts_at(rate: float) -> float:
    """Give the share of rows that may be jolts."""
    return _JOLTS * rate
