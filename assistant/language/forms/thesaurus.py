"""A thesaurus of control rooms: other words for what the grammar knows, tried where it understands nothing.

Verbs stand once, in their plain form. A word is exchanged only in a question that was not understood as it
stands, and the asker is told which: “dragged on” was read as “lasted”. What stands here must mean the same
wherever it stands; a word of many senses belongs into a pattern with its neighbours, or not here.
"""

from __future__ import annotations

import re
from functools import cache

from anomalyd.assistant.language.forms.asides import without_asides
from anomalyd.assistant.language.inflection import forms

_VERBS: dict[tuple[str, str, str, str, str], str] = {
    ("alarm", "alarms", "alarmed", "alarmed", "alarming"): """
        complain, fire, act up, play up, misbehave, malfunction, freak out, flare up, go off, trip
        ring, scream
        squeal, shout, suffer, struggle, hiccup, glitch, go wrong, go crazy, go mad, go wild, go nuts
        go haywire, go bananas, go berserk, kick off, blow up, cause trouble, make trouble, give trouble
        make a fuss, cause headaches, give headaches, lose it, throw a fit, whine, cry, light up, go red
        turn red, fall ill, get sick, fall over, wobble, limp, grumble, raise hell, be naughty
        draw attention, go bad""",
    ("begin", "begins", "began", "begun", "beginning"): """
        pop up, come up, crop up, turn up, show up, spring up, arise, emerge, surface, erupt, break out
        kick in, set in, get going, get under way, commence, roll in, come in, set off, flare, originate
        start out, come along, come about, get raised, get opened, get created, get triggered""",
    ("end", "ends", "ended", "ended", "ending"): """
        clear, clear up, fade, fade away, fade out, die down, die out, settle, settle down, calm down
        subside, cease, conclude, terminate, wrap up, finish, disappear, vanish, go away, heal, recover
        get better, get fixed, get solved, get resolved, get sorted out, come back to normal
        return to normal, go back to normal, quiet down, quieten down, close, stop, come to an end
        blow over, wind down, get closed, sort itself out""",
    ("last", "lasts", "lasted", "lasted", "lasting"): """
        drag on, go on for, carry on for, hold on, persist for, run for, endure, stretch on
        keep going for""",
    ("see", "sees", "saw", "seen", "seeing"): """
        spot, observe, pick up, catch, register, recognise, recognize, identify, perceive, uncover
        discover, notice, detect, find, signal, confirm, react to, respond to, light up for, pick out""",
    ("miss", "misses", "missed", "missed", "missing"): """
        overlook, fail to see, fail to notice, fail to detect, fail to catch, fail to find, be blind to
        pass over, let slip, ignore""",
    ("show", "shows", "showed", "shown", "showing"): """
        pull up, bring up, fetch, dump, enumerate, spell out, rattle off, put up, present
        hand me, produce""",
    (
        "affect",
        "affects",
        "affected",
        "affected",
        "affecting",
    ): "strike, impact, trouble, plague, haunt, bother, befall",
}
"""Forms of a verb that the grammar knows -> verbs that mean the same."""

