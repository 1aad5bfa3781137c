"""Conditions in a question: severity, status, who saw it, scores, orders, numbers; each word read once."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from anomalyd.reports.queries import Group, Order
from anomalyd.reports.report import SeenBy, Severity, Status

INCIDENTS = (
    r"(?:incidents?|anomal(?:y|ies)|alerts?|alarms?|reports?|problems?|faults?|issues?"
    r"|detections?|findings?)"
)
VECTOR_NOUNS = r"(?:hosts?|machines?|nodes?|servers?|computers?)"
MAP_NOUNS = r"(?:chambers?|maps?|detector (?:elements?|parts?))"
ENTITY_NOUNS = rf"(?:{VECTOR_NOUNS}|{MAP_NOUNS}|entit(?:y|ies))"

_WORDS = {"one": 1, "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9}
_WORDS |= {"ten": 10, "twelve": 12, "twenty": 20}
_whole = rf"(?:[0-9]{{1,4}}|{'|'.join(_WORDS)})"
_real = r"[0-9]{1,6}(?:\.[0-9]{1,6})?"
_over = r"above|over|exceeding|more than|greater than|higher than|larger than|>"
_under = r"below|under|less than|lower than|smaller than|<"
_severity = r"(warning|error|critical)(?:s\b|\b)"
_autoencoder = r"(?:the )?(?:autoencoder|network)(?: (?:detector|test|method))?"
_classical = r"(?:the )?(?:classical|classic)(?: (?:detector|test|method|one|peer))?"
_saw = r"(?:(?:seen|found|flagged|detected|noticed|saw|reported|raised) )?"


@dataclass(slots=True)
class Filters:
    """What the conditions say. `ranked`: entities by their number of incidents ("noisiest")."""

    severities: tuple[Severity, ...] = ()
    statuses: tuple[Status, ...] = ()
    seen_by: tuple[SeenBy, ...] = ()
    min_score: float | None = None
    max_score: float | None = None
    order: Order | None = None
    ranked: bool = False
    limit: int | None = None
    at_least: int = 1
    new: bool = False
    group: Group | None = None


class FilterReader:
    """Takes conditions out of a lower-case `text`; what is left of it is what nobody has understood yet."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.filters = Filters()

    def read(self) -> Filters:
        """Take every condition."""
        self._recurrence()
        self._scores()
        self._severity()
        self._seen_by()
        self._status()
        self._group()
        self._order()
        return self.filters

    def _take(self, pattern: str) -> re.Match[str] | None:
        match = re.search(rf"(?<![\w./-])(?:{pattern})(?![\w/-]|\.\w)", self.text, re.ASCII)
        if match:
            self.text = f"{self.text[: match.start()]} {self.text[match.end() :]}"
        return match

    def _recurrence(self) -> None:
        many = rf"({_whole}) (?:{INCIDENTS}|times)"
        if match := self._take(rf"(?:more than|over) {many}"):
            self.filters.at_least = _count(match[1]) + 1
        elif match := self._take(rf"at least {many}|{many} or more|{_whole} or more {INCIDENTS}"):
            self.filters.at_least = _count(re.findall(_whole, match[0])[0])
        elif self._take(r"more than once|repeatedly|recurring|recurrent|several times|again and again"):
            self.filters.at_least = 2
        elif self._take(r"at least once"):
            self.filters.at_least = 1

    def _scores(self) -> None:
        score = (
            r"(?:(?:with |whose |and |a |the |peak |calibrated |maximum )*(?:scores?|scoring|scored|peaks?) )"
        )
        is_ = r"(?:(?:is|are|was|were|of|that is|being) )?"
        if match := self._take(rf"{score}{is_}between ({_real}) and ({_real})"):
            self.filters.min_score, self.filters.max_score = sorted((float(match[1]), float(match[2])))
        # "more than 3 hosts" is no score: without the word "score" only above and below are read as one.
        other = rf"(?! ?(?:{INCIDENTS}|{ENTITY_NOUNS}|times|%|[smhd]\b|min|hours?|days?))"
        for lead, over, under, at_least, at_most in (
            (score + is_, _over, _under, r"at least|from|>=|≥", r"at most|up to|<=|≤"),
            ("", r"above|exceeding|>", r"below|<", r">=|≥", r"<=|≤"),
        ):
            if match := self._take(rf"{lead}(?:{over}) ?({_real}){other}"):
                self.filters.min_score = math.nextafter(float(match[1]), math.inf)
            if match := self._take(rf"{lead}(?:{under}) ?({_real}){other}"):
                self.filters.max_score = math.nextafter(float(match[1]), -math.inf)
            if match := self._take(rf"{lead}(?:{at_least}) ?({_real}){other}"):
                self.filters.min_score = float(match[1])
            if match := self._take(rf"{lead}(?:{at_most}) ?({_real}){other}"):
                self.filters.max_score = float(match[1])

    def _severity(self) -> None:
        rising, wanted = list(Severity), set[Severity]()
        worse = r"(?: (?:or|and) (?:worse|above|higher|more|up))"
        while match := self._take(
            rf"(?:of )?(?:severity )?(?:(at least|worse than|more severe than|above|below|not|non) ?)?"
            rf"(?:severity )?-?(?<!most ){_severity}( severity| level)?({worse})?"
        ):
            at = rising.index(Severity(match[2]))
            if match[4] or match[1] == "at least":
                wanted |= set(rising[at:])
            elif match[1] in ("worse than", "more severe than", "above"):
                wanted |= set(rising[at + 1 :])
            elif match[1] == "below":
                wanted |= set(rising[:at])
            elif match[1]:
                wanted |= set(rising) - {rising[at]}
            else:
                wanted.add(rising[at])
        self.filters.severities = tuple(s for s in rising if s in wanted)

    def _seen_by(self) -> None:
        ae, classical = SeenBy.AUTOENCODER, SeenBy.CLASSICAL
        for patterns, seen in (
            (
                (rf"{_saw}by both(?: (?:detectors|of them))?", r"both (?:detectors )?saw"),
                (SeenBy.BOTH,),
            ),
            (_alone(_autoencoder, missed_by=_classical), (ae,)),
            (_alone(_classical, missed_by=_autoencoder), (classical,)),
            ((rf"{_saw}by {_autoencoder}", r"autoencoder(?= (?:incidents|alerts))"), (SeenBy.BOTH, ae)),
            ((rf"{_saw}by {_classical}",), (SeenBy.BOTH, classical)),
        ):
            if any(self._take(pattern) for pattern in patterns):
                self.filters.seen_by = seen
                return

    def _status(self) -> None:
        # In "when did it end" and "how long did the closed ones last" the word is what is asked.
        if re.match(r"\W*(?:when|since when|how long)\b", self.text):
            return
        still = r"(?:still )?(?:open|ongoing|active|unresolved|unclosed|going on|current)"
        if self._take(still):
            self.filters.statuses = (Status.OPEN,)
            if self._take(r"(?:and|or|against|versus|vs) (?:how many )?(?:are |were )?(?:closed|resolved)"):
                self.filters.statuses = (Status.OPEN, Status.CLOSED)
        elif self._take(r"closed|resolved|finished|over|past"):
            self.filters.statuses = (Status.CLOSED,)
        elif self._take(r"(?:right )?now|currently|at the moment|at present"):
            self.filters.statuses = (Status.OPEN,)
        if self._take(r"new|newly opened|opened|newly|began|begun|started"):
            self.filters.new = True

    def _group(self) -> None:
        groups: tuple[tuple[str, Group], ...] = (
            (r"days?|date", "day"),
            (r"hours?", "hour"),
            (ENTITY_NOUNS, "entity"),
            (r"severit(?:y|ies)", "severity"),
            (r"detectors?", "detector"),
            (r"status", "status"),
            (r"runs?", "run"),
        )
        for noun, group in groups:
            if group != "entity" and (
                asked := re.search(rf"\b(?:which|what) (?:{noun})(?= .*\bmost\b)", self.text)
            ):
                self.text = self.text.replace(asked[0], " ", 1)
                self.filters.group = group
        per = r"(?:broken down by|split by|grouped by|per|by|for each|for every|in each|on each|each|every)"
        for noun, group in groups:
            if self._take(rf"{per} (?:{noun})"):
                self.filters.group = group
        if self._take(r"daily|trends?"):
            self.filters.group = "day"
        elif self._take(r"hourly"):
            self.filters.group = "hour"

    def _order(self) -> None:
        top = r"(?:the )?"
        if match := self._take(rf"{top}(?:top|first) ({_whole})(?= {ENTITY_NOUNS})"):
            self.filters.limit, self.filters.ranked = _count(match[1]), True
        ranked = "noisiest|most (?:affected|incidents|alerts|alarms|anomalies|problems|faults|often)"
        ranked += "|the most(?! [a-z]+ (?:incident|one))"
        orders: tuple[tuple[str, Order | None], ...] = (
            (ranked, None),
            (
                r"worst|most (?:severe|serious|anomalous|critical)|highest|biggest|strongest|largest|top",
                Order.WORST,
            ),
            (r"longest", Order.LONGEST),
            (r"first|earliest|oldest", Order.EARLIEST),
            (r"latest|newest|most recent(?:ly)?|last|recent(?:ly)?", Order.LATEST),
        )
        for words, order in orders:
            match = self._take(rf"({_whole}) (?:{words})|(?:{words}) ({_whole})|(?:{words})")
            if match is None:
                continue
            self.filters.order, self.filters.ranked = order, self.filters.ranked or order is None
            number = match[1] or match[2]
            if not number and (before := self._take(rf"({_whole})(?= (?:{ENTITY_NOUNS}|{INCIDENTS}))")):
                number = before[1]
            if number:
                self.filters.limit = _count(number)
            return


def _alone(one: str, *, missed_by: str) -> tuple[str, ...]:
    only = r"(?:only|just|solely)"
    return (
        rf"{only} {_saw}(?:by )?{one}",
        rf"{_saw}{only} by {one}",
        rf"{_saw}(?:by )?{one} (?:only|alone)",
        rf"missed by {missed_by}",
    )


def _count(words: str) -> int:
    return _WORDS[words] if words in _WORDS else int(words)
