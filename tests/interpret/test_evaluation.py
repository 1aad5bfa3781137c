"""The table of methods: what is judged on simulated faults."""

from __future__ import annotations

import numpy as np
import pytest

from anomalyd.interpret.evaluation import Found, Judged, explanations_table, judge_explanations
from anomalyd.interpret.fidelity import infidelity, sensitivity


@pytest.fixture(scope="module")
def found():
    return judge_explanations("ecal-barrel", "map-scan", 30.0, 2, methods=("signed-error",))


def test_flagged_faults_are_judged_and_outlined(found):
    assert {each.method for each in found.explanations} == {"signed-error"}
    assert np.mean([each.top_share for each in found.explanations if each.faults == "dead or hot"]) > 0.5
    assert all(each.insertion > 0 for each in found.explanations)
    shared = [iou for each in found.outlines.values() for iou in each]
    assert np.mean(shared) >= 0.82
    assert len(found.both_named) <= 2


def test_the_table_has_a_line_for_each_method_and_group(found):
    one = Judged("occlusion", "weak", True, 0.5, 0.1, 0.9, 1.0, 0.2, float("nan"), 0.05)
    table = explanations_table(Found((*found.explanations, one), {"dead": (1.0, 0.5)}, (True, False)))
    assert "| weak | occlusion | 1 | 1.000 | 0.500 | 0.100 | 0.900 | 1.000 | 0.200 | - | 50 |" in table
    assert "| dead | 2 | 0.750 |" in table
    assert "both named in 0.500 of 2" in table


def test_a_faithful_attribution_has_no_infidelity():
    weights = np.array([3.0, 1.0, 0.0, 2.0])

    def score(kept):
        return (kept * weights).sum(1)

    assert infidelity(score, weights.astype(np.float32)) == pytest.approx(0.0, abs=1e-6)
    assert infidelity(score, weights[::-1].astype(np.float32)) > 0.1
    assert np.isnan(infidelity(lambda kept: np.zeros(len(kept)), weights.astype(np.float32)))


def test_an_explanation_that_follows_every_move_is_sensitive():
    values = np.array([[1.0, 2.0]], dtype=np.float32)
    steady = sensitivity(lambda x: np.ones_like(x), values, 0.1)
    nervous = sensitivity(lambda x: (x - values) * 100 + 1, values, 0.1)
    assert steady == 0.0
    assert nervous > 1.0
