"""Commands of the trained versions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anomalyd.daemon.cli.app import app
from anomalyd.daemon.cli.learning import models
from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.learning.training import train_detector_pair
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.library import ModelLibrary

NOW = 1_795_288_500.0


def data(spread: float) -> TrainingSet:
    times = NOW - 10.0 * np.arange(300, 0, -1)
    values = np.random.default_rng(0).normal(0, spread, (300, 4)).astype(np.float32)
    return TrainingSet({"h": Series(times, values)}, tuple("abcd"))


@pytest.fixture
def versions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two versions: the second was trained on hours far quieter than the rest."""
    monkeypatch.chdir(tmp_path)
    Path("anomalyd.yaml").write_text(
        "inputs: [{topic: t}]\n"
        "detectors: [{name: hosts, kind: vector-autoencoder, alert: {false_alarm_rate: 0.01}}]\n"
    )
    (detector,) = load_config(Path("anomalyd.yaml")).detectors
    library = ModelLibrary(Path("models"))
    return [
        library.publish("hosts", train_detector_pair(detector, data(spread), created=NOW + k))
        for k, spread in enumerate((1.0, 0.05))
    ]


def command(*arguments: str) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == 0, (done.output, done.exception)
    return done.output


def test_roll_back_and_go_on(versions: list[str]) -> None:
    first, second = versions
    assert command("models", "list").splitlines() == [f"hosts {first}", f"hosts {second}"]
    assert "stays at work" in command("models", "pin", "hosts", first, "--reason", "deaf", "--who", "ada")
    assert f"hosts {first} pinned by ada: deaf" in command("models", "list")
    assert json.loads(command("models", "list", "--json"))[0]["pinned"] is True
    assert ModelLibrary(Path("models")).load("hosts").version == first
    command("models", "unpin", "hosts")
    assert ModelLibrary(Path("models")).load("hosts").version == second
    unknown = CliRunner().invoke(app, ["models", "unpin", "nobody"])
    assert "there is no detector 'nobody' in the configuration; there are: hosts" in str(unknown.exception)


def test_where_two_versions_differ(versions: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(models, "history_of", lambda *_: lambda detectors: {"hosts": data(1.0)})
    first, second = versions
    told = command("models", "compare", "hosts", second, first)
    assert "gate: " in told
    assert "of 30 samples: 30 by the candidate alone" in told or "by the candidate alone" in told
    kept = json.loads(Path("models-candidates", "hosts", f"{second}.json").read_text())
    assert kept["promoted"] is True
    assert kept["differs"]["candidate"] > 20
    assert kept["differs"]["entities"][0]["entity"] == "h"
    assert json.loads(command("models", "compare", "hosts", second, first, "--json"))["old_version"] == first
