"""The parameters of a detector: a frozen dataclass of numbers, filled from a mapping and checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, field, fields
from typing import TYPE_CHECKING, Any, TypeVar

from anomalyd.errors import TrainingError
from anomalyd.near_names import did_you_mean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

P = TypeVar("P", bound="DataclassInstance")


def number(
    default: float, least: float, most: float, *, tune: tuple[float, float] | None = None, log: bool = False
) -> Any:
    """Declare a number of a parameters dataclass: its default (an int asks for integers) and its range.

    `tune`: where `anomalyd tune` looks for a better one, None: nowhere; `log`: on a logarithmic scale.
    """
    return field(default=default, metadata={"least": least, "most": most, "tune": tune, "log": log})


def read_parameters(kind: str, known: type[P], given: Mapping[str, Any]) -> P:
    """Fill the parameters dataclass `known` (fields made by `number`) from what was given.

    Raises:
        TrainingError: an unknown name, a wrong type, or a value out of range; the text says what is allowed.

    """
    allowed = {f.name: f for f in fields(known)}
    values: dict[str, int | float] = {}
    for name, value in given.items():
        if name not in allowed:
            raise TrainingError(
                f"{kind}: unknown parameter {name!r}; {did_you_mean(name, allowed)}"
                f"known: {', '.join(allowed) if allowed else 'none'}"
            )
        wanted = allowed[name]
        assert wanted.default is not MISSING
        whole = isinstance(wanted.default, int)
        least, most = wanted.metadata["least"], wanted.metadata["most"]
        right_type = isinstance(value, int if whole else int | float) and not isinstance(value, bool)
        if not right_type or not least <= value <= most:
            what = "an integer" if whole else "a number"
            raise TrainingError(f"{kind}: {name} is {value!r}; it is {what} from {least:g} to {most:g}")
        values[name] = value if whole else float(value)
    return known(**values)
