"""What comes out of recorded inputs is what came out when they were recorded: reports, events, metrics.

`make golden` writes anew what comes out; a change of it is to be seen in review. `golden_driver` says what a
case is, `golden_inputs` what each is sent.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import golden_driver as driver
import golden_models
import pytest
from golden_driver import CASES, OUTPUTS, Run
from golden_text import difference, near_a_threshold

_UPDATE = "GOLDEN_UPDATE" in os.environ
_KILLED = ("counters-collectd", "detector-kinds", "maps-npy", "parts-on-a-grid", "presence", "vectors")
"""One for each thing that is remembered: totals, detectors' states, histories, parts, metrics, incidents."""


@pytest.mark.parametrize("case", CASES)
def test_what_comes_out_is_as_recorded(case: str, tmp_path: Path) -> None:
    output = Run(case, tmp_path).output
    if _UPDATE:
        assert near_a_threshold(output) == []
        driver.record(case, output)
    for name in OUTPUTS:
        found = difference(output[name], driver.recorded(case, name))
        assert found is None, f"{case}/{name}: {found}"


@pytest.mark.parametrize("case", _KILLED)
def test_a_restart_in_the_middle_changes_nothing(case: str, tmp_path: Path) -> None:
    """But what counts from the start of the process, and the past that pictures show (see `memory`)."""
    output = Run(case, tmp_path, restart_after=driver.steps(case) // 2).output
    before = {name: driver.recorded(case, name) for name in OUTPUTS}
    for name in ("events.jsonl", "dead-letters.jsonl", "answers.txt"):
        assert difference(output[name], before[name]) is None
    assert difference(_undisturbed(output["reports.json"]), _undisturbed(before["reports.json"])) is None


def _undisturbed(text: str) -> str:
    found = json.loads(text)
    for report in found["reports"]:
        del report["evidence"]["history"], report["evidence"]["history_times"], report["recorded"]
        del report["revision"]  # counts the steps that changed it, and a restart divides them otherwise
    # Pieces of kept samples are joined while one process goes on.
    found["kept"] = Counter()
    for entity, _, _, _, samples in json.loads(text)["kept"]:
        found["kept"][entity] += samples
    return json.dumps(found, indent=1)


@pytest.mark.parametrize("name", golden_models.MODELS)
def test_training_gives_the_recorded_model(name: str, tmp_path: Path) -> None:
    golden_models.train_model(name, tmp_path)
    # Rounding grows while a network is trained: on another processor it ends a little elsewhere.
    assert difference(driver.cards(tmp_path, name), driver.cards(driver.MODELS, name), tolerance=0.05) is None
