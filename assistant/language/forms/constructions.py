"""Sentence constructions that mean more than their words: made the form in which the grammar reads them."""

from __future__ import annotations

import re
from collections.abc import Callable

from anomalyd.assistant.language.rewriting import Replacement, rewritten, rules_of
from anomalyd.assistant.language.systems import CHAMBERS, ENTITIES, HOSTS, INCIDENTS

_SEVERITY = r"(?:warnings?|errors?|critical(?:s| ones| incidents)?)"
_WITNESS = r"(?:the )?(?:autoencoder|classical(?: \w+)?|both(?: detectors| of them)?)(?: only| alone)?"
_STATE = r"(?:open|closed)(?: ones| incidents)?"
_LINK = r"(?:,? ?(?:and|or|versus|,|&)? ?(?:how many )?)"
_BLAMED = r"(?:to blame|behind|at fault|responsible|involved|(?:the|a) (?:main )?(?:culprit|cause|reason))"
_WHEN = r"(?:at|in|on) (?:which|what) (?:hour|moment|minute|time|second|point|day)|when|what time"
_VERB = r"(start|begin|end|finish|stop|happen|occur|appear|close|peak|open|recover|go|clear)"
_GROUP = r"(?:day|hour|run|wheel|station|sector|rack|supermodule|depth|crate|system|severity|ring|layer)"
_ORDINAL = r"(?:second|third|fourth|fifth|[0-9]{1,3}(?:st|nd|rd|th))"
_SPAN = r"(?:durations?|lengths?|time|extent)"


def _each_of(kind: str, count: int, by: str) -> tuple[str, Callable[[re.Match[str]], str]]:
    """Read all values of a kind, counted, as groups: "how many warnings, errors and criticals"."""
    listing = rf"(?P<all>{kind}(?:{_LINK}{kind}){{{count - 1},}})"

    def grouped(match: re.Match[str]) -> str:
        stems = {word[:4] for word in re.findall(r"warn|erro|crit|auto|clas|both|open|clos", match["all"])}
        return f"{match['head']} incidents {by} " if len(stems) == count else match[0]

    head = r"(?P<head>\bhow many|\bnumber of|\bnumbers of|\bcount of|\bcounts? (?:of )?(?:the )?)"
    return (
        rf"{head} (?:were |are |is |was |the )*{listing}(?= *(?:$|,|incidents|were|are|each|in|on"
        rf"|of|yesterday|today|did|do|have|has))",
        grouped,
    )


