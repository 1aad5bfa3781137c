from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import create_engine, text

from anomalyd.daemon.incidents.run_ends import SETTLED_S, SILENT_S, RunEnds
from anomalyd.errors import StoreError
from anomalyd.reports.quality import Look
from anomalyd.reports.queries import Queries
from anomalyd.reports.step import Step
from anomalyd.reports.storage.store import Store

WELL = {"DT/W0/MB1/S01": Look(judged=True, alerting=False)}


class Runs:
    """A store, what becomes of its runs, and a clock that is moved by hand."""

    def __init__(self, url: str) -> None:
        self.store, self.queries = Store.open(url), Queries.open(url)
        self.now = 0.0
        self.woken = 0
        self.begin()

    def begin(self) -> None:
        self.ends = RunEnds(
            self.store, self.queries, "reports", stopwatch=lambda: self.now, on_end=self._wake
        )

    def _wake(self) -> None:
        self.woken += 1

    def see(self, run: int, *lumisections: int) -> None:
        self.store.commit(Step("group", lumisections={(run, "DT", n): WELL for n in lumisections}))

    def after(self, seconds: float) -> list[int]:
        """Look now and after so long; gives the runs that were told."""
        self.ends.look()
        self.now += seconds
        assert self.ends.look() is None
        sent = self.store.unsent(100)
        self.store.mark_sent([each.id for each in sent], {})
        told = [msgspec.json.decode(each.entry.value) for each in sent]
        assert all(each["event"] == "run-ended" for each in told)
        self.last = told[-1] if told else None
        return [each["run"] for each in told]


@pytest.fixture
def runs(tmp_path: Path) -> Iterator[Runs]:
    found = Runs(f"sqlite:///{tmp_path}/reports.db")
    yield found
    found.queries.close()
    found.store.close()


def test_a_run_is_summed_up_once_the_next_has_begun(runs):
    runs.see(7, 1, 2, 3)
    assert runs.after(SETTLED_S) == []
    runs.see(8, 1)
    assert runs.after(SETTLED_S) == [7]
    assert runs.last["systems"]["DT"]["good"] == 3
    assert runs.last["text"].startswith("Run 7\n")
    assert runs.woken == 1
    assert runs.after(SETTLED_S) == []


def test_the_last_run_ends_with_a_silence_and_stands_beside_the_one_before(runs):
    runs.see(7, 1, 2)
    runs.see(8, 1)
    assert runs.after(SETTLED_S) == [7]
    assert runs.after(SILENT_S) == [8]
    assert runs.last["text"].startswith("Run 8 beside run 7")
    assert [each["run"] for each in runs.last["references"]] == [7]


def test_a_restart_loses_no_run_and_tells_none_twice(runs):
    runs.see(7, 1)
    runs.see(8, 1)
    runs.begin()
    assert runs.after(SETTLED_S) == [7]
    runs.begin()
    assert runs.after(SETTLED_S) == []


def test_what_comes_late_of_a_run_is_summed_up_again(runs):
    runs.see(7, 1)
    runs.see(8, 1)
    assert runs.after(SETTLED_S) == [7]
    runs.see(7, 2)
    assert runs.after(SETTLED_S) == [7]
    assert runs.last["systems"]["DT"]["good"] == 2


def test_without_a_topic_it_is_kept_and_not_sent(runs):
    runs.see(7, 1)
    runs.see(8, 1)
    runs.ends = RunEnds(runs.store, runs.queries, None, stopwatch=lambda: runs.now)
    assert runs.after(SETTLED_S) == []
    assert runs.store.run_summaries.summed_up() == {7: 1}


def test_a_store_that_is_away_is_asked_again(runs, monkeypatch):
    def away() -> dict[int, int]:
        raise StoreError("no answer")

    with monkeypatch.context() as patched:
        patched.setattr(runs.store.run_summaries, "seen", away)
        assert runs.ends.look() == "no answer"
    assert runs.ends.look() is None


def test_runs_from_before_the_upgrade_are_not_told(tmp_path: Path):
    url = f"sqlite:///{tmp_path}/old.db"
    old = Runs(url)
    old.see(5, 1)
    old.see(6, 1)
    old.queries.close()
    old.store.close()
    engine = create_engine(url)
    with engine.begin() as connection:
        for newer in ("run_summaries", "comparisons"):
            connection.execute(text(f"DROP TABLE {newer}"))
        connection.execute(text("ALTER TABLE lumisections DROP COLUMN empty"))
        connection.execute(text("ALTER TABLE attempts DROP COLUMN next_offset"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0016'"))
    engine.dispose()
    upgraded = Runs(url)
    assert upgraded.after(SILENT_S) == []
    upgraded.queries.close()
    upgraded.store.close()
