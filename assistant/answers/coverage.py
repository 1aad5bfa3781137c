"""How much of what a question asks for a passage speaks of: its content words, by their stems."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator

from anomalyd.assistant.language.phrasing import apart
from anomalyd.assistant.retrieval.passage import Passage

_STOP_WORDS = """
a an the is are was were be been being do does did i we you it its they my our your of on in at
to for from with by and or not no how what which who whom where when why can could should must
may would will shall if there this that these those me us so as about into than then any some
all one since have has had get got doing please mean means anomalyd happens happen now what's whats
"""
_STOP = frozenset(_STOP_WORDS.split())
_ENDINGS = ("ings", "ing", "ed", "es", "s")


class Rarity:
    """Weighs a word by how few passages speak of it: inverse document frequency (Sparck Jones 1972)."""

    def __init__(self, passages: Iterable[Passage] = ()) -> None:
        found = [frozenset(_stems(full_text(passage))) for passage in passages]
        self._frequencies = Counter(stem for stems in found for stem in stems)
        self._passages = len(found)

    def __call__(self, stem: str) -> float:
        """Give the weight of a stem; one that stands nowhere weighs most."""
        return math.log((self._passages + 1) / (self._frequencies[stem] + 0.5))

    def unseen(self, words: tuple[str, ...]) -> float:
        """Give the share of words that stand in no passage, 0 of none."""
        return sum(not self._frequencies[_stem(word)] for word in words) / max(1, len(words))


def full_text(passage: Passage) -> str:
    """Give all that a passage says: the words of its file's name, its headings and its text."""
    return f"{heading(passage)} {passage.text}"


def heading(passage: Passage) -> str:
    """Give the words of a passage's file name and of its headings."""
    file = passage.id.partition("#")[0].removesuffix(".md")
    return f"{re.sub('[/-]', ' ', file)} {passage.title}"


def content_words(question: str) -> tuple[str, ...]:
    """Give the words of a question that say what it is about; names with digits are none."""
    words = re.findall(r"(?<![\w/.-])[a-z_]+(?![\w/-]|\.\w)", apart(question).lower())
    return tuple(dict.fromkeys(word for word in words if word not in _STOP and len(word) > 1))


def coverage(words: tuple[str, ...], text: str, rarity: Rarity | None = None) -> float:
    """Give the share of words that stand in a text, in whatever form, rare ones counting more; 0 of none."""
    weights = [(stem, 1.0 if rarity is None else rarity(stem)) for stem in map(_stem, words)]
    have = set(_stems(text))
    whole = sum(weight for _, weight in weights)
    return sum(weight for stem, weight in weights if stem in have) / whole if whole else 0.0


def _stems(text: str) -> Iterator[str]:
    for part in re.findall(r"[a-z0-9_]+", apart(text).lower()):
        yield _stem(part)
        yield from map(_stem, part.split("_"))


def _stem(word: str) -> str:
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word[: -len(ending)]
            break
    return word.removesuffix("e")[:6]
