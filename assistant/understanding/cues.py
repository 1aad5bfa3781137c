"""What is asked, read from the words beside the conditions; every word is accounted for, or named as not
understood.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from anomalyd.assistant.language import systems
from anomalyd.assistant.language.spelling import ordinal
from anomalyd.assistant.understanding import vocabulary as v
from anomalyd.assistant.understanding.atoms import PLACEHOLDER, Atom
from anomalyd.assistant.understanding.scope import EXCEPT

_ASPECTS = tuple((name, re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])")) for name, pattern in v.ASPECTS)
_CUES = tuple((name, re.compile(rf"(?<![\w-])(?:{pattern})(?![\w-])")) for name, pattern in v.CUES)
_OPERATORS = re.compile(
    rf"(?<![\w-])(?:{EXCEPT}|and also|and|or|nor|not|no|non|never|neither|either|but|plus|as well "
    rf"as|that|which|who|whose|where|with"
    r"|only|just|alone|together with)(?![\w-])|[,&+]"
)
_WORDS = re.compile(r"[^\s,.;:!?()'\"]+(?:[.'][^\s,.;:!?()'\"]+)*")
_BY = (
    (r"severit|severity", "severity"),
    (r"hour-of-day", "hour of day"),
    (r"weekday", "weekday"),
    (r"blamed-(?:metric|cause)", "cause"),
    (r"status", "status"),
    (r"day|date|daily|diem", "day"),
    (r"hour", "hour"),
    (r"detector", "detector"),
    (r"run", "run"),
    (r"model", "model"),
    (r"witness", "seen_by"),
    (r"system", "system"),
    (r"host|machine|node|chamber|entit|ENT", "entity"),
)


@dataclass
class Cues:
    """Cue -> the words that gave it; `used` are those that the question took account of."""

    text: str
    found: dict[str, re.Match[str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    def __contains__(self, name: str) -> bool:
        return name in self.found

    def take(self, *names: str) -> bool:
        """Say whether any of these is there, and count all of them as used."""
        self.used |= {name for name in names if name in self.found}
        return any(name in self.found for name in names)

    def words(self, name: str) -> str:
        """Give the words that gave a cue."""
        return self.found[name][0] if name in self.found else ""

    def number(self, name: str) -> int | None:
        """Give the number within an order ("3 latest")."""
        match = self.found.get(name)
        if match is None:
            return None
        groups = match.groupdict()
        number = groups.get("n1") or groups.get("n2")
        return int(number) if number else None

    @property
    def unused(self) -> list[str]:
        """The words of cues that nothing took account of."""
        return [match[0].strip() for name, match in self.found.items() if name not in self.used]

    def pull(self, table: tuple[tuple[str, re.Pattern[str]], ...]) -> None:
        """Take cues out of the text; a mark keeps the place of each."""
        for name, pattern in table:
            if name not in self.found and (match := pattern.search(self.text)):
                self.found[name] = match
                text = f"{self.text[: match.start()]} _{name}_ {self.text[match.end() :]}"
                self.text = " ".join(text.split())


def read_aspects(cues: Cues) -> None:
    """Take what is asked of one incident, before "over" and "closed" are taken for conditions."""
    counting = re.search(r"\bhow many (?!(?:anomalous |bad )?samples)", cues.text)
    for name, pattern in _ASPECTS:
        if counting and name not in ("SAMPLES",):
            continue
        if (
            cues.found
            and name in ("START", "END", "ENDED", "DURATION")
            and cues.found.keys() & {"SINCE", "END", "ENDED", "START", "PEAKTIME"}
        ):
            continue
        if name == "WHY" and "WHYNOT" in cues:
            continue
        cues.pull(((name, pattern),))
    if cues.found.keys() & {"END", "ENDED"}:
        ends = (
            r"(?:ends?|ended|stop(?:ped)?|recover(?:ed)?|finish(?:ed)?|clear(?:ed)?|go away|went "
            r"away|get better|got better|vanish(?:ed)?)"
        )
        cues.text = re.sub(rf"\b{ends}\b", " ", cues.text, count=1)
        if "ENDED" in cues:
            cues.text = re.sub(
                r"\b(?:over|closed|close|resolved|gone)\b(?= *$| ENT| _)", " ", cues.text, count=1
            )
    if cues.found.keys() & {"START", "SINCE", "LUMISECTION"}:
        begins = (
            r"(?:starts?|started|begins?|began|begun|opened|onset|appear(?:ed)?|go bad|went bad"
            r"|alarm(?:ed)?|fired?"
            r"|fail(?:ed)?|come up|came up|go off|went off|go wrong|went wrong|break|broke|raised)"
        )
        cues.text = re.sub(rf"\b{begins}\b", " ", cues.text, count=1)


def read_cues(cues: Cues) -> None:
    """Take everything else that says what is asked."""
    cues.pull(_CUES)
    cues.take("EVERYWHERE")


def by_of(words: str) -> str:
    """Give the group that words such as "per severity level" name."""
    for level in systems.LEVELS:
        if re.search(rf"\b{level}s?\b", words):
            return f"level:{level}"
    return next(group for pattern, group in _BY if re.search(pattern, words))


def left_over(text: str) -> list[str]:
    """Give the words of a text that nothing has understood."""
    text = PLACEHOLDER.sub(" ", text)
    text = re.sub(r"_[A-Z]+_", " ", text)
    text = _OPERATORS.sub(" ", text)
    text = re.sub(rf"(?<![\w-]){systems.INCIDENTS}(?![\w-])", " ", text)
    return [w for w in _WORDS.findall(text) if w.strip("-'") and w.strip("'-") not in v.FILLERS and w != "'s"]


def nth_of(cues: Cues) -> tuple[int | None, bool]:
    """Give which one is asked for, the second, third ..., and whether that counts from the latest."""
    if "NTHLAST" in cues:
        words = cues.words("NTHLAST")
        number = next((n for w in words.replace("-", " ").split() if (n := ordinal(w))), None)
        if match := re.search(r"but ([0-9]+|one)", words):
            return (2 if match[1] == "one" else int(match[1]) + 1), True
        return number or 2, True
    if "NTH" in cues:
        return ordinal(cues.found["NTH"]["nth"]), False
    return None, False


def recurrence(words: str) -> tuple[int, int | None]:
    """Read "more than 3 incidents" as 4 or more."""
    number = int(match[0]) if (match := re.search(r"[0-9]+", words)) else 2 if "twice" in words else 1
    if re.match(r"more than|over", words):
        return number + 1, None
    if words.startswith(("fewer", "less")):
        return 1, number - 1
    if words.startswith(("exactly", "only", "just", "a single")):
        return number, number
    if words.startswith("at most"):
        return 1, number
    if re.match(r"at least|[0-9]+ or more", words):
        return number, None
    if re.match(r"[0-9]", words):
        return number, None
    return (3 if words.startswith("several") else 2), None


def collective(text: str, atoms: Mapping[str, Atom]) -> str | None:
    """Give the placeholder of the entities that are asked for: "which hosts", "how many chambers had"."""
    the = (
        r"(?:of |the |all |different |distinct |unique |various |single |of the |of these "
        r"|affected |other |my |our |are |were |[0-9]+ |_[A-Z]+_ |SEV[0-9]+ (?!of ))*"
    )
    lead = (
        r"(?:which|what|whose|_HOWMANY_|_SHOW_|_MOSTOFTEN_|_LEASTOFTEN_|_PERCENT_|_AVERAGE_|on "
        r"which|in which|who are)"
    )
    noun = (
        rf"(?! (?:(?:SEV|STAT|SEEN)[0-9]+ )*(?:with |of )?{systems.INCIDENTS}(?!\w)| _(?:NTH|LATEST"
        rf"|WORST)_)"
    )
    match = re.search(rf"{lead} {the}(ENT[0-9]+)(?:'s)?{noun}", text)
    if match is None:
        match = re.match(
            rf"^ *(?:(?:TIME[0-9]+|RUN[0-9]+|,) )*(?:{the})(ENT[0-9]+) (?:(?:in |of |from "
            rf"|among )?(?:ENT[0-9]+ ))?(?:with|that|which|having|who|where"
            rf"|had|alarming|affected"
            rf"|(?:STAT|SCORE|CAUSE)[0-9]+(?! {systems.INCIDENTS})|_NEVER_|_MOSTOFTEN_|without|_RECUR_)",
            text,
        )
    if match is None:
        match = re.search(
            rf"(?:_MOSTOFTEN_|_LEASTOFTEN_|_WORST_|_EARLIEST_) (?:of |of the |the )?(ENT[0-9]+){noun}", text
        )
    if match is None:
        return None
    after = re.match(r" (SEV[0-9]+)", text[match.end(1) :])
    if after and atoms[after[1]].words and "_HOWMANY_" in match[0]:
        return None  # "how many chambers errors": the errors are counted
    atom = atoms[match[1]]
    many = len(getattr(atom.condition, "values", ())) > 1
    return match[1] if many else None
