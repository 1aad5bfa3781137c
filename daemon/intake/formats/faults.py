"""What is wrong with the parts of a message, told in one text: a bad part takes no good one with it."""

from __future__ import annotations

import re

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

    def add(self, error: DecodeError, where: str = "") -> None:
        """Take a fault, and the part it is in, such as `line 3`."""
        self._reason = self._reason or error.reason
        self._count += 1
        if self._count <= NAMED:
            self._named.append(f"{where}: {error}" if where else str(error))

    def told(self) -> DecodeError | None:
        """Give one error that names the first faults and says how many more there are, or None."""
        if not self._count:
            return None
        more = [f"and {self._count - NAMED} more"] if self._count > NAMED else []
        return DecodeError(self._reason, "; ".join(self._named + more))


def json_fault(error: Exception) -> DecodeError:
    """Say what msgspec found wrong: not JSON at all, or a field, with its path: `$.map[3][2]`."""
    if not isinstance(error, msgspec.ValidationError):
        return DecodeError(Reason.SYNTAX, f"not JSON: {error}")
    text = re.sub(r"object missing required field", "missing field", str(error), flags=re.I)
    return DecodeError(Reason.FIELD, text)


JSON_FAULTS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)  # all that msgspec's decoders raise
