from __future__ import annotations

import logging
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.intake.decode import Decoder
from anomalyd.daemon.intake.parsing.masks import Masks
from anomalyd.daemon.stages import Record
from anomalyd.errors import ConfigError


def masked(
    masks: Masks, entity: str = "DT/W0/MB1/S01", shape: tuple[int, int] = (4, 6)
) -> set[tuple[int, int]]:
    cells = np.ones(shape, dtype=np.float32)
    masks.apply(entity, cells)
    return {(r, c) for r, c in np.argwhere(np.isnan(cells)).tolist()}


def written(path: Path, text: str) -> Masks:
    path.write_text(text, encoding="utf-8")
    return Masks.read(path)


def test_yaml_and_csv_say_the_same(tmp_path):
    yaml = written(
        tmp_path / "m.yaml",
        "DT/W0/MB1/S01:\n  - {row: 2, column: 3-4}\n  - {row: 0}\nDT/W0/*:\n  - {column: 5}\n",
    )
    csv = written(
        tmp_path / "m.csv",
        "element,row,column\nDT/W0/MB1/S01,2,3-4\nDT/W0/MB1/S01,0,\nDT/W0/*,,5\n",
    )
    expected = {(2, 3), (2, 4)} | {(0, c) for c in range(6)} | {(r, 5) for r in range(4)}
    assert masked(yaml) == masked(csv) == expected
    assert masked(yaml, "DT/W0/MB2/S02") == {(r, 5) for r in range(4)}
    assert masked(yaml, "EB1") == set()


def test_cells_that_an_element_does_not_have_are_told_once(tmp_path, caplog):
    masks = written(tmp_path / "m.yaml", "EB1: [{row: 9}, {row: 1, column: 4-99}]\n")
    with caplog.at_level(logging.WARNING):
        assert masked(masks, "EB1") == {(1, 4), (1, 5)}
        masked(masks, "EB1")
    assert len(caplog.records) == 1
    assert "4 rows and 6 columns" in caplog.text


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("m.yaml", "- EB1", "elements with lists of cells"),
        ("m.yaml", "EB1: 3", "EB1: a list of"),
        ("m.yaml", "EB1: [{rows: 3}]", "EB1[0]"),
        ("m.yaml", "EB1: [{row: 7-3}]", "EB1[0]: row: '7-3'"),
        ("m.yaml", "EB1: [{row: -1}]", "EB1[0]: row: -1"),
        ("m.yaml", "EB1: [{}]", "name a row"),
        ("m.yaml", "EB1: [", "is not YAML"),
        ("m.csv", "element,layer\nEB1,3\n", "element,row,column"),
        ("m.csv", "element,row,column\nEB1,x,3\n", "line 2: row: 'x'"),
        ("m.csv", "element,row,column\n,1,3\n", "line 2: an element"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_by_the_line(tmp_path, name, text, told):
    with pytest.raises(ConfigError) as error:
        written(tmp_path / name, text)
    assert told in str(error.value)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"inputs\.masks: .*cannot be read"):
        Decoder([InputConfig(topic="maps", masks=tmp_path / "none.yaml")])


def test_maps_of_an_input_come_masked(tmp_path):
    (tmp_path / "m.yaml").write_text("EB1: [{row: 1, column: 0}]\n", encoding="utf-8")
    decoder = Decoder([InputConfig(topic="maps", masks=tmp_path / "m.yaml")])
    value = msgspec.json.encode({"entity": "EB1", "time": time.time(), "map": [[1, 2], [0, 4]]})
    (sample,), dead = decoder.decode([Record("maps", 0, 0, time.time(), None, value)])
    assert not dead
    assert sample.map is not None
    assert np.isnan(sample.map[1, 0])
    assert np.isfinite(sample.map).sum() == 3
