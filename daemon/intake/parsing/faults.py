"""What is wrong with the parts of a message, told in one text: a bad part takes no good one with it."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import msgspec

from anomalyd.daemon.stages import Reason
from anomalyd.errors import DecodeError

NAMED = 10  # of the bad parts of one message, so that the text stays readable


class Faults:
    """Gathers the faults of one message; the reason told is that of the first."""

    def __init__(self) -> None:
        self._named: list[str] = []
        self._reason = ""
        self._count = 0
        self._broken: dict[str, bytes] = {}

    def add(self, error: DecodeError, where: str = "", broken: bytes | None = None) -> None:
        """Take a fault, the part it is in, such as `line 3`, and what that part holds."""
        self._reason = self._reason or error.reason
        self._count += 1
        if self._count <= NAMED:
            self._named.append(f"{where}: {error}" if where else str(error))
        if broken is not None:
            self._broken[where] = broken

    def told(self, joined: Callable[[Sequence[bytes]], bytes] | None = None) -> DecodeError | None:
        """Give one error that names the first faults and says how many more there are, or None.

        `joined` makes a message of the bad parts, which are all that the error carries then.
        """
        if not self._count:
            return None
        more = [f"and {self._count - NAMED} more"] if self._count > NAMED else []
        text = "; ".join(self._named + more)
        if joined is None or not self._broken:
            return DecodeError(self._reason, text)
        places = list(self._broken)
        where = ", ".join(
            places[:NAMED] + ([f"and {len(places) - NAMED} more"] if len(places) > NAMED else [])
        )
        return DecodeError(self._reason, text, joined(list(self._broken.values())), where)


def json_array(elements: Sequence[bytes]) -> bytes:
    """Make an array of elements that may each be anything but JSON."""
    return b"[" + b",".join(elements) + b"]"


def json_fault(error: Exception) -> DecodeError:
    """Say what msgspec found wrong: not JSON at all, or a field, with its path: `$.map[3][2]`."""
    if not isinstance(error, msgspec.ValidationError):
        return DecodeError(Reason.SYNTAX, f"not JSON: {error}")
    text = re.sub(r"object missing required field", "missing field", str(error), flags=re.I)
    return DecodeError(Reason.FIELD, text)


JSON_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # all that msgspec's decoders raise
