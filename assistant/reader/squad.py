"""Questions over paragraphs in the layout of SQuAD 2.0 (Rajpurkar et al., ACL 2018)."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from anomalyd.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Gold:
    """An answer: its text, and the character of the paragraph where it starts."""

    text: str
    start: int

    @property
    def end(self) -> int:
        """The character after its last."""
        return self.start + len(self.text)


@dataclass(frozen=True, slots=True)
class Example:
    """A question about a paragraph. `answers` is empty where the paragraph does not answer it."""

    id: str
    article: str
    question: str
    context: str
    answers: tuple[Gold, ...]


def read_squad(path: Path) -> list[Example]:
    """Read a file in SQuAD's layout, plain or gzipped.

    An answer that is not where the file says is taken where it first occurs.

    Raises:
        TrainingError: the file cannot be read, lacks a field, or has an answer that its paragraph lacks.

    """
    document = _document(path)
    examples: list[Example] = []
    try:
        for article in document["data"]:
            for paragraph in article["paragraphs"]:
                context, title = paragraph["context"], article.get("title", "")
                examples += (_example(question, context, title) for question in paragraph["qas"])
    except (KeyError, TypeError, AttributeError) as error:
        raise TrainingError(
            f"{path}: question {len(examples) + 1}: {error!r}; "
            "expected data[].paragraphs[].{context, qas[].{id, question, answers[].{text, answer_start}}}"
        ) from error
    except ValueError as error:
        raise TrainingError(f"{path}: {error}") from error
    if not examples:
        raise TrainingError(f"{path}: holds no question")
    return examples


def licence_of(path: Path) -> str:
    """Give the licence that a file names, and where it comes from; "not named" if it does not."""
    document = _document(path)
    licence = str(document.get("licence") or document.get("license") or "licence not named")
    return f"{licence}; {document['source']}" if document.get("source") else licence


def _document(path: Path) -> dict[str, Any]:
    try:
        data = path.read_bytes()
        document = json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
    except (OSError, EOFError, ValueError) as error:
        raise TrainingError(f"{path}: cannot be read as JSON in SQuAD's layout: {error}") from error
    if not isinstance(document, dict):
        raise TrainingError(f"{path}: not in SQuAD's layout: the JSON is no object with `data`")
    return document


def _example(question: dict[str, Any], context: str, title: str) -> Example:
    name = str(question["id"])
    golds = [_gold(a["text"], a["answer_start"], context, name) for a in question["answers"]]
    return Example(name, title, question["question"].strip(), context, tuple(dict.fromkeys(golds)))


def _gold(text: str, start: int, context: str, name: str) -> Gold:
    if context[start : start + len(text)] != text:
        start = context.find(text)
    if start < 0 or not text.strip():
        raise ValueError(f"question {name!r}: the answer {text!r} is not in its paragraph")
    return Gold(text, start)
