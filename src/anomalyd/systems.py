"""The detector system that an element belongs to, by its name: detectors and reports share it."""

from __future__ import annotations

import re

_SIDE = re.compile(r"[+-][0-9]*$")


def system_of(entity: str) -> str:
    """Name the system of an element: what stands before the first slash (`DT` of `DT/W0/MB1/S04`).

    A side and its number at the end are no part of it: `EB` of `EB+01`, `EE` of `EE-`.
    """
    name = entity.partition("/")[0]
    return _SIDE.sub("", name) or name
