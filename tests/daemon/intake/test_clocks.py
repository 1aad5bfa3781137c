"""A producer whose clock is behind its entity's others is named, and corrected; whoever catches up is not."""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Iterable

import pytest
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.clocks import ProducerClocks
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.grid_and_lateness import Alignment
from anomalyd.daemon.intake.intake import Intake
from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import Record, Sample
from anomalyd.daemon.telemetry.telemetry import Telemetry

GRID_S, LATENESS_S, TICKS = 10.0, 20.0, 60


def clocks(tolerance: float = 120.0) -> ProducerClocks:
    return ProducerClocks({"t": Alignment(GRID_S, LATENESS_S)}, {"t": tolerance})


def sent(
    behind: Callable[[int], float] = lambda tick: 60.0, *, first: str = "right", ticks: int = TICKS
) -> list[Sample]:
    """Two producers of one host, tick by tick; the clock of that which sends `b` is behind by so much."""
    found: list[Sample] = []
    for tick in range(ticks):
        pair = [("a", 10.0 * tick), ("b", 10.0 * tick - behind(tick))]
        for metric, time in pair if first == "right" else pair[::-1]:
            found.append(Sample("host", 1e6 + time, "t", 0, len(found), {metric: 1.0}, partial=True))
    return found


def of(metric: str, samples: Iterable[Sample]) -> list[float]:
    return [sample.time - 1e6 for sample in samples if metric in (sample.values or {})]


@pytest.mark.parametrize("first", ["right", "wrong"])
def test_a_clock_a_minute_behind_is_corrected(first: str) -> None:
    some = clocks()
    out = some.corrected(sent(first=first))
    (found,) = some.take()
    # If its part of a tick comes first, what it is held against is the tick before.
    expected = 60.0 if first == "right" else 50.0
    assert (found.entity, found.metric, found.behind_s, found.corrected) == ("host", "b", expected, True)
    assert of("a", out) == [10.0 * tick for tick in range(TICKS)]
    assert of("b", out)[13:] == [10.0 * tick - 60.0 + expected for tick in range(13, TICKS)]
    assert some.behind() == {("t", "host"): expected}


def test_delays_that_come_and_go_do_not_hide_it() -> None:
    chance = random.Random(1)
    some = clocks()
    some.corrected(sent(lambda tick: 60.0 + chance.choice([0.0, 0.0, 0.2, 7.0])))
    assert [found.behind_s for found in some.take()] == [60.0]


def test_beyond_the_tolerance_it_is_named_only() -> None:
    some = clocks(tolerance=30.0)
    samples = sent()
    assert some.corrected(samples) == samples
    (found,) = some.take()
    assert (found.behind_s, found.corrected) == (60.0, False)


def test_without_a_tolerance_nothing_is_looked_at() -> None:
    some = clocks(tolerance=0.0)
    samples = sent()
    assert some.corrected(samples) == samples
    assert some.take() == ()


@pytest.mark.parametrize(
    "behind",
    [
        pytest.param(lambda tick: 600.0 - 10.0 * tick, id="catches up"),
        pytest.param(lambda tick: 60.0 if tick < 8 else 0.0, id="an outage"),
        pytest.param(lambda tick: 10.0 * (5 - tick % 6), id="sends six at a time"),
        pytest.param(lambda tick: 8.0, id="within the lateness"),
        pytest.param(lambda tick: 25.0 * (tick % 5), id="wanders"),
    ],
)
def test_what_is_no_steady_offset_is_left_alone(behind: Callable[[int], float]) -> None:
    some = clocks()
    samples = sent(behind)
    assert some.corrected(samples) == samples
    assert some.take() == ()


def test_a_clock_that_is_set_right_is_corrected_no_more_from_the_first_sample_on() -> None:
    some = clocks()
    out = some.corrected(sent(lambda tick: 60.0 if tick < 40 else 0.0))
    assert max(of("b", out)) <= max(of("a", out))
    assert [found.behind_s for found in some.take()] == [60.0, 0.0]
    assert some.behind() == {}


@pytest.mark.parametrize("cut", range(3, 2 * 45, 4))
def test_killed_at_any_moment_and_read_again_it_comes_out_the_same(cut: int) -> None:
    samples = sent(lambda tick: 60.0 if tick < 35 else 0.0, ticks=45)
    expected = clocks().corrected(samples)
    before, after = clocks(), clocks()
    before.corrected(samples[:cut])
    after.restore(before.state())
    # What waited is read again; of that nothing is learnt anew.
    held = max(0, cut - 5)
    assert after.corrected(samples[held:], lambda sample: sample.offset >= cut) == expected[held:]


def test_the_intake_joins_what_a_wrong_clock_told(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    inputs = [InputConfig(topic="t", format="telegraf-json")]
    registry = CollectorRegistry()
    telemetry = Telemetry(registry, topics=["t"])
    intake = Intake(inputs, Decoder(inputs, clock=lambda: 1_795_288_500.0), telemetry)
    vectors, late = [], 0
    for tick in range(TICKS):
        records = []
        for number, (name, behind) in enumerate((("m", 0), ("n", 60))):
            at = 1_795_280_000 + 10 * tick - behind
            body = {"name": name, "tags": {"host": "h"}, "fields": {"x": tick % 7}, "timestamp": at}
            records.append(Record("t", 0, 2 * tick + number, float(at), None, json.dumps(body).encode()))
        arrivals = intake.take([Batch("t", 0, records)], {}, 10.0 * tick)
        intake.tell(arrivals, {})
        vectors += arrivals.samples
        late += sum(arrivals.late.values())
    assert late < 15  # 57 of 60 before
    since = [vector for vector in vectors if vector.time >= 1_795_280_110]
    assert len(since) > 45
    assert all(vector.values == {"m.x": tick % 7, "n.x": tick % 7} for tick, vector in enumerate(since, 11))
    assert registry.get_sample_value("anomalyd_clock_offset_seconds", {"topic": "t", "entity": "h"}) == 60.0
    assert "the clock of what sends n.x of h is 60 s behind its other producers" in caplog.text
