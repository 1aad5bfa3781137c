"""What stands beside a map under a name that nobody reads: a mistyped companion must not be passed over."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from anomalyd.daemon.intake.parsing.histograms import COMPANIONS
from anomalyd.daemon.stages import Reason
from anomalyd.errors import DecodeError
from anomalyd.near_names import nearest

_MEANT = {
    "denominator": ("trials", "total", "totals", "all", "den", "denom", "passed_and_failed", "attempts"),
    "entries": ("n", "count", "counts", "events", "entry", "nentries"),
    "sumw2": ("weights", "weight", "w2", "sumw", "weights2", "sum_w2", "sumweights2"),
    "variance": ("errors", "error", "err", "sigma", "std", "uncertainty", "uncertainties", "var"),
}
"""What people call the companions of a map."""


def refuse_unknown_lists(message: Mapping[str, Any], known: Collection[str]) -> None:
    """Refuse lists of the map's shape that are no known field: the map would be judged without them.

    Beside a histogram of one row, which may come with its bins, only names like a companion's are refused.

    Raises:
        DecodeError: there is one; the text names it, and the field that was meant.

    """
    rows = message.get("map")
    if not isinstance(rows, list):
        return
    flat = not any(isinstance(row, list) for row in rows)
    for name, cells in message.items():
        meant = _meant(name)
        if name in known or (flat and not meant) or not _alike(rows, cells):
            continue
        hint = f"did you mean {meant!r}? " if meant else ""
        raise DecodeError(
            Reason.FIELD,
            f"{name[:60]}: a list of the map's shape that nobody reads; {hint}beside a map may stand one of "
            f"{', '.join(COMPANIONS)}",
        )


def _meant(name: str) -> str:
    called = name.lower().strip("_")
    for companion, names in _MEANT.items():
        if called in names:
            return companion
    return next(iter(nearest(called, COMPANIONS, 1)), "")


def _alike(rows: list[Any], cells: Any) -> bool:
    if not isinstance(cells, list) or len(cells) != len(rows):
        return False
    return all(
        len(row) == len(other) if isinstance(row, list) and isinstance(other, list) else type(row) is not list
        for row, other in zip(rows, cells, strict=True)
    ) and any(isinstance(cell, list) for cell in cells) == any(isinstance(row, list) for row in rows)
