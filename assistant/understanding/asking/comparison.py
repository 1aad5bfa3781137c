"""Questions that set things side by side: comparisons and shares."""

from __future__ import annotations

import re
from collections.abc import Mapping

from anomalyd.assistant.language.systems import INCIDENTS
from anomalyd.assistant.understanding.atoms import Atom
from anomalyd.assistant.understanding.interpretation import condition_words
from anomalyd.assistant.understanding.question import Ask, Question, Side, Target
from anomalyd.assistant.understanding.scope import Scoped, scoped
from anomalyd.reports.conditions import AllOf, AnyOf, During

_MORE = r"(?P<more>more|busier|noisier|worse|higher|greater|longer)"
_FEWER = r"(?P<fewer>fewer|less|better|quieter|lower|shorter)"
_TIMES = (
    r"(?:(?P<over>more than|over|at least|exactly|almost|about) )?(?P<factor>twice|double|thrice"
    r"|half|[0-9]+(?:\.[0-9]+)? times|[0-9]+x)"
)
_SAME = r"(?P<same>as many|as often|the same number|equally many)"
_WORDS = (
    r"(?:incidents?|alerts?|alarms?|often|many|as|the|number|of|anomal(?:y|ies)|problems?|faults?"
    r"|issues?|than|at|on)"
)


def split(text: str) -> tuple[list[str], str, float, str] | None:
    """Split a comparison into its sides; give them, the sign asked for, the factor, and the words around
    them.
    """
    if match := re.search(
        r"(?:compare|comparison of|comparing|difference between|differ between)\b(.+)", text
    ):
        sides = re.split(r"\b(?:with|to|against|versus|and)\b|,", match[1])
        return [s for s in sides if s.strip()], "", 1.0, text[: match.start()]
    if match := re.search(
        r"^(.+?)\b(?:versus|compared (?:to|with)|in comparison (?:to|with)|against)\b(.+)$", text
    ):
        return [match[1], match[2]], "", 1.0, ""
    if match := re.search(rf"^(.*?)\b{_TIMES}\b(.*?)\b(?:as|than|of)\b(?!.*\bas\b)(.+)$", text):
        return [match[1], f"{match[4]} {match[5]}"], _factor_sign(match["over"]), _factor(match["factor"]), ""
    if match := re.search(rf"^(.*?)\b(?:{_MORE}|{_FEWER})\b(.*?)\bthan\b(.+)$", text):
        sign = ">" if match["more"] else "<"
        return [f"{match[1]} {match[4]}", match[5]], sign, 1.0, ""
    if match := re.search(rf"^(.*?)\b{_SAME}\b(.*?)\b(?:as)\b(.+)$", text):
        return [f"{match[1]} {match[3]}", match[4]], "=", 1.0, ""
    if match := re.search(
        rf"^(?:which|what|who|where)(.*?)\b(?:{_MORE}|{_FEWER}|most)\b(.*?)[,:](.+)\bor\b(.+)$", text
    ):
        return [f"{match[4]} {match[1]}", match[5]], "", 1.0, ""
    if match := re.search(
        r"^(?:which|what|who|where)\b(.*?)\b(?:more|fewer|worse|noisier)\b(.*?)\b(\w*[A-Z]+[0-9]+) "
        r"or (\w*[A-Z]+[0-9]+)(.*)$",
        text,
    ):
        return [f"{match[1]} {match[2]} {match[3]} {match[5]}", match[4]], "", 1.0, ""
    if match := re.search(
        rf"^(?!.*\bthan\b)(?!how many|.*\b(?:twice|double|half|times)\b)(?P<lead>.*?)\b(?:{_MORE}|{_FEWER})\b"
        r"(?P<one>.*?\b[A-Z]+[0-9]+.*?)\bor\b(?P<other>.*?\b[A-Z]+[0-9]+.*)$",
        text,
    ):
        return [f"{match['lead']} {match['one']}", match["other"]], "", 1.0, ""
    if match := re.search(r"^(.*\bhow many\b.*)\band\b(.*\bhow many\b.*)$", text):
        return [match[1], match[2]], "", 1.0, ""
    return None


