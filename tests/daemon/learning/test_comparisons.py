"""What the daemon does about comparisons that people ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.learning.comparisons import AskedComparisons, compare_versions
from anomalyd.errors import StoreError
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.store import Store


@pytest.fixture
def config(tmp_path: Path) -> Config:
    place = {"url": f"sqlite:///{tmp_path}/reports.db", "models": str(tmp_path / "models")}
    return Config.model_validate(
        {"inputs": [{"topic": "t"}], "detectors": [{"name": "hosts"}], "store": place}
    )


@pytest.fixture
def store(config: Config) -> Iterator[Store]:
    with closing(Store.open(config.store.url.get_secret_value())) as opened:
        yield opened


def test_what_waits_is_made_one_after_the_other(config: Config, store: Store) -> None:
    made: list[tuple[str, str, str]] = []

    def compare(_: Config, *versions: str) -> str:
        made.append(versions)  # type: ignore[arg-type]
        return "" if len(made) == 1 else "there are no samples"

    asked = AskedComparisons(config, store, compare)
    assert asked.look() is None
    for detector, candidate in (("hosts", "v2"), ("hosts", "v3"), ("of another daemon", "v2")):
        store.comparisons.ask(detector, candidate, "v1", "Ada")
    assert [asked.look() for _ in range(3)] == [None] * 3
    assert made == [("hosts", "v2", "v1"), ("hosts", "v3", "v1")]
    with closing(Queries.open(config.store.url.get_secret_value())) as queries:
        told = queries.overview.comparisons("hosts")
    assert [each.outcome for each in told] == ["there are no samples", ""]


def test_a_store_that_is_away_is_asked_again(
    config: Config, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_: object) -> None:
        raise StoreError("it is away")

    monkeypatch.setattr(store.comparisons, "begin", away)
    assert AskedComparisons(config, store).look() == "it is away"


def test_a_version_that_is_gone_is_told(config: Config) -> None:
    assert "v2" in compare_versions(config, "hosts", "v2", "v1")
