"""The demo's parts: the load it puts on the machine, and what it makes of what was found."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import psutil
import pytest

from anomalyd.daemon.demo.burst import load
from anomalyd.daemon.demo.verdict import Injected, judge
from anomalyd.reports.report import Incident, SeenBy, Severity, Status


def incident(id: str, entity: str, onset: float, last: float, peak: float = 2.0) -> Incident:
    return Incident(
        id=id,
        detector="hosts",
        entity=entity,
        sample_kind="vector",
        severity=Severity.WARNING,
        status=Status.CLOSED,
        onset=onset,
        last=last,
        closed=last + 1,
        samples=3,
        peak=peak,
        peak_time=onset,
        autoencoder=peak,
        classical=0.0,
        seen_by=SeenBy.AUTOENCODER,
        causes=("cpu",),
        model="v1",
    )


LOAD = Injected("host/a", "load", 100.0, 110.0)


@pytest.mark.parametrize(
    ("onset", "last", "found"),
    [
        (102, 108, True),  # within
        (90, 120, True),  # around
        (115, 120, True),  # begins just within the tolerance
        (80, 95, True),  # ends just within it
        (115.1, 120, False),
        (80, 94.9, False),
    ],
)
def test_an_incident_is_found_where_times_touch_within_the_tolerance(
    onset: float, last: float, found: bool
) -> None:
    one = incident("1", "host/a", onset, last)
    verdict = judge([LOAD], [one], 5.0)
    assert verdict.found == (((LOAD, one),) if found else ())
    assert verdict.missed == (() if found else (LOAD,))
    assert verdict.false_alarms == (() if found else (one,))


def test_another_entity_is_a_false_alarm_and_the_fault_is_missed() -> None:
    other = incident("1", "host/b", 102, 108)
    verdict = judge([LOAD], [other], 5.0)
    assert (verdict.found, verdict.missed, verdict.false_alarms) == ((), (LOAD,), (other,))


def test_of_several_reports_of_one_fault_the_worst_tells_it_and_none_is_a_false_alarm() -> None:
    mild, worst = incident("1", "host/a", 100, 103, 2.0), incident("2", "host/a", 106, 109, 9.0)
    late = incident("3", "host/a", 300, 310)
    verdict = judge([LOAD], [late, worst, mild], 5.0)
    assert verdict.found == ((LOAD, worst),)
    assert verdict.false_alarms == (late,)


def test_one_incident_may_tell_of_two_faults() -> None:
    second = Injected("host/a", "more load", 112.0, 120.0)
    long = incident("1", "host/a", 101, 119)
    verdict = judge([LOAD, second], [long], 0.0)
    assert verdict.found == ((LOAD, long), (second, long))
    assert verdict.missed == ()


def test_nothing_injected_and_nothing_found_is_nothing() -> None:
    verdict = judge([], [], 5.0)
    assert (verdict.found, verdict.missed, verdict.false_alarms) == ((), (), ())


def children() -> set[int]:
    return {p.pid for p in psutil.Process().children(recursive=True)}


@pytest.fixture
def one_core(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a machine with one core: the suite has others to care for."""
    monkeypatch.setattr("os.cpu_count", lambda: 1)


@pytest.mark.usefixtures("one_core")
def test_a_load_ends_by_itself_and_leaves_nothing_behind(tmp_path: Path) -> None:
    before = children()
    begun = time.time()
    burst = load(0.5, tmp_path)
    assert begun <= burst.first <= burst.last - 0.5
    assert children() == before
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("one_core")
def test_a_load_that_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    before = children()

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    earlier = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, 0.4)
    try:
        with pytest.raises(KeyboardInterrupt):
            load(60.0, tmp_path)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)
    assert children() == before
    assert list(tmp_path.iterdir()) == []
