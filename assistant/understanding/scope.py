"""How conditions go together: what "and", "or", "not" and "but" reach, and what stands apart.

Neighbours of one kind are alternatives ("warnings and errors"), neighbours of different kinds hold together
("warnings on node17"). "Warnings on hosts and errors on chambers" are two wholes, because the second begins
what the first had.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from anomalyd.assistant.language.systems import INCIDENTS
from anomalyd.assistant.understanding.atoms import Atom
from anomalyd.assistant.understanding.question import ALL
from anomalyd.errors import QuestionError
from anomalyd.reports.conditions import AllOf, Among, AnyOf, Condition, Not

EXCEPT = (
    r"(?:with the )?except(?:ion of|ing)?(?: for)?|excluding|exclude|excl\.?|apart from|aside from"
    r"|other than|besides|leaving (?:out|aside)"
    r"|not counting|not including|minus|save(?: for)?|outside(?: of)?|without|ignoring|unless"
    r"|barring|rather than"
)
_UNIVERSAL = (
    r"\b(?:all|any|anything|everything|every|everyone|everybody|anyone|nothing|none|each|everywhere"
    r"|anywhere|anybody"
    r"|nobody|no one)\b"
)
_OPERATORS = (
    ("except", EXCEPT),
    ("not", r"not|no|non|never|neither"),
    ("or", r"or|nor"),
    ("and", r"and(?: also)?|plus|as well as|together with|&|\+"),
    ("comma", r","),
    ("group", r"that|which|who|whose|where|with"),
    ("noun", rf"{INCIDENTS}|ones|those"),
    ("verb", r"went|goes|had|have|has|was|were|are|is|did|alarm(?:ed)?|became|got"),
)
_TOKENS = re.compile(
    "|".join(
        rf"(?P<{name}>(?<![\w-])(?:{pattern})(?![\w-])|{'(?:,)' if name == 'comma' else '(?!)'})"
        for name, pattern in _OPERATORS
    )
    + r"|(?P<atom>\b[A-Z]{2,5}[0-9]+\b)"
)
# "score above 2 and below 5" holds together; of all others "and" gives alternatives.
_BOUNDS = frozenset({"SCORE", "SPAN"})


@dataclass(frozen=True, slots=True)
class Item:
    """A condition (`kind` "atom"), an operator, or a boundary."""

    kind: str
    dimension: str = ""
    condition: Condition = ALL


@dataclass(frozen=True, slots=True)
class Scoped:
    """The parts that hold together, each with its dimension; `unused`: operators that reach nothing."""

    parts: tuple[tuple[str, Condition], ...]
    unused: tuple[str, ...] = ()

    @property
    def condition(self) -> AllOf:
        """All parts together."""
        return AllOf(tuple(condition for _, condition in self.parts))


def scoped(text: str, atoms: Mapping[str, Atom]) -> Scoped:
    """Give how the conditions of a text with placeholders go together.

    Raises:
        QuestionError: conditions that nothing can fulfil together.

    """
    items, unused = _negated(_items(but_resolved(text), atoms))
    items = [item for item in items if item.kind != "verb"]
    for merge in (True, False):
        parts = _combined(_merged(items) if merge else items)
        joined = _intersected(parts)
        if joined is not None:
            return Scoped(tuple(joined), tuple(unused))
    raise QuestionError(
        "Nothing fulfils all of these conditions together; say them apart, with “or” between them."
    )


def but_resolved(text: str) -> str:
    """Write "all but X" as "all except X", any other "but" as "and", "neither X nor Y" as two negations."""
    while match := re.search(r"\bneither\b(.*?)\bnor\b", text):
        again = " neither" if re.search(r"\bnor\b", text[match.end() :]) else " not"
        text = f"{text[: match.start()]}not{match[1]}and{again}{text[match.end() :]}"
    while match := re.search(r"(?<!\w)but(?!\w)(?! one\b)", text):
        before, after = text[: match.start()], text[match.end() :]
        narrowing = re.match(
            r" *(?:not|only|just|still|also|never|no|now|is|are|was|were|did|does|has|have)\b", after
        )
        word = "except" if re.search(_UNIVERSAL, before) and not narrowing else "and"
        text = f"{before}{word}{after}"
    return text


def _items(text: str, atoms: Mapping[str, Atom]) -> list[Item]:
    items: list[Item] = []
    for match in _TOKENS.finditer(text):
        kind = match.lastgroup or ""
        if kind == "atom":
            if match[0] in atoms:
                atom = atoms[match[0]]
                items.append(Item("atom", atom.dimension, atom.condition))
        else:
            items.append(Item(kind))
    return items


def _negated(items: Sequence[Item]) -> tuple[list[Item], list[str]]:
    """Put what "not" and "except" reach into a negation."""
    result: list[Item] = []
    unused: list[str] = []
    i = 0
    while i < len(items):
        item = items[i]
        if item.kind not in ("not", "except"):
            result.append(item)
            i += 1
            continue
        end, group = _reach(items, i + 1, whole=item.kind == "except")
        if not group:
            unused.append(item.kind)
            i += 1
            continue
        alternatives = tuple(AllOf(tuple(each.condition for each in one)) for one in group)
        dimension = "!" + group[0][0].dimension
        if result and result[-1].kind in ("and", "comma"):
            result.pop()  # "critical but not on node17", "everything, except X"
        result.append(Item("atom", dimension, Not(AnyOf(alternatives))))
        i = end
    return result, unused


def _reach(items: Sequence[Item], i: int, *, whole: bool) -> tuple[int, list[list[Item]]]:
    """Give where a negation that begins at `i` ends, and its alternatives, each of conditions that hold
    together.
    """
    groups: list[list[Item]] = []
    current: list[Item] = []
    end = i
    while i < len(items):
        item = items[i]
        if item.kind == "atom":
            if current and (
                not whole or item.dimension == "TIME" or item.dimension in {c.dimension for c in current}
            ):
                break
            current.append(item)
            end = i + 1
        elif item.kind in ("and", "or", "comma"):
            following = next((each for each in items[i + 1 : i + 4] if each.kind == "atom"), None)
            near = all(each.kind in ("atom", "noun", "not", "or") for each in items[i + 1 : i + 2])
            if not current or following is None or not near or following.dimension != current[0].dimension:
                break
            if items[i + 1].kind == "not" and item.kind != "or":
                break
            groups.append(current)
            current = []
        elif item.kind in ("not", "except", "group", "verb") and current:
            break  # "besides node17 went critical": only node17 is left out
        i += 1
    if current:
        groups.append(current)
    return end, groups


def _merged(items: Sequence[Item]) -> list[Item]:
    """Make one of neighbours of one kind with an operator between them."""
    result: list[Item] = []
    for item in items:
        result.append(item)
        while len(result) >= 3:
            for count in (3, 4):  # "a and b"; "a, and b"
                if _joinable(result[-count:]):
                    one, other = result[-count], result[-1]
                    either = any(i.kind == "or" for i in result[-count + 1 : -1])
                    both = (one.dimension in _BOUNDS and not either) or one.dimension.startswith("!")
                    del result[-count:]
                    result.append(Item("atom", one.dimension, _join(one.condition, other.condition, both)))
                    break
            else:
                break
    # Several kinds of negation side by side all hold.
    return result


def _joinable(items: Sequence[Item]) -> bool:
    if len(items) not in (3, 4) or items[0].kind != "atom" or items[-1].kind != "atom":
        return False
    between = [i.kind for i in items[1:-1]]
    ok = between in (["and"], ["or"], ["comma"], ["comma", "and"], ["comma", "or"])
    return ok and items[0].dimension == items[-1].dimension


def _join(one: Condition, other: Condition, both: bool) -> Condition:
    kind = AllOf if both else AnyOf
    first = one.parts if isinstance(one, kind) else (one,)
    return kind((*first, other))


def _combined(items: Sequence[Item]) -> list[Item]:
    """Give the atoms that hold together, what stands beside "and" and "or" made one."""
    items = [i for i in items if i.kind != "comma"]
    at = next((k for k, i in enumerate(items) if i.kind in ("and", "or") and _between_atoms(items, k)), None)
    if at is None:
        return [i for i in items if i.kind == "atom"]
    left, right = list(items[:at]), list(items[at + 1 :])
    stop = next((k for k, i in enumerate(right) if i.kind in ("and", "or")), len(right))
    head = [i for i in right[:stop] if i.kind == "atom"]
    if not head:
        return _combined([*left, *right])  # "yesterday nor nor today": one of the two says nothing
    shared = {i.dimension for i in left if i.kind == "atom"} & {i.dimension for i in head}
    shared = {d for d in shared if not d.startswith("!")}
    if shared:
        begin = next(k for k, i in enumerate(left) if i.kind == "atom" and i.dimension in shared)
        one = [i for i in left[begin:] if i.kind == "atom"]
        last = max(k for k, i in enumerate(head) if i.dimension in shared)
        have = {i.dimension for i in one}
        outside = [i for i in head[last + 1 :] if i.dimension not in have]
        other = [i for i in head if i not in outside]
        if not any(i.dimension in shared for i in one):
            return [*one, *_combined(right)]
        either = Item("atom", one[0].dimension, AnyOf((_all(one), _all(other))))
        return _combined([*left[:begin], either, *outside, *right[stop:]])
    if items[at].kind == "and":
        return [i for i in [*left, *_combined(right)] if i.kind == "atom"]
    border = max((k for k, i in enumerate(left) if i.kind == "group"), default=-1)
    unit = [i for i in left[border + 1 :] if i.kind == "atom"] if border >= 0 else []
    if not unit:
        border = max(k for k, i in enumerate(left) if i.kind == "atom")
        unit, border = [left[border]], border - 1
    either = Item("atom", unit[0].dimension + "|", AnyOf((_all(unit), head[0].condition)))
    after = right[right.index(head[0]) + 1 :]
    return _combined([*left[: border + 1], either, *after])


def _between_atoms(items: Sequence[Item], k: int) -> bool:
    return any(i.kind == "atom" for i in items[:k]) and any(i.kind == "atom" for i in items[k + 1 :])


def _all(items: Sequence[Item]) -> Condition:
    return items[0].condition if len(items) == 1 else AllOf(tuple(i.condition for i in items))


def _intersected(items: Sequence[Item]) -> list[tuple[str, Condition]] | None:
    """Make one of several sets of the same column; None where they have nothing in common."""
    parts: list[tuple[str, Condition]] = []
    for item in items:
        for k, (dimension, held) in enumerate(parts):
            one, other = as_set(held), as_set(item.condition)
            if one and other and one.column == other.column:
                both = tuple(v for v in one.values if v in other.values)
                if not both:
                    return None
                smaller = min((one, other), key=lambda c: len(c.values))
                words = smaller.words if len(both) == len(smaller.values) else f"{other.words} of {one.words}"
                parts[k] = (dimension, Among(one.column, both, words))
                break
        else:
            parts.append((item.dimension, item.condition))
    return parts


def as_set(condition: Condition) -> Among | None:
    """Give a condition as one set of values of a column, None if it is another."""
    if isinstance(condition, Among):
        return condition
    if isinstance(condition, AnyOf):
        sets = [each for each in condition.parts if isinstance(each, Among)]
        if sets and len(sets) == len(condition.parts) and len({each.column for each in sets}) == 1:
            values = tuple(dict.fromkeys(v for each in sets for v in each.values))
            return Among(sets[0].column, values, " or ".join(each.words for each in sets))
    return None
