"""Words and phrases that say what is asked, and those that say nothing."""

from __future__ import annotations

import re

from anomalyd.assistant.language import systems
from anomalyd.assistant.language.spelling import ORDINAL
from anomalyd.reports.queries import Order

N = r"[0-9]{1,4}"
INC = systems.INCIDENTS
ENT = r"ENT[0-9]+"
_saw = (
    r"(?:saw|see|sees|seen|noticed?|detect(?:ed)?|found|find|flag(?:ged)?|spot(?:ted)?|report(?:ed)?"
    r"|raised?|caught|catch"
    r"|pick(?:ed)? up|trigger(?:ed)?)"
)
_ill = (
    r"(?:broken|bad|sick|unhealthy|anomalous|in trouble|faulty|failing|down|wrong|amiss|misbehaving"
    r"|out of order|red|unwell"
    r"|in alarm|alarming|having (?:a )?(?:problems?|trouble)|in a bad state|not (?:ok|okay|fine|well))"
)
_well = (
    r"(?:fine|ok|okay|healthy|all ?right|alright|well|all well|normal|normally|in order|working"
    r"|behaving|good|green|clean|happy"
    r"|in good (?:shape|health)|up and running|all clear|under control|quiet)"
)
_begin = (
    r"(?:starts?|started|begins?|began|begun|open|opened|onset|appear(?:ed)?|happen(?:ed)?"
    r"|occur(?:red)?|go bad|went bad|alarm(?:ed)?"
    r"|fire(?:d)?|fail(?:ed)?|flag(?:ged)?|come up|came up|go off|went off|go wrong|went wrong"
    r"|break|broke|be seen|seen|raised|reported)"
)
_end = (
    r"(?:ends?|ended|stop(?:ped)?|recover(?:ed)?|finish(?:ed)?|clear(?:ed)?|go away|went away|get "
    r"better|got better|vanish(?:ed)?)"
)
_end_adjective = r"(?:over|closed|close|resolved|gone)"

ASPECTS: tuple[tuple[str, str], ...] = (
    (
        "SINCE",
        r"since (?:when|what time)(?: (?:is|has|was|are|have))?|(?:for )?how long (?:already "
        r")?(?:has|have|is)(?= .*\b(?:been|broken|open|anomalous|bad|going)\b)",
    ),
    (
        "PEAKTIME",
        r"when (?:was|did) (?:it|they|ENT[0-9]+) (?:the |at its )?(?:worst|peak)|peak time|time of "
        r"(?:the|its) peak",
    ),
    (
        "END",
        r"how (?:did|does)(?= .*\bend\b)|(?:when|what time|until when|how late)"
        rf"(?=.*\b{_end}\b)|until when|(?:the )?end(?: time)? of",
    ),
    (
        "ENDED",
        rf"(?:when|what time)(?= (?:was|were|is|did|has) .*\b{_end_adjective}(?:$| (?!{INC}|ENT|one)))",
    ),
    (
        "START",
        r"when|(?:at )?what time|(?:the )?(?:start|onset|beginning)(?: time)? of|onset(?: time)?"
        r"|start(?: time)?(?= |$)",
    ),
    ("DURATION", r"(?:for )?how long|(?:the )?(?:duration|length)s?(?: of)?|how much time"),
    ("WHYNOT", r"(?:why|how come)(?= .*\b(?:not|never|no)\b)"),
    (
        "WHY",
        r"why|how come|(?:what|which) (?:metrics?|quantit(?:y|ies)|regions?|values?) (?:is|was|were|are) "
        r"(?:behind"
        r"|responsible for|at fault(?: for| in)?|to blame(?: for)?)|what (?:caused|causes|triggered|made"
        r"|is behind|was behind|led to)|(?:what "
        r"(?:is|was|are|were) )?(?:the )?(?:main |top |root )?(?:causes?|reasons?)(?: (?:of|for"
        r"|behind))?"
        r"|(?:please )?explain|(?:the )?explanations? (?:of|for)|what (?:was|went|had gone) "
        r"wrong(?: (?:with|on|in))?"
        r"|(?:who|what|which metrics?)(?: (?:is|was|are|were))? (?:most )?to blame(?: for)?|to blame",
    ),
    (
        "SEENBY",
        rf"(?:who|what|which(?: of the (?:2 )?)? ?detectors?|which detector|which one)(?: (?:has"
        rf"|had))? {_saw}|seen by (?:whom|who|what|which)(?: detectors?)?|by whom",
    ),
    (
        "MODEL",
        r"(?:(?:which|what)(?: version of the)? models?(?: versions?)?|models?(?: versions?)?(?: of)?)"
        rf"(?: (?:has )?{_saw})?"
        r"|(?:which |what )?(?:model )?versions?(?: of the models?)?",
    ),
    (
        "LUMISECTION",
        r"(?:in |at |from |until |up to |to |during |over |since )*(?:which|what|when) (?:lumi"
        r" ?sections?|lumis|ls)|(?:the )?(?:lumi ?sections?"
        r"|ls)(?: of)?",
    ),
    (
        "SEVERITY",
        r"how severe|^(?:the )?severity *$|(?:what|which|of what) (?:severity|level)(?! has the"
        r" most)|what (?:is|was) (?:the )?severity"
        r"|(?:the )?severity "
        r"(?:of|was|is)|how critical",
    ),
    (
        "SAMPLES",
        r"how many samples (?:were|was|are) (?:anomalous|bad)|how many (?:anomalous |bad )?samples(?! "
        r"(?:were|was|are|did|came|have|has|arriv|receiv"
        r"|sent))|number of (?:anomalous |bad )?samples",
    ),
    (
        "SCORE",
        r"how high (?:did |was |is |were )?(?:the )?(?:peak )?scores?(?: (?:go|get|of))?"
        r"|(?:the )?(?:peak |anomaly |calibrated )*scores?(?: (?:of|for))?|how (?:bad|serious|strong"
        r"|high|anomalous|strange)|peak(?: value)?",
    ),
)

