"""Which words ask which question: the rules, in the order in which they are tried."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from anomalyd.assistant import query_types
from anomalyd.assistant.entity_linking import Mention
from anomalyd.assistant.filters import ENTITY_NOUNS, INCIDENTS, Filters
from anomalyd.assistant.query_types import AboutOne, Ask, Aspect, Compare
from anomalyd.assistant.times import Calendar, Interval
from anomalyd.reports.queries import Order, Selection

_FILLER_WORDS = """
a about again all also am an and any are as at be because been being between but by can come could current
currently did distinct different do does each else ever exactly for from gave get give given got had
happen happened has have having hello here hi i in into is it its kind kinds list me moment my now occur
occurred of on one ones or our over overall please raise raised recorded right seem seems seen sent
severity so far some still tell that the their them then there these they thing things this those time
times to together total us was we were what which will with would you your affected alarmed alarmed
alerted anomalous detected flagged found noticed observed reported triggered
"""
_FILLERS = frozenset(_FILLER_WORDS.split())
"""Words that change nothing. No negation is among them, and nothing that could be a condition."""


@dataclass(frozen=True, slots=True)
class Parsed:
    """A question, read but for what is asked."""

    selection: Selection
    mentions: tuple[Mention, ...]
    intervals: tuple[Interval, ...]
    filters: Filters
    calendar: Calendar = field(repr=False)

    @property
    def order(self) -> Order:
        """The order that was named, else the latest first."""
        return self.filters.order or Order.LATEST


@dataclass(frozen=True, slots=True)
class Rule:
    """Asks `build` where every pattern of `needs` is found and only fillers and words of `may` are left over.

    `build` may answer None: these words ask something else after all.
    """

    needs: tuple[str, ...]
    build: Callable[[Parsed], Ask | None]
    may: str = ""

    def fits(self, text: str) -> bool:
        """Say whether all words of a lower-case text are accounted for."""
        for need in self.needs:
            match = re.search(rf"(?<![\w-])(?:{need})(?![\w-])", text, re.ASCII)
            if match is None:
                return False
            text = f"{text[: match.start()]} {text[match.end() :]}"
        text = re.sub(rf"(?<![\w-]){INCIDENTS}(?![\w-])", " ", text, flags=re.ASCII)
        return set(words_of(text)) <= _FILLERS | set(self.may.split())


def uses_all(ask: Ask, filters: Filters) -> bool:
    """Say whether a typed question keeps every condition that was read; else it would answer another one."""
    f = filters
    if f.order and not isinstance(
        ask, query_types.Which | AboutOne | query_types.LatestData | query_types.StillGoingOn
    ):
        return False
    return (
        (not f.new or getattr(ask, "new", False))
        and (f.at_least == 1 or getattr(ask, "at_least", None) == f.at_least)
        and (f.limit is None or getattr(ask, "limit", None) == f.limit)
        and (f.group is None or getattr(ask, "by", None) == f.group)
        and (not f.ranked or isinstance(ask, query_types.WhichEntities | query_types.PerGroup))
    )


def words_of(text: str) -> list[str]:
    """Give the words of a text, without the punctuation at their ends."""
    return [word for raw in text.split() if (word := raw.strip(".,;:!?()'’“”\"[]{}-–—"))]


def reserved_words() -> frozenset[str]:
    """Give the words that the rules live on: an entity of such a name must be quoted."""
    patterns = " ".join(" ".join((*rule.needs, rule.may)) for rule in RULES)
    return _FILLERS | set(re.findall("[a-z]{2,}", f"{patterns} {INCIDENTS} {_NOUNS} {_MORE_RESERVED}"))


# -- what the rules build ------------------------------------------------------------------------


def _compare(p: Parsed) -> Compare | None:
    """Set two intervals, two names or two states side by side."""
    s = p.selection
    if len(p.intervals) == 2:
        those = tuple(replace(s, since=i.since, until=i.until) for i in p.intervals)
        return Compare(those, tuple(p.calendar.say_interval(i) for i in p.intervals))
    if len(p.mentions) >= 2:
        those = tuple(replace(s, entities=m.entities) for m in p.mentions)
        return Compare(those, tuple(" and ".join(m.entities) for m in p.mentions))
    if len(s.statuses) == 2:
        return Compare(tuple(replace(s, statuses=(each,)) for each in s.statuses), s.statuses)
    if len(s.severities) >= 2:
        return Compare(tuple(replace(s, severities=(each,)) for each in s.severities), s.severities)
    return None


def _number(p: Parsed) -> Ask | None:
    if p.filters.group:
        ranked = p.filters.ranked
        limit = p.filters.limit or (3 if ranked else 24)
        return query_types.PerGroup(p.selection, p.filters.group, limit, ranked)
    if len(p.intervals) == 2 or len(p.selection.statuses) == 2:
        return _compare(p)
    return query_types.HowMany(p.selection, p.filters.new)


def _which(p: Parsed) -> Ask | None:
    f = p.filters
    if f.group or len(p.intervals) == 2 or len(p.selection.statuses) == 2:
        return _number(p)
    if p.selection.ids:
        return AboutOne(p.selection, Aspect.SUMMARY)
    if f.ranked or f.at_least > 1:
        return _which_entities(p)
    return query_types.Which(p.selection, p.order, f.limit or 5, f.new)


def _the_one(p: Parsed) -> Ask | None:
    """Build the answer to "the worst incident": one, where "the worst incidents" are some."""
    if p.selection.ids or p.filters.order is None or p.filters.ranked or p.filters.group:
        return None
    return query_types.Which(p.selection, p.order, p.filters.limit or 1, p.filters.new)


def _which_entities(p: Parsed) -> Ask | None:
    f = p.filters
    if len(p.intervals) == 2:
        return None
    if f.order and not f.ranked:
        return query_types.Which(p.selection, f.order, f.limit or 1, f.new)
    return query_types.WhichEntities(p.selection, f.limit or (5 if f.ranked else 10), f.at_least)


def _how_many_entities(p: Parsed) -> Ask | None:
    if p.filters.at_least > 1:
        return query_types.WhichEntities(p.selection, 10, p.filters.at_least)
    return None if p.filters.group else query_types.HowManyEntities(p.selection)


def _going_on(p: Parsed) -> Ask | None:
    return query_types.StillGoingOn(replace(p.selection, statuses=())) if p.selection.statuses else None


def _is_fine(p: Parsed) -> Ask | None:
    return query_types.IsFine(replace(p.selection, statuses=()))


def _recovered(p: Parsed) -> Ask | None:
    return query_types.StillGoingOn(replace(p.selection, statuses=()))


def _about(aspect: Aspect) -> Callable[[Parsed], Ask | None]:
    return lambda p: AboutOne(p.selection, aspect, p.order)


# -- the rules -----------------------------------------------------------------------------------

_NOUNS = ENTITY_NOUNS
_ENTITY_WORDS = """host hosts machine machines node nodes server servers computer computers chamber chambers
    map maps detector detectors element elements part parts entity entities"""
_SAW = "(?:saw|see|sees|noticed|notice|detected|found|flagged|flag|spotted|reported|raised|caught|catch)"
_SAW_WORDS = "saw see noticed notice detect flag spotted caught catch find"
_FINE = (
    "(?:fine|ok|okay|healthy|all ?right|alright|well|normal|normally|in order|working|behaving|good"
    "|in trouble|in good (?:shape|health)|up and running|wrong|amiss|the matter|broken|bad|unhealthy|green)"
)
_MORE_RESERVED = (
    "warning error critical open closed ongoing autoencoder classical both most worst latest first"
)

RULES: tuple[Rule, ...] = (
    Rule(
        (
            "help|hello|hi|thanks?(?: you)?|(?:what|which questions) can (?:i|you) (?:ask|do|answer)"
            "|how does (?:this|it) work",
        ),
        lambda p: query_types.Help(),
        "know",
    ),
    # One incident: why, who, which model, where in the run, how bad, how long.
    Rule(
        ("why|how come", "not|n't|never|wasn't|isn't|weren't|didn't|no"),
        lambda p: query_types.WhyNot(p.selection),
        f"{_SAW_WORDS} alert alarm",
    ),
    Rule(("what(?: is|'s|s| are| was)? (?:wrong|the matter)",), _is_fine),
    Rule(
        (
            "why|how come|explain|explanation|to blame|blamed?|(?:cause|reason)s?"
            "|what (?:caused|raised|triggered|went wrong|made)",
        ),
        _about(Aspect.WHY),
        f"{_SAW_WORDS} {_ENTITY_WORDS} alert alarm high score cause causes metric metrics cell cells"
        " explanation bad wrong behind main top who",
    ),
    Rule(
        (
            f"(?:who|what|which (?:of the (?:two )?)?detectors?) {_SAW}|seen by (?:whom|what|which)|by whom"
            "|did (?:both|the autoencoder|the classical|which)",
        ),
        _about(Aspect.SEEN_BY),
        f"{_SAW_WORDS} detector detectors test both autoencoder classical",
    ),
    Rule(
        ("(?:which|what) (?:version of the )?model|model(?: version)?|version of the model",),
        _about(Aspect.MODEL),
        f"{_SAW_WORDS} version used use scored model",
    ),
    Rule(
        ("(?:which|what|when)(?: is the| was the| are the)? lumisections?|lumisections? of",),
        _about(Aspect.LUMISECTION),
        f"start started begin began onset when end {_ENTITY_WORDS}",
    ),
    Rule(
        ("scores?|peak|how (?:bad|severe|serious|strong|strange)|threshold",),
        _about(Aspect.SCORE),
        "high peak threshold score scores how calibrated anomaly reach reached",
    ),
    Rule(
        (
            "(?:mean|average|typical) (?:time to (?:recover|recovery)|duration|length)|mttr"
            "|how long .*on average",
        ),
        lambda p: query_types.MeanDuration(p.selection),
        "take takes last lasts",
    ),
    Rule(
        ("how long|durations?|length",),
        _about(Aspect.DURATION),
        "last lasts lasted going take took takes go ongoing run",
    ),
    # What arrives.
    Rule(
        (
            "when|what time|how long ago|latest|last",
            "data|samples?|messages?|hear|heard|receive|received|send|sending",
        ),
        lambda p: query_types.LatestData(p.selection),
        "data sample samples message messages receive received send arrive arrived last time hear heard",
    ),
    Rule(
        (
            "data|samples?|messages?",
            "arriving|arrive|coming|received|receiving|missing|flowing|latest|last|sending",
        ),
        lambda p: query_types.LatestData(p.selection),
        "no",
    ),
    Rule(
        ("sending(?: data)?|silent|stale|alive",),
        lambda p: query_types.LatestData(p.selection),
        f"who not stopped {_ENTITY_WORDS}",
    ),
    # Health.
    Rule(
        ("is|are|was|were|has been|have been|isn't|aren't|anything|everything", _FINE),
        _is_fine,
        f"anything everything something doing system systems ok normal {_ENTITY_WORDS}",
    ),
    Rule(
        ("(?:status|state|health|condition) of|how(?:'s)?",),
        _is_fine,
        f"doing going behaving behave everything system health {_ENTITY_WORDS}",
    ),
    # When.
    Rule(
        (
            "when|what time|until when",
            "ends?|ended|close|closed|recover|recovered|stop|stopped|finish|finished|over|resolved",
        ),
        _about(Aspect.END),
        _ENTITY_WORDS,
    ),
    Rule(
        ("when|since when|what time|start time|onset|begin|since",),
        _about(Aspect.START),
        f"start starts started begin began begun open opened onset appear appeared go went bad wrong"
        f" become became {_SAW_WORDS} {_ENTITY_WORDS}",
    ),
    # Comparisons.
    Rule(
        ("compared?|comparison|versus|vs|than|difference",),
        _compare,
        f"more fewer less worse better many how number count {_ENTITY_WORDS}",
    ),
    # Entities and runs.
    Rule(
        ("never|no|without|not|n't|didn't|haven't|hasn't", f"{_NOUNS}|who"),
        lambda p: query_types.WithoutIncident(p.selection),
        f"{_SAW_WORDS} alarm single {_ENTITY_WORDS}",
    ),
    Rule(
        (
            "what|which|who|how many|list|show",
            "watch|watched|watching|monitor|monitored|monitoring|know|known",
        ),
        lambda p: query_types.Known(p.selection),
        _ENTITY_WORDS,
    ),
    Rule(("(?:what|which|list|show)(?: all)?(?: the)? detectors",), lambda p: query_types.Known(), "running"),
    Rule(
        (
            "(?:how many|number of|count(?: of)?)(?: the)?(?: different| distinct| unique| of the)?"
            f" {_NOUNS}(?! {INCIDENTS})",
        ),
        _how_many_entities,
        f"{_SAW_WORDS} {_ENTITY_WORDS} with",
    ),
    Rule(("runs?",), lambda p: query_types.WhichRuns(p.selection), "how many show number"),
    Rule(
        (f"{_NOUNS}|who|where",),
        _which_entities,
        f"{_SAW_WORDS} {_ENTITY_WORDS} alarms alarm trouble problematic scored score went wrong bad show",
    ),
    # Incidents.
    Rule(
        ("how many|number|count|how often|how frequently|how much",),
        _number,
        f"how many status alarm alarms of {_ENTITY_WORDS}",
    ),
    Rule((r"^\W*(?:is|has|are|have|did)", "recovered|recover|ended|end|stopped|gone"), _recovered, "yet"),
    Rule((r"^\W*(?:is|has|are|have)",), _going_on, "yet going ended stopped anything something"),
    Rule(
        ("incident|anomaly|alert|alarm|report|problem|fault|issue|detection|finding",),
        _the_one,
        "show describe who",
    ),
    Rule(
        ("",),
        _which,
        "anything something nothing show display print describe details summary summarise summarize overview"
        f" happening new unusual odd strange going up who alarms alarm {_SAW_WORDS}",
    ),
)
