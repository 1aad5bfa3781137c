from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from anomalyd.detectors import library
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import ModelLibrary, Pin
from anomalyd.detectors.model import WEIGHTS
from anomalyd.errors import ModelDamaged, ModelMismatch, ModelMissing

T0 = 1_795_468_500.0  # 2026-11-23T21:15:00Z


def trained_at(pair: DetectorPair, created: float) -> DetectorPair:
    """Give the pair as if it had been trained at another time."""
    return DetectorPair(
        *(replace(m, card=replace(m.card, created=created)) for m in (pair.autoencoder, pair.classical))
    )


@pytest.fixture
def shelf(tmp_path: Path) -> ModelLibrary:
    return ModelLibrary(tmp_path / "models")


def test_what_was_published_is_loaded(shelf: ModelLibrary, pair: DetectorPair) -> None:
    version = shelf.publish("hosts", pair)
    assert version.startswith("20261123T211500Z-")
    loaded = shelf.load("hosts")
    assert (loaded.name, loaded.version, loaded.refused) == ("hosts", version, ())
    assert loaded.pair.autoencoder.card == pair.autoencoder.card
    assert loaded.pair.classical.calibration == pair.classical.calibration


def test_the_cards_are_read_without_the_weights(
    shelf: ModelLibrary, pair: DetectorPair, tmp_path: Path
) -> None:
    assert shelf.names() == ()
    version = shelf.publish("hosts", pair)
    (tmp_path / "models" / ".hidden").mkdir()
    assert shelf.names() == ("hosts",)
    (tmp_path / "models" / "hosts" / version / "classical" / WEIGHTS).unlink()
    cards = shelf.cards("hosts", version)
    assert list(cards) == ["autoencoder", "classical"]
    assert cards["autoencoder"].card == pair.autoencoder.card
    assert cards["classical"].calibration == pair.classical.calibration
    with pytest.raises(ModelMissing):
        shelf.cards("hosts", "20261123T211500Z-00000000")


def test_publishing_the_same_pair_twice_is_publishing_it_once(
    shelf: ModelLibrary, pair: DetectorPair
) -> None:
    assert shelf.publish("hosts", pair) == shelf.publish("hosts", pair)
    assert len(shelf.versions("hosts")) == 1


def test_publishing_it_again_repairs_a_damaged_version(
    shelf: ModelLibrary, pair: DetectorPair, tmp_path: Path
) -> None:
    version = shelf.publish("hosts", pair)
    (tmp_path / "models" / "hosts" / version / "classical" / WEIGHTS).unlink()
    assert shelf.publish("hosts", pair) == version
    assert shelf.load("hosts").refused == ()


def test_the_newest_is_loaded_and_an_older_one_when_asked_for(
    shelf: ModelLibrary, pair: DetectorPair
) -> None:
    old, new = (shelf.publish("hosts", trained_at(pair, T0 + s)) for s in (0, 60))
    assert shelf.versions("hosts") == (old, new)
    assert shelf.load("hosts").version == new
    assert shelf.load("hosts", old).version == old


def test_a_damaged_newest_is_refused_and_the_last_good_one_kept(
    shelf: ModelLibrary, pair: DetectorPair, tmp_path: Path
) -> None:
    good, bad = (shelf.publish("hosts", trained_at(pair, T0 + s)) for s in (0, 60))
    weights = tmp_path / "models" / "hosts" / bad / "classical" / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])
    loaded = shelf.load("hosts")
    assert loaded.version == good
    assert len(loaded.refused) == 1
    assert bad in loaded.refused[0]
    assert "truncated" in loaded.refused[0]
    with pytest.raises(ModelDamaged, match="truncated"):
        shelf.load("hosts", bad)


def test_nothing_usable_says_why_for_each(shelf: ModelLibrary, pair: DetectorPair, tmp_path: Path) -> None:
    versions = [shelf.publish("hosts", trained_at(pair, T0 + s)) for s in (0, 60)]
    for version in versions:
        (tmp_path / "models" / "hosts" / version / "autoencoder" / WEIGHTS).write_bytes(b"")
    with pytest.raises(ModelDamaged) as refused:
        shelf.load("hosts")
    assert all(version in str(refused.value) for version in versions)


