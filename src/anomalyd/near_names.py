"""Names near to one that was mistyped, for "did you mean" (settings, formats, detectors, entities, metrics, ids)."""

from __future__ import annotations

from collections.abc import Iterable

_LIKE = 78.0
"""Similarity from 0 to 100 (weighted ratio, case passed over) from which a name may have been meant."""


def nearest(name: str, known: Iterable[str], most: int = 3) -> tuple[str, ...]:
    """Give those of the known names that may have been meant, the likeliest first."""
    from rapidfuzz import fuzz, process, utils  # only who mistypes waits for it

    found = process.extract(
        name, list(known), scorer=fuzz.WRatio, processor=utils.default_process, limit=most, score_cutoff=_LIKE
    )
    return tuple(each for each, _, _ in found)


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Give `did you mean 'x'? ` for a name that is not known, or nothing where none is near."""
    found = nearest(name, known, 1)
    return f"did you mean {found[0]!r}? " if found else ""