_FORMS: tuple[tuple[str, Replacement], ...] = (
    # The longest, the shortest.
    (
        rf"\b(?:the )?(?:maxim(?:um|al)|max|highest|largest|biggest|greatest|record) (?:incident )?{_SPAN}\b",
        "longest duration",
    ),
    (rf"\b(?:the )?(?:minim(?:um|al)|min|lowest|smallest) (?:incident )?{_SPAN}\b", "shortest duration"),
    # What began or ended.
    (
        rf"\b(first|last|latest|earliest|newest) ((?:\w+ )?(?:{INCIDENTS}|critical|warning|error|one)) to "
        r"(start|begin|appear|open|occur|come)\b",
        r"\1 \2 that began",
    ),
    (rf"\b({INCIDENTS}) (?:where|in which|for which) (?!was|were|is)", r"\1 that "),
    # All values of a kind.
    _each_of(_SEVERITY, 3, "by severity"),
    _each_of(_WITNESS, 3, "by witness"),
    _each_of(_STATE, 2, "by status"),
    (
        rf"\b(?:break(?:down|-down| down)|split|distribution|counts?)(?: (?:by|into|of))?,? ?:?"
        rf" {_WITNESS}{_LINK}{_WITNESS}{_LINK}{_WITNESS}",
        "incidents by witness",
    ),
    (
        rf"\b(?:break(?:down|-down| down)|split|distribution|counts?)(?: (?:by|into|of))?,? ?:?"
        rf" {_SEVERITY}{_LINK}{_SEVERITY}{_LINK}{_SEVERITY}",
        "incidents by severity",
    ),
    (
        r"^(?:the )?severities (?:of|among|for|on) (.+?),? (?:how many|counts?|numbers?)(?: of)?(?: each)?$",
        r"incidents by severity on \1",
    ),
    (r",? (?:how many|number|count)(?: of)? each$", " each"),
    # What is left out, what a run holds.
    (
        r"\b(?:leaving|putting|setting|leave|put|set) ((?:the )?\w+(?: \w+)?) (?:aside|out|apart)\b",
        r"except \1",
    ),
    (
        r"\b(?:fall|falls|fell|falling|belong|belongs|belonged|lie|lies|lay) (?:in|into|within|to|under)\b",
        "in",
    ),
    # Causes.
    (
        rf"\bhow (?:often|many times|frequently) (?:was|were|is|are|has|have) (?:been )?(.+?)(?:"
        rf" (?:of|on|in|for) (?:the )?"
        rf"((?:(?!because).)+?))? (?:been )?{_BLAMED}(?: (?:for|of|in|on))?(?: (?:an?|the|any))?(?:"
        rf" {INCIDENTS})?(?: (?:of|on|in) )?",
        lambda m: (
            f"how many incidents because of {m[1]} {f'on {m[2]} ' if m[2] else ''}"
            f"{'on ' if re.search('(?:of|on|in) $', m[0]) else ''}"
        ),
    ),
    (
        r"\b(?:which|what) (?:region|metric|quantity|part|layer|value|channel|wire|area"
        r"|variable)s? (?:is|was|were|are|looked|went)"
        r" (?:bad|off|wrong|anomalous|odd|strange|dead|hot|abnormal|out of (?:line|range)|the"
        r" problem|affected|to blame)"
        r" (?:in|on|of|for|at) ",
        "why was ",
    ),
    (
        r"\bwhat did (?:the )?(?:\w+ )?(?:map|picture|metrics?|data) of (.+?) look like (?:in"
        r"|during|at) (?:its|the) ",
        r"why was \1 flagged in the ",
    ),
    (r",? (?:as )?compared (?:to|with) (?:the )?(?:expectation|reference|expected|normal|usual)$", ""),
    # Times spent.
    (
        r"\b(total|overall|summed|accumulated|whole|entire) (?:time|duration|hours) (?:that"
        r" )?(.+?) (?:spent|was|were|has been|have been)"
        r" (?:in (?:alarm|trouble|incidents?)|anomalous|bad|broken|alarming)",
        r"total duration of incidents on \2",
    ),
    (
        r",? ?\b(?:all (?:\w+ )?)?(?:added up|summed up|taken together|put together|added together|summed)$",
        "",
    ),
    # The verb before its subject.
    (
        rf"^({_WHEN}) did {_VERB} ((?:the|an?|that|this|[\w/+-]*[0-9])\b.*)$",
        lambda m: f"when did {m[3]} {m[2]}",
    ),
    (r"^(?:at|in|on) (?:which|what) (?:hour|moment|minute|time|second|point)\b", "when"),
    (r"\b(are|is|did|have|has) not (?:been|be) (seen|found|noticed|detected)\b", r"were not \2"),
    (r"\bboth the (?=detectors|tests|methods)", "both "),
    (r"\b(seen|found|noticed|detected|flagged) from (?=both|the autoencoder|the classical|only)", r"\1 by "),
    (r"\bopen (?:by|at) (?=midnight|noon|[0-9])", "still going on at "),
    (
        r"\b(?:were |was |are |is )?not (?:yet )?(?:been )?(?:over|closed|finished|resolved|ended"
        r"|cleared) (?:yet )?(?:by|at|before) ",
        "still going on at ",
    ),
    (
        r"^(?:was|is) (the autoencoder|the classical(?: \w+)?) the only (?:one|detector|test|method) "
        r"(?:to (?:see|notice|find|detect|catch|flag)|(?:that|which|who) (?:has )?(?:saw|seen"
        r"|noticed|found|detected)) (.+)$",
        r"was \2 seen only by \1",
    ),
    # What an incident concerns.
    (
        r"^(?:which|what) (entity|host|machine|chamber|node|element|detector element) (?:does|did"
        r"|do) (.+?) (?:concern|affect|belong to|refer to|hit|involve|come from|speak of|talk"
        r" about|mean)$",
        r"which \1 had \2",
    ),
    (
        r"\b(lumi ?sections?|ls) (?:does|did|do) (.+?) (?:touch|span|cover|affect|include|hit"
        r"|reach|concern|fall in(?:to)?|extend over)$",
        r"\1 was \2 in",
    ),
    # The busiest day, the noisiest wheel.
    (
        rf"\b(?:(?:what|which) (?:is|was) )?(?:the )?(?:busiest|noisiest|worst|most (?:affected"
        rf"|troubled|active)) ({_GROUP})$",
        r"which \1 had the most incidents",
    ),
    (
        rf"\b(?:(?:what|which) (?:is|was) )?(?:the )?(?:quietest|calmest|least (?:affected|troubled"
        rf"|active)) ({_GROUP})$",
        r"which \1 had the fewest incidents",
    ),
    (
        rf"^(?:what|which) ({_GROUP}) (?:is|was) (?:the )?(?:busiest|noisiest|most (?:affected"
        rf"|troubled|active))$",
        r"which \1 had the most incidents",
    ),
    (
        r"\bhow long (?:ago|since) (?:did|was|is|has) (.+?)(?: (?:last|the last time))? (alarm"
        r"|flagged|in (?:alarm|trouble)|recover|start|end|begin|open)(?:ed)?(?: last)?$",
        r"when did the last incident of \1 begin",
    ),
    (r"\b(last night|tonight) (.*\bthan )the night before$", r"\1 \2the night before last"),
    # What went wrong in a run is over.
    (
        r"\b(?:bad|broken|faulty|in trouble|in alarm|alarming|sick|unhealthy) (?=(?:in|during)"
        r" (?:both )?(?:run|lumi|[0-9]{5,}))",
        "affected ",
    ),
    (
        rf"^(which|what) ({HOSTS}|nodes?|{CHAMBERS}|{ENTITIES}) (?:had|has|have"
        rf"|got) (?:the )?(?:highest|worst|largest"
        r"|biggest|top|maximum) (?:peak )?scores?\b(?: ever| overall)?",
        r"\1 \2 had the worst incident",
    ),
    (
        rf"^(which|what) ({HOSTS}|nodes?|{CHAMBERS}|{ENTITIES}) (?:had|has|have"
        rf"|got) (?:the )?(?:highest|most|longest|largest)"
        r" total (?:time|duration)\b",
        r"top \2 by total duration",
    ),
    (
        rf"^({HOSTS}|nodes|{CHAMBERS}|{ENTITIES}) (?:ranked|sorted|ordered) by (?=(?:total|mean|average))",
        r"top 24 \1 by ",
    ),
    (r"\bas well as (?=(?:in|during) )", "and also "),
    (r",? or (?:in )?both$", ""),
    (
        rf"^({HOSTS}|nodes|{CHAMBERS}|{ENTITIES}) critical (?=because|due|owing)",
        r"which \1 had critical incidents ",
    ),
    (r"^name (them|these|those)$", r"show \1"),
    (
        r"^(?:(.+?) ?, ?)?(?:was|is|were) (\S*[0-9]\S*) or (\S*[0-9]\S*) (?:noisier|worse|busier"
        r"|more troubled)\b(.*)$",
        lambda m: f"compare {m[2]} with {m[3]} {m[1] or ''}{m[4]}",
    ),
    (r"\b(?:summed|total|overall|accumulated) incident (?:time|duration|length)\b", "total duration"),
    (
        r"\bruns (?:where|in which|during which|when) (.+?) (?:was|were) (?:bad|broken|in trouble"
        r"|anomalous|sick)\b",
        r"runs with incidents of \1",
    ),
    (
        rf"^how (?:bad|severe|serious) (was"
        rf"|is) (.+?) ?, {_SEVERITY} ?,? ?{_SEVERITY}(?:,? or {_SEVERITY})?(?: or {_SEVERITY})?$",
        r"what severity \1 \2",
    ),
    (
        rf"\b({_ORDINAL}) (?:incident|one|alarm|alert) (?:ever (?=of|on)|that (?=\S+ (?:had|has|ever)))",
        r"\1 earliest incident of ",
    ),
    (r"\b(earliest incident) of (?:of|on) ", r"\1 of "),
    (rf"^((?:the )?{_ORDINAL} earliest incident of \S+) (?:ever )?(?:had|has)(?: ever| had)?$", r"\1"),
    (r"^in total ,? ?(?=how (?:many|much))", ""),
    (r"\b(highest|largest|biggest|top) peak\b(?! score| of [0-9])", r"\1 score"),
    (
        r"^(.+?) (?:on|of|in|among|from) ((?:the )?\S+(?: to \S+)?) ?, (?:list|name|show"
        r"|which) (?:the )?(?:hosts|machines|servers|nodes|chambers)$",
        r"which of \2 had \1",
    ),
    (r"\bwhich out of (?:the )?", "which of "),
    # Causes by their metric.
    (
        r"^(?:which|what) (?:metrics?|quantit(?:y|ies)|regions?|values?|variables?|parts?|layers?)"
        r" (?:caused|(?:were|was|is|are) (?:involved in"
        r"|the causes? of|responsible for)|drove|triggered|contributed to|made up|led to) ",
        "what caused ",
    ),
    (
        r"^(?:what|which(?: incidents)?|anything|something) (?:needs?|requires?|deserves?|wants?"
        r"|demands?) (?:my |our |some |any |immediate )*(?:attention|care|action|looking (?:at"
        r"|after))(?: right now| now)?$",
        "which incidents are open",
    ),
    (
        r"^(?:is there )?(?:anything|something|what) (?:that )?(?:i|we) (?:should|must|need to"
        r"|have to|ought to) (?:look at|take care of|look into|check|see|deal with|worry about"
        r"|know about)(?: right now| now)?$",
        "which incidents are open",
    ),
    (
        r",? ?\b(?:while|when|since) (?:i|we) (?:was|were|have been) (?:away|asleep|gone|off|out"
        r"|sleeping|not (?:here|there)|at (?:lunch|dinner))\b,?",
        "",
    ),
    (
        r"\b(did|has|have) (anything|something|stuff) (?:break|broken|go wrong|gone wrong|bad"
        r" happen(?:ed)?|go bad|fail(?:ed)?|go off|gone off|act up)\b",
        r"\1 anything happen",
    ),
    # The day before, the night before.
    (
        r"\byesterday (and|or|than|versus) ((?:also )?(?:on )?)the day before(?! yesterday|"
        r" that)\b",
        r"yesterday \1 \2the day before yesterday",
    ),
    (r"\blast night (.*\bthan )the night before(?! last)\b", r"last night \1the night before last"),
    # A question put behind what it is about.
    (r"^(.+?),? (?:which|what) (?:are|is)(?: (?:they|it|those|these))?$", r"which \1"),
    (
        r"^(.+?),? (?:how many (?:are they|they are|is that|are there)|what is the (?:figure"
        r"|number|count|total))$",
        r"how many \1",
    ),
    (rf"^(?!.*\bby {INCIDENTS} )(.+?),? ({INCIDENTS}) (?:count|total|tally)$", r"how many \2 on \1"),
    (
        r"^(?:except|ignoring|excluding|without|apart from|besides|not counting|disregarding)"
        r" (.+?), (?=how|which|what|list|show|number|were|are)(.+)$",
        r"\2 except \1",
    ),
    (rf"\b({INCIDENTS}(?: (?:of|on) (?:the )?\S+)?) do (?:they|those) ", r"\1 "),
    (
        r"\b(?:pass|exceed|overcome|surpass|top|go over|get over)(?:e[sd]|es|s|ed)? (?:the |a"
        r" )?(?:peak )?score of ([0-9.]+)",
        r"score above \1",
    ),
    (r"\bhow much is (?:in|on) average ", "what is the average "),
    (r"\bthe average of the (score|duration|length)", r"the average \1"),
    (r"\b(?:all|the) two(?: of)? the (?=detectors|tests|methods)", "both "),
    (
        r"\b(seen|found|noticed|detected|flagged) (only )?from (?=both|the autoencoder|the"
        r" classical)",
        r"\1 \2by ",
    ),
    (
        r"\b(?:which one )?(?:is |has )?lasted more than (?:all )?the others?\b|\blasted the"
        r" most\b",
        "lasted longest",
    ),
    (r"\bexcluded the (\w+) ones\b", r"except because of \1"),
    # Went on, at a time that is over.
    (
        r"\b(?:active|ongoing|in progress|firing) (?=(?:today |yesterday |last night |on \w+day )?"
        r"(?:between|from [0-9]|at [0-9]|around|yesterday|last night))",
        "",
    ),
    (
        r"\b(hosts|nodes|machines|chambers|entities|runs)(.*) (?:never|not once) ([^,]+), which(?:"
        r" ones)?$",
        r"which \1\2 were never \3",
    ),
    (
        r"\b(?:noisy|flaky|unstable|troublesome|shaky) (hosts|machines|nodes|chambers"
        r"|entities)[:,]? ,? ?(?=more than|over|at least|with)",
        r"\1 with ",
    ),
    (r"\bran (?=(?:the )?longest|for\b)", "lasted "),
    (
        r"^(?:top |main |first |which |what )*(?:metrics?|causes?|regions?) to blame (?:in|for|of|on) ",
        "what caused ",
    ),
    (
        r"^(.+?),? (?:which|what) (?:metrics?|causes?|regions?) (?:tripped|caused|triggered|drove"
        r"|made|was behind) (?:it|this|that)$",
        r"what caused \1",
    ),
    (
        rf"^how (?:do|did|does|are|were) (.+?) (?:divide|split|break down|distribute|divided"
        rf"|distributed|spread)(?: up)? "
        rf"(?:into|over|between|among|by) {_SEVERITY}{_LINK}{_SEVERITY}{_LINK}{_SEVERITY}",
        r"\1 by severity",
    ),
    # Alerts that fire are open.
    (r"\bhow long (?:was|were|did) (.+?) (?:firing|fire)$", r"how long did \1 last"),
    (r"\bstop(?:ped|s)? firing\b", "end"),
    (r"\b(?<!was )(?<!were )firing\b", "open"),
    (r"\bwhat is it (?:this time|now|again)$", "open incidents"),
    # None at all.
    (r"^(?:is|was|are|were) (.+?) free (?:of|from) (?:any )?(.+)$", r"were there no \2 on \1"),
    (
        r"^(.+?) (?:had|has|have) no (.+?),? (?:right|correct|true|yes|isn't it|didn't it|did it)$",
        r"were there no \2 on \1",
    ),
    (r"\bon ((?:in )?run )", r"in \1"),
    (r"\bruns? other than (?:run )?([0-9]+)", r"except run \1"),
    # Lumisections.
    (r"\bup to and including\b", "up to"),
    (r"\b(?:at|in) (lumi ?sections?|ls) ([0-9]+) or (?:earlier|before|lower|less)\b", r"up to \1 \2"),
    (r"\b(?:at|in) (lumi ?sections?|ls) ([0-9]+) or (?:later|after|higher|more)\b", r"from \1 \2 on"),
    (r"\b(?:with (?:a |their |its )?(?:start|beginning|onset)) (?:in|between|within) ", "started in "),
    (
        r"^(?:in|at) which (lumi ?sections?|ls) (?:did|does|has) (.+?) (?:end|start|begin|stop"
        r"|finish)$",
        r"which \1 was \2 in",
    ),
    (r"\b(in which (?:lumi ?sections?|ls) (?:did|does|has) .+?) (?:end|start|begin|stop|finish)$", r"was \1"),
    # Causes.
    (
        r"\b(?:that |which )(\S+) (?:is|was|are|were) (?:to blame|responsible|the cause|at fault)"
        r" for\b",
        r"because of \1",
    ),
    (r"\b(?:in|among) (?:the |its |their )?(?:cause list|list of causes|causes)\b", ""),
    (r"\b(per|each|every)-(host|chamber|node|run|day|hour|severity|entity|machine|wheel|rack)\b", r"\1 \2"),
    # Hyphens and slashes in plain words.
    (r"\b(no|hot|dead|noisy|warm|cold|missing)-(hits?|wires?|channels?|layers?|cells?|towers?)\b", r"\1 \2"),
    (r"\b(no hits?|hot|dead) (?:wires? |channels? )?(?=incidents?|alerts?)", r"\1 "),
)
_RULES = rules_of(_FORMS)


def constructed(text: str) -> str:
    """Bring the constructions of a plain question to the forms that the grammar reads."""
    return rewritten(text, _RULES)
