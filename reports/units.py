"""Numbers as people read them: 1.01 GB, 94 %, 3.2 ms; alike in text, tables and pictures."""

from __future__ import annotations

import math
import re

_PREFIXES = ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"))

_UNITS = (
    (
        r"bytes?(_total)?$|_bytes_|^(mem|swap|disk)\.(used|free|total|available)$"
        r"|^mem\.(cached|buffered|slab|sreclaimable|sunreclaim|active|inactive|dirty|shared|mapped)$",
        "B",
    ),
    (r"percent|_pct$|\.pct$|usage_(idle|user|system|iowait|steal|nice|irq|softirq|guest)", "%"),
    (r"(_ms|milliseconds|latency_ms)$", "ms"),
    (r"(_seconds|(?<!_per)_s)$", "s"),  # not of a rate of counts, reads_per_s
    (r"(celsius|temperature|_temp)", "°C"),
    (r"(_hz|hertz)$", "Hz"),
    (r"(_volts?|voltage)$", "V"),
    (r"(_watts?)$", "W"),
    (r"(rpm)$", "rpm"),
)


def unit_of(metric: str) -> str:
    """Give the unit that a metric's name tells, without labels (`{device=vda}`); "" where it tells none."""
    name = metric.split("{", 1)[0].lower()
    return next((unit for pattern, unit in _UNITS if re.search(pattern, name)), "")


def human(value: float, metric: str = "") -> str:
    """Write a value with three digits that count, a prefix where it is large, and the unit of its metric."""
    if not math.isfinite(value):
        return "missing" if math.isnan(value) else f"{value:g}"
    unit = unit_of(metric)
    size = abs(value)
    least = 1e3 if unit in ("B", "Hz", "V", "W") else 1e6
    prefix = ""
    if size >= least * (1 - 5e-4):
        scale, prefix = next((s, p) for s, p in _PREFIXES if size >= s * (1 - 5e-4))
        value /= scale
    number = _three_digits(value)
    # A prefix without a unit is parted from the number, too: 9.91 M.
    return f"{number} {prefix}{unit}" if prefix or unit else number


def _three_digits(value: float) -> str:
    size = abs(value)
    if size == 0:
        return "0"
    if size < 1e-3 or size >= 1e6:
        return f"{value:.2e}"
    return f"{value:.0f}" if size >= 999.5 else f"{value:#.3g}".rstrip(".")
