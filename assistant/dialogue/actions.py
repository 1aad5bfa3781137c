"""Things to do: read from an order, shown with the user's name, and done once they are confirmed."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from anomalyd.assistant.answers.context import Context
from anomalyd.assistant.answers.sentence import Result
from anomalyd.assistant.dialogue.session import Proposal, Session
from anomalyd.assistant.language.phrasing import duration, listed
from anomalyd.assistant.language.spelling import plain
from anomalyd.errors import QuestionError
from anomalyd.reports.conditions import AllOf, Among
from anomalyd.reports.quality import Flag, Override
from anomalyd.reports.queries import Order
from anomalyd.reports.remark import Remark, RemarkKind
from anomalyd.reports.report import Status
from anomalyd.reports.storage.repositories.maintenance import Window
from anomalyd.reports.storage.store import Store
from anomalyd.verdict import Verdict

_UNITS = {"m": 60.0, "h": 3600.0, "d": 86_400.0, "s": 1.0}
_SPAN = r"(?:for )?(?P<n>[0-9]+(?:\.[0-9]+)?|an?) ?(?P<unit>m|mins?|minutes?|h|hrs?|hours?|d|days?)"
_PLEASE = r"^(?:please |(?:can|could) you |now |and |then )*"


def propose(question: str, who: str, session: Session, context: Context) -> Proposal | None:
    """Read an order that can be carried out; None if it is another one.

    Raises:
        QuestionError: it is one, but whom or what it is about is not clear.

    """
    text = plain(question)
    original = " ".join(question.split())
    for pattern, make in _ORDERS:
        if match := re.search(_PLEASE + pattern, text):
            return make(match, original, who, session, context)
    return None


def _acknowledge(match: re.Match[str], said: str, who: str, session: Session, context: Context) -> Proposal:
    report = _report(match["what"], session, context)
    remark = Remark(report, RemarkKind.ACKNOWLEDGED, who, "")
    return Proposal(
        f"Acknowledge report {report}, as {who}.",
        lambda store: f"Report {store.remarks.write(remark).report} is acknowledged by {who}.",
    )


def _comment(match: re.Match[str], said: str, who: str, session: Session, context: Context) -> Proposal:
    report = _report(match["what"], session, context)
    text = said.partition(":")[2].strip() or match["text"].strip()
    remark = Remark(report, RemarkKind.COMMENT, who, text)
    return Proposal(
        f"Comment on report {report}, as {who}: “{text}”.",
        lambda store: f"The comment of {who} is kept with report {store.remarks.write(remark).report}.",
    )


def _tell(match: re.Match[str], said: str, who: str, session: Session, context: Context) -> Proposal:
    entities = _entities(match["what"], session, context)
    word = Verdict.NORMAL if match["word"] in ("normal", "fine", "ok") else Verdict.BROKEN
    watched = [(d, e) for e in entities for d in context.queries.watchers(e) or _reported(e, context)]

    def do(store: Store) -> str:
        for detector, entity in watched:
            store.ledger.record_word(detector, entity, word, who=who, reason=f"said in a chat: {said}")
        return f"The daemon will be told that {listed(entities)} is {word}, by {who}."

    return Proposal(f"Tell the detectors that {listed(entities)} is {word}, as {who}.", do)


def _silence(match: re.Match[str], said: str, who: str, session: Session, context: Context) -> Proposal:
    entities = _entities(match["what"], session, context)
    count = 1.0 if match["n"].startswith("a") else float(match["n"])
    seconds = count * _UNITS[match["unit"][0]]
    now = context.calendar.now
    window = Window(tuple(entities), now, now + seconds, f"{who}: {said}")

    def do(store: Store) -> str:
        kept = store.maintenance.add(window)
        return f"Maintenance window {kept.id} is open until {context.calendar.say(kept.until)}."

    return Proposal(f"Silence {listed(entities)} for {duration(seconds)} (maintenance window), as {who}.", do)


def _flag(match: re.Match[str], said: str, who: str, session: Session, context: Context) -> Proposal:
    run, system = int(match["run"]), match["system"].upper()
    first, last = sorted((int(match["first"]), int(match["last"] or match["first"])))
    systems = context.queries.flags(run)
    if system not in systems:
        known = ", ".join(systems) or "none"
        raise QuestionError(f"Run {run} has no maps of {system}; it has: {known}.", tuple(systems))
    reason = said.partition(":")[2].strip() or "said in a chat"
    override = Override(run, system, first, last, Flag(match["flag"]), who, reason)

    def do(store: Store) -> str:
        store.flags.say(override)
        return f"Run {run}, {system}, lumisections {first} to {last} are flagged {override.flag} by {who}."

    words = (
        f"Flag run {run}, {system}, lumisections {first} to {last} as {override.flag}, as {who}: {reason}."
    )
    return Proposal(words, do)


def _report(words: str, session: Session, context: Context) -> str:
    """Give the report that an order is about: by its id, the last one told, or the entity's open one."""
    if found := re.search(r"\b(?=[a-f]*[0-9])[0-9a-f]{6,64}\b", words):
        return context.queries.report(found[0]).incident.id
    if re.fullmatch(r"(?:it|this|that|this one|that one|the (?:incident|report|alert))?\s*", words):
        if len(session.result.reports) == 1:
            return session.result.reports[0]
        raise QuestionError("Which report? Name its id, or ask for one incident first.")
    entities = _entities(words, session, context)
    where = AllOf((Among("entity", tuple(entities)), Among("status", (Status.OPEN,))))
    found_open = context.reports(where, Order.LATEST, 2)
    if len(found_open) == 1:
        return found_open[0].incident.id
    open_words = "no" if not found_open else "more than one"
    raise QuestionError(
        f"There is {open_words} open incident of {listed(entities)}; name the report by its id."
    )


