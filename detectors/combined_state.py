"""States put together without touching what is in them: named arrays are made only for who asks for one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from anomalyd.detectors.detector import State


# Not frozen: one is made of each row, and a frozen one takes five times as long. Nothing writes to it.
@dataclass(slots=True, eq=False)
class CombinedState(Mapping[str, NDArray[Any]]):
    """The states of several, each with what stands before its names."""

    parts: tuple[tuple[str, State], ...]

    def __getitem__(self, name: str) -> NDArray[Any]:
        for prefix, state in self.parts:
            if name.startswith(prefix) and (own := name[len(prefix) :]) in state:
                return state[own]
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        for prefix, state in self.parts:
            for name in state:
                yield prefix + name

    def __len__(self) -> int:
        return sum(len(state) for _, state in self.parts)
