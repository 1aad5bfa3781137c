"""A question in plain words -> the typed question, and in words what was understood.

Nothing is guessed: a question is understood only if every word of it is accounted for, as a name, a time, a
condition, what is asked, or a filler. "How many incidents did the firmware cause today?" is not answered
with the number of today's incidents.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from anomalyd.assistant.entity_linking import Mention, Names
from anomalyd.assistant.filters import INCIDENTS, MAP_NOUNS, VECTOR_NOUNS, FilterReader
from anomalyd.assistant.intent_rules import RULES, Parsed, reserved_words, uses_all, words_of
from anomalyd.assistant.interpretation import said
from anomalyd.assistant.query_types import Ask, Command, Compare, Help
from anomalyd.assistant.times import Calendar
from anomalyd.errors import QuestionError
from anomalyd.reports.queries import Queries, Selection

MAX_LENGTH = 500
"""Characters of a question: longer than any that a person asks, short enough for every pattern."""

_COMMAND = re.compile(
    r"(?:(?:please|(?:can|could|would|will) you|you (?:should|must)|i want you to|go and|now|just)[ ,]+)*"
    r"(acknowledge|ack|block|call|change|clear|delete|deploy|disable|drain|drop|email|enable|erase|fix|forget"
    r"|ignore|install|kill|mask (?:it|the)|mute|notify|page (?:me|the)|power (?:off|on|down|cycle)"
    r"|reboot|remove|repair|reset|restart|retrain|roll back|send|set|shut|silence|snooze|stop|suppress"
    r"|switch|train|turn|unmask|update|upgrade|write (?:a|an|the|to|me))\b"
)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "`": '"', "’": "'", "‘": "'"})
_RESERVED = reserved_words()


@dataclass(frozen=True, slots=True)
class Understood:
    """A question as it was understood. `ask` None: only names and times were (they narrow a search).

    `words` says it, for the asker to see; `left` are the words beside the names and times.
    """

    ask: Ask | None
    words: str
    selection: Selection
    left: tuple[str, ...] = ()


def understand(question: str, queries: Queries, calendar: Calendar) -> Understood:
    """Understand a question as far as it can be.

    Raises:
        QuestionError: it names something nobody knows (with the nearest names), a time that does not exist
            or has not come, or it is too long.
        StoreError: the report store cannot be reached.

    """
    if len(question) > MAX_LENGTH:
        raise QuestionError(f"The question is longer than {MAX_LENGTH} characters; ask one thing at a time.")
    names = Names.of(queries)
    text = " ".join(question.translate(_QUOTES).lower().split()).rstrip(" ?!.,;:")
    text = re.sub(r"\b(what|who|how|where|when|there|it|that)'s\b", r"\1 is", text)
    # "how long did it last": here "last" is no order.
    text = re.sub(r"^(.*\bhow long\b.*) last$", r"\1 lasted", text)
    text = re.sub(r"\bbefore and after (.+)$", r"before \1 and after \1", text)

    mentions, text = names.find_whole(text, _RESERVED)
    intervals, text = calendar.find(text)
    selection, text = _find_keys(text, queries, names)
    more, text = names.find_parts(text, _RESERVED)
    mentions += more
    # Where the question as a whole is not understood, a word such as "errors" was no condition either.
    bare = replace(selection, entities=_entities(mentions, text, names, grouped=False))
    unread = text
    reader = FilterReader(text)
    filters = reader.read()
    cause, text = _find_cause(reader.text, queries)
    selection = replace(
        selection,
        entities=_entities(mentions, text, names, filters.group == "entity"),
        severities=filters.severities,
        statuses=filters.statuses,
        seen_by=filters.seen_by,
        min_score=filters.min_score,
        max_score=filters.max_score,
        cause=cause,
    )
    together = calendar.combine(intervals)
    if together is not None:
        selection = replace(selection, since=together.since, until=together.until)
        bare = replace(bare, since=together.since, until=together.until)
        intervals = [together] if intervals else []
    if command := _COMMAND.match(" ".join(question.lower().split())):
        return Understood(Command(command[1], selection), f"an order: {command[1]}", selection)
    parsed = Parsed(selection, tuple(mentions), tuple(intervals), filters, calendar)
    ask = _asked(parsed, text, nothing_said=not text.strip() and selection == Selection())
    if ask is not None:
        return Understood(ask, said(ask, calendar), selection)
    _refuse_unknown_names(tuple(words_of(text)), text, names)
    return Understood(None, "", bare, tuple(words_of(unread)))


def _asked(parsed: Parsed, text: str, *, nothing_said: bool) -> Ask | None:
    """Give what the first fitting rule builds."""
    if nothing_said:
        return Help()
    for rule in RULES:
        if rule.fits(text):
            ask = rule.build(parsed)
            if ask is None or not uses_all(ask, parsed.filters):
                continue
            # Two intervals that do not go together mean something only side by side.
            if len(parsed.intervals) < 2 or isinstance(ask, Compare):
                return ask
    return None


def _find_keys(text: str, queries: Queries, names: Names) -> tuple[Selection, str]:
    """Take what is named by a key: runs, detectors, report ids."""
    run: int | None = None
    if match := re.search(
        r"\b(?:(?:in|of|during|for) )?(?:the )?run (?:number )?#?([0-9]{1,15})\b", text, re.ASCII
    ):
        run = int(match[1])
        if run not in names.runs:
            nearest = tuple(str(r) for r in sorted(names.runs, key=lambda r: abs(r - run))[:3])
            hint = (
                f"the nearest runs with reports are {', '.join(nearest)}"
                if nearest
                else "no report names a run"
            )
            raise QuestionError(
                f"No report is of run {run}, and runs are known from reports only, so whether its data were "
                f"received I don't know; {hint}.",
                nearest,
            )
        text = text.replace(match[0], " ", 1)
    detectors: tuple[str, ...] = ()
    for name in sorted(names.detectors, key=len, reverse=True):
        lead = r"(?:by |of |from )?(?:the )?detectors? (?:named |called )?"
        own = re.escape(name.lower())
        bare = "" if name.lower() in _RESERVED else rf"|\b{own}(?![\w-])"
        if match := re.search(rf"{lead}{own}(?![\w-])|\b{own} detector\b{bare}", text):
            detectors += (name,)
            text = text.replace(match[0], " ", 1)
    ids: tuple[str, ...] = ()
    key = (
        r"\b(?:report|incident|id|alert) #?((?=[\w-]*[0-9])[\w-]{3,64})"
        r"|\b((?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,64})\b"
    )
    match = re.search(key, text, re.ASCII)
    if match and (match[1] or match[2]) not in names.by_part:
        ids = (queries.report(match[1] or match[2]).incident.id,)
        text = text.replace(match[0], " ", 1)
    return Selection(run=run, detectors=detectors, ids=ids), text


def _find_cause(text: str, queries: Queries) -> tuple[str | None, str]:
    """Take a metric or region that is named as a cause: "due to swap", "disk incidents", "eth0".

    Raises:
        QuestionError: a word that was explicitly named as a cause is in no report.

    """
    lead = (
        r"(?:caused by|because of|due to|involv(?:e[sd]?|ing)|blamed on|about|with cause|(?:the |on )?metric)"
    )
    if match := re.search(rf"\b{lead} (?:the )?([\w./%-]+)", text, re.ASCII):
        word = match[1].strip(".")
        if word not in _RESERVED:
            if queries.count(Selection(cause=word)) == 0:
                raise QuestionError(f"No report names a cause with “{word}” in it.")
            return word, text.replace(match[0], " ", 1)
    adjective = re.findall(rf"\b([a-z][\w./%-]+)(?= {INCIDENTS}\b)", text, re.ASCII)
    identifiers = re.findall(r"(?<![\w.-])(?=[\w./%-]*[a-z])(?=[\w./%-]*[0-9._%])[\w./%-]+", text, re.ASCII)
    for word in (w.strip(".") for w in (*adjective, *identifiers)):
        if len(word) > 1 and word not in _RESERVED and queries.count(Selection(cause=word)):
            return word, re.sub(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", " ", text, count=1)
    return None, text


def _entities(mentions: list[Mention], text: str, names: Names, grouped: bool) -> tuple[str, ...]:
    """Give the entities that are meant: those named, or all of the kind that is ("hosts", "chambers")."""
    if mentions:
        return tuple(dict.fromkeys(entity for mention in mentions for entity in mention.entities))
    if grouped or not names.kinds:
        return ()
    for nouns, kind in ((MAP_NOUNS, "map"), (VECTOR_NOUNS, "vector")):
        if match := re.search(rf"\b{nouns}\b", text, re.ASCII):
            return names.kind(kind, match[0].removesuffix("s"))
    return ()


def _refuse_unknown_names(left: tuple[str, ...], text: str, names: Names) -> None:
    """Refuse a word that must be a name: it follows "host" or the like, has digits in it, or is nearly one.

    Raises:
        QuestionError: with the nearest names.

    """
    lead = r"(?:^\W*is |\b(?:of|on|for|from|at|by|in) (?:the )?)"
    nouns = r"(?:host|machine|node|server|computer|chamber|entity|detector)"
    after_noun = re.search(rf"{lead}{nouns} ([\w./-]+)", text, re.ASCII)
    if after_noun and after_noun[1] not in _RESERVED:
        raise names.unknown(after_noun[1])
    for word in left:
        if word in _RESERVED:
            continue
        looks_like_one = re.search(r"[a-z]", word) and re.search(r"[0-9_/]", word)
        if looks_like_one or (len(word) >= 4 and _nearly(word, names)):
            raise names.unknown(word)


def _nearly(word: str, names: Names) -> bool:
    """Say whether a word without digits is a known name but for a letter or so."""
    return bool(names.nearest(word, cutoff=0.8))