def _entities(words: str, session: Session, context: Context) -> Sequence[str]:
    mentions, _ = context.names.mark(f" {words} ", frozenset({"it", "this", "that", "the", "as", "is"}))
    if mentions:
        return tuple(dict.fromkeys(e for mention in mentions for e in mention.entities))
    if len(session.result.reports) == 1:
        return (context.queries.report(session.result.reports[0]).incident.entity,)
    raise QuestionError("Which entity? Name it, or ask for one incident first.")


def _reported(entity: str, context: Context) -> list[str]:
    found = context.reports(Among("entity", (entity,)), Order.LATEST, 1)
    return [report.incident.detector for report in found]


def orders_for(result: Result) -> tuple[str, ...]:
    """Give what may be done about the one report that an answer is of: orders to ask, for buttons."""
    if len(result.reports) != 1:
        return ()
    return (
        f"acknowledge {result.reports[0]}",
        f"comment on {result.reports[0]}: ",
        "tell the detectors that it is normal",
        "tell the detectors that it is broken",
        "silence it for 2 hours",
    )


_Make = Callable[[re.Match[str], str, str, Session, Context], Proposal]
_ORDERS: tuple[tuple[str, _Make], ...] = (
    (r"(?:acknowledge|ack)\b ?(?P<what>.*)$", _acknowledge),
    (r"(?:add (?:a )?)?(?:comment|note)(?: on| to| for)?(?P<what>[^,:]*)[,:](?P<text>.+)$", _comment),
    (
        r"(?:tell (?:the (?:daemon|detectors?) )?(?:that )?|mark |set |say (?:that "
        r")?)(?P<what>.+?) (?:is |as |to )"
        r"(?P<word>normal|fine|ok|broken|bad)$",
        _tell,
    ),
    (rf"(?:silence|mute|snooze|suppress)\b (?P<what>.+?) {_SPAN}$", _silence),
    (
        r"(?:set|flag|mark)\b.*?\brun (?P<run>[0-9]+)[ ,]+(?P<system>[a-z]+)[ ,]+lumisections? "
        r"(?P<first>[0-9]+)"
        r"(?: ?(?:to|-) ?(?P<last>[0-9]+))?[ ,]*(?:as|to|is)? ?(?P<flag>good|bad|uncertain)\b",
        _flag,
    ),
)
