"""The demo's parts: the load it puts on the machine, and what it makes of what was found."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import psutil
import pytest

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.demo import script
from anomalyd.daemon.demo.burst import load
from anomalyd.daemon.demo.comparison import Injected, judge
from anomalyd.daemon.demo.environment import Stage
from anomalyd.daemon.demo.missed_fault import Reached, look_again, reached
from anomalyd.daemon.producers.chambers import choose_chambers
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair, train_pair
from anomalyd.detectors.false_alarm_target import AlertRate
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.simulate.faults import FAULT_KINDS
from anomalyd.errors import AnomalydError
from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Activity


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


FEATURES = ("cpu_percent", "memory")


def learnt(busy: float) -> tuple[DetectorPair, Callable[[float, float], TrainingSet]]:
    """A pair trained on 90 s of a host that is so busy, and what the topics hold after a load of 12 s."""
    chance = np.random.default_rng(0)
    values = chance.normal([busy, 40.0], [1.5, 1.0], (200, 2)).astype(np.float32)
    times = 1000.0 + np.arange(200)

    def history(load: float, seconds: float) -> TrainingSet:
        held = values.copy()
        under = (times >= MISSED.first) & (times < MISSED.first + seconds)
        held[under, 0] = load + chance.normal(0, 1.0, under.sum())
        return TrainingSet({"host/a": Series(times, held)}, FEATURES)

    pair = train_pair(
        TrainingSet({"host/a": Series(times[:90], values[:90])}, FEATURES),
        kind="vector-autoencoder",
        parameters={"epochs": 2, "window": 4, "warmup": 10},
        false_alarms=AlertRate(0.0005),
        alert_on="either",  # as the demo's own policy
    )
    return pair, history


MISSED = Injected("host/a", "load", 1120.0, 1132.0)


def test_a_load_on_a_machine_that_was_loaded_already_says_so() -> None:
    pair, history = learnt(95.0)
    found = reached(pair, history(97.0, 12.0), MISSED, 5.0)
    assert (found.samples, found.above) == (18, 0)
    assert max(found.autoencoder, found.classical) < 1
    assert found.busy == pytest.approx((95.0, 97.0), abs=1.0)
    text = found.text(3)
    assert text.startswith("highest of 18 scores: autoencoder 0.")
    assert text.endswith("% while it learnt what is normal: the machine was loaded already")


def test_alerts_too_few_for_an_incident_are_told() -> None:
    pair, history = learnt(10.0)
    found = reached(pair, history(90.0, 2.0), MISSED, 5.0)
    assert found.above >= found.in_a_row >= 2
    assert found.classical > 1
    assert f"at most {found.in_a_row} in a row, 9 open an incident" in found.text(9)
    assert "already" not in found.text(9)


def test_what_was_not_seen_is_said() -> None:
    pair, history = learnt(10.0)
    other = Injected("host/b", "load", 1120.0, 1132.0)
    later = Injected("host/a", "load", 5000.0, 5010.0)
    for missed in (other, later):
        assert reached(pair, history(90.0, 12.0), missed, 5.0).text(3) == (
            "no sample of it was scored while it lasted"
        )
    assert "neither detector could tell" in Reached(4, np.nan, np.nan, 0, 0).text(3)


def test_where_nothing_can_be_found_out_the_demo_goes_on(tmp_path: Path) -> None:
    config = Config.model_validate(
        {
            "kafka": {"bootstrap_servers": ["127.0.0.1:1"]},
            "inputs": [{"topic": "metrics"}],
            "detectors": [{"name": "hosts", "kind": "vector-autoencoder", "entities": ["host/*"]}],
            "store": {"models": str(tmp_path)},
        }
    )
    assert look_again(config, MISSED, 5.0).startswith("why is not known: ")


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


@pytest.mark.parametrize(("cpu", "watched"), [(20.0, 45), (100.0, 180)])
def test_on_a_busy_machine_the_host_is_watched_longer(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], cpu: float, watched: float
) -> None:
    waits: list[float] = []
    monkeypatch.setattr(script, "_wait", lambda progress, what, seconds: waits.append(seconds))
    monkeypatch.setattr(psutil, "cpu_percent", lambda: cpu)
    stage = cast(Stage, SimpleNamespace(agent=SimpleNamespace(entity="host/a")))
    assert script._watch_host(stage, lambda what, done, total: None) == watched
    assert sum(waits) == watched
    assert ("the machine is busy (100 % CPU)" in capsys.readouterr().out) == (cpu > 60)


def test_the_chambers_get_faults_of_seven_kinds_and_none_is_a_single_odd_wire() -> None:
    chambers = choose_chambers(24, 1)[::3]
    faults = script.chamber_faults(chambers)
    assert {f.kind for f in faults.values()} == {*FAULT_KINDS, "dead-chamber"}
    for entity, fault in faults.items():
        chamber = geometry_of(entity)
        assert chamber is not None
        assert fault.cells(chamber).sum() >= 3
    assert faults == script.chamber_faults(chambers)


class _Scored:
    """A store whose entities are scored up to a time that grows with each look."""

    def __init__(self, last: list[float]) -> None:
        self._last = iter(last)
        self.looks = 0
        self.closed = False

    def activity(self) -> dict[str, Activity]:
        self.looks += 1
        return {"host/a": Activity("vector", 0.0, next(self._last), 1)}

    def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize(
    ("last", "looks", "told"),
    [([90.0, 95.0, 100.0], 3, ""), ([90.0] * 9, 3, "what follows is of the samples")],
)
def test_a_daemon_that_is_behind_is_waited_for_but_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    last: list[float],
    looks: int,
    told: str,
) -> None:
    store = _Scored(last)

    def wait_until(condition: Callable[[], bool], timeout_s: float, what: str) -> None:
        for _ in range(3):
            if condition():
                return
        raise AnomalydError(f"{what} did not come within {timeout_s:.0f} s")

    monkeypatch.setattr(script, "wait_until", wait_until)
    monkeypatch.setattr(Queries, "open", lambda url: store)
    url = SimpleNamespace(get_secret_value=lambda: "")
    stage = cast(Stage, SimpleNamespace(config=SimpleNamespace(store=SimpleNamespace(url=url))))
    script._catch_up(stage, [Injected("host/a", "load", 50.0, 60.0)], 100.0)
    assert store.looks == looks
    assert store.closed
    out = capsys.readouterr().out
    assert told in out
    assert bool(out) == bool(told)
