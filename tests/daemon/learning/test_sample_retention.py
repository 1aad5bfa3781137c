"""Samples kept in the store to train on: all of them, once, whatever happens, and no more than asked for."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.learning import sample_retention
from anomalyd.daemon.learning.sample_retention import SampleRetention, decode, kept_history
from anomalyd.daemon.stages import Sample
from anomalyd.errors import StoreError, TrainingError
from anomalyd.reports.step import Step
from anomalyd.reports.storage.repositories.samples import Piece
from anomalyd.reports.storage.store import Store

BEGIN = 1_795_288_500.0


def configured(keep_samples_s: float = 3600.0, **training: Any) -> Config:
    return Config.model_validate(
        {
            "inputs": [{"topic": "metrics"}],
            "detectors": [
                {"name": "hosts", "kind": "vector-autoencoder", "entities": ["host/*"], "training": training},
                {"name": "chambers", "kind": "map-autoencoder", "entities": ["DT/*"]},
            ],
            "store": {"keep_samples_s": keep_samples_s},
        }
    )


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    yield store
    store.close()


def retention(store: Store, config: Config | None = None, now: float = BEGIN + 100) -> SampleRetention:
    return SampleRetention(config or configured(), store, clock=lambda: now)


def vector(entity: str, second: float, **values: float | None) -> Sample:
    return Sample(entity, BEGIN + second, "metrics", 0, int(second), values=values)


def step(store: Store, retention: SampleRetention, *samples: Sample) -> tuple[Piece, ...]:
    pieces = retention.keep(samples)
    store.commit(Step("g", samples=pieces))
    return pieces


def rows(store: Store) -> int:
    return len(store.samples.pieces())


def test_what_is_kept_is_what_is_trained_on(store: Store, experiment: Any) -> None:
    keeping = retention(store)
    for second in range(5):
        step(
            store, keeping, *(experiment.sample(e, second) for e in (*experiment.hosts, *experiment.chambers))
        )
    config = configured()
    found = kept_history(store, config.detectors, experiment.begin + 5)
    hosts, chambers = found["hosts"], found["chambers"]
    assert hosts.features == experiment.metrics
    assert tuple(hosts.series) == experiment.hosts
    np.testing.assert_array_equal(hosts.series["host/a"].times, experiment.begin + np.arange(5))
    expected = np.float32([list(experiment.row("host/b", second).values()) for second in range(5)])
    np.testing.assert_array_equal(hosts.series["host/b"].values, expected)
    chamber = experiment.chambers[2]
    maps = np.stack([experiment.map(chamber, 100 + second) for second in range(5)])
    np.testing.assert_array_equal(chambers.series[chamber].values, maps)


def test_a_missing_metric_stays_missing(store: Store) -> None:
    step(store, retention(store), vector("host/a", 0, x=1.0, y=None), vector("host/a", 1, y=2.0))
    series = kept_history(store, configured().detectors[:1], BEGIN + 5)["hosts"].series["host/a"]
    np.testing.assert_array_equal(series.values, np.float32([[1, np.nan], [np.nan, 2]]))


def test_what_nobody_watches_is_not_kept(store: Store) -> None:
    assert step(store, retention(store), vector("db/1", 0, x=1.0)) == ()
    assert rows(store) == 0


def test_nothing_is_kept_unless_asked_for(store: Store) -> None:
    step(store, retention(store), vector("host/a", 0, x=1.0))
    off = retention(store, configured(0.0))
    assert off.keep([vector("host/a", 1, x=1.0)]) == ()
    off.prune()
    assert rows(store) == 0  # and what was kept is dropped
    with pytest.raises(TrainingError, match=r"set store\.keep_samples_s"):
        kept_history(store, configured().detectors, BEGIN)


def test_small_pieces_become_one(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_retention, "_PIECE_PARTS", 4)
    keeping, seconds = retention(store), itertools.count()
    lengths = []
    for _ in range(9):
        step(store, keeping, vector("host/a", next(seconds), x=1.0), vector("host/b", next(seconds), x=1.0))
        lengths.append(rows(store))
    assert lengths == [2, 4, 6, 2, 4, 6, 8, 4, 6]
    assert sum(piece.samples for piece in store.samples.pieces()) == 18


def test_a_large_step_is_a_piece_of_its_own(store: Store) -> None:
    (piece,) = step(store, retention(store), *(vector("host/a", s, x=1.0) for s in range(20_000)))
    assert (piece.samples, piece.replaces) == (20_000, ())
    assert (piece.first, piece.last) == (BEGIN, BEGIN + 19_999)


steps = st.lists(
    st.tuples(
        st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["x", "xy"])), max_size=4),
        st.sampled_from(["", "", "refused", "killed"]),
    ),
    max_size=25,
)


@settings(deadline=None, max_examples=40)
@given(steps)
def test_each_sample_is_there_once_whatever_happens(
    tmp_path_factory: pytest.TempPathFactory, steps: Sequence[tuple[list[tuple[str, str]], str]]
) -> None:
    """Steps may be refused by the store and come again; the daemon may be killed after one."""
    store = Store.open(f"sqlite:///{tmp_path_factory.mktemp('kept', numbered=True)}/store.db")
    seconds = itertools.count()
    parts, sample_retention._PIECE_PARTS = sample_retention._PIECE_PARTS, 3
    try:
        keeping = retention(store)
        sent: dict[str, list[float]] = {}
        for some, fate in steps:
            samples = [
                vector(f"host/{host}", next(seconds), **dict.fromkeys(metrics, 1.0)) for host, metrics in some
            ]
            if fate == "refused":
                keeping.keep(samples)
                keeping.forget()
            step(store, keeping, *samples)
            for sample in samples:
                sent.setdefault(sample.entity, []).append(sample.time)
            if fate == "killed":
                keeping = retention(store)
        found: dict[str, list[float]] = {}
        for piece in store.samples.pieces():
            found.setdefault(piece.entity, []).extend(decode(piece).times.tolist())
        assert {e: sorted(times) for e, times in found.items()} == sent
    finally:
        sample_retention._PIECE_PARTS = parts
        store.close()


def test_what_is_old_is_dropped_now_and_then(store: Store) -> None:
    now = BEGIN + 100
    keeping = SampleRetention(configured(50.0), store, clock=lambda: now)
    keeping.prune()
    step(store, keeping, vector("host/a", 10, x=1.0))
    step(store, keeping, vector("host/a", 60, x=1.0))
    keeping.prune()  # too soon to ask the store again
    assert rows(store) == 2
    now += 300
    keeping._keep_s = 345.0
    keeping.prune()
    assert [piece.first for piece in store.samples.pieces()] == [BEGIN + 60]


def test_each_detector_is_trained_on_its_own_history(store: Store) -> None:
    step(store, retention(store), *(vector("host/a", s, x=1.0) for s in range(100)))
    detectors = configured(history_s=10.0).detectors[:1]
    series = kept_history(store, detectors, BEGIN + 100)["hosts"].series["host/a"]
    assert series.times.tolist() == [BEGIN + s for s in range(90, 100)]


@pytest.mark.parametrize("data", [b"", b"no zip", zlib.compress(b"no tensors"), zlib.compress(b"")])
def test_damaged_bytes_are_told(data: bytes) -> None:
    with pytest.raises(StoreError, match="kept samples of host/a are damaged"):
        decode(Piece("id", "host/a", "vector", 0.0, 1.0, 2, data))
