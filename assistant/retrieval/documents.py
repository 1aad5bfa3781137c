"""Sources that are files: Markdown, and the cards of trained models."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import anomalyd
from anomalyd.assistant.retrieval.markdown import passages_of
from anomalyd.assistant.retrieval.passage import Passage, SourceKind

_log = logging.getLogger(__name__)

_LARGEST = 5_000_000  # bytes; a larger file is no documentation


class DocumentSource:
    """The Markdown and text files of a folder and the folders in it. Hidden ones are left out."""

    def __init__(self, name: str, folder: Path) -> None:
        self.name = f"documents/{name}"
        self._folder = folder

    def versions(self) -> Mapping[str, str]:
        """Name each file by its path within the folder."""
        found: dict[str, str] = {}
        for pattern in ("*.md", "*.markdown", "*.txt"):
            for path in self._folder.rglob(pattern):
                inner = path.relative_to(self._folder)
                if path.is_file() and not any(part.startswith(".") for part in inner.parts):
                    found[inner.as_posix()] = _version(path)
        return found

    def read(self, items: Sequence[str]) -> Iterator[tuple[str, list[Passage]]]:
        """Read files. One that is too large or cannot be read has no passages, and is logged."""
        for item in items:
            path = self._folder / item
            try:
                if path.stat().st_size > _LARGEST:
                    _log.warning("%s: not searched: larger than %d MB", path, _LARGEST // 1_000_000)
                    yield item, []
                else:
                    yield item, passages_of(path.read_text(encoding="utf-8", errors="replace"), item)
            except FileNotFoundError:
                continue
            except OSError as error:
                _log.warning("%s: not searched: %s", path, error)
                yield item, []


def shipped_documents() -> DocumentSource:
    """Give the documentation of anomalyd itself."""
    return DocumentSource("anomalyd", Path(anomalyd.__file__).parent / "docs")


class ModelCardSource:
    """The cards of the trained models under a folder: every `model.json`."""

    name = "models"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def versions(self) -> Mapping[str, str]:
        """Name each model by the path of its folder."""
        return {
            path.parent.relative_to(self._folder).as_posix(): _version(path)
            for path in self._folder.rglob("model.json")
        }

    def read(self, items: Sequence[str]) -> Iterator[tuple[str, list[Passage]]]:
        """Read cards. One that is damaged has no passages."""
        for item in items:
            try:
                card = json.loads((self._folder / item / "model.json").read_bytes())["card"]
                yield item, [Passage(SourceKind.MODEL, item, f"Model {item}", _card_text(item, card))]
            except FileNotFoundError:
                continue
            except (OSError, ValueError, KeyError, TypeError) as error:
                _log.warning("%s: card not searched: %r", self._folder / item, error)
                yield item, []


def _card_text(name: str, card: Mapping[str, Any]) -> str:
    """Tell a card in sentences."""
    shapes, features = card["shapes"], card["features"]
    parameters = ", ".join(f"{key} {value}" for key, value in card["parameters"].items())
    figures = ", ".join(f"{key} {value:.3g}" for key, value in card.get("figures", {}).items())
    sentences = [
        f"Model {name} is a detector of kind {card['kind']} for samples of kind {card['sample_kind']}.",
        f"It was trained on {card['samples']} samples of {len(shapes)} entities, "
        f"from {_day(card['trained_from'])} to {_day(card['trained_to'])}.",
        f"It was created on {_day(card['created'])} by anomalyd {card['code_version']} "
        f"with seed {card['seed']}.",
        f"Entities it was trained on: {', '.join(list(shapes)[:40])}.",
    ]
    sentences += [f"Metrics it uses: {', '.join(features)}."] if features else []
    sentences += [f"Parameters: {parameters}."] if parameters else []
    sentences += [f"Figures of its training: {figures}."] if figures else []
    return " ".join(sentences)


def _day(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"


def _version(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "gone"
    return f"{status.st_mtime_ns}/{status.st_size}"