def test_none_yet_is_missing(shelf: ModelLibrary, pair: DetectorPair) -> None:
    assert shelf.versions("hosts") == ()
    with pytest.raises(ModelMissing, match="anomalyd train"):
        shelf.load("hosts")
    version = shelf.publish("hosts", pair)
    with pytest.raises(ModelMissing, match=rf"no version 'x'; there are: {version}"):
        shelf.load("hosts", "x")


def test_five_versions_are_kept(shelf: ModelLibrary, pair: DetectorPair) -> None:
    published = [shelf.publish("hosts", trained_at(pair, T0 + s)) for s in range(7)]
    assert shelf.versions("hosts") == tuple(published[-5:])


def test_a_publication_that_fails_leaves_nothing(
    shelf: ModelLibrary, pair: DetectorPair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = shelf.publish("hosts", pair)

    def fail(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(library, "save_model", fail)
    with pytest.raises(OSError, match="no space"):
        shelf.publish("hosts", trained_at(pair, T0 + 60))
    assert os.listdir(tmp_path / "models" / "hosts") == [kept]


def test_a_half_written_version_is_not_seen(shelf: ModelLibrary, pair: DetectorPair, tmp_path: Path) -> None:
    version = shelf.publish("hosts", pair)
    (tmp_path / "models" / "hosts" / ".unfinished-x" / "autoencoder").mkdir(parents=True)
    assert shelf.versions("hosts") == (version,)


@pytest.mark.parametrize("name", ["../escape", "", ".hidden", "a/b"])
def test_a_name_cannot_leave_the_library(shelf: ModelLibrary, name: str) -> None:
    with pytest.raises(ModelMismatch, match="cannot be the name"):
        shelf.versions(name)


def test_a_pinned_version_stays_at_work_and_on_the_disk(shelf: ModelLibrary, pair: DetectorPair) -> None:
    first = shelf.publish("hosts", trained_at(pair, T0))
    assert shelf.pinned("hosts") is None
    pin = Pin(first, "ada", "the new one is deaf", T0)
    shelf.pin("hosts", pin)
    for days in range(1, library.KEPT_VERSIONS + 3):
        newest = shelf.publish("hosts", trained_at(pair, T0 + 86_400 * days))
    assert shelf.pinned("hosts") == pin
    assert shelf.load("hosts").version == first
    assert first in shelf.versions("hosts")
    shelf.unpin("hosts")
    shelf.unpin("hosts")
    assert shelf.load("hosts").version == newest


def test_a_pinned_version_that_is_damaged_gives_way(
    shelf: ModelLibrary, pair: DetectorPair, tmp_path: Path
) -> None:
    first = shelf.publish("hosts", trained_at(pair, T0))
    newest = shelf.publish("hosts", trained_at(pair, T0 + 60))
    shelf.pin("hosts", Pin(first, "ada", "", T0))
    (tmp_path / "models" / "hosts" / first / "autoencoder" / WEIGHTS).write_bytes(b"")
    loaded = shelf.load("hosts")
    assert loaded.version == newest
    assert first in loaded.refused[0]


def test_only_what_can_be_used_is_pinned(shelf: ModelLibrary, pair: DetectorPair, tmp_path: Path) -> None:
    version = shelf.publish("hosts", pair)
    with pytest.raises(ModelMissing, match="there is no version"):
        shelf.pin("hosts", Pin("20261123T211500Z-00000000", "ada", "", T0))
    (tmp_path / "models" / "hosts" / "pinned.json").write_text("{")
    assert shelf.pinned("hosts") is None
    (tmp_path / "models" / "hosts" / version / "classical" / WEIGHTS).unlink()
    with pytest.raises(ModelMissing):
        shelf.pin("hosts", Pin(version, "ada", "", T0))
