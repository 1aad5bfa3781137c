"""Trained pairs on the disk, version by version: published as a whole, read with the last good one kept.

ROOT/NAME/20261123T211500Z-1a2b3c4d/autoencoder/{model.safetensors,model.json}
                                   /classical/{model.safetensors,model.json}
ROOT/NAME/pinned.json: the version that stays at work, whatever is published later
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from anomalyd.detectors.calibration import Calibration
from anomalyd.detectors.detector_pair import MEMBERS, DetectorPair
from anomalyd.detectors.model import CARD, Card, load_model, read_card, save_model
from anomalyd.errors import ModelDamaged, ModelError, ModelMismatch, ModelMissing

KEPT_VERSIONS = 5

_VERSION = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_PINNED = "pinned.json"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


@dataclass(frozen=True, slots=True)
class LoadedPair:
    """A pair that was loaded, which version it is, and why newer versions were `refused` (newest first)."""

    name: str
    version: str
    pair: DetectorPair
    refused: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pin:
    """That somebody keeps a version at work, and why; `at` is in seconds since the epoch."""

    version: str
    who: str
    reason: str
    at: float


class MemberCard(NamedTuple):
    """What a model of a pair says of itself: its card, its calibration, and the sha256 of its weights."""

    card: Card
    calibration: Calibration
    sha256: str


def candidates_folder(root: Path) -> Path:
    """Give the folder of trainings that were judged: VERSION.json each, and the models that did not pass."""
    return root.with_name(f"{root.name}-candidates")


class ModelLibrary:
    """The folder of trained pairs. Several processes may read while one publishes."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def publish(self, name: str, pair: DetectorPair) -> str:
        """Keep a pair as the newest version and give the version; the newest five are kept.

        It appears as a whole or not at all: written beside its place, forced to the disk, then renamed. The
        version is made of the time of training and a hash of the models, so that publishing the same pair
        twice is publishing it once.
        """
        shelf = self._shelf(name)
        shelf.mkdir(parents=True, exist_ok=True)
        unfinished = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=shelf))
        try:
            unfinished.chmod(0o755)  # mkdtemp's 0700 would hide the models from other users' dashboards
            digest = hashlib.sha256()
            for member in MEMBERS:
                save_model(getattr(pair, member), unfinished / member)
                digest.update((unfinished / member / CARD).read_bytes())
                _force_to_disk(unfinished / member)
            _force_to_disk(unfinished)
            created = datetime.fromtimestamp(pair.autoencoder.card.created, UTC)
            version = f"{created:%Y%m%dT%H%M%SZ}-{digest.hexdigest()[:8]}"
            if not self._holds_together(name, version):
                shutil.rmtree(shelf / version, ignore_errors=True)
                unfinished.rename(shelf / version)
                _force_to_disk(shelf)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
        pinned = self.pinned(name)
        for old in self.versions(name)[:-KEPT_VERSIONS]:
            if pinned is None or old != pinned.version:
                shutil.rmtree(shelf / old, ignore_errors=True)
        return version

    def pin(self, name: str, pin: Pin) -> None:
        """Keep a version at work, whatever is published later, until `unpin`.

        Raises:
            ModelMissing: there is no such version.
            ModelDamaged, ModelMismatch: it cannot be used.
            ModelError: the folder cannot be written.

        """
        self.load(name, pin.version)
        shelf = self._shelf(name)
        try:
            handle, unfinished = tempfile.mkstemp(prefix=".unfinished-", dir=shelf)
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                json.dump(asdict(pin), file)
            Path(unfinished).chmod(0o644)
            Path(unfinished).replace(shelf / _PINNED)
        except OSError as error:
            raise ModelError(f"{shelf}: cannot be written: {error}; do it where the daemon runs") from error

    def unpin(self, name: str) -> None:
        """Let the newest version be at work again.

        Raises:
            ModelError: the folder cannot be written.

        """
        try:
            (self._shelf(name) / _PINNED).unlink(missing_ok=True)
        except OSError as error:
            raise ModelError(
                f"{self._shelf(name)}: cannot be written: {error}; do it where the daemon runs"
            ) from error

    def pinned(self, name: str) -> Pin | None:
        """Say which version somebody keeps at work, None if the newest is."""
        try:
            return Pin(**json.loads((self._shelf(name) / _PINNED).read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def names(self) -> tuple[str, ...]:
        """Name the pairs that were ever published here."""
        if not self._root.is_dir():
            return ()
        return tuple(sorted(p.name for p in self._root.iterdir() if p.is_dir() and _NAME.fullmatch(p.name)))

    def cards(self, name: str, version: str) -> dict[str, MemberCard]:
        """Give what both models of a version say of themselves, without loading their weights.

        Raises:
            ModelMissing, ModelMismatch, ModelDamaged: as `read_card`.

        """
        folder = self._shelf(name) / version
        return {member: MemberCard(*read_card(folder / member)) for member in MEMBERS}

    def folder(self, name: str, version: str, member: str) -> Path:
        """Give the folder of a model: a member ("autoencoder" or "classical") of a version of a pair."""
        return self._shelf(name) / version / member

    def versions(self, name: str) -> tuple[str, ...]:
        """Name the versions of a pair, newest last; none if there is no such pair."""
        shelf = self._shelf(name)
        if not shelf.is_dir():
            return ()
        return tuple(sorted(p.name for p in shelf.iterdir() if _VERSION.fullmatch(p.name)))

    def load(self, name: str, version: str | None = None) -> LoadedPair:
        """Load one version, or the pinned one, or the newest that holds together.

        Raises:
            ModelMissing: there is no version, or not the one asked for.
            ModelDamaged: versions are there, but none can be used; the text says why for each.
            ModelMismatch: as `load_model`, if a version was asked for.

        """
        if version is not None:
            if version not in self.versions(name):
                known = ", ".join(self.versions(name)) or "none"
                raise ModelMissing(
                    f"{self._shelf(name)}: there is no version {version!r}; there are: {known}"
                )
            return LoadedPair(name, version, self._load(name, version), ())
        refused: list[str] = []
        pinned = self.pinned(name)
        # The pinned one first, then the newest.
        candidates = sorted(
            self.versions(name), key=lambda v: (pinned is not None and v == pinned.version, v), reverse=True
        )
        for candidate in candidates:
            try:
                return LoadedPair(name, candidate, self._load(name, candidate), tuple(refused))
            except ModelError as error:
                refused.append(f"{candidate}: {error}")
        if refused:
            raise ModelDamaged(
                f"{self._shelf(name)}: no version can be used: {' | '.join(refused)}; run `anomalyd train`"
            )
        raise ModelMissing(f"{self._shelf(name)}: no trained model of {name!r} yet; run `anomalyd train`")

    def _holds_together(self, name: str, version: str) -> bool:
        try:
            self._load(name, version)
        except ModelError:
            return False
        return True

    def _load(self, name: str, version: str) -> DetectorPair:
        folder = self._shelf(name) / version
        pair = DetectorPair(load_model(folder / "autoencoder"), load_model(folder / "classical"))
        pair.classical.check(features=pair.features, sample_kind=pair.sample_kind)
        return pair

    def _shelf(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise ModelMismatch(
                f"{name!r} cannot be the name of a model; letters, digits, dot, dash and underscore can"
            )
        return self._root / name


def _force_to_disk(folder: Path) -> None:
    """Make the names in a folder survive a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
