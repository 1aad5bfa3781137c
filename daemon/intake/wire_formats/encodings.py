"""What a message that cannot be read may be wrapped in, or be instead: said so that it can be mended."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

UTF8_MARK = b"\xef\xbb\xbf"
"""Byte order mark that editors and Windows put before UTF-8; it is no part of the text."""

_PLAIN = "send it plain, and have Kafka compress it (compression.type)"

_BEGINNINGS: Mapping[bytes, str] = {
    b"\x1f\x8b": f"it is compressed with gzip; {_PLAIN}",
    b"\x28\xb5\x2f\xfd": f"it is compressed with zstd; {_PLAIN}",
    b"\x04\x22\x4d\x18": f"it is compressed with lz4; {_PLAIN}",
    b"\xff\x06\x00\x00sNaPpY": "it is snappy's framed format; remote write takes the block format",
    b"\xff\xfe": "it is UTF-16; send UTF-8",
    b"\xfe\xff": "it is UTF-16; send UTF-8",
    b"PK\x03\x04": "it is a zip file, as numpy.savez writes; send the bytes of numpy.save",
    b"Obj\x01": "it is an Avro file; send JSON (a JsonConverter)",
    b"# HELP ": "it is Prometheus' text for scraping; have Prometheus write it (remote_write)",
    b"# TYPE ": "it is Prometheus' text for scraping; have Prometheus write it (remote_write)",
    b"<": "it is XML or HTML",
}

_REGISTRY = "it is framed for a schema registry (Avro, Protobuf or JSON Schema); send JSON without a schema"
_CONNECT = "Kafka Connect has wrapped it (schema, payload); set value.converter.schemas.enable=false"


def encoding_hint(value: bytes) -> str:
    """Say what a refused message seems to be, and what to do; empty where nothing is known."""
    for beginning, said in _BEGINNINGS.items():
        if value.startswith(beginning):
            return said
    if not value.strip():
        return "it is blank"
    if len(value) > 3 and (not any(value[1::2][:20]) or not any(value[::2][:20])):
        return "it is UTF-16; send UTF-8"
    if len(value) > 5 and value[0] == 0:
        return _REGISTRY
    if value[0] >= 0x80 and _is_messagepack(value):
        return "it is MessagePack; send JSON"
    if value.lstrip().startswith(b"{") and {"schema", "payload"} <= keys_of(value):
        return _CONNECT
    return ""


def keys_of(value: bytes) -> set[str]:
    """Give the keys of a JSON object; none of anything else."""
    try:
        found = msgspec.json.decode(value)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return set()
    return set(found) if isinstance(found, dict) else set()


def _is_messagepack(value: bytes) -> bool:
    try:
        return isinstance(msgspec.msgpack.decode(value), dict | list)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, ValueError):
        return False
