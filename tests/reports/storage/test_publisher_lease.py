"""One publisher at a time: a lease, renewed, given back, and taken over from the dead and the silent."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator

import pytest

from anomalyd.errors import StoreError
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.processes import process_name
from anomalyd.reports.storage.repositories.publisher_lease import LEASE_S, RENEW_S, PublisherLease
from anomalyd.reports.storage.store import Store


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def lease(url: str, store: Store) -> Iterator[Callable[..., tuple[PublisherLease, Clock]]]:
    database = Database.open(url)

    def make(holder: str) -> tuple[PublisherLease, Clock]:
        clock = Clock()
        return PublisherLease(database, holder=f"elsewhere {holder} 1.00 x", clock=clock), clock

    yield make
    database.close()


def test_one_holds_it_until_it_gives_it_back(lease: Callable[..., tuple[PublisherLease, Clock]]) -> None:
    (one, clock), (other, _) = lease("1"), lease("2")
    assert not one.renew()
    assert one.take()
    assert not other.take()
    clock.now += RENEW_S
    assert one.renew()
    one.release()
    assert not one.renew()
    assert other.take()


def test_who_could_not_renew_it_takes_it_again_at_once(
    lease: Callable[..., tuple[PublisherLease, Clock]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The store failed for a minute: nobody else has beaten meanwhile, and the events should not wait."""
    one, clock = lease("1")
    assert one.take()
    clock.now += 60.0
    with monkeypatch.context() as patch:
        patch.setattr(PublisherLease, "_set", lambda *_: (_ for _ in ()).throw(StoreError("away")))
        with pytest.raises(StoreError, match="away"):
            one.renew()
    assert not one.renew()
    assert one.take()
    assert one.renew()


def test_who_beats_keeps_it_and_who_falls_silent_loses_it(
    lease: Callable[..., tuple[PublisherLease, Clock]],
) -> None:
    (one, ones_clock), (other, others_clock) = lease("1"), lease("2")
    assert one.take()
    for _ in range(10):
        ones_clock.now += RENEW_S
        others_clock.now += LEASE_S - 1.0
        assert one.renew()
        assert not other.take()
    others_clock.now += LEASE_S
    assert other.take()
    # The silent one comes back: it is told before it sends.
    ones_clock.now += LEASE_S
    assert not one.renew()
    assert not one.take()


def test_a_process_that_has_ended_holds_nobody_up(url: str, store: Store) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        name = f"{process_name(process.pid)} x"
        database = Database.open(url)
        theirs, ours = PublisherLease(database, holder=name), PublisherLease(database)
        assert theirs.take()
        assert not ours.take()
        process.kill()
        process.wait()
        assert ours.take()
        database.close()
