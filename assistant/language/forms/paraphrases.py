"""Ways of saying the same: families of verbs and nouns, and sentence forms built of them, made one form.

The grammar knows one form of each; a family is extended here, in one place, for every sentence it stands in.
"""

from __future__ import annotations

import re

from anomalyd.assistant.language.rewriting import rewritten, rules_of
from anomalyd.assistant.language.systems import INCIDENTS

_NAME = r"[\w/.+*-]*[0-9][\w/.+*-]*"
_ASK = r"(?:why|when|how|which|what|who|where|if|whether|since|until)"
_TELL = r"(?:tell|show|explain|give|list|name|say|count|find|summari[sz]e|describe)"
_SAW = r"(?:saw|noticed|found|detected|spotted|flagged|caught|seen|discovered|picked up)"
_TROUBLE = r"(?:trouble|troubles|problems?|issues?|difficulties|headaches?)"
_FINE = r"(?:fine|ok|okay|normal|healthy|good|well|quiet|all right|alright|back(?: to normal)?)"
_BAD = r"(?:in trouble|in alarm|alarming|broken|down|bad|faulty|sick|red|unhealthy)"
_OVER = r"(?:closed|cleared|resolved|over|finished|recovered|ended|gone|gone away|fixed|done)"
_PEAK = r"(?:peak(?:ed)?|(?:reach(?:ed)? )?(?:at )?(?:its|the) (?:peak|worst|maximum|highest(?: point)?))"
_LONGER = r"(?:for )?(?:longer|more|over)(?: than)? "
_FIGURE = r"(mean|average|median|total) (score|duration)"
_DAY = r"(?:yesterday|today|last night|this morning)"
_WHEN = r"(?:when|at (?:which|what) (?:moment|time|point)|what time)"
_REACH = r"(?:reach(?:ed|es|ing)?|attain(?:ed|ing)?|hit|hits|got to|climbed to|went up to|rose to)"

