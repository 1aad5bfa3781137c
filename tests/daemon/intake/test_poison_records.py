"""A record that ends the process again and again is found, set aside, and costs its neighbours nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from anomalyd.daemon.intake.poison_records import ATTEMPTS, Suspects
from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.stages import Partition
from anomalyd.reports.storage.store import Store

PLACE = ("metrics", 0)


class Killed(BaseException):
    """Stands for the end of the process: nobody catches it."""


@pytest.fixture
def live(tmp_path: Path, experiment: Any) -> Callable[..., tuple[list[int], list[int], bool]]:
    """One life over records 0 to 49 from an offset on: what was stored, what set aside, and how it ended."""

    def run(
        start: int, kill: Callable[[list[int]], bool], size: int = 20
    ) -> tuple[list[int], list[int], bool]:
        store = Store.open(f"sqlite:///{tmp_path}/reports.db")
        try:
            suspects = Suspects(store.attempts, "g")
            suspects.begin({PLACE})
            stored: list[int] = []
            aside: list[int] = []
            for first in range(start, 50, size):
                offsets = range(first, min(50, first + size))
                batch = Batch(*PLACE, [experiment.record("metrics", offset, b"x") for offset in offsets])
                for part in suspects.parts([batch]):
                    poison = suspects.note(part)
                    taken = [r.offset for b in part for r in b.records if (*PLACE, r.offset) not in poison]
                    if kill(taken):
                        return stored, aside, False
                    suspects.passed(part)
                    stored += taken
                    aside += [place[2] for place in poison]
            return stored, aside, True
        finally:
            store.close()

    return run


@pytest.mark.parametrize("poison", [0, 7, 19, 20, 49])
def test_poison_is_set_aside_after_its_attempts(live: Any, poison: int) -> None:
    position, stored, deaths = 0, list[int](), 0
    while True:
        done, aside, lived = live(position, lambda taken: poison in taken)
        stored += done
        position = max(stored, default=-1) + 1
        if lived:
            break
        deaths += 1
        assert aside == []
    assert aside == [poison]
    assert sorted(stored) == [offset for offset in range(50) if offset != poison]
    # Once or twice among others, until it is the first of what is begun; then alone.
    assert deaths <= ATTEMPTS + 2


def test_kills_from_outside_set_nothing_aside(live: Any) -> None:
    """Killed at the first step of every life, each time at another record."""
    position, stored = 0, list[int]()
    for life in range(30):
        done, aside, lived = live(
            position, lambda taken, life=life: len(taken) > 1 or taken[0] % 3 == life % 3
        )
        stored += done
        position = max(stored, default=-1) + 1
        assert aside == []
        if lived:
            break
    assert stored == sorted(set(stored))


def test_a_kill_among_others_does_not_count_against_the_first(live: Any) -> None:
    """Killed from outside in its batch, then twice alone: it is scored."""
    for _ in range(ATTEMPTS):
        stored, aside, lived = live(0, lambda taken: 0 in taken)
        assert (stored, aside, lived) == ([], [], False)
    assert live(0, lambda taken: False) == (list(range(50)), [], True)


def batch(experiment: Any, place: Partition, offsets: range) -> Batch:
    return Batch(*place, [experiment.record("metrics", offset, b"x") for offset in offsets])


def taken(suspects: Suspects, batches: list[Batch]) -> list[dict[Partition, list[int]]]:
    """What is taken in each step, all of it stored: offsets of each partition."""
    steps = []
    for part in suspects.parts(batches):
        suspects.note(part)
        suspects.passed(part)
        steps.append({(b.topic, b.partition): [r.offset for r in b.records] for b in part})
    return steps


def test_just_what_was_begun_is_taken_alone(tmp_path: Path, experiment: Any) -> None:
    other, proven = ("metrics", 1), ("metrics", 2)
    store = Store.open(f"sqlite:///{tmp_path}/reports.db")
    killed = Suspects(store.attempts, "g")
    killed.begin({PLACE, other})
    killed.note([batch(experiment, PLACE, range(5, 7)), batch(experiment, other, range(1))])
    suspects = Suspects(store.attempts, "g")
    suspects.begin({PLACE, other, proven})
    first = [batch(experiment, place, range(9)) for place in (other, proven)]
    assert taken(suspects, [batch(experiment, PLACE, range(5, 9)), *first]) == [
        {proven: list(range(9))},
        {PLACE: [5]},
        {PLACE: [6]},
        {other: [0]},
        {PLACE: [7, 8], other: list(range(1, 9))},
    ]
    assert taken(suspects, [batch(experiment, PLACE, range(9, 12))]) == [{PLACE: [9, 10, 11]}]
    assert store.attempts.unfinished("g") == {}
    store.close()


def test_what_was_stored_just_before_a_kill_hides_nothing(tmp_path: Path, experiment: Any) -> None:
    """Killed between a step's commit and the note that it passed, then in the next step."""
    store = Store.open(f"sqlite:///{tmp_path}/reports.db")
    for begun in (range(4), range(4, 7)):
        killed = Suspects(store.attempts, "g")
        killed.begin({PLACE})
        killed.note([batch(experiment, PLACE, begun)])
    suspects = Suspects(store.attempts, "g")
    suspects.begin({PLACE})
    steps = taken(suspects, [batch(experiment, PLACE, range(4, 9))])
    assert steps == [{PLACE: [4]}, {PLACE: [5]}, {PLACE: [6]}, {PLACE: [7, 8]}]
    store.close()


def test_what_the_store_refused_is_no_attempt(tmp_path: Path, experiment: Any) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/reports.db")
    suspects = Suspects(store.attempts, "g")
    for size in range(1, 2 * ATTEMPTS):
        suspects.begin({PLACE})
        suspects.note([batch(experiment, PLACE, range(3, 3 + size))])
    suspects.begin({PLACE})
    assert store.attempts.unfinished("g") == {}
    store.close()
