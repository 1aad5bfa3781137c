"""What a list needs of incidents, read without their words and arrays."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anomalyd.reports.report import Severity, Status

RANK = {severity: rank for rank, severity in enumerate(Severity)}
"""How bad a severity is."""


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """An incident in a list; times are event times in seconds since the epoch."""

    id: str
    detector: str
    entity: str
    severity: Severity
    status: Status
    onset: float
    last: float
    peak: float
    source: str = ""
    """Where its first record came from, as topic/partition/offset; "" where nobody asked."""

    @property
    def is_open(self) -> bool:
        """Whether it still goes on."""
        return self.status is Status.OPEN


@dataclass(frozen=True, slots=True)
class IncidentIndex:
    """All incidents of a selection as columns (n,), by onset: 100,000 in a fraction of a second.

    `detectors` (n,) are numbers for their names, `ranks` (n,) those of `RANK`, `still_open` (n,) says which
    go on.
    """

    ids: NDArray[np.object_]
    detectors: NDArray[np.int64]
    onsets: NDArray[np.float64]
    ranks: NDArray[np.int64]
    still_open: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.ids)
