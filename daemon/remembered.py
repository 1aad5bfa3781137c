"""Records that are kept in the store between two steps, as bytes and back.

A record is a frozen msgspec struct that refuses fields it does not know. Its `version` rises whenever a field
is added or changes its meaning; a migration of the store then rewrites what is there.
"""

from __future__ import annotations

from typing import Any, Literal, TypeVar

import msgspec

from anomalyd.errors import StoreError


class Remembered(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, gc=False):
    """What every record has: the version of its layout."""

    version: Literal[1] = 1


_Record = TypeVar("_Record", bound=Remembered)


def encode(record: Remembered) -> bytes:
    """Turn a record into bytes (msgpack, fields by name)."""
    return msgspec.msgpack.encode(record)


def decode(blob: bytes, kind: type[_Record], what: str) -> _Record:
    """Give the record that `encode` was given; `what` names it in an error.

    Raises:
        StoreError: the bytes are damaged, or a newer version wrote them.

    """
    try:
        return msgspec.msgpack.decode(blob, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        version = _version(blob)
        if isinstance(version, int) and version > 1:
            raise StoreError(
                f"{what} has version {version}, this anomalyd reads version 1: a newer one wrote it; "
                "upgrade anomalyd, or restore the database from a copy"
            ) from error
        raise StoreError(f"{what} is damaged: {error}; restore the database from a copy") from error


def _version(blob: bytes) -> Any:
    try:
        return msgspec.msgpack.decode(blob)["version"]
    except (msgspec.DecodeError, UnicodeDecodeError, KeyError, TypeError, IndexError):
        return None
