"""The scores of SQuAD: exact match and F1 of words (Rajpurkar et al., EMNLP 2016)."""

from __future__ import annotations

import re
import string
from collections import Counter
from collections.abc import Sequence

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def normalised(text: str) -> list[str]:
    """Give the words without case, punctuation and articles."""
    return re.sub(r"\b(?:a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split()


def exact(found: str, wanted: Sequence[str]) -> bool:
    """Say whether the answer is one of those wanted; "" is "no answer", and right where none is wanted."""
    return any(normalised(found) == normalised(each) for each in wanted or ("",))


def f1(found: str, wanted: Sequence[str]) -> float:
    """Give the F1 of the words with the answer wanted that fits best; 1 or 0 where one of them is empty."""
    return max(_f1(normalised(found), normalised(each)) for each in wanted or ("",))


def _f1(found: list[str], wanted: list[str]) -> float:
    if not found or not wanted:
        return float(found == wanted)
    common = (Counter(found) & Counter(wanted)).total()
    return 2 * common / (len(found) + len(wanted))
