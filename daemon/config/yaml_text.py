"""The text of a configuration file: YAML, and what it takes from the environment."""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from typing import Any

import yaml


def read_yaml(text: str) -> Any:
    """Read YAML.

    Raises:
        yaml.YAMLError: it is none, or a key stands twice.

    """
    # _StrictLoader is a SafeLoader that also refuses a key that stands twice.
    return yaml.load(text, Loader=_StrictLoader)  # nosec B506


class _StrictLoader(yaml.SafeLoader):
    """YAML without a key that stands twice: the second would silently win."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[Any] = set()
        for key_node, _ in node.value:
            key = self.construct_object(key_node, deep=True)
            if key in seen:
                raise yaml.constructor.ConstructorError(
                    None, None, f"key {key!r} stands twice", key_node.start_mark
                )
            seen.add(key)
        return super().construct_mapping(node, deep)


_PLACEHOLDER = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


def fill_in(value: Any, path: str, environment: Mapping[str, str], mistakes: list[str]) -> Any:
    """Replace `${ENV}` in every string below `value`; what is not set is added to the mistakes."""
    if isinstance(value, dict):
        return {
            k: fill_in(v, f"{path}.{k}" if path else str(k), environment, mistakes) for k, v in value.items()
        }
    if isinstance(value, list):
        return [fill_in(v, f"{path}[{i}]", environment, mistakes) for i, v in enumerate(value)]
    if not isinstance(value, str):
        return value

    def known(match: re.Match[str]) -> str:
        if match[1] not in environment:
            mistakes.append(f"{path}: environment variable {match[1]} is not set; export it first")
            return match[0]
        return environment[match[1]]

    return _PLACEHOLDER.sub(known, value)
