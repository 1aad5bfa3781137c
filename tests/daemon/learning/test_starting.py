"""What watches maps before there is enough to train on."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.learning.auto_training import AutoTraining, Outcome
from anomalyd.daemon.learning.starting import publish_starting_models, trained_versions
from anomalyd.detectors.library import ModelLibrary

NOW = 1_795_288_500.0


def configured(root: Path, kind: str, *, automatic: bool = True) -> Config:
    return Config.model_validate(
        {
            "inputs": [{"topic": "t"}],
            "detectors": [{"name": "maps", "kind": kind, "training": {"automatic": automatic}}],
            "store": {"url": f"sqlite:///{root}/s.db", "models": str(root / "models")},
        }
    )


def test_maps_are_watched_from_the_first_on_and_training_begins_as_if_there_were_no_model(
    tmp_path: Path,
) -> None:
    config, library = configured(tmp_path, "map-scan"), ModelLibrary(tmp_path / "models")
    publish_starting_models(config, library, lambda: NOW)
    publish_starting_models(config, library, lambda: NOW + 60)
    (version,) = library.versions("maps")
    assert version.startswith("20261121T")
    assert trained_versions(library, "maps") == []
    trained: list[str] = []

    def train(_: Config, name: str) -> Outcome:
        trained.append(name)
        return Outcome(None, "it trains by itself in about 60 s")

    auto = AutoTraining(config, clock=lambda: NOW + 60, train=train)
    auto.look()
    auto.look()
    assert trained == ["maps", "maps"]


@pytest.mark.parametrize(("kind", "automatic"), [("map-autoencoder", True), ("map-scan", False)])
def test_others_begin_when_they_are_trained(tmp_path: Path, kind: str, automatic: bool) -> None:
    library = ModelLibrary(tmp_path / "models")
    publish_starting_models(configured(tmp_path, kind, automatic=automatic), library)
    assert library.versions("maps") == ()


def test_a_folder_that_cannot_be_written_is_no_reason_not_to_start(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "models").write_text("a file stands in the way")
    publish_starting_models(configured(tmp_path, "map-scan"), ModelLibrary(tmp_path / "models"))
    assert "begins when it is trained" in caplog.text
