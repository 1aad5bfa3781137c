"""How durations, counts and lists are said: one way for every sentence of the assistant."""

from __future__ import annotations

import re
from collections.abc import Sequence


def duration(seconds: float) -> str:
    """Say a duration by its two largest units, such as `2 h 5 min`."""
    whole = round(max(0.0, seconds))
    parts = []
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min"), (1, "s")):
        count, whole = divmod(whole, size)
        if count:
            parts.append(f"{count} {unit}")
    return " ".join(parts[:2]) or "0 s"


def apart(text: str) -> str:
    """Write the words of names such as `AnomalydNoData` apart."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", text)


def counted(number: int, noun: str, plural: str | None = None) -> str:
    """Say `1 incident`, `14 incidents`, `no incidents`."""
    many = plural or f"{noun}s"
    if number == 0:
        return f"no {many}"
    return f"{number:,} {noun if number == 1 else many}"


def listed(items: Sequence[str], *, limit: int = 8, joint: str = "and") -> str:
    """Say `a, b and c`; behind `limit` items, how many more there are."""
    if len(items) > limit:
        return f"{', '.join(items[:limit])} {joint} {len(items) - limit} more"
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {joint} {items[-1]}"