_FORMS: tuple[tuple[str, str], ...] = (
    # What is said before a question, and is none.
    (
        r"^(?:(?:hello|hi|hey|good (?:morning|evening|afternoon|day)|sorry|excuse me|ok|well"
        r"|so|right|anyway|listen|quick question|question|one question"
        r"|i am new(?: here)?|i just (?:arrived|started)|just wondering|tell me)(?: everyone| all"
        r"| there)?[ ,:-]+)+(?=\w+ \w+ )",
        "",
    ),
    (
        rf"\b(?:could|can|would|will) you(?: please)?(?: kindly)?(?: be so kind (?:as"
        rf"|and))?(?: to)? (?={_TELL}\b)",
        "",
    ),
    (
        r"\b(?:i (?:would|am|was|want|need|would like|would love|d like)(?: be)?(?: very)?"
        r"|i'd be) (?:interested (?:in|to (?:know|see|learn))"
        r"|curious(?: to know)?|wondering|keen to know)\b(?: about)?",
        "show ",
    ),
    (rf"\b(?:i (?:wonder|was wondering)|any idea|do you remember)(?: if)?,? (?={_ASK}\b)", ""),
    (rf"\b(?:tell|explain|show|say)(?: to)?(?: me| us)?,? (?={_ASK}\b)", ""),
    (r"\b(explain|show|tell|give) to (?:me|us)\b", r"\1"),
    (r"\bin (?:any|some) (?:way|case)\b|\bactually\b|\bby now\b", ""),
    (r"\b(?:did|do) (?:we|you|i) end up with\b", "were there"),
    (r"\b(?:run|walk|take|lead) (?:me|us) through\b", "show"),
    (
        r"\b(?:what|which incidents?|anything) (?:do|does) (?:we|i) (?:still )?(?:have"
        r"|need) to (?:deal with|look at|handle|take care of"
        r"|work on|fix|solve)$",
        "which incidents are open",
    ),
    (r"\b(?:quantity|amount|tally) of\b", "number of"),
    (rf"# ?(?=(?:crit|warn|err|incid|alert|{INCIDENTS}|of\b))", "number of "),
    (r"\bseverity (?:split|breakdown|distribution)(?: of| for| on)?\b", "incidents by severity on"),
    (
        rf"({INCIDENTS}|hosts?|machines?|chambers?|nodes?|{_NAME}) ([0-9]+) ?(?:h|hours?|hrs)$",
        r"\1 in the last \2 hours",
    ),
    (r"\bwith at least (?:one|1|an?)\b", "with a"),
    (r"\b(?:are|is) or (?:was|were)\b|\b(?:was|were) or (?:are|is)\b", "were"),
    (r"\b(?:that |which )?(?:you|we) know (?:of|about)$", ""),
    (r"^names of (?:all |the )*", "list "),
    (r"\bin terms of\b", "by"),
    (r"\br\b(?= \w)", "are"),
    (r"\bnite\b", "night"),
    (r"\bhw (?=many|often|long)", "how "),
    (r"\bfor each of the\b", "per"),
    (r"\bmore than an? (?=warning|error)", "worse than a "),
    (r"\b(?:wrote|made) (?:the |a |any )?comments?\b", "commented"),
    (r"^both (?:detectors|tests|methods)\b", "seen by both detectors"),
    (
        r"\b(seen|noticed|found|flagged|detected|reported) by the ((?:\w+ )?shift)\b",
        r"\1 by shifters of"
        r" the \2",
    ),
    # Open for a long time, and the longest.
    (
        r"^(?:what|who|which (?:ones?|entities|things?)|anything) (?:has|have|is|are)(?: been)? (?:still )?"
        rf"(?:open|going on|in alarm) {_LONGER}",
        "which entities have open incidents longer than ",
    ),
    (
        rf"\b({INCIDENTS})(?: (?:that|which))? (?:have been|has been|are|is) (?:still )?open {_LONGER}",
        r"open \1 longer than ",
    ),
    (
        rf"^(\w+) whose (open |closed |critical )?({INCIDENTS})"
        r" (?:is|are|was|were|lasted|has lasted|have lasted) (?:older|longer|more) than ",
        r"which \1 have \2\3 longer than ",
    ),
    (r"\b(?:longest|oldest)[- ](?:standing|running|lasting) (?=open|unresolved|ongoing)", "oldest "),
    (
        r"\bhow (?:short|long) (?:is|was) the (shortest|longest) (critical|warning|error)"
        rf"(?: {INCIDENTS}|s)?\b",
        r"how long did the \1 \2 incident last",
    ),
    (
        r"^how long (?:was|were|is|has|have|did) (.+?) (?:been |spend |spent |stay )?"
        rf"(?:anomalous|{_BAD}|in incidents?)"
        r" (?:altogether|in total|in all|overall|all in all|all told|in sum)\b",
        r"total duration of incidents on \1",
    ),
    # A rate.
    (
        rf"^how many ({INCIDENTS}) (?:a|1|per|each|every) (day|hour|run)"
        r" (?:(?:did|do|have) (?:we|i|you) (?:have|had|get|got|see|seen) |were there )?"
        r"(?:on average|in the mean|typically)\b",
        r"average number of \1 per \2",
    ),
    # By what something is divided, ranked or compared.
    (
        r"^(?:please )?(?:break|split) (?:down )?(?:the )?(?!that|this|them|those|these|it )(.+?)"
        r" (?:down )?(by|per)"
        r" (?=severity|status|witness|entity|host|day|hour|run|cause)",
        r"incidents in the \1 \2 ",
    ),
    (r"^top ([0-9]+) by (?=total|mean|average|median|longest)", r"top \1 entities by "),
    (
        rf"^(?:compare )?(?:the )?{_FIGURE}s? ?[:,]? ?(?:of |on |for )?({_NAME})"
        rf" (?:against|versus|with|to|and|or) ({_NAME})",
        r"\1 \2 per entity of \3 and \4",
    ),
    (
        r"^(?:which|who)(?: of (?:the )?(?:2|two|both))? (?:has|had) (?:the |a )?"
        rf"(?:higher|larger|lower|smaller) {_FIGURE} ?,? ({_NAME}) or ({_NAME})",
        r"\1 \2 per entity of \3 and \4",
    ),
    (r"\bscored (?:the )?highest\b", "had the highest score"),
    (
        r"\b(?:stayed|remained|kept|ended|topped out) (below|under|above|over) an? (?:peak )?score of ",
        r"with score \1 ",
    ),
    (
        rf"^([\w/.+-]+) or ([\w/.+-]+) ?[:,] ?who (?:had|has|got) (more|fewer) ({INCIDENTS})\b",
        r"who had \3 \4, \1 or \2,",
    ),
    # One after the other, or in both.
    (r"\b(?:in|during) both runs ([0-9]+) and ([0-9]+)", r"in run \1 as well as in run \2"),
    (
        r"^who (?=(?:was|were) (?:bad|affected|broken|in trouble|anomalous) in run\b)",
        "which entities ",
    ),
    (
        rf"\b({_DAY})(?:,| and| but)?(?: (?:that|which|who))?(?: (?:was|were|is|are|stayed))?"
        rf" (?:{_FINE}|clean|silent|nothing) ({_DAY})$",
        r"\1 but not \2",
    ),
    (r"\b(had|has|have) something (?=yesterday|today|last|this|on|in|during)", r"\1 incidents "),
    (
        r"^.+?,? ?\bi ?\.? ?e ?\.?,? ?(?=(?:which|what|how|who|hosts|entities|chambers|nodes|machines)\b)",
        "",
    ),
    # When.
    (
        r"\bsince (?:my |the |our )?\w+ (?:began|started|begun|came on)"
        r" ([0-9]+ ?(?:h|hours?|minutes?|min|days?)) ago\b",
        r"in the last \1",
    ),
    (r"\b(?:did|does|do) (\S+) (?:fail|trip|break)(?: the)?(?: last time| last)\b", r"did \1 alarm last"),
    (r"\bwithout (?:a|even a|one|any)? ?single\b", "without any"),
    (rf"\bwith (?:any )?{INCIDENTS} neither yesterday nor today\b", "without incidents since yesterday"),
    # Superlatives.
    (r"\b(?:nastiest|ugliest|heaviest|baddest|hairiest|scariest|highest[ -]scoring|most extreme)\b", "worst"),
    (r"\bmost long(?:est)?\b|\bmost time\b", "longest"),
    (
        rf"\b(what is|which is|show|find)? ?(?:the )?({INCIDENTS}|one) (?:of|with"
        rf"|having) the (?:maximal|maximum|longest|greatest|largest|highest|biggest) duration\b",
        r"\1 the longest \2",
    ),
    (r"\bmaximal\b", "highest"),
    (r"^by any chance,? |,? by any chance$", ""),
    # Verbs of trouble.
    (r"\b(?:act(?:ed|s|ing)?|play(?:ed|s|ing)?|flar(?:ed?|es|ing)|bl[eo]w(?:n|s|ing)?) up\b", "alarm"),
    (
        r"\b(?:kick(?:ed|s)? off|gone off|complain(?:ed|s|ing)?|freak(?:ed|s)? out|(?:went|gone|go"
        r"|goes) (?:wild|crazy|mad|nuts|haywire|berserk))\b",
        "alarmed",
    ),
    (
        r"\b(?:(?:has|have|had) been|were|was) (?:un-?happy|struggling|ailing|in distress|in trouble"
        r"|in alarm|unwell)"
        r"(?= (?:in|on|during|since|yesterday|today|last|this)\b)",
        "alarmed",
    ),
    (r"\bin (?:the |a )?(?:state of )?alarm(?: state)?\b", "in alarm"),
    (
        r"\bhow (?:many times|often) did (?:it|things?|something|anything) (?:get|go|become"
        r"|turn) (critical|open|bad)\b",
        r"how many \1 incidents",
    ),
    (
        r"\bwhat (?:did|does|has|had) (?:make|made) (.+?) (?:anomalous|alarm|flagged|odd|strange|bad)$",
        r"why was \1 flagged",
    ),
    (
        rf"\b(?:made|make|makes|gave|give|gives|caused|cause|had|have|having had|ran into|run into|in"
        rf"|with) (?:some |any |us |a lot of )?{_TROUBLE}"
        r"(?= (?:in|on|during|since|at|yesterday|today|last|this)\b)",
        "had incidents",
    ),
    (rf"\b(?:made|make|makes|gave|give|gives|caused|cause) (?:some |any |us )?{_TROUBLE}$", "alarmed"),
    (
        r"\b(how (?:many times|often)) (?:was |were |is )?(?:it )?(?:in alarm|in trouble|bad|red)\b",
        r"\1 did alarm",
    ),
    (rf"^({_NAME}) ({_BAD})\b", r"is \1 \2"),
    (r"\b(critical|open|closed|new|odd|strange|anomalous|bad) stuff\b", r"\1 incidents"),
    (r"\bsaw (\S+(?: \S+)?) (?:go|turn|become|get|going) ", r"had \1 "),
    (
        r"\bwhat (?:has )?just (?:came|come|arrived|started|began|popped|happened)(?: in| up)?$",
        "what is the latest incident",
    ),
    (
        r"\b(?:the )?(one|incident|alarm|alert|problem)(?: that| which)?(?: has)? just (?:came|come"
        r"|arrived|started|began|popped)(?: in| up)?\b",
        r"the latest \1",
    ),
    (r"\b(?:popped|pop|came|come|turned|showed) (?:up|in)\b", "began"),
    (r"\bwith nothing\b|\bthat had nothing\b", "without incidents"),
    (
        r"(?<!\bwhat )"
        r"\b(?:causes?|caused|produces?|produced|makes?|made|gives?|gave|generates?|generated|raises?"
        r"|raised) (?:the )?most\b",
        "has the most",
    ),
    (
        r"\b(?:the |our )*(?:biggest|worst|main|top|greatest) (?:trouble ?maker|offender|culprit"
        r"|problem child)\b",
        "most affected",
    ),
    (r"\btop ([0-9]+ )?(?:most )?(?:noisy|busy|affected|troubled|problematic)\b", r"\1noisiest"),
    # Open and over.
    (
        rf"\b(?:(?:has|have|had|is|are|was|were|did)(?: not|n't)|not)(?: yet)?(?: been)? {_OVER}(?: yet)?\b",
        "open",
    ),
    (r"\b(?:un-?cleared|un-?finished)\b", "open"),
    (
        rf"\bsince when (?:is|was|has) (.+?)(?: been)? {_FINE}(?: again)?$",
        r"when did the last incident of \1 end",
    ),
    # One incident.
    (rf"^{_WHEN} (?:did|was|were|had) (.+?) {_PEAK}$", r"peak time of \1"),
    (
        r"\bwhat (?:is the )?(?:peak )?scores? (?:did|has) (.+?) (?:ever )?reach(?:ed)?(?: at (?:most"
        r"|best|worst))?\b",
        r"highest score of \1",
    ),
    (
        r"\bhow high did (?:the )?(?:score )?(?:of )?(?!(?:it|that|this"
        r"|they) )(\S+?)(?:'s)?(?: score)? (?:ever )?(?:go|get|climb|reach)(?: at most)?$",
        r"highest score of \1",
    ),
    (
        r"\b(?:peak|maximum|top|maximal|highest) score (?:ever )?(?:reached|attained|seen"
        r"|recorded) (?:by|on|of|for|at|in)\b",
        "highest score of",
    ),
    (r"\b(?:smallest|minimum|minimal|least) ((?:peak )?score)\b", r"lowest \1"),
    (rf"^(?:was|is) it (.+?) or (.+?) (?:that|which|who) (?:has |had )?{_SAW}\b", "who saw"),
    (
        rf"\bwhich (?:one )?of the (?:2|two) (?:tests?|detectors?|methods?|models?) (?:has |had "
        rf"|have )?{_SAW}\b",
        "who saw",
    ),
    (r"\b(?:the )?(?:first|last|starting|initial) (lumi ?sections?|ls)(?= of)", r"\1"),
    (r"\b(models?(?: versions?)?) (?:behind|that made|which made)\b", r"\1 of"),
    (r"\bmost recently\b(?= *$)", "latest"),
    # What people did.
    (
        r"\b(what|which) (?:works?|interventions?|jobs?|downtimes?)(?= (?:is|are|was|were) (?:planned"
        r"|scheduled|foreseen))",
        r"\1 maintenance",
    ),
    (r"\b(planned|scheduled|upcoming) (?:works?|interventions?|downtimes?)\b", r"\1 maintenance"),
    (r"\b(?:left|leave|leaves|put|made) (?:a |any |some )?(comments?|remarks?|notes?)\b", r"\1"),
    (
        r"\b(what) (?:do|does|did) the (comments?|remarks?|notes?) (?:on|about|of) (\S+) say\b",
        r"\1 \2 are there on \3",
    ),
    (
        r"^did (both(?: detectors| tests)?|the (?:autoencoder|classical)(?: \w+)?) (?:see|notice|find"
        r"|catch|detect|spot|flag) (it|that|this)$",
        r"was \2 seen by \1",
    ),
    (
        r"\b(?:how long|until when) will (.+?) (?:stay|be|remain|last) (?:in|under|on) maintenance\b",
        r"until when is \1 in maintenance",
    ),
    (
        r"\bwhen (?:is|will) (?:the )?maintenance (?:of|on|for) (.+?) (?:be )?(?:over|finished|done|end)$",
        r"until when is \1 in maintenance",
    ),
    (
        r"\b(?:in )?(which|what) run did (.+?) (?:reach|have|get|attain|show) its (?:highest|maximum"
        r"|peak|worst|top) score\b",
        r"\1 run had the worst incident of \2",
    ),
    (r"\b(incident|one|alarm|alert|problem) did last\b(?: the)?", r"\1 lasted"),
    # Bounds.
    (
        rf"\b{_REACH} (?:a )?((?:peak )?scores?)(?: (?:of|at least))? (?:at least )?([0-9.]+)\b",
        r"\1 at least \2",
    ),
    (rf"\b((?:peak )?scores?) (?:that )?{_REACH} ([0-9.]+)\b", r"\1 at least \2"),
    (
        r"\b(?:went|goes?|got|rose|climbed|jumped|were|was|gone) (?:over|above|past"
        r"|beyond) (?=(?:a score of )?[0-9.]+(?! ?(?:s|sec|min|h|hour|day|d)))",
        "above ",
    ),
    (r"\bscor(?:ing|ed) ([0-9.]+) (?:to|-) ([0-9.]+)", r"score between \1 and \2"),
    (r"\bmore than one\b", "more than 1"),
    (
        r"\b(?:was |were )?(?:over|done|finished|gone|closed) within\b(?! (?:the )?(?:last|past"
        r"|previous))",
        "lasted less than",
    ),
    (r"\bjust once\b", "exactly once"),
    (r"\b(?:touch(?:ed|es|ing)?|overlap(?:ped|s|ping)?|reach(?:ed|ing)? into) (?=lumi|ls\b)", "in "),
    (
        r"\b((?:lumi ?sections?|ls) [0-9]+) (?:to|-|through|until) (?:lumi ?sections?|ls) ([0-9]+)",
        r"\1 to \2",
    ),
    (r"\bconcern(?:ed|s|ing)\b", "on"),
    # Comparisons, statistics, groups.
    (
        r"^(?:compare )?(?:the )?([0-9]+ (?:hours?|days?|minutes?)) (?=(?:against|with|versus|to)\b)",
        r"compare the last \1 ",
    ),
    (r"\bhow (?:does|do|did|would) (.+?) compare (?:with|to|against) (.+)", r"compare \1 with \2"),
    (
        r"\b(compare|comparison of|comparing) runs? ([0-9]+) (?:and|with|to|against) (?:run )?([0-9]+)",
        r"\1 run \2 with run \3",
    ),
    (
        rf"\b(compare .+?),? (?:by|in|regarding|concerning) (?:the |their )?(?:number|numbers"
        rf"|count) of {INCIDENTS}",
        r"\1",
    ),
    (
        r"\byesterday\b(.*\bthan\b.*)\bthe (?:day|one) before\b(?! yesterday| that)",
        r"yesterday\1the day before yesterday",
    ),
    (
        r"\bdid (?:we|you|i|they) (?:see|get|record|have|observe|count|register) (?=(?:any|more|fewer"
        r"|less|as many|a )\b)",
        "were there ",
    ),
    (r"\b(?:typical|usual|average|mean) ,? ?(?:mean|average)\b", "average"),
    (
        rf"\b({INCIDENTS}) (?:concern(?:ed|s|ing)?|affect(?:ed|s|ing)?|involv(?:ed|es|ing)|hit"
        rf"|came from|fell on|happened on)\b",
        r"\1 were on",
    ),
    (
        rf"\bby (?:the )?(?:detectors?|tests?|methods?) (?:that|which|who) (?:has "
        rf"|have )?{_SAW} (?:them|it|each)\b",
        "by witness",
    ),
    (
        r"\b(?:which|what) severity(?: level)? (?:is|was|occurs|occurred|happens|happened|comes|came"
        r"|appears|appeared|shows up)(?: up)? (?:the )?most(?: (?:often|frequent(?:ly)?|common(?:ly)?))?",
        "which severity has the most incidents",
    ),
    (
        r"\b(?:(?:on )?which |that )?both (?:tests |detectors |methods )?(?:agree[ds]?|coincide)(?: on)?\b",
        "seen by both",
    ),
)
_SPAN_BEFORE = re.compile(
    r"\b(?P<head>(?:last|past) (?:(?P<n>[0-9]{1,4}) )?(?P<unit>minute|hour|day)s?\b.*?)"
    r"(?:(?:in|during|over|of|on) )?the (?:(?P=n) )?(?:"
    r"(?:previous|preceding) (?:(?P=n) )?(?P=unit)s?"
    r"|(?P=unit)s? (?:before|earlier|preceding)(?: (?:that|those|them))?)(?![\w-])(?! yesterday)"
)
"""A span and the one of the same length before it: "the last 24 hours against the 24 hours before"."""


def _span_before(match: re.Match[str]) -> str:
    number, unit = int(match["n"] or 1), match["unit"]
    if unit == "day":
        number, unit = 24 * number, "hour"  # "2 days ago" is a whole day, "48 hours ago" a moment
    return f"{match['head']}between {2 * number} {unit}s ago and {number} {unit}s ago"


_RULES = rules_of(_FORMS)


def canonical(text: str) -> str:
    """Bring a plain question (lower case, one line) to the forms that the grammar knows."""
    return _SPAN_BEFORE.sub(_span_before, rewritten(" ".join(text.split()), _RULES))
