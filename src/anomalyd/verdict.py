"""What an operator says of an entity: the one word that detectors, reports and commands share."""

from __future__ import annotations

from enum import StrEnum


class Verdict(StrEnum):
    """What an operator says that an entity does: it settles what a detector can only assume."""

    NORMAL = "normal"
    """What it does now is normal: learn it, and stop alerting."""
    BROKEN = "broken"
    """What it does now is a fault: keep alerting while it lasts, and learn nothing of it."""
