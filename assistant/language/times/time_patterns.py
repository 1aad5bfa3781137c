"""The patterns of times in a question, and other ways to say the same, written as those patterns have it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from anomalyd.assistant.language.rewriting import Replacement

_FROM_ZERO = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen"
NUMBERS = {word: number for number, word in enumerate(_FROM_ZERO.split())}
NUMBERS |= {"a": 1, "an": 1, "couple": 2, "few": 3, "several": 3, "fifteen": 15, "twenty": 20, "thirty": 30}
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

# Digits are [0-9]: \d would let in other alphabets' digits.
MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
WEEKDAY = (
    r"(?:mon(?:day)?|tues?(?:day)?|weds?|wed(?:nesday)?|thur?s?(?:day)?|fri(?:day)?|sat(?:urday)?"
    r"|sun(?:day)?)"
)
_day_number = r"[0-9]{1,2}(?:st|nd|rd|th)?"
DAY = (
    r"(?:(?:the )?day before yesterday|today|yesterday|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}"
    r"|[0-9]{1,2}\.[0-9]{1,2}\.(?:[0-9]{4})?"
    rf"|(?:the )?{_day_number}(?: of)? {MONTH}(?:,? [0-9]{{4}})?"
    rf"|{MONTH} (?:the )?{_day_number}(?:,? [0-9]{{4}})?"
    rf"|(?:last |this |past |previous )?{WEEKDAY}(?: last week)?|[0-9]{{1,3}} (?:days?|weeks?) ago"
    r"|day-[0-9]{1,2})"
)
CLOCK = (
    r"(?:(?:[0-9]{1,2}:[0-9]{2}(?::[0-9]{2})?(?: ?[ap]m)?|[0-9]{1,2} ?[ap]m|noon|midday|midnight)"
    r"(?: ?(?:utc|gmt|z)\b)?)"
)
AGO = r"(?:[0-9]{1,6} (?:second|minute|hour)s? ago)"
MOMENT = rf"(?:{DAY}(?:,? at |,? |t){CLOCK}|{CLOCK}(?:,? (?:on )?{DAY})?|{AGO}|{DAY}|now)"
UNIT = r"(?:s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:(?:ou)?rs?)?|d(?:ays?)?|w(?:eeks?)?|months?)"
IN = r"(?:(?:in|on|over|during|within|for|from|of|at) )?(?:the )?"
PART = r"(?:early morning|early hours|small hours|morning|afternoon|evening|night)"

_count = rf"(?:{'|'.join(NUMBERS)})"
_span = r"(?:seconds?|secs?|minutes?|mins?|hours?|hrs?|days?|weeks?|months?|nights?|shifts?)"


def _clock_in(match: re.Match[str]) -> str:
    """Write "6 this morning" as "6:00 am today", "10 at night" as "10:00 pm"."""
    hour, minute, part = int(match[1]), match[2] or "00", match[3]
    late = "morning" not in part and not ("night" in part and (hour <= 5 or hour == 12))
    day = "" if hour > 12 else f" {'pm' if late else 'am'}"
    return f"{hour}:{minute}{day}{' today' if part.startswith('this') else ''}"


def _beside(match: re.Match[str]) -> str:
    """Write "quarter to 3" as "2:45"."""
    minutes = {"half": 30, "quarter": 15}[match[1]]
    hour = int(match[3])
    return f"{hour}:{minutes:02}" if match[2] == "past" else f"{(hour - 1) % 24}:{60 - minutes}"


def _clock_of_night(match: re.Match[str]) -> str:
    """Write "11 last night" as "11:00 pm yesterday", "2 last night" as "2:00 am today"."""
    hour, minute, when = int(match[1]), match[2] or "00", match[3]
    if hour > 12 or (hour == 0 and when not in ("last night", "tonight")):
        return f"{hour}:{minute} {'today' if when == 'tonight' else 'yesterday'}"
    if when.startswith("yesterday"):
        late = "morning" not in when
        return f"{hour}:{minute} {'pm' if late and hour < 12 else 'am'} yesterday"
    if hour <= 6 or hour == 12:
        return f"{0 if hour == 12 else hour}:{minute} today"
    return f"{hour}:{minute} pm {'today' if when == 'tonight' else 'yesterday'}"


def _same_half(match: re.Match[str]) -> str:
    """Write "3:15 to 5:45 pm" as "3:15 pm to 5:45 pm", where the first is the earlier one."""
    first, last = (tuple(int(n) for n in match[k].split(":")) for k in (2, 4))
    half = f" {match[5]}" if first < last and first[0] <= 12 else ""
    return f"{match[1]} {match[2]}{half} {match[3]} {match[4]} {match[5]}"


def _digits(match: re.Match[str]) -> str:
    return f"{NUMBERS[match[1]]} {match[2]}"


def _minutes(match: re.Match[str]) -> str:
    return f"{round(float(match[1]) * (60 if match[2][0] == 'h' else 1440))} minutes"


_REWRITES: tuple[tuple[str, Replacement], ...] = (
    (rf"\b(today|yesterday|{WEEKDAY}|tonight|night|morning|evening|afternoon|week|month)'?s\b(?=')?", r"\1"),
    (r"\bthe (?:previous day|day before today)\b", "yesterday"),
    (r"\bon the ([0-9]{1,2})(?:st|nd|rd|th)\b(?! (?:of|january|february|[a-z]{3,9} 20))", r"on day-\1"),
    (r"\bearly (?:this morning|today)\b", "early morning of today"),
    (r"\b(?:(?:an?|one|1) )?hour and a half\b|\b(?:one|1) and a half hours?\b", "90 minutes"),
    (r"\b(?:an? )?half(?: an| a)? hour\b", "30 minutes"),
    (r"\b(?:a )?quarter of an hour\b", "15 minutes"),
    (r"\b(?:a )?half a day\b", "12 hours"),
    (r"\bfortnight\b", "14 days"),
    (r"\b([0-9]+\.[0-9]+) ?(h|hours?|hrs?|d|days?)\b", _minutes),
    (rf"\b(?:an? )?(couple|few)(?: of)? ({_span})\b", _digits),
    (rf"\b({_count}) ({_span})\b(?!')", _digits),
    (r"\b([0-9]{1,2})h([0-9]{2})\b", r"\1:\2"),
    (r"\b(half|quarter) (past|to) midnight\b", r"\1 \2 0"),
    (r"\b(half|quarter) (past|to) (?:noon|midday)\b", r"\1 \2 12"),
    (r"\b(half|quarter) (past|to) ([0-9]{1,2})\b", _beside),
    (
        r"\b([0-9]{1,2})(?::([0-9]{2}))?(?: o'?clock)? "
        r"(in the morning|this morning|in the afternoon|this afternoon|in the evening|this evening"
        r"|at night)\b",
        _clock_in,
    ),
    (
        r"\b([0-9]{1,2})(?::([0-9]{2}))?(?: o'?clock)? (last night|tonight|yesterday (?:morning|afternoon"
        r"|evening|night))\b",
        _clock_of_night,
    ),
    (rf"\b([0-9]+ {_span}) back (?:till|until|to|from) now\b", r"last \1"),
    (rf"\b([0-9]+ {_span}) back\b", r"\1 ago"),
    (
        r"\b(from|between) ([0-9]{1,2}:[0-9]{2}) (to|and|until|till|-) ([0-9]{1,2}:[0-9]{2}) ?([ap]m)\b",
        _same_half,
    ),
    (r"\b([0-9]{1,2}) ?o'?clock\b", r"\1:00"),
    (r"\b([0-9]{1,2}) ?([ap])\.m\.?", r"\1 \2m"),
    (
        r"\b(?:between|from) ([0-9]{1,2}) (?:and|to|until|till|-) ([0-9]{1,2}) ?([ap]m)\b",
        r"between \1 \3 and \2 \3",
    ),
    (
        r"\b(between|from|since) (midnight|noon|midday|[0-9]{1,2}:[0-9]{2}(?: [ap]m)?(?: yesterday| "
        r"today)?) (and|to|until|till) ([0-9]{1,2})"
        r"(?= ?(?:$|[?,]|today|yesterday|last night|this|on |in the (?:morning|afternoon|evening)))",
        r"\1 \2 \3 \4:00",
    ),
    (r"\bbetween ([0-9]{1,2}) and ([0-9]{1,2}:[0-9]{2}) ([ap]m)", r"between \1 \3 and \2 \3"),
    (
        r"\b(at|since|after|before|until|till|around|about|by) ([0-9]{1,2})(?= ?(?:$|[?,]|today"
        r"|yesterday|on ))",
        r"\1 \2:00",
    ),
    (rf"\b(between|from) ([0-9]{{1,2}}) (and|to) ([0-9]{{1,2}}) ({MONTH})\b", r"\1 \2 \5 \3 \4 \5"),
    (r"\b(?:(?:in|during|over) )?(?:the )?night before last(?: night)?\b", "2 nights ago"),
    (r"\b(?:over ?night|(?:during|in|over|through|throughout) the (?:last |past )?night)\b", "last night"),
    (r"\b(?:earlier|so far|until now) today\b|\btoday so far\b|\b(?:on )?this day\b", "today"),
    (r"\bfrom ([^,]{3,30}?) (?:on|onwards?)\b(?! )", r"since \1"),
    (r"\bthis time yesterday\b", "24 hours ago"),
)
REWRITES = tuple((re.compile(pattern, re.ASCII), by) for pattern, by in _REWRITES)


def rewritten(text: str) -> str:
    """Write the times in lower-case `text` as the patterns have them."""
    for pattern, by in REWRITES:
        text = pattern.sub(by, text)
    return text


FUTURE = re.compile(rf"\b(?:tomorrow|next (?:hour|night|day|week|month|year|shift|{WEEKDAY}))\b")
BOUND = re.compile(
    r"\b(since|starting|after|before|prior to|earlier than|older than|until|till|up to|by) TIME([0-9]+)"
)
APART = re.compile(
    r"\bTIME[0-9]+\b.*\b(?:and|or|than|versus|with|against|compared|but|not|except)\b.*\bTIME[0-9]+\b"
)
NEIGHBOURS = re.compile(r"\bTIME([0-9]+)(?:,? |, )(?:in |at |on |from |of |between )?TIME([0-9]+)")


def _rules() -> Iterator[tuple[re.Pattern[str], str]]:
    """Give the patterns in the order in which they are tried: the longer phrase before its parts."""
    edge, stop = r"(?<![\w:./-])", r"(?![\w:/-]|\.[0-9])"
    for pattern, read in (
        (rf"(?:between|from|since) ({MOMENT}),? (?:and|to|until|till|through) ({MOMENT})", "between"),
        (rf"({CLOCK}) ?(?:-|–|to|until|till) ?({CLOCK}(?:,? (?:on )?{DAY})?)", "between"),
        (rf"({DAY}) ?(?:-|–|to|until|till|through) ?({DAY})", "between"),
        (rf"{IN}(?P<day>this|{DAY}) (?:in the |at |during the )?(?P<part>{PART})", "part_of_day"),
        (rf"{IN}(?P<part>{PART})(?: of| on|,)? (?P<day>{DAY})", "part_of_day"),
        (rf"(?:in|during) (?:the )?(?P<part>{PART})", "part_of_day"),
        (rf"(since|after|starting(?: from)?) ({MOMENT})", "since"),
        (
            rf"(from) ({CLOCK}(?:,? (?:on )?{DAY})?|{DAY}(?:,? at |,? |t){CLOCK})(?: on(?:wards?)?)?",
            "since",
        ),
        (
            rf"(?<!the day )(before|prior to|earlier than|older than|until|till|up to|by) ({MOMENT})",
            "before",
        ),
        (rf"{IN}(first|last) ([0-9]{{1,3}} )?({UNIT}) (?:of|on) ({DAY})", "edge_of_day"),
        (rf"{IN}last night", "last_night"),
        (rf"{IN}([0-9]{{1,2}}) nights? ago", "nights_ago"),
        (rf"{IN}tonight", "tonight"),
        (rf"{IN}(last|this|past)? ?weekend", "weekend"),
        (rf"{IN}(last|previous|this|my|our|current) shift", "shift"),
        (rf"{IN}(?:last )?(night|early|morning|day|late|afternoon|evening) shift", "named_shift"),
        (
            r"(?<!the )(?:(?:in|on|over|during|within|for|from|of) )?(this|last) (week|month|year)",
            "calendar_unit",
        ),
        (rf"{IN}(?:last|past|previous) (?:([0-9]{{1,6}}) ?)?({UNIT})", "rolling"),
        (rf"(at|around|about|near) ({CLOCK}(?:,? (?:on )?{DAY})?)", "instant"),
        (rf"({IN})({DAY}(?:,? at |,? |t){CLOCK}|{CLOCK},? (?:on )?{DAY}|{AGO})", "instant"),
        (rf"{IN}({DAY})", "one_day"),
        (rf"(?:in|during|for|of|from) ({MONTH})(?: ([0-9]{{4}}))?", "in_month"),
        (r"(?:in|during|of|from) ((?:19|20)[0-9]{2})", "year"),
    ):
        yield re.compile(edge + pattern + stop, re.ASCII), read


RULES = tuple(_rules())
"""Pattern -> the method of the calendar that reads what it matches."""
