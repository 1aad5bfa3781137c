"""Shell patterns on the names of metrics."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase


class Patterns:
    """A list of shell patterns; case matters.

    One with a `{` is held against the whole name (`cpu.*{cpu=cpu-total}`), any other against what stands
    before the labels (`cpu.usage_*`). A leading `!` takes out again what an earlier pattern let in; the last
    pattern that fits decides.
    """

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [(p.removeprefix("!"), "{" in p, not p.startswith("!")) for p in reversed(patterns)]

    def fit(self, bare: str, name: str) -> bool:
        """Say whether they take a metric: its name without the labels, and with them."""
        for pattern, whole, takes in self._patterns:
            if fnmatchcase(name if whole else bare, pattern):
                return takes
        return False
