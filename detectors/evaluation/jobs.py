"""The same work on many items, in several processes."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from anomalyd.errors import TrainingError

Item = TypeVar("Item")
Result = TypeVar("Result")


def spread(
    work: Callable[[Item], Result], items: Sequence[Item], jobs: int = 1
) -> Iterator[tuple[int, Result]]:
    """Give place and result of each item as they are done, `jobs` at a time; 1 works in this process.

    With more, `work`, the items and the results must be picklable: they go to processes of their own, each
    with one thread.

    Raises:
        TrainingError: a process died (most often for want of memory).

    """
    if jobs <= 1 or len(items) <= 1:
        for place, item in enumerate(items):
            yield place, work(item)
        return
    # A fork of a process that has used torch's threads may hang: each begins afresh.
    fresh = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(min(jobs, len(items)), mp_context=fresh, initializer=_one_thread)
    try:
        places = {pool.submit(work, item): place for place, item in enumerate(items)}
        for done in as_completed(places):
            yield places[done], done.result()
    except BrokenProcessPool as error:
        raise TrainingError(
            f"one of {jobs} working processes died ({error}); it may have run out of memory: use fewer jobs"
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    """Keep torch to one thread: on small models two are up to 170 times slower."""
    os.environ["OMP_NUM_THREADS"] = "1"
    import torch

    torch.set_num_threads(1)
