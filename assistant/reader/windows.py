"""A question and its paragraph as windows of tokens, which is what BERT reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SPECIAL = 4  # tokens such as "[CLS]" of one window, for BERT and its relatives at most
_CHUNK = 512  # texts given to the tokenizer at once


@dataclass(frozen=True, slots=True)
class WindowShape:
    """How many tokens a window has at most.

    It shares `shared` of them with the one before; at most `question` are of the question.
    """

    tokens: int = 256
    shared: int = 96
    question: int = 64

    def __post_init__(self) -> None:
        if self.tokens <= self.shared + self.question + _SPECIAL:
            raise ValueError(f"{self}: no token is left for the paragraph")


@dataclass(frozen=True, slots=True)
class Window:
    """A question and a piece of its paragraph: "[CLS] question [SEP] piece [SEP]".

    `ids` and `kinds` (token types) are (n,). `first` is the token at which the piece begins, `offsets`
    (m, 2) are the characters of the paragraph that each of its m tokens covers.
    """

    ids: NDArray[np.int32]
    kinds: NDArray[np.int32]
    first: int
    offsets: NDArray[np.int32]

    def place(self, start: int, end: int) -> tuple[int, int] | None:
        """Give the first and the last token of the characters start to end; None if not all are here."""
        if not len(self.offsets) or start < self.offsets[0, 0] or end > self.offsets[-1, 1]:
            return None
        first = int(np.searchsorted(self.offsets[:, 1], start, side="right"))
        last = int(np.searchsorted(self.offsets[:, 0], end, side="left")) - 1
        return (self.first + first, self.first + last) if first <= last else None


def windows_of(
    pairs: Sequence[tuple[str, str]], tokenizer: Any, shape: WindowShape
) -> list[tuple[Window, ...]]:
    """Give the windows of each pair of question and paragraph.

    `tokenizer` is a fast one of Hugging Face. A question of more tokens than the shape allows is cut.
    """
    found: list[list[Window]] = [[] for _ in pairs]
    for chunk in range(0, len(pairs), _CHUNK):
        part = pairs[chunk : chunk + _CHUNK]
        encoded = tokenizer(
            [_cut(question, tokenizer, shape.question) for question, _ in part],
            [context for _, context in part],
            truncation="only_second",
            max_length=shape.tokens,
            stride=shape.shared,
            return_overflowing_tokens=True,
            return_offsets_mapping=True,
            return_token_type_ids=True,
        )
        for k, owner in enumerate(encoded["overflow_to_sample_mapping"]):
            found[chunk + owner].append(_window(encoded, k))
    return [tuple(windows) for windows in found]


def _window(encoded: Any, k: int) -> Window:
    belongs = np.array([-1 if s is None else s for s in encoded.sequence_ids(k)])
    piece = np.flatnonzero(belongs == 1)
    offsets = np.array(encoded["offset_mapping"][k], dtype=np.int32).reshape(-1, 2)
    return Window(
        ids=np.array(encoded["input_ids"][k], dtype=np.int32),
        kinds=np.array(encoded["token_type_ids"][k], dtype=np.int32),
        first=int(piece[0]) if len(piece) else len(belongs),
        offsets=offsets[piece],
    )


def _cut(question: str, tokenizer: Any, most: int) -> str:
    if len(question) <= most:  # no token has less than a character
        return question
    offsets = tokenizer(question, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
    ends = offsets["offset_mapping"]
    return question[: ends[most - 1][1]] if len(ends) > most else question
