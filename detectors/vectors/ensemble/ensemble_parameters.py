"""What may be set of the ensemble of metric vectors."""

from __future__ import annotations

from dataclasses import dataclass

from anomalyd.detectors.parameters import number


@dataclass(frozen=True, slots=True)
class Parameters:
    """What may be set.

    `hidden`, `code`: widths of the network; `steps`: batches it is trained with; `open`: height above the
    bulk from which views agree on an alarm, at a rate of 0.001 and with rows five minutes apart; `hold`: how
    much lower it stays on; `stir`: spreads above its median from which commotion is an alarm; `lasting`:
    whether it also stays one while the last hour is restless or metrics are displaced (0: no);
    `accept_days`: how long an alarm lasts before what it is about is taken for the new normal; `floor`: how
    little a metric is asked to move, as a share of its size; `turbulence`, `surprise`,
    `displacement`, `profile`, `unrest`, `motion`, `level`: weight of each view, times the share it was given
    (0: without it; one stays); `jolts`: whether a jump of one row alerts (0: no).
    """

    hidden: int = number(128, 4, 1024, tune=(32, 256), log=True)
    code: int = number(32, 1, 1024, tune=(4, 64), log=True)
    steps: int = number(800, 1, 100_000, tune=(200, 2000), log=True)
    open: float = number(2.0, 0.1, 100.0)
    hold: float = number(0.65, 0.0, 100.0)
    stir: float = number(6.1, 0.1, 1000.0)
    lasting: int = number(1, 0, 1)
    accept_days: float = number(1.0, 0.01, 365.0, tune=(0.25, 14.0), log=True)
    floor: float = number(0.01, 0.0, 1.0, tune=(0.001, 0.1), log=True)
    turbulence: float = number(1.0, 0.0, 10.0)
    surprise: float = number(1.0, 0.0, 10.0)
    displacement: float = number(1.0, 0.0, 10.0)
    profile: float = number(1.0, 0.0, 10.0)
    unrest: float = number(1.0, 0.0, 10.0)
    motion: float = number(1.0, 0.0, 10.0)
    level: float = number(1.0, 0.0, 10.0)
    jolts: int = number(1, 0, 1)
