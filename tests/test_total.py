from __future__ import annotations

import math

import pytest

from anomalyd.total import Total

SISTERS = "7 sister elements of the same time"


@pytest.mark.parametrize(
    ("total", "line"),
    [
        (Total(500, 1000, SISTERS), f"the total of the map: 500 counts, 1000 expected by {SISTERS} (50 %)"),
        (Total(2500, 1000, SISTERS), "(2.5 times as many)"),
        (Total(0, 1000, SISTERS), f"counts nothing, 1000 expected by {SISTERS}: it is dead, or not read out"),
        (Total(0, math.nan, ""), "the whole element counts nothing: it is dead, or not read out"),
    ],
)
def test_a_total_is_said_with_what_was_expected_and_why(total: Total, line: str) -> None:
    (said,) = total.lines
    assert said.endswith(line)
