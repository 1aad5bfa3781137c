"""A question in plain words to a typed question, or what of it was not understood.

Nothing is guessed: a question is understood only if every word of it is accounted for, as a name, a time, a
condition, what is asked, or a word that changes nothing. "How many incidents did the firmware cause today?"
is not answered with the number of today's incidents.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial

from anomalyd.assistant.language import systems
from anomalyd.assistant.language.general import asks_meaning
from anomalyd.assistant.language.names import Names
from anomalyd.assistant.language.spelling import corrected, english, plain
from anomalyd.assistant.language.times.time_meaning import Calendar, Interval
from anomalyd.assistant.understanding import vocabulary
from anomalyd.assistant.understanding.asking.comparison import compare, share
from anomalyd.assistant.understanding.asking.intents import decide
from anomalyd.assistant.understanding.asking.ledger import is_planned, read_ledger
from anomalyd.assistant.understanding.asking.together import beside, together
from anomalyd.assistant.understanding.atoms import Atom, Atoms
from anomalyd.assistant.understanding.cues import Cues, collective, left_over, read_aspects, read_cues
from anomalyd.assistant.understanding.properties import read_properties
from anomalyd.assistant.understanding.question import Ask, Question
from anomalyd.assistant.understanding.reading import Reading, first_time, lacking
from anomalyd.assistant.understanding.scope import Scoped, but_resolved, scoped
from anomalyd.errors import QuestionError
from anomalyd.reports.conditions import Among, AnyOf, Causes, Condition
from anomalyd.reports.queries import Queries, Selection

MAX_LENGTH = 500
"""Characters of a question: longer than any that a person asks, short enough for every pattern."""

_SYNONYMS = {
    "memory": "mem",
    "ram": "mem",
    "network": "net",
    "processor": "cpu",
    "storage": "disk",
    "temperature": "temp",
}
_NOUNS = re.compile(
    "|".join((systems.HOSTS, systems.NODES, systems.MAPS, systems.CHAMBERS, systems.ENTITIES))
)
_CAUSE_LEAD = (
    r"(?:(?:that |which |were |was |are )*(?:caused by|because of|due to|involv(?:e[sd]?|ing)"
    r"|blamed on|with (?:the )?cause|attributed to"
    r"|related to|owing to)|(?:where |in which )(?=\S+ (?:is|was) to blame)|blaming|(?<!which "
    r")(?<!what )(?:on )?(?:the )?metric(?= \S*[._0-9]))"
)
_POSTPOSED = re.compile(
    rf"((?<![\w-])(?:warnings?|errors?|critical incidents|criticals?|ENT[0-9]+)(?: {systems.INCIDENTS})?) "
    r"(?:left (?:out|aside)|excluded|excepted|not (?:counted|included)|aside|apart)(?![\w-])"
)
_PART = re.compile(
    r"channels?|regions?|wires?|cells?|towers?|spots?|areas?|metrics?|pressure|usage|load|rises?|rose"
    r"|increases?"
    r"|increased|spikes?|jumps?|growth|troubles?"
)
"""Nouns after a cause that say no more: "hot channels", "disk trouble"."""
_NO_CAUSES = frozenset({"users", "used", "use", "using", "many", "much", "like", "own", "type", "kind"})
"""Words that are parts of metrics (swap.used) and of plain English, or people: alone they name no cause."""
_ID = re.compile(
    r"(?<![\w/.-])(?:(?:report|incident|id|alert|case|number|no) "
    r"#?((?=[\w-]*[0-9])[0-9a-f][\w-]{3,64})"
    r"|((?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{8,64}))(?![\w/-])"
)


@dataclass(frozen=True)
class Understood:
    """What was understood: `question` None where it is not wholly so; then `unused` are the words at fault.

    `corrections`: words that were taken for slips, and for what. `parts`: the conditions by dimension.
    `text`: the question with placeholders, for what builds on it. `intervals`: the times that were named.
    `definition`: what a word means or how a thing is done is asked.
    """

    question: Question | None
    parts: tuple[tuple[str, Condition], ...] = ()
    unused: tuple[str, ...] = ()
    corrections: Mapping[str, str] = field(default_factory=dict)
    text: str = ""
    cues: frozenset[str] = frozenset()
    intervals: tuple[Interval, ...] = ()
    definition: bool = False
    marked: str = ""
    """The question with placeholders for names, runs, measures, times and causes, and nothing else taken."""
    atoms: Mapping[str, Atom] = field(default_factory=dict)
    follows: bool = False
    """It builds on what was asked before."""
    doubted: Question | None = None
    """What it may ask, where that is too doubtful to be answered."""


@cache
def reserved() -> frozenset[str]:
    """Give the words that are no names unless they are quoted."""
    return vocabulary.all_words()


def understand(question: str, queries: Queries, names: Names, calendar: Calendar) -> Understood:
    """Understand a question that stands for itself.

    Raises:
        QuestionError: it names something nobody knows (with the nearest names), a time that does not exist
            or has not come, or conditions that exclude each other; or it is too long.
        StoreError: the report store cannot be reached.

    """
    if len(question) > MAX_LENGTH:
        raise QuestionError(f"The question is longer than {MAX_LENGTH} characters; ask one thing at a time.")
    text = plain(question)
    skip = re.compile("|".join(map(re.escape, sorted(names.by_part, key=len, reverse=True))) or "(?!)")
    text, corrections = corrected(text, reserved() | {d.lower() for d in names.detectors}, skip)
    if asks_meaning(text):
        return Understood(None, unused=("how or what in general",), corrections=corrections, definition=True)
    text, tomorrow = _planned(text, calendar)
    atoms = _conditions(but_resolved(text), queries, names, calendar)
    marked = " ".join(atoms.text.split())

    def read_clause(clause: str) -> Question | None:
        return _clause(clause, atoms)

    ledger = read_ledger(marked, atoms.found, names.people, tomorrow)
    if ledger is not None and not ledger.unused:
        read = Understood(ledger.question, text=atoms.text)
    elif (several := beside(marked, read_clause) or together(marked, read_clause)) is not None:
        read = Understood(several, text=atoms.text)
    else:
        read = _typed(atoms)
    if read.unused:
        again = _as_causes(atoms, read.unused, queries)
        if again:
            read = _typed(atoms)
    if read.unused:
        _refuse_unknown_names(read.unused, names)
    intervals = tuple(atoms.intervals.values())
    return replace(read, corrections=corrections, intervals=intervals, marked=marked, atoms=dict(atoms.found))


def _planned(text: str, calendar: Calendar) -> tuple[str, tuple[float, float] | None]:
    """Where planned maintenance is asked for, read "tomorrow": of it alone the future is known."""
    if not is_planned(text) or not re.search(r"\btomorrow\b", text):
        return (re.sub(r"\bnext (?=week|month)", "upcoming ", text) if is_planned(text) else text), None
    today = calendar.find("today")[0][0]
    begin = (today.since or 0.0) + 86_400.0
    return re.sub(r"\btomorrow(?:'s| (?:morning|afternoon|evening))?", "upcoming", text), (
        begin,
        begin + 86_400.0,
    )


def _conditions(text: str, queries: Queries, names: Names, calendar: Calendar) -> Atoms:
    """Take the conditions that can be taken before it is known what is asked."""
    atoms = Atoms(f" {_apart(text, names)} ", names, calendar)
    atoms.text = re.sub(
        rf'(?:{_CAUSE_LEAD} (?:the )?)?"([^"]+)"', lambda m: _quoted_cause(m, atoms, queries), atoms.text
    )

    def report(match: re.Match[str]) -> str:
        word = match[1] or match[2]
        if word in names.by_part:
            return match[0]
        found = queries.report(word).incident.id
        return atoms.put("ID", Among("id", (found,), f"report {found}"))

    atoms.text = _ID.sub(report, atoms.text)
    atoms.read_names(reserved())
    atoms.read_places()
    _refuse_unknown_runs(atoms, names)
    atoms.read_measures()
    atoms.read_times()
    _read_causes(atoms, queries)
    return atoms


def _apart(text: str, names: Names) -> str:
    """Write "node17/node18", two names and no one name, as "node17 or node18"."""

    def two(match: re.Match[str]) -> str:
        parts = match[0].split("/")
        known = [p in names.by_part for p in parts]
        whole = any(match[0] in name.lower() for name in names.kinds)
        return " or ".join(parts) if all(known) and not whole else match[0]

    return re.sub(r"(?<![\w/.-])[\w.-]+/[\w.-]+(?![\w/*])", two, text)


def _quoted_cause(match: re.Match[str], atoms: Atoms, queries: Queries) -> str:
    """Take words in quotes for a cause where they name no entity and reports have such a cause."""
    if match[1] in atoms.names.by_part or any(match[1] == name.lower() for name in atoms.names.kinds):
        return match[0]
    found = _cause(match[1], queries)
    return match[0] if found is None else atoms.put("CAUSE", found)


def _clause(text: str, atoms: Atoms) -> Question | None:
    """Type one clause of a question; None where it is not wholly understood."""
    own = replace(atoms, text=f" {text} ", found=dict(atoms.found), intervals=dict(atoms.intervals))
    read = _typed(own)
    return None if read.unused else read.question


def _typed(atoms: Atoms) -> Understood:
    """Read what is asked, from a text whose conditions were taken."""
    atoms.join_causes()
    held = atoms.text
    for read in (share, partial(compare, now=atoms.calendar.now)):
        atoms.text = held
        read_properties(atoms)
        now = atoms.read_now()
        if (found := read(atoms.text, atoms.found)) is not None:
            question, around = found
            cues = Cues(around)
            read_cues(cues)
            cues.take("EXISTS", "SHOW", "HOWMANY", "BEGAN", "ENTITIES", "ILL", "WELL", "GOINGON", "MOSTOFTEN")
            unused = (*left_over(cues.text), *cues.unused)
            if not unused:
                return Understood(question, (), (), {}, atoms.text)
    atoms.text = held = _POSTPOSED.sub(r"except \1", held)
    cues = Cues(" ".join(atoms.text.split()))
    read_aspects(cues)
    atoms.text = f" {cues.text} "
    read_properties(atoms)
    now = atoms.read_now()
    cues.text = asked = " ".join(atoms.text.split())
    none = first_time(cues, atoms.intervals)
    read_cues(cues)
    of_each = collective(cues.text, atoms.found) or cues.found.keys() & {"ENTITIES", "RUNS"}
    if none is None and (
        of_each or re.match(r"(?:_\w+_ |which |what |in |on )*(?:days?|hours?)\b", cues.text)
    ):
        cues.text, none = lacking(cues.text, atoms.found)
    no_such = re.match(r"_EXISTS_ no(?= (?:SEV|SEEN|STAT|CAUSE|SCORE|SPAN)[0-9])", cues.text)
    if no_such:  # "were there no critical incidents": whether there were any, turned round
        cues.text = cues.text.replace("_EXISTS_ no", "_EXISTS_", 1)
    text = _without_marks(cues.text)
    if _was_open(asked, atoms):
        text = re.sub(r"\bSTAT[0-9]+\b", " ", text)  # what was open then went on then
    scope = scoped(text, atoms.found)
    reading = Reading(cues, scope, atoms.found, now, none, asked, said=held)
    question_or_none = decide(reading)
    if no_such and question_or_none is not None and question_or_none.ask is Ask.EXISTS:
        question_or_none = replace(question_or_none, negated=True)
    unused = (*left_over(cues.text), *(cues.unused if question_or_none else ()))
    if "not" in scope.unused and not cues.found.keys() & {"NEVER", "WHYNOT"}:
        unused = (*unused, "not")
    if "except" in scope.unused and "NEVER" not in cues:
        unused = (*unused, "except")
    result = None if unused else question_or_none
    atoms.text = held
    return Understood(result, reading.scope.parts, unused, {}, cues.text, frozenset(cues.found))


def _was_open(text: str, atoms: Atoms) -> bool:
    """Say whether what was open at a time that is over is asked for."""
    past = any(interval.until is not None for interval in atoms.intervals.values())
    opened = re.search(r"\b(?:was|were|had been)\b.*\bSTAT[0-9]+", text) is not None
    return past and opened and re.search(r"\b(?:still|now|currently|closed)\b", atoms.text) is None


def _without_marks(text: str) -> str:
    """Leave out the marks of cues, so that they stand between no conditions."""
    return re.sub(r"_[A-Z]+_", " ", text)


def _read_causes(atoms: Atoms, queries: Queries) -> None:
    """Take a metric or region that is named as a cause: "due to swap", "because of layer 9".

    Raises:
        QuestionError: what was named as a cause is in no report.

    """

    def named(match: re.Match[str]) -> str:
        words = match[1].strip(" .,").split()
        for count in range(len(words), 0, -1):
            part = " ".join(words[:count])
            if (found := _cause(part, queries)) is not None:
                rest = words[count:]
                rest = rest[1:] if rest and _PART.fullmatch(rest[0]) else rest
                return atoms.put("CAUSE", found) + " ".join(rest)
        if words[0].isupper():
            return match[0]
        raise QuestionError(f"No report names a cause with “{words[0]}” in it.")

    atoms.text = re.sub(
        rf"(?<![\w-]){_CAUSE_LEAD} (?:the |an? |too much |high |bad )*((?:[a-z0-9][\w./%-]*)(?: "
        rf"[a-z0-9][\w./%-]*){{0,2}})",
        named,
        atoms.text,
    )


def _cause(part: str, queries: Queries) -> Condition | None:
    """Give the condition on causes that a word or two stand for, None if no report has such a cause."""
    for word in (part.removesuffix("s"), part, _SYNONYMS.get(part, "")):
        if len(word) > 1 and queries.exists(Selection(where=Causes(word))):
            return Causes(word, f"cause “{word}”")
    return None


def _as_causes(atoms: Atoms, words: tuple[str, ...], queries: Queries) -> bool:
    """Take words that nothing else explains for causes, where reports name such ones."""
    taken = False
    spelt = {w for word in words[:3] for w in (word.removesuffix("s"), _SYNONYMS.get(word, "")) if len(w) > 1}
    if not queries.exists(Selection(where=AnyOf(tuple(map(Causes, sorted(spelt)))))):
        words = ()  # one look at all reports, where nothing is found
    for word in words[:3]:
        plain_english = word in english() and word not in _SYNONYMS and len(word) > 7
        if (
            word in vocabulary.FILLERS | _NO_CAUSES
            or _NOUNS.fullmatch(word)
            or not re.search("[a-z]{2}", word)
            or plain_english
        ):
            continue
        counted = rf"\bhow (?:many|much) {re.escape(word)}(?! {systems.INCIDENTS})(?![\w-])"
        if re.search(counted, atoms.text) and not re.search(
            rf"{re.escape(word)} (?:{_PART.pattern})\b", atoms.text
        ):
            continue  # "how many users were logged in": users are counted, they are no cause
        negated = re.search(rf"(?<![\w.-])no {re.escape(word)}(?![\w-])", atoms.text)
        found = _cause(f"no {word}" if negated else word, queries)
        place = negated or re.search(rf"(?<![\w.-]){re.escape(word)}(?![\w-])", atoms.text)
        if found is not None and place is not None:
            rest = re.sub(rf"^ (?:{_PART.pattern})(?![\w-])", "", atoms.text[place.end() :])
            before = re.sub(r"(?<![\w-])(?:too much|high|bad|an?) $", "", atoms.text[: place.start()])
            atoms.text = before + atoms.put("CAUSE", found) + rest
            taken = True
    if taken or any(atom.dimension == "CAUSE" for atom in atoms.found.values()):
        held = atoms.text
        atoms.sub(r"(?:(?:is|was|were|are) )?(?:(?:as|among|to be) )?(?:the |a )?causes?", lambda m: " ")
        taken = taken or held != atoms.text
    return taken


def _refuse_unknown_runs(atoms: Atoms, names: Names) -> None:
    """Refuse a run of which no report is.

    Raises:
        QuestionError: with the nearest runs.

    """
    for atom in atoms.found.values():
        if atom.dimension != "RUN" or not isinstance(atom.condition, Among):
            continue
        for run in atom.condition.values:
            if run not in names.runs:
                nearest = tuple(str(r) for r in sorted(names.runs, key=lambda r: abs(r - run))[:3])
                hint = (
                    f"the nearest runs with reports are {', '.join(nearest)}"
                    if nearest
                    else "no report names a run"
                )
                raise QuestionError(
                    f"No report is of run {run}, and runs are known from reports only, so whether "
                    f"its data were "
                    f"received I don't know; {hint}.",
                    nearest,
                )


def _refuse_unknown_names(words: tuple[str, ...], names: Names) -> None:
    """Refuse a word that must be a name: it has letters and digits, or is nearly one.

    Raises:
        QuestionError: with the nearest names.

    """
    for word in words:
        if word in reserved():
            continue
        looks_like_one = (
            re.search(r"[a-z]", word)
            and re.search(r"[0-9/]", word)
            and not re.match(r"[0-9]+(?:st|nd|rd|th)$", word)
        )
        near = len(word) >= 4 and word not in english() and names.nearest(word, cutoff=82.0)
        if looks_like_one or near:
            raise names.unknown(word)


__all__ = ["MAX_LENGTH", "AnyOf", "Scoped", "Understood", "reserved", "understand"]