CUES: tuple[tuple[str, str], ...] = (
    (
        "FLAGS",
        r"(?:the )?(?:data[ -])?(?:quality )?flags?(?: of| for)?|(?:data )?quality(?: of)?|golden|certified"
        r"|fit for physics|usable",
    ),
    (
        "DETECTORS",
        r"(?:(?:which|what|how many|list|show)(?: all)?(?: the)? detectors?)"
        r"(?: are| is| do| you| we)*(?: there| running| used| known| have| use| at work)*$",
    ),
    (
        "EVERYWHERE",
        rf"(?:on|of|for|from|in|across|over|among) (?:all |any |every )?(?:the |other "
        rf")?{systems.ENTITIES}(?= |$)(?! (?:had|have|has|alarm))",
    ),
    (
        "DATA",
        r"(?:(?:receive|get|got|send|sent|received) (?:any |new )?)?"
        r"(?:(?:last |latest )?(?:data|samples?|messages?))(?: (?:were|was|is|are|have|has|been"
        r"|last|arriv\w*|coming|received?|receiving|missing|flowing|sent|sending|heard|from))*"
        r"|(?:last |latest )?(?:heard?|heard) (?:from|of)|silent|stale|sending(?: anything)?|(?:not"
        r"|stopped) (?:sending|reporting|talking)|(?:still )?(?:alive|talking|reporting)|arriv(?:e"
        r"|es|ing|ed)",
    ),
    (
        "PERCENT",
        r"(?:what |which |how many )?(?:percentage|per ?cent|%|share|fraction|proportion|part)(?: of)?(?= )",
    ),
    (
        "NTHLAST",
        rf"(?:the )?(?:(?:last|latest) but (?:one|[0-9])|(?:second|2nd|third|3rd|next|{ORDINAL})[ "
        rf"-](?:to|from)?[ -]?(?:the )?(?:last|latest)|penultimate|(?:the )?(?:one|{systems.INCIDENTS}) "
        rf"before (?:the "
        rf")?last|previous to last)(?: one)?",
    ),
    (
        "AVERAGE",
        r"(?:on |in |the |an )?(?:average|mean|typical(?:ly)?|usual(?:ly)?|in the mean)(?: of)?|mttr",
    ),
    ("MEDIAN", r"(?:the )?median"),
    (
        "SUM",
        r"(?:the )?(?:total|overall|accumulated|summed) (?:time|duration|downtime|length)(?: of)?|(?:the )?"
        r"(?:sum|total)(?: (?:of|up))?(?= (?:the |all |of |incident |incidents |alert "
        r"|their )*(?:_?DURATION"
        r"|duration|time|length))|accumulated|cumulative|summed(?: up)?",
    ),
    (
        "RECUR",
        rf"(?:more than|over|at least|exactly|fewer than|less than|at most) {N}(?= (?:(?:SEV"
        rf"|STAT)[0-9]+ )+{INC})"
        rf"|{N} or more(?= (?:(?:SEV|STAT)[0-9]+ )+{INC})|(?:more than|over) {N} (?:{INC}|times)"
        rf"|at least (?:{N}|one"
        rf"|an?) (?:{INC}|times?)|(?:{N} or more"
        rf"|exactly {N}|fewer than {N}|less than {N}|at most {N}) (?:{INC}|times)|more than (?:once"
        rf"|twice)|at least (?:once|twice)|repeatedly|recurring|recurrent(?:ly)?|several times"
        rf"|again and again|multiple (?:times|{INC})|several {INC}|only (?:once|one {INC})|exactly "
        rf"(?:once|one {INC}|twice)|(?:just )?a single {INC}|(?<=with ){N} (?:{INC})",
    ),
    (
        "BY",
        rf"(?:,? ?(?:per|by|for (?:each|every)|of (?:each|every)|(?:broken|split|grouped|sorted"
        rf"|divided) (?:down |up )?(?:by|per)|(?:a )?break ?down (?:by|per|of)|as a function of"
        rf"|against|in each|on each|over the|each|every) (?:the )?(?:severity(?: level)?|severities"
        rf"|status|hour-of-day|weekday|blamed-metric|blamed-cause|days?|dates?|hours?|hosts?|machines?|nodes?|chambers?|entit(?:y|ies)|detectors?"
        rf"|runs?|systems?|models?|witness(?:es)?|{systems.LEVEL_WORDS}|{ENT}))|daily|hourly|per diem",
    ),
    (
        "MOSTOFTEN",
        rf"(?:the )?most(?= (?:[A-Z]+[0-9]+ )+{INC})|(?:the )?most(?= *$)|(?<=alarmed )(?:the )?most(?! "
        rf"{INC})|(?:with )?(?:the )?(?:most|highest number of"
        rf"|largest number of|greatest number of) "
        rf"(?:{INC}|often|frequent(?:ly)?|alarms?|affected)|most (?:affected|hit|frequent(?:ly)?"
        rf"|troubled|problematic|often)|noisiest|busiest|most (?:trouble|incident-prone)|by (?:the "
        rf")?(?:number of )?{INC}(?: counts?)?|by (?:the )?number of(?= SEV)|(?:with |having )?(?:the )?most"
        r"(?= SEV)|by counts?|by incident count",
    ),
    (
        "LEASTOFTEN",
        rf"(?:the )?fewest(?= (?:[A-Z]+[0-9]+ )+{INC})|(?:with )?(?:the )?(?:fewest|least|lowest "
        rf"number of|smallest number of) (?:{INC}|often"
        rf"|affected)|quietest|least (?:affected|often)",
    ),
    (
        "HOWMANY",
        r"how (?:many|often|frequently)|(?:the )?(?:total )?(?:number|count|nr)s?(?: of| for)?"
        r"|(?:the )?(?:total )?count(?: of)?|(?:in )?total(?: of)?|how much|tally",
    ),
    (
        "BEGAN",
        r"(?:newly )?(?:began|begun|begin|started|start(?:ing)?|opened|new|newly|fresh|appeared"
        r"|came up|first came up|first (?:seen|appeared|began|started))(?: (?:up|anew))?",
    ),
    ("ENDEDLAST", r"(?:the )?ended-last"),
    ("LATEST", rf"(?:the )?(?:(?P<n1>{N}) )?(?:most recent|latest|newest|last|lastest)(?: (?P<n2>{N}))?"),
    ("EARLIEST", rf"(?:the )?(?:(?P<n1>{N}) )?(?:earliest|oldest|first|very first)(?: (?P<n2>{N}))?"),
    (
        "WORST",
        rf"(?:the )?(?:(?P<n1>{N}) )?(?:worst|most (?:severe|serious|anomalous|critical"
        rf"|significant)|(?:with )?(?:the )?(?:highest|largest|biggest|top|maximum)(?: (?:peak "
        rf")?(?:SCORE|score))?|strongest|severest|gravest|top|biggest|highest)(?: (?P<n2>{N}))?(?: "
        rf"by score)?",
    ),
    (
        "MILDEST",
        rf"(?:the )?(?:(?P<n1>{N}) )?(?:mildest|(?:with )?(?:the )?lowest(?: (?:peak )?score)?"
        rf"|weakest|least (?:severe|serious))(?: (?P<n2>{N}))?",
    ),
    (
        "LONGEST",
        rf"(?:the )?(?:(?P<n1>{N}) )?(?:longest(?: lasting| running)?(?: time| duration)?)(?: (?P<n2>{N}))?",
    ),
    ("SHORTEST", rf"(?:the )?(?:(?P<n1>{N}) )?(?:shortest|briefest|quickest)(?: (?P<n2>{N}))?"),
    ("NTH", rf"(?:the )?(?P<nth>{ORDINAL})"),
    (
        "NEVER",
        rf"(?:has |have |had )?(?:never|not)(?: ever| once)? (?:had|have|has|got|seen?|been|flagged"
        rf"|alarm(?:ed)?|raised|having)?(?: (?:flagged|alarmed|affected|hit))?(?: (?:any|an?|a "
        rf"single|one))?(?: {INC})?|(?:had|has|have|with|were|are|having) no {INC}(?: at all)?|no "
        rf"{INC}(?: at all)?|without (?:an?|any|a single) {INC}|without {INC}|(?:were|was|are|is"
        rf"|stayed|remained) (?:quiet|silent about|incident-free|clean)|unaffected|incident-free"
        rf"|not a single {INC}",
    ),
    (
        "KNOWN",
        r"(?:are |is |being |do you |you |we |does it |do we )*(?:watch(?:ed|ing)?|monitor(?:ed"
        r"|ing)?|known|know(?: of| about)?|covered|observed|under (?:observation|watch))",
    ),
    ("ILL", rf"{_ill}"),
    (
        "WELL",
        rf"{_well}(?: (?:enough|now))?|(?:status|state|health|condition)(?: of)?|how (?:is|are|was"
        rf"|were)(?: it)?(?= )(?! (?:many|often|long))|doing",
    ),
    (
        "GOINGON",
        r"(?:still )?(?:persists?|persisting|continu(?:e|es|ing)|ongoing|there|the case|happening"
        r"|lasting|last(?:s)?)(?= *$)|still",
    ),
    (
        "GONE",
        r"(?:recovered|recover|ended|stopped|gone(?: away)?|back to normal|back|disappeared"
        r"|over)(?: (?:yet|already|by now))?",
    ),
    (
        "HELP",
        r"help|what can (?:i|you|one) (?:ask|do|answer|say)(?: you| for me)?|which questions can "
        r"(?:i|you) (?:ask|answer)|what do you (?:know|do)|hello|hi|good (?:morning|evening|day"
        r"|night)",
    ),
    ("BOTHDAYS", r"(?:on )?both(?: of)?(?: the)?(?: days| times| nights)?|each of"),
    ("RUNS", r"(?:(?:in |during )?(?:which|what) |in |the )?runs?(?: numbers?)?(?= |$)"),
    (
        "ENTITIES",
        rf"(?:(?:the |all |our |different |distinct |unique |various )*{systems.ENTITIES})|(?:different"
        rf"|distinct|unique) "
        rf"(?:things|ones|places|parts|names)|which one(?! (?:is|was|were|took|lasted) )|who(?: all)?"
        rf"|what(?= (?:_NEVER_|_RECUR_|alarm|had|has|have|went SEV|goes SEV|was affected|were affected|is "
        rf"affected"
        rf"|went off|failed|misbehaved|never|got|broke|goes|are affected))|where(?: exactly)?",
    ),
    (
        "SHOW",
        r"(?:please )?(?:show|split|group|break down|list|display|print|give|tell|name|enumerate"
        r"|get|find|output|see|view|describe|summari(?:se|ze)|overview|summary|details?"
        r"|describe)(?: me| us)?(?: (?:a |the )?(?:list|summary|overview|details?))?(?: of| about| "
        r"on| for)?|(?:tell|say)(?: me)? (?:more )?about|more (?:about|on)|details",
    ),
    (
        "EXISTS",
        r"^(?:is|are|was|were|did|do|does|has|have|had|any|anything|something|anyone)(?= |$)(?: (?:there"
        r"|any|anything|something|someone|anybody))*",
    ),
)

