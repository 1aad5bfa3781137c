"""The sentences say what the fields say."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from anomalyd.reports.feedback import OperatorFeedback
from anomalyd.reports.narrative import assumed, narrate, said, taken_back
from anomalyd.reports.report import Cause, Direction, Evidence, Incident, SeenBy, Severity, Status
from anomalyd.verdict import Verdict

MakeIncident = Callable[..., Incident]

AT = 1_795_442_531.0  # 2026-11-23 14:02:11 UTC


def test_an_open_incident_of_a_vector(incident: MakeIncident, evidence: Callable[[float], Evidence]) -> None:
    going_on = incident(
        onset=AT,
        last=AT + 209,
        peak_time=AT + 169,
        samples=40,
        severity=Severity.CRITICAL,
        peak=7.31,
        autoencoder=7.31,
        classical=np.nan,
        seen_by=SeenBy.AUTOENCODER,
    )
    assert narrate(going_on, evidence(AT + 169)) == (
        "host/pc1 has been anomalous since 2026-11-23 14:02:11 UTC and this still goes on "
        "(last at 14:05:40; 3 min 29 s, 40 anomalous samples so far). "
        "Severity critical: detector hosts gave a peak score of 7.31 at 14:05:00; above 1 is an alert. "
        "Only the autoencoder saw it (7.31); the classical test could not tell. "
        "Most to blame at 14:05:00: cpu was 0.980, expected 0.310 (12.3 sigma above); load1 was missing."
    )


def test_a_metric_that_had_come_back_is_told_by_where_it_went(
    incident: MakeIncident, evidence: Callable[[float], Evidence]
) -> None:
    went = Cause("cpu", "cpu", Direction.ABOVE, AT - 2, 0.31, 0.31, 0.0, 1.0)
    back = replace(
        evidence(AT),
        values=np.array([0.31, np.nan], dtype=np.float32),
        error=np.array([0.2, np.nan], dtype=np.float32),
        causes=(went,),
        history=np.array([[0.93, 1.0], [0.31, 1.0]], dtype=np.float32),
    )
    told = narrate(incident(onset=AT, causes=("cpu",)), back)
    assert "cpu went to 0.930, expected 0.310." in told
    flat = replace(back, history=np.full((2, 2), 0.31, dtype=np.float32))
    assert "cpu was 0.310, expected 0.310 (0.200 sigma above)." in narrate(
        incident(onset=AT, causes=("cpu",)), flat
    )


def test_a_map_incident_that_is_over(incident: MakeIncident) -> None:
    over = incident(
        entity="DT/W-2/MB1/S04",
        detector="chambers",
        sample_kind="map",
        status=Status.CLOSED,
        onset=AT,
        last=AT + 86400 * 1.2,
        closed=AT + 86400 * 1.3,
        peak_time=AT + 86400,
        causes=("layer 9, wires 1-49: 31 % of expected",),
        run=321909,
        first_lumisection=3,
        last_lumisection=9,
    )
    assert narrate(over, None) == (
        "DT/W-2/MB1/S04 was anomalous from 2026-11-23 14:02:11 to 2026-11-24 18:50:11 UTC "
        "(1 d 4 h, 7 anomalous samples) and has been normal since 2026-11-24 21:14:11. "
        "Severity error: detector chambers gave a peak score of 3.50 at 2026-11-24 14:02:11; "
        "above 1 is an alert. "
        "Both saw it: the autoencoder (3.50) and the classical test (2.25). "
        "Most to blame: layer 9, wires 1-49: 31 % of expected. "
        "Run 321909, lumisections 3 to 9."
    )


def test_a_single_sample(incident: MakeIncident) -> None:
    once = incident(
        status=Status.CLOSED, onset=AT, last=AT, samples=1, run=5, first_lumisection=2, last_lumisection=2
    )
    told = narrate(once, None)
    assert told.startswith("host/pc1 was anomalous at 2026-11-23 14:02:11 UTC (1 anomalous sample). ")
    assert told.endswith("Most to blame: cpu; load1. Run 5, lumisection 2.")


def test_what_the_other_detector_gave(incident: MakeIncident) -> None:
    told = narrate(incident(seen_by=SeenBy.CLASSICAL, autoencoder=0.42, causes=()), None)
    assert "Only the classical test saw it (2.25); the autoencoder gave 0.420." in told
    assert "blame" not in told


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.4, "less than 1 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3661, "1 h 1 min"),
        (3601, "1 h"),
        (90061, "1 d 1 h"),
    ],
)
def test_how_long(incident: MakeIncident, seconds: float, told: str) -> None:
    assert f"({told}, 7 anomalous samples)" in narrate(
        incident(status=Status.CLOSED, onset=AT, last=AT + seconds), None
    )


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (0.0, "0"),
        (0.98, "0.980"),
        (99.96, "100"),
        (1234.5, "1234"),
        (-2.5, "-2.50"),
        (1.5e9, "1.50 G"),
        (2e-5, "2.00e-05"),
        (np.inf, "inf"),
    ],
)
def test_numbers(incident: MakeIncident, value: float, told: str) -> None:
    one = np.array([value], dtype=np.float64)
    unknown = np.array([np.nan])
    evidence = Evidence(AT, ("cpu",), one, unknown, unknown, unknown, np.zeros(0), np.zeros((0, 1)))
    assert f"cpu was {told}." in narrate(incident(causes=("cpu",)), evidence)


def test_what_was_assumed_and_said_stands_at_the_end(incident: MakeIncident) -> None:
    notes = (
        assumed("the level is the new normal after 6 h.", AT, "ab12"),
        said(OperatorFeedback(1, "hosts", "host/pc1", Verdict.BROKEN, "anna", "", None, None, AT, None, "")),
        said(
            OperatorFeedback(
                2, "hosts", "host/pc1", Verdict.NORMAL, "bob", "as planned. ", None, None, AT, None, ""
            )
        ),
        taken_back("ab12", "anna", AT, "it was a fault."),
    )
    assert narrate(incident(), None, notes) == narrate(incident(), None) + (
        " The level is the new normal after 6 h (at 2026-11-23 14:02:11 UTC; "
        "undo with `anomalyd adaptations undo ab12`)."
        " anna said at 2026-11-23 14:02:11 UTC that this is still broken."
        " bob said at 2026-11-23 14:02:11 UTC that this is normal: as planned."
        " anna took adaptation ab12 back at 2026-11-23 14:02:11 UTC: it was a fault."
    )
