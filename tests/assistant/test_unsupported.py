"""Questions that would be taken for something else are declined, with what can be asked instead."""

from __future__ import annotations

import pytest

from anomalyd.assistant.dialogue.unsupported import check_supported
from anomalyd.assistant.language.spelling import plain
from anomalyd.errors import QuestionError


@pytest.mark.parametrize(
    ("question", "instead"),
    [
        ("what share of the hosts had no incident yesterday?", "the rest"),
        ("hosts with incidents on neither of the last two days", "none"),
        ("when did we last have no open incidents?", "what was open"),
    ],
)
def test_it_is_declined_and_told_what_can_be_asked(question: str, instead: str) -> None:
    with pytest.raises(QuestionError, match=instead):
        check_supported(plain(question))


@pytest.mark.parametrize(
    "question",
    [
        "what share of incidents were on hosts",
        "What share of hosts had an incident yesterday?",
        "how many incidents on Mondays",
        "percentage of chambers incidents which both detectors saw",
        "monday's incidents on hosts",
        "hosts with incidents neither yesterday nor today",
        "which incidents are open",
    ],
)
def test_its_neighbours_are_not(question: str) -> None:
    check_supported(plain(question))
