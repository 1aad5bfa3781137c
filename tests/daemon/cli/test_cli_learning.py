"""The commands train and tune: where their data come from, what they leave, what they refuse."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import yaml

from anomalyd.daemon.cli import main
from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.learning.sample_retention import SampleRetention
from anomalyd.daemon.stages import Sample
from anomalyd.detectors.library import ModelLibrary
from anomalyd.reports.step import Step
from anomalyd.reports.storage.store import Store

BEGIN = 1_795_478_400.0
ROWS = 500

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Run:
    """Run the command as the shell does, in a folder of its own: run("version") -> status, out, err."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")

    def command(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["anomalyd", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return (code if isinstance(code, int) else int(code is not None)), said.out, said.err

    return command


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "anomalyd.yaml"
    small = {"parameters": {"epochs": 1}, "training": {"history_s": 1e9}}
    file.write_text(
        yaml.safe_dump(
            {
                "inputs": [{"topic": "metrics"}],
                "detectors": [
                    {"name": "hosts", "kind": "vector-autoencoder", "entities": ["host/*"], **small},
                    {"name": "disks", "kind": "vector-autoencoder", "entities": ["disk/*"], **small},
                ],
                "store": {"url": f"sqlite:///{tmp_path}/store.db", "keep_samples_s": 1e9},
            }
        )
    )
    return file


@pytest.fixture
def values() -> np.ndarray:
    return np.random.default_rng(1).normal(loc=[5, 50, 500], size=(ROWS, 3))


@pytest.fixture
def csv(tmp_path: Path, values: np.ndarray) -> Path:
    lines = ["time,entity,cpu,net,disk"]
    lines += [f"{BEGIN + n},host/a," + ",".join(map(str, row)) for n, row in enumerate(values)]
    (tmp_path / "metrics.csv").write_text("\n".join(lines))
    return tmp_path / "metrics.csv"


def trained(tmp_path: Path, name: str = "hosts") -> tuple[tuple[str, ...], tuple[str, ...], int]:
    card = ModelLibrary(tmp_path / "models").load(name).pair.autoencoder.card
    return card.entities, card.features, card.samples


def test_train_on_csv_and_parquet_files(
    run: Run, config: Path, csv: Path, values: np.ndarray, tmp_path: Path
) -> None:
    columns = {name: values[:, n] for n, name in enumerate(("cpu", "net", "disk"))}
    pyarrow.parquet.write_table(
        pa.table({"time": BEGIN + np.arange(ROWS), **columns}), tmp_path / "more.parquet"
    )
    more = tmp_path / "more.parquet"
    code, out, err = run(
        "train", "hosts", "-c", config, "--csv", csv, "--parquet", more, "--entity", "host/b"
    )
    assert code == 0, err
    assert f"{2 * ROWS} samples of 2 entities" in out
    assert trained(tmp_path) == (("host/a", "host/b"), ("cpu", "net", "disk"), 2 * ROWS)


def test_train_on_what_the_store_kept(run: Run, config: Path, values: np.ndarray, tmp_path: Path) -> None:
    store = Store.open(f"sqlite:///{tmp_path}/store.db")
    retention = SampleRetention(load_config(config), store)
    names = ("cpu", "net", "disk")
    samples = [
        Sample("host/a", BEGIN + n, "metrics", 0, n, values=dict(zip(names, row.tolist(), strict=True)))
        for n, row in enumerate(values)
    ]
    store.commit(Step("g", samples=retention.keep(samples)))
    store.close()
    code, out, err = run("train", "hosts", "-c", config, "--from-store")
    assert code == 0, err
    assert f"{ROWS} samples of 1 entities" in out
    assert trained(tmp_path) == (("host/a",), names, ROWS)


def test_what_cannot_be_trained_on_is_refused(run: Run, config: Path, csv: Path, tmp_path: Path) -> None:
    code, _, err = run("train", "disks", "-c", config, "--csv", csv)
    assert code == 2
    assert "no vector of an entity like disk/*" in err
    assert "there are vectors of: host/a" in err
    code, _, err = run("train", "-c", config, "--csv", csv, "--from-store")
    assert code == 2
    assert "files or the store, not both" in err
    code, _, err = run("train", "-c", config, "--csv", tmp_path / "nowhere.csv")
    assert code == 2
    assert "nowhere.csv: cannot be read" in err
    code, _, err = run("train", "-c", config, "--from-store")
    assert code == 2
    assert "holds no samples" in err
    assert not (tmp_path / "models").exists()


def test_tune_prints_what_can_be_pasted(run: Run, config: Path, csv: Path, tmp_path: Path) -> None:
    tune = ("tune", "hosts", "-c", config, "--csv", csv, "--classical", "--study", tmp_path / "study")
    code, out, err = run(*tune, "--trials", 3)
    assert code == 0, err
    assert "tune: 3 of 3" in err
    assert "3 trials" in out.splitlines()[0]
    (detector,) = yaml.safe_load(out)["detectors"]
    assert detector["name"] == "hosts"
    assert set(detector["classical_parameters"]) == {"clip", "top", "floor"}
    code, again, err = run(*tune, "--trials", 4)  # goes on where it was
    assert code == 0, err
    assert "4 trials" in again.splitlines()[0]
    given = yaml.safe_load(config.read_text())
    given["detectors"][0] |= detector
    config.write_text(yaml.safe_dump(given))
    assert run("train", "hosts", "-c", config, "--csv", csv)[0] == 0


def test_tune_on_labelled_data_needs_no_configuration(run: Run, values: np.ndarray, tmp_path: Path) -> None:
    label = np.zeros(200, dtype=np.uint8)
    label[[20, 21, 150]] = 1
    test = values[300:].copy()
    test[label == 1] += 5
    (tmp_path / "data").mkdir()
    np.savez(tmp_path / "data" / "one.npz", train=values[:300], test=test, label=label)
    code, out, err = run("tune", "--data", tmp_path / "data", "--kind", "median-distance", "--trials", 2)
    assert code == 0, err
    assert (tmp_path / "tune.journal").is_file()
    (detector,) = yaml.safe_load(out)["detectors"]
    assert detector["kind"] == "median-distance"
    assert set(detector["parameters"]) == {"clip", "top", "floor"}


def test_tune_says_what_it_misses(run: Run, config: Path, csv: Path, tmp_path: Path) -> None:
    code, _, err = run("tune", "-c", config, "--csv", csv)
    assert code == 2
    assert "name one of hosts, disks" in err
    code, _, err = run("tune", "--data", tmp_path)
    assert code == 2
    assert "--data and --kind go together" in err
    code, _, err = run("tune", "--data", tmp_path, "--kind", "map-autoencoder")
    assert code == 2
    assert "detector of maps" in err
