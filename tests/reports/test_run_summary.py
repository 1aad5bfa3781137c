from __future__ import annotations

from dataclasses import replace

import pytest

from anomalyd.reports.quality import Flag, FlagRange
from anomalyd.reports.report import Incident, SeenBy, Severity, Status
from anomalyd.reports.run_summary import as_text, best_references, summarise

INCIDENT = Incident(
    id="1",
    detector="maps",
    entity="DT/W0/MB1/S04",
    sample_kind="map",
    severity=next(iter(Severity)),
    status=Status.OPEN,
    onset=0.0,
    last=1.0,
    closed=None,
    samples=2,
    peak=3.0,
    peak_time=0.0,
    autoencoder=3.0,
    classical=0.1,
    seen_by=next(iter(SeenBy)),
    causes=("layer 9, wires 1-49: 31 % of expected",),
    model="v",
    run=7,
    first_lumisection=12,
)


def ranges(good: int, bad: int = 0) -> dict[str, list[FlagRange]]:
    found = [FlagRange(1, good, Flag.GOOD)] if good else []
    return {"DT": [*found, *([FlagRange(good + 1, good + bad, Flag.BAD)] if bad else [])]}


def test_a_run_is_summed_up_by_system():
    later = replace(INCIDENT, id="2", first_lumisection=5, peak=1.5)
    summary = summarise(7, ranges(8, 2), [INCIDENT, later])
    system = summary.systems["DT"]
    assert (system.good, system.bad, system.uncertain) == (8, 2, 0)
    assert system.empty == 0
    (element,) = system.elements
    assert (element.incidents, element.first, element.peak) == (2, 5, 3.0)
    text = as_text(summary)
    assert "DT: 8 good, 2 bad, 0 uncertain lumisections" in text
    assert "DT/W0/MB1/S04, 2 incidents from lumisection 5: layer 9, wires 1-49: 31 % of expected" in text


def test_what_the_reference_did_not_have_is_new_and_what_it_had_is_gone():
    other = replace(INCIDENT, entity="DT/W1/MB2/S01", run=6)
    text = as_text(summarise(7, ranges(10), [INCIDENT]), [summarise(6, ranges(9, 1), [other])])
    assert text.startswith("Run 7 beside run 6")
    assert "good: 100 %; reference: 90 %" in text
    assert "DT/W0/MB1/S04 NEW" in text
    assert "no longer: DT/W1/MB2/S01" in text


@pytest.mark.parametrize(
    ("others", "best"),
    [
        ({6: ranges(2, 8), 5: ranges(10), 9: ranges(10)}, [5, 9, 6]),
        ({6: ranges(10), 9: {"EB": []}}, [6]),
        ({}, []),
    ],
)
def test_a_good_reference_is_good_and_near_and_has_the_same_systems(others, best):
    run = summarise(7, ranges(10), [])
    assert best_references(run, [summarise(r, f, []) for r, f in others.items()] + [run]) == best


def test_a_run_of_which_nothing_was_seen():
    assert as_text(summarise(7, {}, [])).endswith("nothing was seen of it")


def test_lumisections_without_beam_are_told_as_what_they_are():
    flags = {"DT": [FlagRange(1, 6, Flag.GOOD), FlagRange(7, 10, Flag.EMPTY)]}
    summary = summarise(7, flags, [])
    assert summary.systems["DT"].lumisections == 10
    text = as_text(summary)
    assert "DT: 6 good, 0 bad, 0 uncertain lumisections, 4 empty (no beam, or no data)" in text
