"""Metric vectors from CSV and Parquet files: what detectors can be trained on without Kafka.

Wide: a column `time`, perhaps `entity`, and every other column is a metric. Long: exactly the columns `time`,
`metric`, `value`, and perhaps `entity`; each row is one value.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from anomalyd.daemon.learning.training_data import Block
from anomalyd.errors import TrainingError

_LARGEST = np.finfo(np.float32).max

_LARGEST_BLOCK = 2**31 - 1

_LATEST_S = 32_503_680_000.0
"""The year 3000: a larger number of seconds was not meant as seconds."""


def read_csv(file: Path, entity: str | None = None) -> list[Block]:
    """Read a CSV file with a line of names; numbers and times are recognised, an empty field is missing.

    Times are ISO 8601 (UTC where no zone is given) or seconds since the epoch. `entity` is that of a file
    without such a column; None: the file's name without its ending.

    Raises:
        TrainingError: it cannot be read, or a column is not what it should be; names the file and the column.

    """
    try:
        # All of it as one block: the types of columns are recognised by the first one alone.
        size = min(max(file.stat().st_size, 1) + 1, _LARGEST_BLOCK)
        table = pyarrow.csv.read_csv(file, pyarrow.csv.ReadOptions(block_size=size))
    except (OSError, pa.ArrowException) as error:
        raise TrainingError(f"{file}: cannot be read as CSV: {error}") from error
    return _blocks(file, table, entity)


def read_parquet(file: Path, entity: str | None = None) -> list[Block]:
    """Read a Parquet file; as `read_csv`.

    Raises:
        TrainingError: as `read_csv`.

    """
    try:
        table = pyarrow.parquet.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise TrainingError(f"{file}: cannot be read as Parquet: {error}") from error
    return _blocks(file, table, entity)


def _blocks(file: Path, table: Any, entity: str | None) -> list[Block]:
    names: list[str] = table.column_names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise TrainingError(f"{file}: column {twice[0]!r} stands twice; each must be unique")
    if "time" not in names:
        raise TrainingError(
            f"{file}: has no column 'time'; it needs time, perhaps entity, and a column for each metric "
            "(or the columns time, metric, value)"
        )
    if not table.num_rows:
        raise TrainingError(f"{file}: holds no rows")
    times = _times(file, table["time"])
    if "entity" in names:
        entities = _texts(file, table, "entity")
    else:
        entities = np.full(table.num_rows, entity or file.stem, dtype=object)
    if set(names) - {"entity"} == {"time", "metric", "value"}:
        metrics = _texts(file, table, "metric")
        values = _numbers(file, table, ["value"])[:, 0]
        features = tuple(dict.fromkeys(metrics))
        place = {name: f for f, name in enumerate(features)}
        places = np.array([place[metric] for metric in metrics])
        return [
            _pivoted(name, times[mine], values[mine], places[mine], features)
            for name, mine in _rows_of_each(entities)
        ]
    features = tuple(name for name in names if name not in ("time", "entity"))
    if not features:
        raise TrainingError(f"{file}: has no column of a metric beside time and entity")
    rows = _numbers(file, table, features)
    return [Block(name, times[mine], rows[mine], features) for name, mine in _rows_of_each(entities)]


def _rows_of_each(entities: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """Give each entity with the places of its rows, in their order."""
    names, inverse = np.unique(entities, return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    bounds = np.searchsorted(inverse[order], np.arange(len(names) + 1))
    for name, (first, last) in zip(names, pairwise(bounds), strict=True):
        yield str(name), order[first:last]


def _pivoted(
    entity: str,
    times: NDArray[np.float64],
    values: NDArray[np.float32],
    places: NDArray[np.intp],
    features: tuple[str, ...],
) -> Block:
    """Make rows of single values; of several of one metric at one time the first is kept."""
    moments, row = np.unique(times, return_inverse=True)
    wide = np.full((len(moments), len(features)), np.nan, dtype=np.float32)
    known = np.flatnonzero(~np.isnan(values))[::-1]  # the first is written last
    wide[row[known], places[known]] = values[known]
    return Block(entity, moments, wide, features)


def _times(file: Path, column: Any) -> NDArray[np.float64]:
    """Give times in seconds since the epoch."""
    if column.null_count:
        raise TrainingError(
            f"{file}: column 'time' is empty in {column.null_count} rows; every row needs one"
        )
    if pa.types.is_timestamp(column.type):
        micros = pc.cast(column, pa.timestamp("us", column.type.tz), safe=False)
        return np.asarray(pc.cast(micros, pa.int64()).to_numpy(), dtype=np.float64) / 1e6
    if pa.types.is_date(column.type):
        return _times(file, pc.cast(column, pa.timestamp("s")))
    if not (pa.types.is_integer(column.type) or pa.types.is_floating(column.type)):
        raise TrainingError(
            f"{file}: column 'time' holds {column.type}; it must be ISO 8601, as 2026-11-24T00:00:00Z, or "
            "seconds since the epoch"
        )
    seconds = np.asarray(column.to_numpy(), dtype=np.float64)
    if not np.isfinite(seconds).all() or (np.abs(seconds) > _LATEST_S).any():
        worst = seconds[~(np.abs(seconds) <= _LATEST_S)][0]
        raise TrainingError(
            f"{file}: column 'time' holds {worst:g}, which is no time in seconds since the epoch; convert "
            "milliseconds or nanoseconds to seconds"
        )
    return seconds


def _texts(file: Path, table: Any, name: str) -> NDArray[Any]:
    texts = ["" if value is None else str(value) for value in table[name].to_pylist()]
    if empty := texts.count(""):
        raise TrainingError(f"{file}: column {name!r} is empty in {empty} rows; fill it in")
    return np.array(texts, dtype=object)


def _numbers(file: Path, table: Any, names: Sequence[str]) -> NDArray[np.float32]:
    """Give columns (n, F), NaN where empty or infinite; what is beyond float32 becomes its largest."""
    columns = []
    for name in names:
        held = table[name].type
        numeric = pa.types.is_integer(held) or pa.types.is_floating(held) or pa.types.is_decimal(held)
        if not (numeric or pa.types.is_boolean(held) or pa.types.is_null(held)):
            raise TrainingError(f"{file}: column {name!r} holds {held}; a metric is a number: leave it out")
        numbers = pc.cast(table[name], pa.float64(), safe=False).to_numpy()
        finite = np.where(np.isinf(numbers), np.nan, numbers)
        columns.append(np.clip(finite, -_LARGEST, _LARGEST).astype(np.float32))
    return np.column_stack(columns)