def compare(text: str, atoms: Mapping[str, Atom], now: float | None = None) -> tuple[Question, str] | None:
    """Give a comparison, and the words around its conditions; None where it is none.

    Without `now` (seconds since the epoch) nothing that goes on is compared with what is usual.
    """
    found = split(text)
    if found is None:
        return None
    sides, sign, factor, rest = found
    if len(sides) == 2 and _USUAL.fullmatch(sides[1].strip(" ,")):
        return _with_usual((text, sides[0]), (sign, factor), atoms, now)
    read = [scoped(side, atoms) for side in sides]
    shared = scoped(rest, atoms) if rest else Scoped(())
    if len(read) < 2 or any(not side.parts for side in read):
        return None
    # What one side says and the other does not holds for both.
    complete: list[Scoped] = []
    for k, side in enumerate(read):
        have = {d for d, _ in side.parts}
        others = [p for j, other in enumerate(read) if j != k for p in (*other.parts, *shared.parts)]
        inherited: list[tuple[str, object]] = []
        for part in others:
            if part[0] not in have:
                inherited.append(part)
                have.add(part[0])
        complete.append(Scoped((*side.parts, *inherited)))  # type: ignore[arg-type]
    differ = [
        tuple(p for p in side.parts if not all(p in other.parts for other in complete)) for side in complete
    ]
    if any(not d for d in differ):
        return None
    common = tuple(c for d, c in complete[0].parts if all((d, c) in other.parts for other in complete))
    words = [condition_words(AllOf(tuple(c for _, c in d))) for d in differ]
    entities = re.search(r"how many (?:different )?ENT[0-9]+ (?!incident|alert|alarm)", text) is not None
    question = Question(
        Ask.COMPARE,
        AllOf(common),
        target=Target.ENTITIES if entities else Target.INCIDENTS,
        sides=tuple(Side(w, side.condition) for w, side in zip(words, complete, strict=True)),
        sign=sign,
        factor=factor,
    )
    return question, _around(text)


_USUAL = re.compile(
    r"(?:is |was |were |are )?(?:usual(?:ly)?|normal(?:ly)?|(?:on |the |an )*average(?: day)?|typical(?:ly)?"
    r"|other days|most days)"
)
_DAY = 86_400.0
_DAYS = 7


def _with_usual(
    said: tuple[str, str], asked: tuple[str, float], atoms: Mapping[str, Atom], clock: float | None
) -> tuple[Question, str] | None:
    """Set a time beside the mean of the same time on the seven days, or weeks, before it."""
    text, side = said
    now = scoped(side, atoms)
    times = [c for _, c in now.parts if isinstance(c, During)]
    if len(times) != 1:
        return None
    time = times[0]
    end = time.until if time.until is not None else clock
    if time.since is None or end is None:
        return None
    step = _DAY if end - time.since <= _DAY else 7 * _DAY
    if end - time.since > step:
        return None
    others = tuple(c for _, c in now.parts if c is not time)
    before = [During(time.since - k * step, end - k * step) for k in range(1, _DAYS + 1)]
    words = (
        f"the mean of the same time {'one to seven days' if step == _DAY else 'one to seven weeks'} before"
    )
    usual = Side(
        words, AllOf((*others, AnyOf(tuple(before)))), tuple(AllOf((*others, each)) for each in before)
    )
    sides = (Side(time.words, now.condition), usual)
    question = Question(Ask.COMPARE, AllOf(others), sides=sides, sign=asked[0] or ">", factor=asked[1])
    return question, re.sub(_USUAL.pattern, " ", _around(text))


def _around(text: str) -> str:
    """Leave out of a comparison's text what makes it one."""
    for pattern in (
        r"\b(?:compare|comparison of|comparing|difference between|differ between|versus|compared "
        r"(?:to|with)|in comparison (?:to|with)|against)\b",
        _TIMES,
        rf"\b(?:{_MORE}|{_FEWER}|{_SAME})\b".replace("?P<more>", "?:")
        .replace("?P<fewer>", "?:")
        .replace("?P<same>", "?:"),
        r"\b(?:than|to|how many|number of|most|often|frequently)\b",
    ):
        text = re.sub(pattern, " ", text)
    return text