ORDERS = {
    "ENDEDLAST": Order.ENDED,
    "LATEST": Order.LATEST,
    "EARLIEST": Order.EARLIEST,
    "WORST": Order.WORST,
    "MILDEST": Order.MILDEST,
    "LONGEST": Order.LONGEST,
    "SHORTEST": Order.SHORTEST,
}

_FILLER_LINES = """
a about above-mentioned id ids actually again ago all also altogether am among an and any anyhow anyone
anything are around as ask at be because been before being belong between but by can case come could current
currently did different distinct do does doing during each either else ever every everybody everyone
everything exactly far for from gave get give given go goes going got had happen happened happening happens
has have having here how i if in individual into is it its itself just kind kinds let list
made make many may me mentioned more moment most much my myself no nor now occur occurred occurring of off
on one ones only onto or our out over overall own part past please particular previously quite raise raised
really record recorded regarding related right s said same say see seem seems seen sent several shall should
show shown side simply since single so some something sort still such system systems tell than that the
their them then there these they thing things this those through time times to together too total turned
type under unique until up upon us use used using various very via was we went were what whatever when where
whether which while who whole whose with within would x yes yet you your affected alarmed alarm alarms
anomalous detected flagged found noticed observed off reported triggered alerted triggering hit experienced
suffered showed shows show misbehaved misbehave acted recorded registered logged listed appeared present
exist existed exists count counted number numbers entry entries data-quality dqm store database reports
report summary wrong trouble troubles offender offenders culprit culprits troublemaker troublemakers
history bring brings brought cover covers covered spanned
went last lasted lasts lasting took take takes long longer run running
"""
FILLERS = frozenset(_FILLER_LINES.split()) - {
    "before",
    "until",
    "since",
    "above",
    "under",
    "you",
    "your",
    "so",
    "should",
    "shall",
    "would",
    "could",
    "may",
    "likely",
    "between",
    "than",
    "more",
    "most",
    "while",
    "many",
    "much",
    "use",
    "used",
    "using",
    "like",
    "own",
    "type",
    "kind",
    "kinds",
    "each",
    "either",
    "over",
    "through",
}
"""Words that change nothing once everything else was taken; no negation but what scope has read is among
them.
"""


