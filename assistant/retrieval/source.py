"""Where passages come from: a source names its items with their versions, and reads those that changed."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from anomalyd.assistant.retrieval.passage import Passage


class Source(Protocol):
    """Items that hold passages: the reports of a store, the files of a folder.

    `name` tells sources apart, and stays the same from one run to the next.
    """

    name: str

    def versions(self) -> Mapping[str, str]:
        """Give every item with a version that changes whenever the item does."""

    def read(self, items: Sequence[str]) -> Iterator[tuple[str, list[Passage]]]:
        """Give the passages of each of these items; one that is gone by now is left out."""