def share(text: str, atoms: Mapping[str, Atom]) -> tuple[Question, str] | None:
    """Read "what percentage of the incidents on hosts were critical"."""
    lead = (
        r"(?:what |which |how many )?(?:percentage|per ?cent|%|share|fraction|proportion|part)(?: "
        r"of)?(?: the| all| our)?\b"
    )
    match = re.search(rf"{lead}(.*)", text)
    if match is None or not re.search(r"\b(?:percentage|per ?cent|share|fraction|proportion|part)\b|%", text):
        return None
    before, after = text[: match.start()], match[1]
    if (of := _of_entities(text, after, atoms)) is not None:
        return of
    among = re.search(
        rf"\b(?:among|amongst|out of)\b(?: all)?(?: the)?(?= .*(?:{INCIDENTS}"
        rf"|[A-Z]+[0-9]))",
        after,
    )
    if among and re.search(r"[A-Z]+[0-9]", after[: among.start()]):
        part, whole = scoped(after[: among.start()], atoms), scoped(after[among.end() :], atoms)
        whole = Scoped((*scoped(before, atoms).parts, *whole.parts))
        question = Question(Ask.SHARE, Scoped((*whole.parts, *part.parts)).condition, whole=whole.condition)
        rest = re.sub(
            r"\b(?:percentage|per ?cent|share|fraction|proportion|part|how many|among|amongst"
            r"|out of)\b|%",
            " ",
            text,
        )
        return question, rest
    halves = re.split(r"\b(?:is|are|was|were|did|do|has|have|had)\b", after, maxsplit=1)
    around = scoped(before, atoms)
    if len(halves) == 2 and re.search(r"[A-Z]+[0-9]", halves[1]):
        whole, part = scoped(halves[0], atoms), scoped(halves[1], atoms)
        times = [p for p in part.parts if p[0] == "TIME" and not any(q[0] == "TIME" for q in whole.parts)]
        if len(part.parts) > len(times):
            part = Scoped(tuple(p for p in part.parts if p not in times))
            whole = Scoped((*whole.parts, *times))
    elif len(sides := re.split(rf"\b{INCIDENTS}\b", after, maxsplit=1)) == 2 and all(
        re.search(r"[A-Z]+[0-9]", side) for side in sides
    ):
        whole, part = scoped(sides[0], atoms), scoped(sides[1], atoms)
        times = [p for p in part.parts if p[0] in ("TIME", "RUN", "ENT")]
        if len(part.parts) == len(times):
            whole, part, times = part, whole, []  # "the share of criticals in run 5": of those of run 5
        if len(part.parts) > len(times):
            part = Scoped(tuple(p for p in part.parts if p not in times))
        whole = Scoped((*whole.parts, *(p for p in times if p not in part.parts)))
    else:
        every = scoped(after, atoms)
        whole = Scoped(tuple(p for p in every.parts if p[0] in ("TIME", "RUN")))
        part = Scoped(tuple(p for p in every.parts if p not in whole.parts))
    if not part.parts:
        return None
    base = Scoped((*around.parts, *whole.parts))
    question = Question(Ask.SHARE, Scoped((*base.parts, *part.parts)).condition, whole=base.condition)
    return question, re.sub(
        r"\b(?:percentage|per ?cent|share|fraction|proportion|part|how many)\b|%", " ", text
    )


def _of_entities(text: str, after: str, atoms: Mapping[str, Atom]) -> tuple[Question, str] | None:
    """Read "what share of the hosts had an incident": of what is watched, not of incidents."""
    head = re.match(
        rf" *(ENT[0-9]+)(?! (?:[A-Z]+[0-9]+ )*{INCIDENTS})(?: (?:that|which|who))?"
        r" (?:had|have|has|with|was|were|is|are|went|got|(?=alarm|affected)|(?=(?:TIME|RUN|SEV)[0-9]+$))",
        after,
    )
    if head is None or len(getattr(atoms[head[1]].condition, "values", ())) < 2:
        return None
    whole, part = Scoped((("ENT", atoms[head[1]].condition),)), scoped(after[head.end() :], atoms)
    if any(d == "ENT" for d, _ in part.parts):
        return None
    question = Question(
        Ask.SHARE,
        Scoped((*whole.parts, *part.parts)).condition,
        target=Target.ENTITIES,
        whole=whole.condition,
    )
    rest = re.sub(
        r"\b(?:percentage|per ?cent|share|fraction|proportion|part|how many|affected)\b|%", " ", text
    )
    return question, rest


def _factor(words: str) -> float:
    if words in ("twice", "double"):
        return 2.0
    if words == "thrice":
        return 3.0
    if words == "half":
        return 0.5
    return float(re.findall(r"[0-9.]+", words)[0])


def _factor_sign(words: str | None) -> str:
    if words in ("more than", "over"):
        return ">"
    return ">=" if words in (None, "at least") else "="
