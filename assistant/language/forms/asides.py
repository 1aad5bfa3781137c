"""What stands around a question and is none of it, and roundabout ways of saying plain things."""

from __future__ import annotations

import re
from functools import cache

from anomalyd.assistant.language.inflection import forms
from anomalyd.assistant.language.rewriting import Replacement, Rules, rules_of
from anomalyd.assistant.language.systems import ENTITIES, HOSTS, INCIDENTS, LEVEL_WORDS

_NAMED = r"[\w/.+*-]*[0-9][\w/.+*-]*"
_DOES = (
    r"(?:give|raise|make|produce|generate|send|issue|throw|trigger|create|fire|experience"
    r"|suffer|report|exhibit|see|run into|encounter|display|set off|cause|get|register|record)"
)
_LIGHT = (
    "give raise make produce generate send issue throw trigger create fire experience suffer"
    " report exhibit encounter"
)
_LIGHT_VERBS = tuple(forms(verb) for verb in f"{_LIGHT} display register record".split())
_LIGHT_PAST = "|".join(form for each in _LIGHT_VERBS for form in each[2:4])
_LIGHT_ING = "|".join(each[4] for each in _LIGHT_VERBS)
_SOME = r"(?:an?|any|some|lots of|many|its|the|us|(?:an )?unusual(?:ly)?)"
_FOR_WHAT = (
    r"(?:log|logbook|elog|report|handover|summary|timeline|meeting|slides?|notes?|boss|records?"
    r"|statistics|plots?"
    r"|ticket|minutes|briefing|postmortem|e-?mail|mail|colleagues?|supervisor|run coordinator"
    r"|coordinator|thesis"
    r"|overview|dashboard|table|talk|presentation|information|curiosity|sake of completeness)"
)
_WITNESS = r"(?:the )?(?:autoencoder|classical(?: (?:test|detector|one))?)"
_BOUNDARY = r"(?= |$)"


def _past(match: re.Match[str]) -> str:
    return f"{forms(match[1])[2]} "


def _windows(match: re.Match[str]) -> str:
    """Compare a window up to now with the one of the same length before it."""
    number, unit = int(match["n"]), "hours" if match["unit"][0] == "h" else "days"
    what = re.sub(
        r"^is (?:it|that) (?:worse|better|more|less)(?: than before)? ?,? ?", "", match["what"] or ""
    )
    what = f"incidents on {what}" if re.fullmatch(rf"{HOSTS}|nodes|chambers|\S*[0-9]", what) else what
    window = f"between {2 * number} {unit} ago and {number} {unit} ago"
    return f"compare {what or 'incidents'} in the last {number} {unit} with {window}"


