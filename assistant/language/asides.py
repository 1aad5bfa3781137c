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
    r"(?:log|logbook|elog|report|handover|summary|timeline|meeting|slides?|notes?|boss|records?|statistics|plots?"
    r"|ticket|minutes|briefing|postmortem|e-?mail|mail|colleagues?|supervisor|run coordinator"
    r"|coordinator|thesis"
    r"|overview|dashboard|table|talk|presentation|information|curiosity|sake of completeness)"
)
_BOUNDARY = r"(?= |$)"


def _past(match: re.Match[str]) -> str:
    return f"{forms(match[1])[2]} "


_PHRASES: tuple[tuple[str, Replacement], ...] = (
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
        r"(?:want(?:ed)?|need(?:ed)?|search(?:ing)?|look(?:ing)?|seek(?:ing)?|try(?:ing)?|like|love|ask|wish|hope"
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
