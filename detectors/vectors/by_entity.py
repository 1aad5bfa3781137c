"""Named arrays of many entities among a model's tensors: PREFIX.NUMBER.NAME of each entity."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor


def below(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """Give the tensors whose names begin with a prefix, by the rest of the name."""
    return {name.removeprefix(prefix): t for name, t in tensors.items() if name.startswith(prefix)}


def by_entity(tensors: Mapping[str, Tensor]) -> dict[tuple[str, int], dict[str, Tensor]]:
    """Give the tensors named PREFIX.NUMBER.NAME by prefix and number, all in one pass."""
    found: dict[tuple[str, int], dict[str, Tensor]] = {}
    for name, tensor in tensors.items():
        prefix, number, *rest = name.split(".", 2)
        if rest and number.isdecimal():
            found.setdefault((prefix, int(number)), {})[rest[0]] = tensor
    return found
