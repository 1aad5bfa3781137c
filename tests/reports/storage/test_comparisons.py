"""Comparisons of models that people ask for: one daemon makes each, once."""

from __future__ import annotations

import pytest

from anomalyd.errors import StoreError
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.comparisons import ABANDONED_S
from anomalyd.reports.storage.store import Store


def test_the_oldest_is_taken_once_and_what_was_abandoned_again(url: str) -> None:
    now = [1000.0]
    store, queries = Store.open(url, clock=lambda: now[0]), Queries.open(url)
    other = Store.open(url, clock=lambda: now[0])
    book = store.comparisons
    assert book.begin(("hosts",)) is None
    book.ask("hosts", "v2", "v1", "Ada")
    book.ask("hosts", "v3", "v1", "Bob")
    book.ask("maps", "v3", "v1", "Bob")
    with pytest.raises(StoreError, match="wait to be compared already"):
        book.ask("hosts", "v2", "v1", "Eve")
    first = book.begin(("hosts",))
    assert first is not None
    assert (first.candidate, first.who, first.asked, first.begun) == ("v2", "Ada", 1000.0, 1000.0)
    second = other.comparisons.begin(("hosts",))
    assert second is not None
    assert second.candidate == "v3"
    assert other.comparisons.begin(("hosts",)) is None
    now[0] += 7.0
    book.end(first)
    other.comparisons.end(second, "there are no samples")
    told = queries.overview.comparisons("hosts")
    assert [(c.candidate, c.ended, c.outcome) for c in told] == [
        ("v3", 1007.0, "there are no samples"),
        ("v2", 1007.0, ""),
    ]
    book.ask("hosts", "v2", "v1", "Ada")  # again, once it is made
    assert book.begin(("hosts",)) is not None  # by a daemon that dies of it
    now[0] += ABANDONED_S + 1
    assert book.begin(("hosts",)) is not None
    for each in (store, queries, other):
        each.close()


def test_what_is_long_over_is_forgotten(url: str) -> None:
    now = [1000.0]
    store, queries = Store.open(url, clock=lambda: now[0]), Queries.open(url)
    store.comparisons.ask("hosts", "v2", "v1", "Ada")
    made = store.comparisons.begin(("hosts",))
    assert made is not None
    store.comparisons.end(made)
    now[0] += 100 * 86_400.0
    store.comparisons.ask("hosts", "v3", "v1", "Ada")
    assert [c.candidate for c in queries.overview.comparisons("hosts")] == ["v3"]
    store.close()
    queries.close()
