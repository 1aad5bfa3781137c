"""The committed evaluation, in the smallest of its stores: the bars hold, and no sentence is without a
source.
"""

from __future__ import annotations

from collections import Counter

import pytest

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.evaluation.run import Outcome, evaluate, questions, table


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> list[Outcome]:
    return evaluate(
        tmp_path_factory.mktemp("stores"),
        lambda queries, plan: Assistant(queries, clock=lambda: plan.now, groups=plan.groups),
        kinds=("store", "case", "follow", "ledger", "unanswerable"),
        only=lambda plan: plan.name == "laboratory",
    )


@pytest.mark.parametrize(
    ("kind", "exact"),
    [("store", 0.92), ("case", 0.90), ("follow", 0.88), ("ledger", 0.92), ("unanswerable", 0.97)],
)
def test_bars(kind: str, exact: float, outcomes: list[Outcome]) -> None:
    those = [o for o in outcomes if o.kind == kind]
    n = Counter(o.grade.verdict for o in those)
    wrong = [(o.question, o.grade.why) for o in those if o.grade.verdict != "exact"]
    assert n["exact"] >= exact * len(those), wrong
    assert n["wrong"] <= 0.02 * len(those), wrong


def test_there_are_enough_questions() -> None:
    asked = list(questions())
    assert len(asked) >= 300
    assert sum(kind == "unanswerable" for kind, *_ in asked) >= 60
    assert sum(bool(item.get("two")) for _, item, *_ in asked) >= 60


def test_the_table_names_every_kind(outcomes: list[Outcome]) -> None:
    assert "| unanswerable | held out |" in table(outcomes)
