"""Types of columns that SQLite and PostgreSQL read and write alike."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Any

from sqlalchemy import BigInteger, Dialect, Double, Text
from sqlalchemy.types import TypeDecorator, TypeEngine


class Real(TypeDecorator[float]):
    """A float of any make: sqlite3 would silently keep a numpy scalar as its raw bytes."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> float | None:
        """Make it a Python float."""
        return None if value is None else float(value)


class Score(TypeDecorator[float]):
    """A score; NaN ("could not tell") is NULL, because SQLite has no NaN."""

    impl = Double
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> float | None:
        """Store NaN as NULL."""
        return None if value is None or math.isnan(value) else float(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> float:
        """Read NULL as NaN."""
        return math.nan if value is None else value


class Whole(TypeDecorator[int]):
    """An integer of any make, 64 bits."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> int | None:
        """Make it a Python int."""
        return None if value is None else int(value)


class EnumText(TypeDecorator[StrEnum]):
    """A member of a StrEnum, stored as its value."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[StrEnum]) -> None:
        super().__init__()
        self.words = words

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Store the value, and only one that is known."""
        return None if value is None else self.words(value).value

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        """Read the member."""
        return None if value is None else self.words(value)


class Lines(TypeDecorator[tuple[str, ...]]):
    """Short texts, one a line, so that one LIKE finds a part of any of them.

    A newline within a text becomes a space, an empty text is dropped.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Join."""
        return None if value is None else "\n".join(text.replace("\n", " ") for text in value if text)

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[str, ...]:
        """Split."""
        return tuple(value.split("\n")) if value else ()

    def coerce_compared_value(self, op: Any, value: Any) -> TypeEngine[Any]:
        """Compare with plain text: a search is for a part of a line."""
        return Text()
