"""Markdown as passages: what stands under one heading, in pieces short enough to be read at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from markdown_it import MarkdownIt

from anomalyd.assistant.retrieval.passage import Passage, SourceKind

_MOST_WORDS = 180  # with its title and a question within the reader's 256 tokens, mostly

_LINK = re.compile(r"!?\[([^\]]*)\]\([^)\s]*(?:\s+\"[^\"]*\")?\)")
_MARKS = re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1")
_RULE = re.compile(r"^[\s|:-]*-[\s|:-]*$")


@dataclass(slots=True)
class _Section:
    trail: tuple[str, ...]
    blocks: list[str] = field(default_factory=list)


def passages_of(text: str, name: str) -> list[Passage]:
    """Split a Markdown document called `name` ("runbooks/disks.md") into passages.

    A passage is titled by its trail of headings. Links become their text; code and tables keep their lines,
    because a command is wanted to the letter.
    """
    found: list[Passage] = []
    used: dict[str, int] = {}
    for section in _sections(text):
        title = " > ".join(section.trail) or name
        anchor = _anchor(section.trail[-1]) if section.trail else ""
        for piece in _pieces([block for block in section.blocks if block.strip()]):
            number = used[anchor] = used.get(anchor, 0) + 1
            place = f"#{anchor}" if anchor else ""
            part = f".{number}" if number > 1 else ""
            found.append(Passage(SourceKind.DOCUMENT, f"{name}{place}{part}", title, piece))
    return found


def _sections(text: str) -> Iterator[_Section]:
    """Give what stands under each heading: paragraphs, lists, tables and code, each as one text."""
    lines = text.split("\n")  # as the parser does: splitlines knows other ends, too
    trail: list[tuple[int, str]] = []
    section = _Section(())
    tokens = MarkdownIt("commonmark").enable("table").parse(text)
    for k, token in enumerate(tokens):
        if token.level or token.map is None or token.type == "html_block":
            continue
        if token.type == "heading_open":
            yield section
            depth = int(token.tag[1:])
            trail = [(d, t) for d, t in trail if d < depth] + [(depth, _plain(tokens[k + 1].content))]
            section = _Section(tuple(t for _, t in trail))
        elif token.type in ("fence", "code_block"):
            section.blocks.append(token.content.rstrip())
        elif token.nesting >= 0 and token.type != "hr":
            kept = (line for line in lines[slice(*token.map)] if not _RULE.match(line))
            section.blocks.append(_plain("\n".join(kept)))
    yield section


def _plain(block: str) -> str:
    return _MARKS.sub(r"\2", _LINK.sub(r"\1", block)).strip("\r\n")


def _pieces(blocks: list[str]) -> Iterator[str]:
    """Join short blocks, and split long ones between lines or sentences."""
    piece: list[str] = []
    for part in (part for block in blocks for part in _parts(block)):
        if piece and sum(len(p.split()) for p in piece) + len(part.split()) > _MOST_WORDS:
            yield "\n".join(piece)
            piece = []
        piece.append(part)
    if piece:
        yield "\n".join(piece)


def _parts(block: str) -> Iterator[str]:
    if len(block.split()) <= _MOST_WORDS:
        yield block
        return
    lines = block.split("\n") if "\n" in block else re.split(r"(?<=[.!?])\s+", block)
    words: list[str] = []
    joiner = "\n" if "\n" in block else " "
    for line in lines:
        for k in range(0, max(1, len(line.split())), _MOST_WORDS):
            chunk = line if len(line.split()) <= _MOST_WORDS else " ".join(line.split()[k : k + _MOST_WORDS])
            if words and len(joiner.join(words).split()) + len(chunk.split()) > _MOST_WORDS:
                yield joiner.join(words)
                words = []
            words.append(chunk)
    if words:
        yield joiner.join(words)


def _anchor(heading: str) -> str:
    """Give the anchor that GitHub gives a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-")
