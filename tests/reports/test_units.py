"""Numbers as people read them."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.reports.units import human, unit_of


@pytest.mark.parametrize(
    ("value", "metric", "told"),
    [
        (1.01e9, "swap.used_bytes", "1.01 GB"),
        (999.6, "disk.read_bytes", "1.00 kB"),
        (94.2, "cpu.used_percent", "94.2 %"),
        (60.04, "disk.latency_ms", "60.0 ms"),
        (0.0, "net.rx_errors", "0"),
        (0.1, "net.rx_errors", "0.100"),
        (9909370, "requests", "9.91 M"),
        (4711.0, "requests", "4711"),
        (-2.5e-7, "current", "-2.50e-07"),
        (2.0e8, "diskio.write_bytes{name=vda}", "200 MB"),
        (12.0, "cpu.usage_system{cpu=cpu-total}", "12.0 %"),
        (1.26e10, "disk.free{device=vda,path=/}", "12.6 GB"),
        (4.5e7, "mem.sunreclaim", "45.0 MB"),
        (3.1e6, "disk.inodes_free{path=/}", "3.10 M"),
        (math.nan, "cpu", "missing"),
        (math.inf, "cpu", "inf"),
    ],
)
def test_a_number_has_three_digits_a_prefix_and_a_unit(value: float, metric: str, told: str) -> None:
    assert human(value, metric) == told


@given(st.floats(-1e20, 1e20), st.text(max_size=20))
def test_what_is_told_is_within_half_a_percent(value: float, metric: str) -> None:
    told = human(value, metric).removesuffix(unit_of(metric)).split()
    prefixes = {"k": 1e3, "M": 1e6, "G": 1e9, "T": 1e12, "P": 1e15}
    assert float(told[0]) * prefixes.get(told[1] if told[1:] else "", 1.0) == pytest.approx(value, rel=5.1e-3)


def test_a_rate_of_counts_is_no_time():
    assert [unit_of(name) for name in ("disk_reads_per_s", "uptime_s")] == ["", "s"]
