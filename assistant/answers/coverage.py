"""How much of what a question asks for a passage speaks of: its content words, by their stems."""

from __future__ import annotations

import re

from anomalyd.assistant.language.phrasing import apart

_STOP = frozenset(
    [
        "a",
        "an",
        "the",
        "is",
        "are",
        "was",
        "were",
        "be",
        "been",
        "being",
        "do",
        "does",
        "did",
        "i",
        "we",
        "you",
        "it",
        "its",
        "they",
        "my",
        "our",
        "your",
        "of",
        "on",
        "in",
        "at",
        "to",
        "for",
        "from",
        "with",
        "by",
        "and",
        "or",
        "not",
        "no",
        "how",
        "what",
        "which",
        "who",
        "whom",
        "where",
        "when",
        "why",
        "can",
        "could",
        "should",
        "must",
        "may",
        "would",
        "will",
        "shall",
        "if",
        "there",
        "this",
        "that",
        "these",
        "those",
        "me",
        "us",
        "so",
        "as",
        "about",
        "into",
        "than",
        "then",
        "any",
        "some",
        "all",
        "one",
        "have",
        "has",
        "had",
        "get",
        "got",
        "doing",
        "please",
        "mean",
        "means",
        "anomalyd",
        "happens",
        "happen",
        "now",
        "what's",
        "whats",
    ]
)
_ENDINGS = ("ings", "ing", "ed", "es", "s")


def content_words(question: str) -> tuple[str, ...]:
    """Give the words of a question that say what it is about; names with digits are none."""
    words = re.findall(r"(?<![\w/.-])[a-z_]+(?![\w/-]|\.\w)", question.lower())
    return tuple(dict.fromkeys(word for word in words if word not in _STOP and len(word) > 1))


def coverage(words: tuple[str, ...], text: str) -> float:
    """Give the share of words that stand in a text, in whatever form; 0 of no words."""
    if not words:
        return 0.0
    parts = re.findall(r"[a-z0-9_]+", apart(text).lower())
    have = {_stem(part) for part in parts} | {_stem(piece) for part in parts for piece in part.split("_")}
    return sum(_stem(word) in have for word in words) / len(words)


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word.removesuffix("e")[:6]