_PHRASES: tuple[tuple[str, Replacement], ...] = (
    # Shorthand of operators.
    (r"\b(?:no|nr|num|#) ?,? of\b", "number of"),
    (r",? ?\b(?:fyi|asap|tia|for the record)\b,?", ""),
    (r"\bw/(?= )", "with"),
    (r"\b(?:burning|down|red|unhappy|flapping)(?= *$| (?:atm|now|right now))", "open"),
    (r"\bhow much (?=is |are |(?:\w+ )?(?:incidents|alerts|alarms|problems)\b)", "how many "),
    (r"^how many is (?:still )?open$", "how many incidents are open"),
    (
        rf"^(?:is there |are there )?any ({HOSTS}|{ENTITIES}|nodes|chambers) (.+?) ?,? (?:names?"
        rf"|which(?: ones?)?|list)$",
        r"which \1 are \2",
    ),
    # What somebody means to do with it.
    (
        r",? (?:that |which )?(?:i|we) (?:should|must|need to|have to|ought to|can"
        r"|may) (?:still )?(?:hand|pass|look|take|go|watch|report|tell"
        r"|mention|know|fix|check|do|follow)(?: (?:over|on|at|after|care of|up|about|to|for))*$",
        "",
    ),
    (r"^(?:repeat|serial|usual|frequent) (?:offenders?|suspects?)(?: list)? ?,? ", ""),
    (
        rf"^({HOSTS}|nodes|chambers|{ENTITIES}) (?:flapping|bouncing|noisy"
        rf"|unstable) (.+?) ?,+ ((?:[0-9]+ or more|at least [0-9]+"
        r"|more than [0-9]+)) (?:incidents|times|alarms|alerts)$",
        r"which \1 had \3 incidents \2",
    ),
    # Side by side, added up.
    (
        r"^(?:are there |were there |is it |do we have )?more (warnings|errors|criticals"
        r"|critical incidents) or (?:more )?"
        r"(warnings|errors|criticals|critical incidents)\b",
        r"compare \1 with \2",
    ),
    (r"\b(?:the )?sum of (?:the |all )?(?=incidents|alarms|alerts)", "number of "),
    (r"(?<=\w) plus (?=\S*[0-9])", " and "),
    (r"\bby reason of\b|\bon account of\b|\bas a result of\b", "because of"),
    (r"\b(?:the )?first ([0-9]+) (?:lumi ?sections?|ls)\b", r"lumisections 1 to \1"),
    (r"\bby (?:the )?(?:2|two) (?:detectors|tests|methods)\b", "by both detectors"),
    (r"\bbut (?:none|not one|no)(?: (?:was|were|is))? (critical|error|warning)s?$", r"but without \1"),
    # Said twice: "the past week (7 days)".
    (r"\b(?:past|last) week ?, (?:7|seven) days\b", "last 7 days"),
    (r"\b(?:past|last) day ?, 24 ?(?:h|hours)\b", "last 24 hours"),
    # Who saw it.
    (rf"\bby ({_WITNESS}) and (?:by )?(?:nothing|nobody|no one|none|no other)(?: else)?\b", r"only by \1"),
    (
        rf",? ?(?:alone or (?:together |jointly )?with (?:the )?(?:{_WITNESS}|other(?: one)?)|(?:also"
        rf"|including|even)"
        r" (?:those|the ones) (?:that (?:were|are) )?(?:seen )?by both(?: detectors)?)",
        "",
    ),
    (
        rf"^(?:did|was it|has|have) {_WITNESS} or {_WITNESS} (?:that |who |which )?(?:find|found|see"
        rf"|saw|seen|spot|spotted|catch|caught"
        r"|notice|noticed|detect|detected|flag|flagged) (.+)$",
        r"who saw \1",
    ),
    (
        r"\b(?:on|in|for) which (?:the )?(?:2|two|both) (?:detectors|tests|methods) (?:agreed|agree"
        r"|fired|concurred)\b",
        "were seen by both",
    ),
    (
        r"\bper (?:detector|test|method) (?:that|which) (?:saw|found|noticed|detected|flagged) (?:it|them)\b",
        "per witness",
    ),
    # Divided.
    (
        r"^how (?:do|did|are|were) (.+?) (?:split|divided?|distributed?|spread|break|broken)(?: up"
        r"| down)? (?:between|among|by|into|over|across)"
        r" (?:the )?(severities|detectors|hosts|entities|days|runs)$",
        lambda m: (
            f"number of {m[1]} per { {'severities': 'severity', 'entities': 'entity'}.get(m[2], m[2][:-1]) }"
        ),
    ),
    # Causes.
    (
        r"\bwith ([a-z][\w.]*[._][\w.]+) (?:among|in|as (?:one of|part of)|listed (?:in|among)"
        r"|amongst) (?:the |its |their )?"
        r"(?:causes?|reasons?|culprits)\b",
        r"because of \1",
    ),
    (
        r"\b(?:that|which|where"
        r"|in which) ([a-z][\w.]*[._][\w.]+)((?: or [a-z][\w.]*[._][\w.]+)*) (?:was |were |is |are )"
        r"(?:involved|to blame|behind|at fault|responsible)\b",
        r"because of \1\2",
    ),
    (
        r"^(.+?) last (critical|warning|error|incident) ?[-,] which (?:metric|cause|reason)$",
        r"why was the last \2 incident of \1 flagged",
    ),
    (
        r"^what caused the (?:most recent|last|latest) (critical|warning|error)(?: one"
        r"| incident)? (?:of|on) (.+)$",
        r"why was the last \1 incident of \2 flagged",
    ),
    # Since when, how long, how high.
    (
        r"^(?:is )?(\S+) (?:down|broken|bad|open|red|sick|dead|in alarm) since(?: when)?$",
        r"since when is \1 broken",
    ),
    (
        r"\b(?:add|sum)(?: up)? how long (.+?) (?:was|were|has been|have been) (?:in (?:alarm|trouble)"
        r"|open|bad|broken)\b",
        r"total duration of incidents on \1",
    ),
    (
        rf"^(?:the |which |what )?([0-9]+ )?({HOSTS}|nodes|chambers|{ENTITIES}|who) (?:that "
        rf"|which )?(?:spent|were|was|had|have|with) (?:the )?(?:most|longest)"
        r"(?: (?:total )?(?:time|hours))?(?: (?:in|of) (?:alarm|trouble|incidents))?(?: (?:in total"
        r"|altogether|overall|summed up))?",
        lambda m: f"top {m[1] or ''}{m[2].replace('who', 'entities')} by total duration",
    ),
    (
        r"\b(?:total|overall|accumulated|summed) (?:time|hours) (?:spent )?in (?:alarm|trouble)\b",
        "total duration",
    ),
    (
        rf"^how (?:many times|often) (?:was|were|has|have|had) (?:an?|any|the|some) ({HOSTS}|nodes?"
        rf"|chambers?) (?:been )?(?:in (?:alarm|trouble)|alarming|bad|broken)\b",
        lambda m: f"how many incidents on {m[1]}{'' if m[1].endswith('s') else 's'}",
    ),
    (r"\b(?:ever )?reach(?:ed|es)?(?: ever)? (?=(?:the|a) (?:highest|top|peak|worst))", "had "),
    (r"\bhighest score (\S+) (?:has )?(?:ever )?(?:reached|had|got)(?: ever)?\b", r"highest score of \1"),
    (r" of all (?:the )?(?:hosts|nodes|machines|chambers|entities)$", ""),
    (r"\b(?:was|were) (?:fine|ok|okay|good|clean|healthy|quiet) in (?=run|[0-9]{5,})", "not in "),
    (r"^(and |now )?counting (?:only|just) ", "and only "),
    # One window against the one before it.
    (
        r"^(?P<what>.+?)? ?,? ?(?:in |over |for )?(?:the )?(?:last|past) (?P<n>[0-9]+) ?(?P<unit>h"
        r"|hours?|d|days?)\b,? (?:against|versus|compared (?:with|to)|than|and) (?:in )?(?:the )?"
        r"(?:(?:previous|preceding|prior|earlier) (?:(?P=n) ?(?:h|hours?|d|days?)|ones?)|(?P=n) ?(?:h"
        r"|hours?|d|days?) before(?: that| them)?)$",
        _windows,
    ),
    # Around a question.
    (rf",? ?\bfor (?:my|our|the|a|tomorrow's|today's) (?:\w+ )?{_FOR_WHAT}{_BOUNDARY}", " "),
    (
        r",? (?:or not|or what|yes or no|y/n|right|correct|or (?:can|should|may|could) i \w+(?:"
        r" \w+){0,3}|ok|huh|eh)$",
        "",
    ),
    (
        r"^(?:well |so |and )*(?:i|we) (?:(?:just|really|only|now|also|still|am|are|have|had|would"
        r"|like|urgently) )*"
        r"(?:want(?:ed)?|need(?:ed)?|search(?:ing)?|look(?:ing)?|seek(?:ing)?|try(?:ing)?|like|love|ask"
        r"|wish|hope"
        r"|prefer)(?: myself| for| you)?(?: to)?"
        r"(?: (?:know|see|understand|find(?: out)?|check|learn|get|hear|have|figure out|count|tell"
        r"|be told|look at))*"
        r"(?: (?:about|if|whether|for))? ",
        "show ",
    ),
    (r"^(?:can|could|may|might) (?:i|we) (?:please )?(?:see|have|get|know|hear)(?: about)? ", "show "),
    (r"^(?:let me|let us|let's|lets) (?:see|have|know|look at|hear) ", "show "),
    (
        r"^(?:can|could) you (?:confirm|check|verify|say|tell)(?: for me)?(?: that| if| whether)?"
        r" (?:there (?:are|were|is|was) )?",
        "were there ",
    ),
    (r"^(?:is it (?:true|right|correct|so) that) (.+?) (had|alarmed|has|have|is|are|was|were)\b", r"\2 \1"),
    (
        r"^(?:according to|in|from|by|as of) ((?:the )?(?:report|incident) #?[\w-]+),? (what|who"
        r"|when|how|why|which|where)\b(.*)$",
        r"\2\3 of \1",
    ),
    (
        r"\b(?:i\.?e|e\.?g|viz|namely|that is to say|in other words|or rather|meaning|to be"
        r" precise|more precisely)\b\.?",
        ",",
    ),
    (
        r",? ?\b(?:somewhere|someplace|anywhere at all|in any form|of any sort|of any kind|of"
        r" whatever kind|at some point|at any point|at one time or another|roughly|approximately"
        r"|more or less|all in all|by the way|in fact|basically|simply|exactly|precisely|quickly"
        r"|real quick|again|even|nowadays|these days|meanwhile|so to speak|if any|if there (?:is"
        r"|are|was|were) (?:any|one)|as far as (?:you|we) know|to your knowledge|that you know of"
        r"|on file|on record|in the records|in (?:our|the|your) (?:store|database|db|records"
        r"|archive)|according to (?:you|the store|the reports|the database))\b",
        "",
    ),
    (
        r",? (?:names?|number|count|list|total|figure|answer)(?: only)? (?:please|pls|only)$",
        lambda m: (
            {"n": " list", "l": " list"}.get(m[0].strip(", ")[0], " count")
            if not m[0].strip(", ").startswith("number")
            else " count"
        ),
    ),
    # "the chambers, how many incidents did they have", "how many they are".
    (r"\bhow many (?:they|those|these|of them) (?:are|were|is)(?: there)?$", "how many"),
    (r"^(.+?), how many (.+?) (?:they|it|those) (?:had|have|has|got|did)$", r"how many \2 on \1"),
    (
        r"^(.+?), how many (.+?) (?:did|do|does|have|had|has) (?:they|it|those) (?:have|had|got"
        r"|get|see|show)$",
        r"how many \2 on \1",
    ),
    # "did finish" is "finished".
    (r"\bdid (finish|end|start|happen|occur|alarm|last|recover|close|appear) ", _past),
    # Light verbs: "gave an alarm", "giving trouble".
    (rf"\b(?:{_LIGHT_PAST}|got|ran into|set off) (?:{_SOME} )*(?={INCIDENTS})", "had "),
    (rf"\b(?:{_LIGHT_ING}|getting|running into|setting off) (?:{_SOME} )*{INCIDENTS}", "alarming"),
    (rf"\b(?:{_DOES}) (?:{_SOME} )*(?={INCIDENTS})", "have "),
    # States of an entity.
    (
        r"\b(?:unhappy|unwell|poorly|in a bad way|in distress|on fire|in the red|not well|not"
        r" healthy|under the weather|in bad shape|in a bad state|in poor health|not right|ailing"
        r"|dodgy|funny|weird|off|troubled|struggling|suffering|playing up|acting up|having issues"
        r"|having problems)(?= *(?:$|now|right now|today|,|\?|or|and|yet|still))",
        "broken",
    ),
    (
        r"\b(?:happy|calm|peaceful|spotless|in the green|trouble-?free|problem-?free|as it should"
        r" be|running smoothly|in good order|in good condition|up|alive and well)(?= *$)",
        "fine",
    ),
    # Groups and all of a kind.
    (
        r"\b(?:breakdown|split|distribution|histogram|tally|table|statistics?|summary|overview)(?:"
        r" of| by| per| over| into)? (?:the )?(?=severit|status|day|hour|entit|host|detector|run"
        r"|system|model)",
        "per ",
    ),
    (
        rf"\b(?:in|on|at|of) (each|every)(?: single)? (day|hour|run|host|entity|chamber|{LEVEL_WORDS})\b",
        r"per \2",
    ),
    (r"\bday-by-day\b|\bdaily\b", "per day"),
    (r"\bhour-by-hour\b|\bhourly\b", "per hour"),
    # Bounds.
    (r"\b([0-9]+) times or more\b|\b([0-9]+) or more times\b", lambda m: f"at least {m[1] or m[2]} times"),
    (r"\b(?:two|2) times or more\b", "at least 2 times"),
    (r"\b(?:later|higher) than (?=lumi|ls\b)|\bbeyond (?=lumi|ls\b)", "after "),
    # Causes.
    (
        r"\b(?:had|have|has|with|where|were|was|involving) (?:the )?([a-z][\w.]*[._][\w.]+)((?: or"
        r" [a-z][\w.]*[._][\w.]+)*) (?:was |were |is |are )?(?:to blame|behind|at fault"
        r"|responsible|as (?:the )?cause|involved|as culprit|as reason)(?: (?:an?|the|for|of|any"
        r"|it|them))*",
        r"because of \1\2",
    ),
    # Scores.
    (
        r"\b(?:scored|scoring|peaked at|peaking at|with|of|had) (?:a )?(?:less|lower|smaller) than"
        r" ([0-9.]+)\b",
        r"score below \1",
    ),
    # Entities.
    (r"\b(?:show |list )?(?:the )?names (?=$|of)", "list "),
    (rf"\bwhich ones of the (?={HOSTS}|{ENTITIES})", "which of the "),
)


@cache
def _rules() -> Rules:
    return rules_of(_PHRASES)


def without_asides(text: str) -> str:
    """Leave out of a plain question what changes nothing, and say the rest plainly."""
    for pattern, by in _rules():
        text = " ".join(pattern.sub(by, text).split()).strip(" ,")
    return re.sub(r"(?: ?,)+(?= )", ",", text)
