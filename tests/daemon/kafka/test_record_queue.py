"""What waits is taken whole, in order, and forgotten partition by partition."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.kafka.poll_result import Batch
from anomalyd.daemon.kafka.record_queue import RecordQueue
from anomalyd.daemon.stages import Record

sizes = st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), max_size=12)


def batch(partition: int, size: int) -> Batch:
    return Batch("t", partition, [Record("t", partition, k, 0.0, None, b"", ()) for k in range(size)])


def filled(some: list[tuple[int, int]]) -> tuple[RecordQueue, list[Batch]]:
    waiting, batches = RecordQueue(), [batch(*each) for each in some]
    for each in batches:
        waiting.put(each)
    return waiting, batches


@given(sizes, st.integers(1, 15))
def test_all_is_taken_once_in_order_and_never_more_than_asked_but_for_one_batch(
    some: list[tuple[int, int]], limit: int
) -> None:
    waiting, batches = filled(some)
    taken: list[Batch] = []
    while waiting:
        part = waiting.take(limit)
        assert len(part) == 1 or sum(len(b.records) for b in part) <= limit
        taken += part
        assert waiting.records == sum(size for _, size in some[len(taken) :])
    assert list(map(id, taken)) == list(map(id, batches))
    assert waiting.take(limit) == ()


@given(sizes, st.sets(st.integers(0, 2)))
def test_partitions_are_forgotten_and_counted(some: list[tuple[int, int]], gone: set[int]) -> None:
    waiting, _ = filled(some)
    waiting.forget({("t", partition) for partition in gone})
    left = [(partition, size) for partition, size in some if partition not in gone]
    assert waiting.records == sum(size for _, size in left)
    counts = waiting.by_partition()
    assert all(counts["t", p] == sum(size for q, size in left if q == p) for p in range(3))
