"""Named arrays of many entities among a model's tensors.

Of each name there are two tensors, whatever the number of entities: all arrays flattened behind each other,
and their shapes. An entity's own array is a view, made when it is asked for, so that a model that is mapped
from its file costs next to no memory. Earlier versions kept a tensor for each name of each entity.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor


@dataclass(frozen=True, slots=True)
class EntityArrays:
    """Named arrays of N entities, numbered from 0.

    `values`: of each name the arrays of all, flat and behind each other; `shapes`: of each name (N, 1 + D),
    a 1 and the shape of each entity's array, or zeros of an entity that has none of this name.
    """

    count: int
    values: Mapping[str, NDArray[Any]]
    shapes: Mapping[str, NDArray[np.int64]]
    _ends: Mapping[str, NDArray[np.int64]]

    @classmethod
    def of(cls, each: Sequence[Mapping[str, ArrayLike]]) -> Self:
        """Put arrays of entities together; those of one name have the same type and as many axes.

        Raises:
            ValueError: they have not.

        """
        names = dict.fromkeys(name for one in each for name in one)
        values, shapes = dict[str, NDArray[Any]](), dict[str, NDArray[np.int64]]()
        for name in names:
            own = [np.asarray(one[name]) if name in one else None for one in each]
            known = [array for array in own if array is not None]
            if len({(array.dtype, array.ndim) for array in known}) > 1:
                raise ValueError(f"arrays {name!r} differ in type or number of axes between entities")
            absent = (0,) * (1 + known[0].ndim)
            shapes[name] = np.array([absent if a is None else (1, *a.shape) for a in own], dtype=np.int64)
            values[name] = np.concatenate(known, axis=None)
        return cls._made(len(each), values, shapes)

    @classmethod
    def _made(
        cls, count: int, values: Mapping[str, NDArray[Any]], shapes: Mapping[str, NDArray[np.int64]]
    ) -> Self:
        ends = {name: np.cumsum(np.prod(shape, axis=1)) for name, shape in shapes.items()}
        for name, flat in values.items():
            if len(shapes[name]) != count or (int(ends[name][-1]) if count else 0) != len(flat):
                raise ValueError(f"{name!r} does not hold the arrays of {count} entities")
        return cls(count, values, shapes, ends)

    @classmethod
    def restore(cls, tensors: Mapping[str, Tensor], prefix: str, count: int) -> Self:
        """Give those of `count` entities that `tensors` stored under a prefix, as views of them; or copies,
        of what earlier versions stored as PREFIX.NUMBER.NAME.

        Raises:
            KeyError: there are none of an entity.
            ValueError: they are not of so many entities.

        """
        flat = below(tensors, f"{prefix}.values.")
        if flat or not count:
            shapes = {name: tensors[f"{prefix}.shapes.{name}"].numpy() for name in flat}
            return cls._made(count, {name: tensor.numpy() for name, tensor in flat.items()}, shapes)
        found: dict[int, dict[str, NDArray[Any]]] = {}
        for name, tensor in below(tensors, f"{prefix}.").items():
            number, rest = name.split(".", 1)
            found.setdefault(int(number), {})[rest] = tensor.numpy()
        return cls.of([found[entity] for entity in range(count)])

    def tensors(self, prefix: str) -> dict[str, Tensor]:
        """Give all of them by name, for safetensors."""
        found = {f"{prefix}.values.{name}": torch.from_numpy(flat) for name, flat in self.values.items()}
        return found | {f"{prefix}.shapes.{name}": torch.from_numpy(s) for name, s in self.shapes.items()}

    def get(self, entity: int, name: str) -> NDArray[Any]:
        """Give one array of an entity, as a view.

        Raises:
            KeyError: it has none of this name.

        """
        there, *shape = self.shapes[name][entity].tolist()
        if not there:
            raise KeyError(name)
        end = int(self._ends[name][entity])
        return self.values[name][end - math.prod(shape) : end].reshape(shape)

    def at(self, entity: int) -> dict[str, NDArray[Any]]:
        """Give the arrays of an entity by name, as views."""
        return {name: self.get(entity, name) for name in self.values if self.shapes[name][entity, 0]}

    def stacked_with(self, name: str, last: NDArray[Any]) -> NDArray[Any]:
        """Give the arrays of one name of all entities and a last one as one, (N + 1, ...).

        Raises:
            ValueError: they differ in their shapes, or some entity has none.

        """
        if not self.count:
            return last[None].copy()
        if (self.shapes[name] != (1, *last.shape)).any():
            raise ValueError(f"arrays {name!r} differ in shape between entities")
        return np.concatenate([self.values[name].reshape(self.count, *last.shape), last[None]])


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Give the tensors whose names begin with a prefix, by the rest of the name."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}
