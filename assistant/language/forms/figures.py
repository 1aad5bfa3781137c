"""Ways to ask for figures: groups, trends, what is usual, the most frequent cause, bounds of a mean."""

from __future__ import annotations

from anomalyd.assistant.language.rewriting import rewritten, rules_of
from anomalyd.assistant.language.systems import CHAMBERS, ENTITIES, HOSTS, INCIDENTS

_MEASURED = r"(?:metrics?|causes?|reasons?|quantit(?:y|ies))"
_MOST = r"(?:most (?:frequent|common|often seen|usual)|commonest|top|main|number one|prevailing)"
_GROWS = r"(?:going up|increasing|rising|growing|getting more(?: frequent)?|on the rise|trending up)"
_FALLS = r"(?:going down|decreasing|falling|dropping|getting (?:fewer|less(?: frequent)?)|trending down)"
_WEEKS = "in the last 7 days than in the 7 days before"
_NAME = r"[\w/.+-]+"
_HAD = r"(?:had|has|got|saw)"
_THEY = rf"(?:{HOSTS}|{CHAMBERS}|{ENTITIES}|(?:[\w-]+ )?nodes|entities|who|which|that)"

_FORMS: tuple[tuple[str, str], ...] = (
    # Groups by parts of a time, and by cause.
    (
        r"\b(?:the )?hours? of (?:the |a )?day\b|\btimes? of (?:the )?day(?= had| has| with|$)",
        "hour-of-day",
    ),
    (r"\b(?:each|every|per|by) hours? of (?:the )?day\b", "per hour-of-day"),
    (r"\b(?:the )?days? of (?:the )?week\b", "weekday"),
    (
        r"\b(?:(?:on|at|in|during) )?((?:which|what) (?:hour-of-day|weekday|day|hour)) (?:did|do)"
        r" (?:the )?most (?:of the )?"
        rf"({INCIDENTS}) (?:begin|start|occur|happen|appear)\b",
        r"\1 has the most \2",
    ),
    (r"\b(had|has|have|having|with) nothing (?:else )?(?:but|except) ", r"\1 only "),
    (
        rf"\b(?:which|what) {_MEASURED} (?:is|was|are|were) (?:the )?{_MOST} (?:causes?|reasons?|culprits?)"
        rf"(?: (?:of|for) (?:the )?{INCIDENTS})?",
        "which blamed-metric has the most incidents",
    ),
    (
        rf"\b(?:which|what) {_MEASURED} (?:is|was|are|were) (?:blamed|to blame|behind|at fault)(?: for)?"
        rf" (?:the )?most(?: often| {INCIDENTS})?\b",
        "which blamed-metric has the most incidents",
    ),
    (
        rf"^(?:(?:what|which) (?:is|was|are|were) |show )?(?:the )?{_MOST} (?:causes?|reasons?|culprits?)"
        rf"(?: (?:of|for) (?:the )?{INCIDENTS})?\b(?! of (?:the )?(?:worst|last|latest|longest|first))",
        "which blamed-cause has the most incidents",
    ),
    (
        r"\b(?:per|by|for each|for every|of each|of every) (?:blamed )?(?:metrics?|quantit(?:y|ies))\b",
        "per blamed-metric",
    ),
    (
        r"\b(?:per|by|for each|for every|of each|of every) (?:blamed )?(?:causes?|reasons?)\b(?! of)",
        "per blamed-cause",
    ),
    # Trends.
    (
        rf"^(?:is|are) (?:the )?(?:number of )?(.+?) {_GROWS}$",
        rf"are there more \1 {_WEEKS}",
    ),
    (rf"^(?:is|are) (?:the )?(?:number of )?(.+?) {_FALLS}$", rf"are there fewer \1 {_WEEKS}"),
    (
        r"^(?:show |what is )?(?:the )?(?:trend|tendency|development|evolution) (?:of|for|on|in) (?:the )?"
        r"(?:number of )?(?!.*\b(?:yesterday|today|last|this|since|per)\b)(.+)$",
        r"compare \1 in the last 7 days with \1 in the 7 days before",
    ),
    # Days beside each other.
    (
        r"\byesterday (with|to|against|versus|and|or) the (?:day|one) before(?! yesterday)\b",
        r"yesterday \1 the day before yesterday",
    ),
    (r"^(.+?) ?[:,] ?compare (.+)$", r"compare \1 \2"),
    (
        rf"^({_NAME}) or ({_NAME}) ?[:,]? ?(?:which|who)(?: one| of (?:the )?(?:2|two|both))? {_HAD}"
        r" (more|fewer) (.+)$",
        r"which had \3 \4, \1 or \2",
    ),
    (
        rf"\b({INCIDENTS}) (in|during|on) (\S+(?: \S+)?) (?:and|but) (?:none|nothing) (?:in|during|on) ",
        r"\1 \2 \3 but not \2 ",
    ),
    # Bounds of a figure over the incidents of each.
    (
        r"\b(?:in alarm|in trouble|anomalous|alarming|broken|bad)(?: for)? ((?:more|longer|less) than|over"
        r"|at least|under) ([\w.]+ \w+) (?:in total|in all|altogether|all in all|overall|all together)\b",
        r"with a total duration of \1 \2",
    ),
    (
        r"\b(average|mean|median) (score|duration) (?:is |was |of |being |that is )*"
        r"(above|over|more than|higher than|greater than|below|under|less than|at least|at most) ",
        r"\1 \2 \3 ",
    ),
    # The first, worst ... of each.
    (
        r"\b((?:very )?(?:first|last|latest|worst|longest|shortest|newest|oldest|earliest|mildest))"
        rf" ({INCIDENTS}|one)? ?(?:of|on|for|in|at|per|from) (?:each|every)(?: of the| one of the| single)? ",
        r"\1 incident per ",
    ),
    # What was closed last.
    (
        r"\b(?:was |were |got |been |has |have )*(?:closed|ended|cleared|resolved|recovered)"
        r" (?:most recently|last|latest)(?! (?:night|week|month|hour|day|shift|weekend|[0-9]))\b",
        "is ended-last",
    ),
    (
        r"\b(?:the )?(?:most recently|latest to be|last to be) (?:closed|ended|cleared|resolved|recovered)\b",
        "ended-last",
    ),
    (
        rf"\b(?:the )?last {INCIDENTS} to (?:close|end|recover|clear|be (?:closed|resolved))\b",
        "the ended-last incident",
    ),
    # Open for so long.
    (
        r"\b((?:were|was|had been|stayed) )(?:still )?(?:open|unresolved|going on|ongoing) after "
        r"((?:an?|[0-9.]+|half an) (?:seconds?|minutes?|min|hours?|h|days?))\b",
        r"lasting at least \2 ",
    ),
    (
        r"\bstill (?:open|unresolved|going on|ongoing) after "
        r"((?:an?|[0-9.]+|half an) (?:seconds?|minutes?|min|hours?|h|days?))\b",
        r"open for at least \1 ",
    ),
    # What is at work.
    (
        r"\b(?:detector|detection|scoring) (models?)(?= (?:is|are|at work|in use|running|versions?))",
        r"\1",
    ),
    (r"\b(?:which|what) model is (at work|in use|running|active|loaded|deployed)\b", r"which models are \1"),
    (rf"\b({_THEY}) (?:have |has |had )+(?:no|zero|not any) trouble(?: at all)?\b", r"\1 had no incidents"),
)
_RULES = rules_of(_FORMS)


def figured(text: str) -> str:
    """Bring questions on figures to the forms that the grammar knows."""
    return rewritten(text, _RULES)
