"""Vectors in eight bits choose the same candidates, and what another process deletes is gone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.assistant.retrieval.index import Index, Item
from anomalyd.assistant.retrieval.passage import Passage, SourceKind
from anomalyd.assistant.retrieval.vectors import Vectors

SIZE, MANY = 384, 5000


def drawn(seed: int, n: int) -> NDArray[np.float32]:
    vectors = np.random.default_rng(seed).normal(size=(n, SIZE)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    index = Index(tmp_path, "an encoder")
    index.replace(
        "s", [Item(f"i{k}", "1", [Passage(SourceKind.COMMENT, f"{k}", "t", "x")]) for k in range(MANY)]
    )
    index.put_vectors([n for n, _ in index.without_vector(MANY)], drawn(1, MANY))
    yield index
    index.close()


def test_the_nearest_are_among_the_candidates(index: Index) -> None:
    vectors = Vectors(index, SIZE)
    numbers = index.numbers_with_vector()
    found, exact = index.vectors(numbers)
    for question in drawn(2, 5):
        cosines = exact.astype(np.float32) @ question
        nearest = {int(n) for n in found[np.argsort(-cosines)[:10]]}
        assert nearest <= set(vectors.best(question, 20))
        assert set(vectors.best(question, 20, numbers[:30])) <= set(numbers[:30].tolist())


def test_cosines_are_those_of_the_index(index: Index) -> None:
    some = index.numbers_with_vector()[7:9]
    question = drawn(3, 1)[0]
    found, exact = index.vectors(some)
    told = Vectors(index, SIZE).cosines(question, np.append(some, 10**9))
    assert told == pytest.approx(
        dict(zip(found.tolist(), (exact.astype(np.float32) @ question).tolist(), strict=True))
    )


def test_what_is_deleted_and_what_is_new_is_seen(index: Index) -> None:
    vectors = Vectors(index, SIZE)
    question = drawn(4, 1)[0]
    first = vectors.best(question, 1)
    name = f"i{index.passages(first)[first[0]].id}"
    index.replace("s", [Item("new", "1", [Passage(SourceKind.COMMENT, "new", "t", "x")])], gone=[name])
    [(number, _)] = index.without_vector(1)
    assert first[0] not in vectors.best(question, MANY)
    index.put_vectors([number], question[None])
    assert vectors.best(question, 1) == [number]


def test_what_is_deleted_while_it_is_read_is_left_out(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = index.numbers_with_vector()
    monkeypatch.setattr(index, "numbers_with_vector", lambda: np.append(numbers, 10**9))
    assert 10**9 not in Vectors(index, SIZE).best(drawn(5, 1)[0], MANY + 1)
