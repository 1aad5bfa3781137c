"""What is made of an explanation, on the page: trust, what would have kept it quiet, and cases alike."""

from __future__ import annotations

from contextlib import closing

import pytest

from anomalyd.dashboard.incident import why
from anomalyd.reports.cases.interpretation import Counterfactual, Interpretation, UnusualUnit
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.store import Store

NOW_, BEFORE = "cc000000", "cc000005"


@pytest.fixture
def interpreted(night):
    """A night with two cases alike, the earlier of which was judged."""
    made = Interpretation(
        trust={"occlusion": "weak"},
        fingerprint={"disk.busy_percent": 0.8, "cpu.iowait_percent": 0.2},
        counterfactual=Counterfactual(("disk.busy_percent",), 0.4, enough=True),
        units=(UnusualUnit("encoder.2", 3, 5.5, 0.9),),
    )
    with closing(Queries.open(night)) as queries, closing(Store.open(night)) as store:
        for report_id in (BEFORE, NOW_):
            evidence = queries.evidence(report_id)
            explanations = queries.explanations(report_id)
            store.explain(report_id, evidence.until, explanations, interpretation=made)
    return night


def test_an_incident_says_what_is_made_of_its_explanation(page, interpreted):
    at = page(interpreted, "incident", report=NOW_)
    assert [tab.label for tab in at.tabs] == ["occlusion (trust: weak)", "integrated-gradients"]
    said = "\n".join(element.value for element in at.get("html"))
    assert "It would not have alerted with disk.busy_percent as expected: the score falls to 0.40 (" in said
    assert "encoder.2 unit 3 (+5.5 σ)" in said
    alike = next(button for button in at.button if button.key == f"alike {BEFORE}")
    assert "100 % alike" in alike.label.replace("\\", "")


def test_where_putting_it_back_is_not_enough_that_is_said():
    made = Interpretation(counterfactual=Counterfactual(("cpu",), 1.7, enough=False))
    assert why.interpreted(made) == [
        "It alerts even with cpu as expected: the score falls to 1.70 (1 is the threshold)."
    ]
    assert why.interpreted(Interpretation()) == why.interpreted(None) == []