def all_words() -> frozenset[str]:
    """Give every word that something here knows: names must be quoted to be one, and slips are corrected to
    them.
    """
    patterns = " ".join(pattern for _, pattern in (*ASPECTS, *CUES))
    words = re.sub(r"\\[a-zA-Z]|\(\?P<\w+>", " ", patterns)
    nouns = (
        f"{systems.INCIDENTS} {systems.HOSTS} {systems.MAPS} {systems.CHAMBERS} {systems.ENTITIES} "
        f"{systems.LEVEL_WORDS}"
    )
    found = set(re.findall("[a-z]{2,}", f"{words} {nouns} {_MORE}")) | FILLERS
    optional = re.findall(r"([a-z]{3,})\(\?:([a-z|]+)\)\??", f"{words} {nouns}")
    return frozenset(found | {stem + end for stem, ends in optional for end in ends.split("|")} | _PLURALS)


_MORE = """
warning error critical open closed ongoing autoencoder classical both today yesterday tonight tomorrow
monday tuesday wednesday thursday friday saturday sunday mondays tuesdays wednesdays thursdays fridays
saturdays sundays weekends weekdays mornings afternoons evenings nights usual
january february march april june july august
september october november december night morning afternoon evening midnight noon hour hours minute minutes
second seconds day days week weeks month months weekend except excluding without besides compare compared
versus twice double difference lumisection lumisections severity severities incidents because caused due
hosts machines chambers detectors between percentage quality flag flags maintenance adaptation adaptations
acknowledged comment comments commented ack acked adapted adapt upcoming planned marked declared
warnings errors criticals resolved unresolved unexplained explained worse
"""
_PLURALS = frozenset({"incidents", "alerts", "alarms", "problems", "faults", "issues", "nodes", "servers"})
