"""Maintenance windows in the store, on both databases."""

from __future__ import annotations

import pytest

from anomalyd.errors import StoreError
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.repositories.maintenance import Window
from anomalyd.reports.storage.store import Store

WALL_CLOCK = 1_795_500_000.0


def test_windows_are_kept_and_given_earliest_first(store: Store, queries: Queries) -> None:
    book = store.maintenance
    late = book.add(Window(("host/a*", "db"), 50.0, 60.0, "new disks", "ho*"))
    early = book.add(Window(("*",), 5.0, 60.5))
    assert late.id != early.id
    assert book.windows() == queries.maintenance() == [early, late]


@pytest.mark.parametrize(
    "window", [Window(("a",), 5.0, 5.0), Window((), 5.0, 6.0), Window(("a",), 5.0, float("nan"))]
)
def test_a_window_that_makes_no_sense_is_refused(store: Store, window: Window) -> None:
    with pytest.raises(StoreError, match="needs an entity, and an end after its beginning"):
        store.maintenance.add(window)
    assert store.maintenance.windows() == []


def test_a_window_ends_now_or_never_begins_or_stays_over(store: Store) -> None:
    book, now = store.maintenance, WALL_CLOCK
    for since, until, ended in ((-9, 9, 0), (5, 9, 5), (-9, -5, -5)):
        window = book.add(Window(("a",), now + since, now + until))
        assert book.end(window.id).until == now + ended
        assert next(w for w in book.windows() if w.id == window.id).until == now + ended


def test_a_window_nobody_opened_cannot_be_ended(store: Store) -> None:
    with pytest.raises(StoreError, match=r"no maintenance window 7; there are: none"):
        store.maintenance.end(7)
    one = store.maintenance.add(Window(("a",), 0.0, 1.0)).id
    with pytest.raises(StoreError, match=rf"there are: {one}$"):
        store.maintenance.end(one + 7)


def test_patterns_tell_case(store: Store) -> None:
    window = Window(("host/a*", "db"), 0.0, 1.0)
    assert [window.covers(e) for e in ("host/a7", "db", "db1", "Host/a7")] == [True, True, False, False]
