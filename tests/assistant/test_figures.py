"""Figures over groups and times that come again, checked against the facts of the store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.language.times.recurring import recurring
from anomalyd.reports.report import Incident

Facts = list[Incident]
DAY = 86_400.0


def weekday(i: Incident) -> set[int]:
    end = i.closed if i.closed is not None else i.last
    return {datetime.fromtimestamp(at, UTC).weekday() for at in (i.onset, end)}


def hour(i: Incident) -> int:
    return datetime.fromtimestamp(i.onset, UTC).hour


@pytest.mark.parametrize(
    ("question", "fits"),
    [
        ("how many incidents on Mondays", lambda i: 0 in weekday(i)),
        ("how many incidents on weekends", lambda i: weekday(i) & {5, 6}),
        ("how many incidents on Saturdays and Sundays", lambda i: weekday(i) & {5, 6}),
        ("how many incidents began between 0:00 and 12:00 every day", lambda i: hour(i) < 12),
    ],
)
def test_times_that_come_again(
    assistant: Assistant, all_incidents: Facts, question: str, fits: Callable[[Incident], object]
) -> None:
    assistant.session.reset()
    wanted = sum(1 for i in all_incidents if fits(i))
    assert 0 < wanted < len(all_incidents)
    assert assistant.ask(question).result.value == wanted


def test_a_recurring_time_is_read_whole() -> None:
    cycles, text = recurring("incidents on mondays between 8:00 and 12:00", 0.0, UTC)
    assert text == "incidents EVERY0"
    assert (cycles[0].length, cycles[0].period) == (4 * 3600.0, 7 * DAY)
    assert datetime.fromtimestamp(cycles[0].start, UTC).strftime("%A %H:%M") == "Monday 08:00"


def test_a_window_across_midnight_goes_on_into_the_next_day() -> None:
    cycles, _ = recurring("incidents from 22:00 to 02:00 every night", 0.0, UTC)
    assert cycles[0].length == 4 * 3600.0


@pytest.mark.parametrize("text", ["incidents on monday", "2 nights ago", "last night", "incidents per day"])
def test_a_single_day_does_not_come_again(text: str) -> None:
    assert recurring(text, 0.0, UTC)[0] == []


def test_a_share_is_of_what_is_watched(assistant: Assistant, all_incidents: Facts) -> None:
    assistant.session.reset()
    alarmed = {i.entity for i in all_incidents if i.entity.startswith("host/")}
    answer = assistant.ask("what share of the hosts had an incident in the last 14 days")
    assert answer.result.value == pytest.approx(100.0 * len(alarmed) / 6)


def test_entities_by_a_bound_of_their_mean(assistant: Assistant, all_incidents: Facts) -> None:
    assistant.session.reset()
    peaks: dict[str, list[float]] = {}
    for i in all_incidents:
        peaks.setdefault(i.entity, []).append(i.peak)
    means = {name: sum(p) / len(p) for name, p in peaks.items() if name.startswith("host/")}
    bound = round(sorted(means.values())[len(means) // 2] - 0.01, 2)
    wanted = {name for name, mean in means.items() if mean > bound}
    assert wanted
    assert wanted != set(means)
    assert set(assistant.ask(f"hosts with a mean score above {bound}").result.names) == wanted


def test_one_incident_of_each_group(assistant: Assistant, all_incidents: Facts) -> None:
    assistant.session.reset()
    worst = {str(i.severity): i.id for i in sorted(all_incidents, key=lambda i: i.peak)}
    assert set(assistant.ask("the worst incident of each severity").result.reports) == set(worst.values())


def test_the_most_frequent_cause(assistant: Assistant, all_incidents: Facts) -> None:
    assistant.session.reset()
    causes = [c for i in all_incidents if i.sample_kind == "vector" for c in set(i.causes)]
    most = max(map(causes.count, causes))
    ((name, number),) = assistant.ask("which metric is the most frequent cause").result.groups
    assert (number, causes.count(name)) == (most, most)


def test_days_without(assistant: Assistant, all_incidents: Facts) -> None:
    assistant.session.reset()
    names = assistant.ask("days without criticals").result.names
    for i in all_incidents:
        if str(i.severity) == "critical":
            assert f"{datetime.fromtimestamp(i.onset, UTC):%Y-%m-%d}" not in names


def test_more_or_fewer_sets_the_last_two_numbers_side_by_side(assistant: Assistant) -> None:
    assistant.session.reset()
    first = assistant.ask("how many incidents on hosts?").result.value
    second = assistant.ask("and on chambers?").result.value
    assert [n for _, n in assistant.ask("is that more or fewer?").result.groups] == [second, first]


def test_closed_last_is_not_begun_last(assistant: Assistant, all_incidents: Facts) -> None:
    assistant.session.reset()
    closed = max((i for i in all_incidents if i.closed is not None), key=lambda i: i.closed or 0.0)
    assert assistant.ask("which incident was closed most recently").result.reports[:1] == (closed.id,)
