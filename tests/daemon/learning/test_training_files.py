"""CSV and Parquet files as training data: both layouts, times of every make, errors that name the column."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.daemon.learning.training_data import Block
from anomalyd.daemon.learning.training_files import read_csv, read_parquet
from anomalyd.errors import TrainingError

MIDNIGHT = 1_795_478_400.0  # 2026-11-24T00:00:00Z


def csv(folder: Path, *lines: str, name: str = "file.csv") -> Path:
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def parquet(folder: Path, **columns: Any) -> Path:
    pyarrow.parquet.write_table(pa.table(columns), folder / "file.parquet")
    return folder / "file.parquet"


def test_a_wide_file_has_a_block_for_each_entity(tmp_path: Path) -> None:
    file = csv(
        tmp_path,
        "entity,time,load,up,never",
        "host/b,2026-11-24T00:00:00Z,1.5,true,",
        "host/a,2026-11-24T00:00:00Z,2,false,",
        "host/b,2026-11-24T00:01:00Z,,true,",
    )
    a, b = read_csv(file)
    assert (a.entity, b.entity) == ("host/a", "host/b")
    assert a.features == b.features == ("load", "up", "never")
    assert b.times.tolist() == [MIDNIGHT, MIDNIGHT + 60]
    np.testing.assert_array_equal(b.values, np.float32([[1.5, 1, np.nan], [np.nan, 1, np.nan]]))
    assert b.values.dtype == np.float32


def test_a_long_file_is_made_wide(tmp_path: Path) -> None:
    file = csv(
        tmp_path,
        "time,metric,value,entity",
        f"{MIDNIGHT},load,1,host/a",
        f"{MIDNIGHT + 60},disk,7,host/a",
        f"{MIDNIGHT},disk,6,host/a",
        f"{MIDNIGHT},load,99,host/a",  # told twice: the first counts
        f"{MIDNIGHT},load,3,host/b",
    )
    a, b = read_csv(file)
    assert a.features == ("load", "disk")
    assert a.times.tolist() == [MIDNIGHT, MIDNIGHT + 60]
    np.testing.assert_array_equal(a.values, np.float32([[1, 6], [np.nan, 7]]))
    np.testing.assert_array_equal(b.values, np.float32([[3, np.nan]]))


def test_without_an_entity_it_is_the_one_given_or_the_files_name(tmp_path: Path) -> None:
    file = csv(tmp_path, "time,load", f"{MIDNIGHT},1", name="db01.csv")
    assert [b.entity for b in read_csv(file)] == ["db01"]
    assert [b.entity for b in read_csv(file, "host/db01")] == ["host/db01"]


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-24T00:00:00Z", MIDNIGHT),
        ("2026-11-24 00:00:00", MIDNIGHT),
        ("2026-11-24T01:00:00.25+01:00", MIDNIGHT + 0.25),
        ("2026-11-24", MIDNIGHT),
        (f"{MIDNIGHT:.0f}", MIDNIGHT),
        (f"{MIDNIGHT + 0.5}", MIDNIGHT + 0.5),
    ],
)
def test_times_of_every_make(tmp_path: Path, text: str, seconds: float) -> None:
    (block,) = read_csv(csv(tmp_path, "time,load", f"{text},1"))
    assert block.times.tolist() == [seconds]


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "Europe/Zurich"])
def test_parquet_times_have_a_unit_of_their_own(tmp_path: Path, unit: str, zone: str | None) -> None:
    factor = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    times = pa.array([int(MIDNIGHT) * factor], pa.timestamp(unit, zone))
    (block,) = read_parquet(parquet(tmp_path, time=times, load=[1]))
    assert block.times.tolist() == [MIDNIGHT]


def test_parquet_takes_every_kind_of_number(tmp_path: Path) -> None:
    file = parquet(
        tmp_path,
        time=[MIDNIGHT, MIDNIGHT + 1],
        small=pa.array([1, None], pa.int8()),
        half=pa.array([0.5, math.inf], pa.float32()),
        huge=[1e300, -1e300],
        flag=[True, None],
        decimal=pa.array([None, 3], pa.decimal128(5, 2)),
        entity=pa.array(["a", "a"]).dictionary_encode(),
    )
    (block,) = read_parquet(file)
    largest = np.finfo(np.float32).max
    expected = [[1, 0.5, largest, 1, np.nan], [np.nan, np.nan, -largest, np.nan, 3]]
    np.testing.assert_array_equal(block.values, np.float32(expected))


def test_a_type_that_shows_late_is_recognised(tmp_path: Path) -> None:
    """The first megabyte holds whole numbers only."""
    lines = [f"{MIDNIGHT + n},{n}" for n in range(100_000)]
    (block,) = read_csv(csv(tmp_path, "time,load", *lines, f"{MIDNIGHT + 200_000},0.5"))
    assert block.values[-1, 0] == 0.5


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["load", "1"], "has no column 'time'"),
        (["time,load", ",1", f"{MIDNIGHT},2"], "'time' is empty in 1 rows"),
        (["time,load", "noon,1"], "'time' holds string; it must be ISO 8601"),
        (["time,load", f"{MIDNIGHT * 1000:.0f},1"], "convert milliseconds"),
        (["time,load,host", f"{MIDNIGHT},1,a"], "'host' holds string; a metric is a number: leave it out"),
        (["time,entity", f"{MIDNIGHT},a"], "no column of a metric"),
        (["time,entity,load", f"{MIDNIGHT},a,1", f"{MIDNIGHT},,1"], "'entity' is empty in 1 rows"),
        (["time,load,load", f"{MIDNIGHT},1,2"], "'load' stands twice"),
        (["time,load"], "holds no rows"),
        (["time,load", "1"], "cannot be read as CSV"),
        ([""], "cannot be read as CSV|has no column"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(TrainingError, match=rf"file\.csv: .*({says})"):
        read_csv(csv(tmp_path, *lines))


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    for read in (read_csv, read_parquet):
        with pytest.raises(TrainingError, match="nowhere"):
            read(tmp_path / "nowhere")
    (tmp_path / "x.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(TrainingError, match=r"x\.parquet: cannot be read as Parquet"):
        read_parquet(tmp_path / "x.parquet")


cells = st.none() | st.floats(-1e6, 1e6, width=32)


@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(0, 50), st.sampled_from("xyz"), cells),
        min_size=1,
        max_size=40,
    )
)
def test_long_and_wide_say_the_same(
    tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, int, str, float | None]]
) -> None:
    folder = tmp_path_factory.mktemp("both", numbered=True)
    told: dict[tuple[str, int], dict[str, float | None]] = {}
    for entity, time, metric, value in rows:
        row = told.setdefault((entity, time), {})
        if value is not None:
            row.setdefault(metric, value)
    entities, times, metrics, values = zip(*rows, strict=True)
    long = read_parquet(
        parquet(folder, entity=entities, time=times, metric=metrics, value=pa.array(values, pa.float64()))
    )
    features = tuple(dict.fromkeys(metrics))
    wide = read_parquet(
        parquet(
            folder,
            entity=[e for e, _ in told],
            time=[t for _, t in told],
            **{f: pa.array([v.get(f) for v in told.values()], pa.float64()) for f in features},
        )
    )
    assert [_content(b) for b in long] == [_content(b) for b in wide]


def _content(block: Block) -> tuple[str, tuple[str, ...], list[tuple[float, str]]]:
    rows = sorted((time, repr(row.tolist())) for time, row in zip(block.times, block.values, strict=True))
    return block.entity, block.features, rows