_WORDS: dict[str, str] = {
    # Which one, in which order.
    "worst": """
        nastiest, ugliest, gravest, most dramatic, most extreme, most alarming, most dangerous, craziest
        heaviest, top-scoring, top scoring, highest-scoring, most violent, most intense, scariest, hairiest
        most worrying, most anomalous, most serious, severest, strongest, worst-ever, baddest
        most frightening""",
    "longest": """
        lengthiest, most persistent, longest-lasting, longest-running, most drawn-out, most prolonged
        most enduring, longest-lived, most time-consuming, most long-lived, most stubborn, longest ever""",
    "shortest": """
        shortest-lived, most short-lived, fastest, most fleeting, tiniest, most brief""",
    "latest": """
        most current, freshest, youngest, final, very last, very latest, most up-to-date, last-ever""",
    "earliest": "initial, very earliest, first-ever, first ever, opening, very first",
    "mildest": "most harmless, least serious, least worrying, least dramatic, least alarming, tamest,"
    " lightest, gentlest",
    "noisiest": """
        chattiest, loudest, flakiest, most unstable, least reliable, most unreliable, most troublesome
        most trouble-prone, least stable, most error-prone, worst behaved, worst-behaved, most active
        most unruly, most notorious, biggest offender, top offender, worst offender, biggest troublemaker
        most accident-prone, most badly behaved, biggest problem child, most jinxed, shakiest
        most alarm-prone, most alarmed""",
    "quietest": """
        calmest, most reliable, most stable, best behaved, best-behaved, least noisy, best-behaving""",
    "second": "runner-up",
    # Open, over, now.
    "open": """
        firing,
        outstanding, unfinished, unsettled, uncleared, unfixed, unsolved, lingering, persisting, persistent
        not over yet, not fixed, not solved, not closed, not finished, not cleared, not ended, yet to clear
        yet to end, left open, on the table, hanging around, unclosed, alive, on-going, not done""",
    "closed": "cleared, settled, solved, sorted, dealt with, done with, fixed, behind us, history",
    "end": "stop firing",
    "been open": "been firing",
    "right now": """atm, 
        as we speak, at this moment, at this very moment, at this point, at this minute, this minute
        this instant, for the moment, at this time, at this hour, these minutes, this very moment""",
    # Nouns.
    "incidents": """
        glitches, hiccups, malfunctions, irregularities, abnormalities, deviations, disturbances, episodes
        occurrences, upsets, oddities, complaints, breakdowns, disruptions, notifications, mishaps
        irritations, excursions, anomalous periods, bad periods, bad phases, flare-ups, blips""",
    "incident": """
        glitch, hiccup, malfunction, irregularity, abnormality, deviation, disturbance, episode, occurrence
        upset, oddity, complaint, breakdown, disruption, notification, mishap, excursion, anomalous period
        bad period, bad phase, flare-up, blip""",
    "entities": "units, spots, locations, items, elements, modules, places, culprits, suspects, members,"
    " names",
    "entity": "unit, location, item, element, module",
    "hosts": "computing nodes, host machines, server machines, computing hosts, boxen, workstations,"
    " linux boxes, blades",
    "host": """
        computing node, host machine, server machine, computing host, workstation, linux box, blade""",
    "severity": "sev",
    "severities": "levels of severity, severity grades, severity classes, grades",
    "causes": "culprit metrics, guilty metrics",
    # Ways to ask.
    "how many": """
        what number of, which number of, what count of, how large a number of, how big a number of
        on how many occasions, quantity of, the sum of all, how numerous are, how numerous were""",
    "how often": "how frequently, how regularly, how many a time, on how many occasions",
    "how long": "how much time, for what time, what length of time, for how much time",
    "percentage": """
        ratio, percent share, rate in percent, part in percent, relative number, portion""",
    "average": "avg, mean, on-average, averaged",
    "per": """
        for each single, for every single, for each of the, for every one of the, split by, separated by""",
    "why": """
        for what reason, what for, how is it that, how comes, by what reason, on what grounds""",
    "who": "which person, what person, which of you, which colleague, which operator, which shifter,"
    " which user",
    "something": "smth, sth, smthg, sumthing",
    "between": "btw, btwn, b/w, inbetween, in between",
    "without": "w/out, lacking",
    "yesterday": "yday, ystd, yesterdays, in the day of yesterday, on the day of yesterday, the day of"
    " yesterday",
    "today": """
        tdy, in the day of today, the day of today, in the course of today, this very day, on this day""",
    "relearn": "learn anew, learnt anew, learned anew, relearnt",
}
"""What the grammar knows -> words and phrases that mean the same."""

_DONE = frozenset({*next(k for k in _VERBS if k[0] == "end"), "closed"})
"""What somebody may have done to an incident: who did it is in no report."""
_SAID_TWICE = re.compile(
    r"\b(earliest|latest|worst|longest|shortest|open|closed)\b(.*), (?:the )?\1(?: one)?$"
)


@cache
def _table() -> tuple[re.Pattern[str], dict[str, str]]:
    """Give one pattern of all words and phrases, the longest first, and what each is exchanged for."""
    found: dict[str, str] = {}
    for targets, members in _VERBS.items():
        for verb in _members(members):
            for form, target in zip(forms(verb), targets, strict=True):
                found.setdefault(form, target)
    found |= {member: target for target, members in _WORDS.items() for member in _members(members)}
    alternatives = "|".join(map(re.escape, sorted(found, key=len, reverse=True)))
    return re.compile(rf"(?<![\w./+*-])(?:{alternatives})(?![\w/+*-]|\.\w)"), found


def _members(listed: str) -> list[str]:
    return re.split(r"\s*[,\n]\s*", listed.strip())


def exchanged(text: str) -> tuple[str, dict[str, str]]:
    """Exchange words of a plain question for those that the grammar knows; say which for which."""
    changed: dict[str, str] = {}
    agent = re.search(r"\b(?:who|whom|which (?:person|operator|shifter|expert))\b", text)
    pattern, table = _table()

    def known(match: re.Match[str]) -> str:
        word, target = match[0], table[match[0]]
        if word == target or (agent and target in _DONE):
            return word
        changed[word] = target
        return target

    text = " ".join(pattern.sub(known, without_asides(text)).split())
    return _SAID_TWICE.sub(r"\1\2", text), changed
