from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from anomalyd.detectors.parameters import number, read_parameters
from anomalyd.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Knobs:
    window: int = number(8, 1, 64)
    clip: float = number(30.0, 1.0, 100.0)


def test_what_is_not_given_has_its_default_and_an_integer_may_stand_for_a_number() -> None:
    assert read_parameters("kind", Knobs, {}) == Knobs(8, 30.0)
    read = read_parameters("kind", Knobs, {"clip": 5})
    assert read == Knobs(8, 5.0)
    assert isinstance(read.clip, float)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"windw": 8}, "unknown parameter 'windw'; did you mean 'window'\\? known: window, clip"),
        ({"window": 0}, "window is 0; it is an integer from 1 to 64"),
        ({"window": 65}, "from 1 to 64"),
        ({"window": 8.0}, "an integer"),
        ({"window": True}, "an integer"),
        ({"clip": "30"}, "a number from 1 to 100"),
        ({"clip": float("nan")}, "a number from 1 to 100"),
    ],
)
def test_what_is_wrong_is_named_with_what_is_allowed(given: dict[str, Any], says: str) -> None:
    with pytest.raises(TrainingError, match=says):
        read_parameters("kind", Knobs, given)
