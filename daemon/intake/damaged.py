"""What is said where the intake's own memory, read from the store, cannot be read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from anomalyd.errors import StoreError


@contextmanager
def damaged(what: str) -> Iterator[None]:
    """Make a StoreError of bytes that cannot be decoded.

    Raises:
        StoreError: they cannot.

    """
    try:
        yield
    except msgspec.DecodeError as error:
        raise StoreError(
            f"what was remembered of {what} is damaged: {error}; restore the database from a copy"
        ) from error
