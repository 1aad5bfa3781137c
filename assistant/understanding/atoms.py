"""Conditions in a question: each is taken out of the text, and a placeholder keeps its place.

The text becomes `how many SEV1 incidents on ENT0 TIME2`: what is left of it are operators (and, or, not,
but), what is asked, and words that say nothing.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

from anomalyd.assistant.language.names import Names, shown
from anomalyd.assistant.language.systems import INCIDENTS
from anomalyd.assistant.language.times.lengths import LENGTH, UNIT, seconds_of
from anomalyd.assistant.language.times.recurring import recurring
from anomalyd.assistant.language.times.time_meaning import Calendar, Interval
from anomalyd.reports.conditions import (
    AllOf,
    Among,
    Condition,
    During,
    Lumisections,
    Recurring,
    Within,
)

PLACEHOLDER = re.compile(
    r"\b(ENT|TIME|SEV|STAT|SEEN|RUN|LS|SCORE|SPAN|CAUSE|DET|ID|EXPL|MODEL|ENDED|ONSET|ACK)([0-9]+)\b"
)

REAL = r"[0-9]{1,6}(?:\.[0-9]{1,6})?"
OVER = (
    r"(?:strictly )?(?:above|over|exceeding|exceeds?|exceeded|more than|greater than|higher than"
    r"|larger than|bigger than|worse than|beyond|>)"
)
UNDER = r"(?:strictly )?(?:below|under|less than|lower than|smaller than|fewer than|not more than|<)"
AT_LEAST = r"(?:at least|no less than|not below|>=|≥|from)"
AT_MOST = r"(?:at most|up to|no more than|not above|not over|<=|≤)"


@dataclass(slots=True)
class Atom:
    """A condition and what it is about (its dimension: ENT, TIME, SEV ...)."""

    dimension: str
    condition: Condition
    words: str = ""


@dataclass
class Atoms:
    """Takes conditions out of `text`, in an order in which the longer phrase comes before its parts."""

    text: str
    names: Names
    calendar: Calendar
    found: dict[str, Atom] = field(default_factory=dict)
    intervals: dict[str, Interval] = field(default_factory=dict)

    def put(self, dimension: str, condition: Condition, words: str = "") -> str:
        """Keep a condition; give its placeholder."""
        name = f"{dimension}{len(self.found)}"
        self.found[name] = Atom(dimension, condition, words)
        return f" {name} "

    def sub(self, pattern: str, make: Callable[[re.Match[str]], str]) -> None:
        """Replace every match of a pattern that stands as words of its own."""
        self.text = re.sub(rf"(?<![\w./-])(?:{pattern})(?![\w/-]|\.\w)", make, self.text)

    def read_names(self, reserved: frozenset[str]) -> None:
        """Take detectors and entities."""
        for name in sorted(self.names.detectors, key=len, reverse=True):
            own = re.escape(name.lower())
            bare = "" if name.lower() in reserved else rf"|{own}"
            detector = Among("detector", (name,), f"detector {name}")
            self.sub(
                rf"(?:by |of |from )?(?:the )?detectors? (?:named |called )?{own}|(?:the )?{own} "
                rf"detector{bare}",
                lambda m, d=detector: self.put("DET", d),  # type: ignore[misc]
            )
        mentions, text = self.names.mark(self.text, reserved)

        def named(match: re.Match[str]) -> str:
            mention = mentions[int(match[1])]
            words = shown(mention.entities, self.names)
            return self.put("ENT", Among("entity", mention.entities, words), mention.words)

        self.text = re.sub(r"\bENT([0-9]+)\b", named, f" {text} ")

    def read_places(self) -> None:
        """Take runs and lumisections."""
        number = r"#?([0-9]{1,15})"

        def run(match: re.Match[str]) -> str:
            numbers = tuple(int(n) for n in re.findall(r"[0-9]+", match[0]))
            if re.search(r" to | - |[0-9]-[0-9]|between|through|from", match[0]) and len(numbers) == 2:
                low, high = sorted(numbers)
                return self.put("RUN", Within("run", low, high, words=f"runs {low} to {high}"))
            said = ", ".join(str(n) for n in numbers)
            return self.put("RUN", Among("run", numbers, f"run {said}"))

        ranged = rf"{number} ?(?:-|to|through|and|until) ?{number}"
        in_ = r"(?:(?:in|of|during|for|from|within) )?(?:the )?"
        to = r" ?(?:-|to|through|until) ?"
        self.sub(
            rf"{in_}(?:between|from) runs? {number} ?(?:and|-|to|through|until) ?(?:runs? )?{number}"
            rf"|{in_}(?:from )?runs? {number}{to}runs? {number}",
            run,
        )
        self.sub(rf"{in_}runs? (?:numbers? )?(?:between |from )?(?:{ranged}|{number}(?: ?, ?{number})*)", run)
        known = {str(each) for each in self.names.runs}
        self.sub(
            rf"{in_}([0-9]{{5,10}})",
            lambda m: run(m) if m[1] in known else m[0],
        )

        def sections(match: re.Match[str]) -> str:
            numbers = sorted(int(n) for n in re.findall(r"[0-9]+", match[0]))
            first, last = numbers[0], numbers[-1]
            words = f"lumisections {first} to {last}" if first != last else f"lumisection {first}"
            return self.put("LS", Lumisections(first, last, words))

        self._read_sections_beyond(number)
        self.sub(
            rf"{in_}(?:lumi ?sections?|lumis|ls|lumi blocks?) (?:between |from )?(?:{ranged}|{number})",
            sections,
        )

    def _read_sections_beyond(self, number: str) -> None:
        """Take "after lumisection 300", "that ended before lumisection 50"."""
        sections = r"(?:lumi ?sections?|lumis|ls|lumi blocks?)"
        after = r"(?:after|beyond|past|above|later than|higher than|from)"
        before = r"(?:before|below|under|earlier than|lower than|up to|until)"
        between = re.compile(
            rf"\b(?:beg[aiu]n(?:ning)?|start(?:ed|s|ing)?) (?:between|in|from|within) (?:the"
            rf" )?{sections} {number}"
            rf" ?(?:and|to|-|through) ?(?:{sections} )?{number}"
        )

        def first_in(match: re.Match[str]) -> str:
            low, high = sorted((int(match[1]), int(match[2])))
            words = f"began in lumisections {low} to {high}"
            return self.put("LS", Within("first_lumisection", low, high, words=words))

        self.text = between.sub(first_in, self.text)
        began = (
            r"(?:(?:that|which|have|had) )*(?P<verb>beg[aiu]n(?:ning)?|start(?:ed|s|ing)?|end(?:ed|s|ing)?)"
        )

        def bounded(match: re.Match[str]) -> str:
            at, later = int(match["n"]), re.match(after, match["way"]) is not None
            words = f"{match['verb'] or 'in'} {match['way']} lumisection {at}"
            low, high = (at, math.inf) if later else (-math.inf, at)
            last = (match["verb"] or ("end" if later else "begin")).startswith("end")
            measure = "last_lumisection" if last else "first_lumisection"
            strict = match["way"] not in ("from", "up to", "until")
            return self.put("LS", Within(measure, low, high, strict, strict, words))

        self.sub(
            rf"(?:{began} )?(?P<way>{after}|{before}) (?:the )?{sections}"
            rf" {number.replace('(', '(?P<n>', 1)}(?! ?(?:-|to|and|until) ?[0-9])(?: on(?:wards?)?)?",
            bounded,
        )

    def read_measures(self) -> None:
        """Take bounds on scores and durations."""
        score = (
            r"(?:(?:with |whose |and |a |an |the |in |having |had |peak |calibrated |anomaly |maximum )*"
            r"(?:scores?|scoring|scored|peaks?|peaked)(?: (?:of|is|was|were|are|that is|being|value))* ?)"
        )
        span = (
            r"(?:(?:that |which |who |have |has |had |were |was |are |is |with |a |the |going on "
            r"|went on |lasting |lasted |lasts? |took "
            r"|ran |run |open |durations? |length |of |for |stayed )*)"
        )
        other = rf"(?! ?(?:{INCIDENTS}|times|%|percent|ENT[0-9]|{UNIT}\b))"
        self.sub(
            rf"{span}(?:between|from|of) ({LENGTH}|[0-9]+) (?:and|to|-) ({LENGTH})(?: (?:long|in length))?",
            self._span_between,
        )
        for compare, low, strict in (
            (rf"(?:{OVER}|longer than|more than)", True, True),
            (rf"(?:{UNDER}|shorter than|quicker than|within)", False, True),
            (AT_LEAST.replace("|from", ""), True, False),
            (AT_MOST, False, False),
        ):
            lead = span
            self.sub(
                rf"{lead}(?:{compare}) ({LENGTH})(?! ago)(?: (?:long|in length|in duration))?",
                lambda m, low=low, strict=strict: self._span(m, low, strict),  # type: ignore[misc]
            )
        self.sub(rf"{span}({LENGTH}) or (?:more|longer)", lambda m: self._span(m, True, False))
        self.sub(rf"{span}({LENGTH}) or (?:less|shorter)", lambda m: self._span(m, False, False))
        if any(atom.dimension == "SPAN" for atom in self.found.values()):
            self.sub(
                rf"(?:short|brief|long)(?= (?:ones|{INCIDENTS}|SPAN))", lambda m: " "
            )  # "short ones below 5 minutes"
        self.sub(rf"{score}(?:between|from) ({REAL}) (?:and|to|-) ({REAL})", self._score_between)
        score_after = r"(?: (?:in|of|as) (?:the )?(?:peak )?score)"
        for compare, low, strict in (
            (OVER, True, True),
            (UNDER, False, True),
            (AT_LEAST, True, False),
            (AT_MOST, False, False),
        ):
            make = partial(self._score, low=low, strict=strict)
            self.sub(rf"{score}(?:{compare}) ?({REAL}){other}", make)
            self.sub(rf"(?:{compare}) (?:a )?(?:peak )?score (?:of )?({REAL})", make)
            self.sub(rf"(?:{compare}) ?({REAL}){score_after}", make)
        self.sub(rf"{score}({REAL}) or (?:more|higher|above|greater)", lambda m: self._score(m, True, False))
        self.sub(rf"{score}({REAL}) or (?:less|lower|below)", lambda m: self._score(m, False, False))
        self.sub(rf"(?:above|exceeding|>) ?({REAL}){other}", lambda m: self._score(m, True, True))
        self.sub(rf"(?:below|<) ?({REAL}){other}", lambda m: self._score(m, False, True))
        self.sub(rf">= ?({REAL}){other}", lambda m: self._score(m, True, False))
        self.sub(rf"<= ?({REAL}){other}", lambda m: self._score(m, False, False))

    def read_times(self) -> None:
        """Take times; each is a time at which an incident went on."""
        cycles, self.text = recurring(" ".join(self.text.split()), self.calendar.now, self.calendar.zone)
        intervals, self.text = self.calendar.find(self.text)

        def timed(match: re.Match[str]) -> str:
            interval = intervals[int(match[1])]
            words = self.calendar.say_interval(interval)
            name = self.put("TIME", During(interval.since, interval.until, words))
            self.intervals[name.strip()] = interval
            return name

        def again(match: re.Match[str]) -> str:
            cycle = cycles[int(match[1])]
            return self.put("TIME", Recurring(cycle.start, cycle.length, cycle.period, cycle.words))

        self.text = re.sub(r"\bTIME([0-9]+)\b", timed, f" {self.text} ")
        self.text = re.sub(r"\bEVERY([0-9]+)\b", again, self.text)
        self.text = f" {' '.join(self.text.split())} "
        if len(re.findall(r"\bTIME[0-9]+", self.text)) > 1:
            self.sub(
                r"(?:that |which |have |had )*(?:began|begun|started|opened|appeared) "
                r"(TIME[0-9]+)",
                self._began,
            )
        over = r"(?:closed|ended|recovered|resolved|stopped|finished|cleared|went away|got better)"

        def ended(match: re.Match[str]) -> str:
            interval = self.intervals.get(match[1])
            if interval is None:
                return match[0]
            low = -math.inf if interval.since is None else interval.since
            high = math.inf if interval.until is None else interval.until
            words = f"ended {self.calendar.say_interval(interval)}"
            return self.put("ENDED", Within("closed", low, high, open_high=True, words=words))

        self.sub(
            rf"(?:(?:that|which|have|has|had|did|were|was|got|been) )*{over}(?: again)? (TIME[0-9]+)", ended
        )

    def _began(self, match: re.Match[str]) -> str:
        """Of two times, take the one at which they began for their onset."""
        interval = self.intervals.get(match[1])
        if interval is None:
            return match[0]
        low = -math.inf if interval.since is None else interval.since
        high = math.inf if interval.until is None else interval.until
        words = f"began {self.calendar.say_interval(interval)}"
        return self.put("ONSET", Within("onset", low, high, open_high=True, words=words))

    def join_causes(self) -> None:
        """Take two causes of one incident as one: "both swap and disk", "swap together with disk"."""

        def joined(match: re.Match[str]) -> str:
            names = [name for name in match.groups() if name]
            return self.put("CAUSE", AllOf(tuple(self.found[name].condition for name in names)))

        self.text = f" {' '.join(self.text.split())} "
        cause = r"(CAUSE[0-9]+)"
        self.sub(
            rf"(?:both )?{cause} (?:together with|along with|in combination with|combined with) {cause}"
            rf"|both {cause} and(?: also)? {cause}",
            joined,
        )

    def read_now(self) -> bool:
        """Take "now", which means what is open; say whether it was there."""
        before = self.text
        self.sub(
            r"(?:right now|at the moment|at present|currently|just now|now|as of now|presently)",
            lambda m: " ",
        )
        return self.text != before

    # -- one kind each ---------------------------------------------------------------------------

    def _score(self, match: re.Match[str], low: bool, strict: bool) -> str:
        value = float(match[1])
        word = {
            (True, True): "above",
            (True, False): "at least",
            (False, True): "below",
            (False, False): "at most",
        }
        words = f"peak score {word[low, strict]} {value:g}"
        bound = (
            Within("peak", low=value, open_low=strict)
            if low
            else Within("peak", high=value, open_high=strict)
        )
        return self.put("SCORE", replace(bound, words=words))

    def _score_between(self, match: re.Match[str]) -> str:
        low, high = sorted((float(match[1]), float(match[2])))
        return self.put("SCORE", Within("peak", low, high, words=f"peak score {low:g} to {high:g}"))

    def _span(self, match: re.Match[str], low: bool, strict: bool) -> str:
        value = seconds_of(match[1])
        word = {(True, True): "longer than", (True, False): "at least", (False, True): "shorter than"}
        words = f"{word.get((low, strict), 'at most')} {match[1]}"
        bound = (
            Within("duration", low=value, open_low=strict)
            if low
            else Within("duration", high=value, open_high=strict)
        )
        return self.put("SPAN", replace(bound, words=words))

    def _span_between(self, match: re.Match[str]) -> str:
        unit = match[2] if not match[1].isdigit() else f"{match[1]} {match[2].split()[-1]}"
        first = seconds_of(match[1] if not match[1].isdigit() else unit)
        low, high = sorted((first, seconds_of(match[2])))
        return self.put("SPAN", Within("duration", low, high, words=f"lasting {match[1]} to {match[2]}"))
