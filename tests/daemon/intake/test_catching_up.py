"""What is late depends on the data alone: a slow or starved daemon gives the same as a quick one."""

from __future__ import annotations

import json

import pytest
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.align import PATIENCE_S
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.intake import Intake
from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import Partition, Record, Sample
from anomalyd.daemon.telemetry.telemetry import Telemetry

NOW = 1_795_288_500.0
PARTITIONS = 3
SLOTS = 60


def logs() -> dict[Partition, list[Record]]:
    """Five hosts, each of whose three measurements goes to another partition."""
    found: dict[Partition, list[Record]] = {("t", p): [] for p in range(PARTITIONS)}
    for slot in range(SLOTS):
        for host in range(5):
            for part in range(3):
                place = ("t", (host + part * 2 + slot) % PARTITIONS)
                at = NOW - 1000 + 10 * slot + part
                body = {
                    "name": f"m{part}",
                    "tags": {"host": f"h{host}"},
                    "fields": {"a": slot * host + part, "rising": slot},
                    "timestamp": at,
                }
                found[place].append(Record(*place, len(found[place]), at, None, json.dumps(body).encode()))
    return found


def caught_up(turn_s: float, size: int, order: int = 0) -> tuple[list[Sample], int]:
    """Read one partition after the other as far as one batch goes; each turn takes so many seconds."""
    inputs = [InputConfig(topic="t", format="telegraf-json")]
    intake = Intake(inputs, Decoder(inputs, clock=lambda: NOW), Telemetry(CollectorRegistry(), topics=["t"]))
    records, at, now = logs(), dict.fromkeys(logs(), 0), NOW
    samples: list[Sample] = []
    late = 0
    while behind := [place for place in records if at[place] < len(records[place])]:
        # The same partition until it has nothing more: the others wait as long as they can.
        place = behind[order % len(behind)]
        some = records[place][at[place] : at[place] + size]
        at[place] += len(some)
        now += turn_s
        unread = [p for p in records if at[p] < len(records[p])]
        arrivals = intake.take([Batch(*place, some)], {}, now, unread)
        samples += arrivals.samples
        late += sum(arrivals.late.values())
    arrivals = intake.take([], {}, now + 1000.0)
    return [*samples, *arrivals.samples], late


@pytest.mark.parametrize(
    ("turn_s", "size", "order"), [(60.0, 10, 0), (500.0, 40, 1), (0.0, 7, 2), (31.0, 300, 0)]
)
def test_catching_up_at_any_speed_gives_the_same(turn_s: float, size: int, order: int) -> None:
    quick, late = caught_up(0.01, 20)
    assert late == 0
    assert len(quick) == SLOTS * 5
    slow, late = caught_up(turn_s, size, order)
    assert late == 0

    def told(samples: list[Sample]) -> list[tuple[str, float, dict[str, float | None]]]:
        return sorted((s.entity, s.time, dict(s.values or {})) for s in samples)

    assert told(slow) == told(quick)


def test_a_partition_that_gives_nothing_when_it_is_asked_is_not_waited_for_for_ever() -> None:
    inputs = [InputConfig(topic="t", format="telegraf-json")]
    intake = Intake(inputs, Decoder(inputs, clock=lambda: NOW), Telemetry(CollectorRegistry(), topics=["t"]))
    records = logs()["t", 0]
    given: list[float] = []
    for turn, record in enumerate(records[:200]):
        now = NOW + turn
        arrivals = intake.take([Batch("t", 0, [record])], {}, now, [("t", 1)])
        given += [now - NOW for _ in arrivals.samples]
    assert given
    assert PATIENCE_S <= given[0] < PATIENCE_S + 3
