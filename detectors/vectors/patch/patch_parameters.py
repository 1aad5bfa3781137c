"""What may be set of the patch detector."""

from __future__ import annotations

from dataclasses import dataclass

from anomalyd.detectors.parameters import number


@dataclass(frozen=True, slots=True)
class Parameters:
    """What may be set.

    `height`: evidence from which an alarm begins, of rows five minutes apart; `accept_days`: how long an
    alarm lasts before it is taken for the new normal; `floor`: how little a metric is asked to move, as a
    share of its size. The others are 1, or 0 to leave a part out: the five views, patches and rows that are
    new, restlessness and jumps.
    """

    height: float = number(1.9, 0.3, 20.0, tune=(1.0, 4.0))
    accept_days: float = number(3.0, 0.05, 365.0)
    floor: float = number(0.01, 0.0, 1.0, tune=(0.001, 0.1), log=True)
    turbulence: float = number(1.0, 0.0, 1.0)
    displacement: float = number(1.0, 0.0, 1.0)
    profile: float = number(1.0, 0.0, 1.0)
    unrest: float = number(1.0, 0.0, 1.0)
    motion: float = number(1.0, 0.0, 1.0)
    patches: float = number(1.0, 0.0, 1.0)
    rows: float = number(1.0, 0.0, 1.0)
    restless: int = number(1, 0, 1)
    jumps: int = number(1, 0, 1)


WEIGHTED = ("turbulence", "displacement", "profile", "unrest", "motion", "patches", "rows")
