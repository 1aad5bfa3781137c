"""Make questions that their paragraph does not answer, from questions that it does.

Three ways, each near to the answerable question, because a random paragraph teaches nothing (Rajpurkar et
al., ACL 2018; Clark and Gardner, ACL 2018): the most similar other paragraph, the question with a name, a
number or an opposite exchanged, and the paragraph without the sentence that answers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from anomalyd.assistant.reader.sentences import around, sentences
from anomalyd.assistant.reader.squad import Example

_PAIRS = """
first last|before after|more less|most least|highest lowest|largest smallest|biggest smallest
increase decrease|increased decreased|north south|east west|northern southern|eastern western
begin end|began ended|start stop|started stopped|earliest latest|oldest youngest|older younger
higher lower|above below|win lose|won lost|male female|men women|allowed forbidden|open closed
inside outside|best worst|better worse|enter leave|positive negative|maximum minimum|always never
with without|same different|good bad|early late|old new
"""
_OPPOSITES = {
    a: b for line in re.split(r"[|\n]", _PAIRS) if line for a, b in (line.split(), line.split()[::-1])
}
_NUMBER = re.compile(r"\b\d[\d,.]*\d\b|\b\d\b")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+(?: [A-Z][a-z]+)*")


def made_unanswerable(examples: Sequence[Example], count: int, seed: int) -> Iterator[Example]:
    """Give at most `count` unanswerable questions made of the answerable `examples`, each way as often."""
    draw = random.Random(seed)
    chosen = [e for e in draw.sample(examples, len(examples)) if e.answers]
    names = sorted({name for e in examples for name in _NAME.findall(e.question)})
    part = max(1, count // 3)
    made: list[Example] = []
    made += _take(part, (_exchanged(e, names, draw) for e in chosen))
    made += _take(part, (_without_answer(e) for e in chosen[::-1]))
    made += _take(count - len(made), _neighbours(chosen[: 2 * count], examples))
    yield from made


def _take(count: int, made: Iterator[Example | None]) -> Iterator[Example]:
    for example in made:
        if count <= 0:
            return
        if example is not None:
            count -= 1
            yield example


def _exchanged(example: Example, names: Sequence[str], draw: random.Random) -> Example | None:
    """Exchange one name, number or opposite of the question, if it has one."""
    q = example.question
    options = [
        q[: found.start()] + _OPPOSITES[found[0]] + q[found.end() :]
        for found in re.finditer(r"[a-z]+", q)
        if found[0] in _OPPOSITES
    ]
    for found in _NUMBER.finditer(q):
        other = _other_number(found[0], draw)
        options.append(q[: found.start()] + other + q[found.end() :])
    for found in _NAME.finditer(q):
        other = draw.choice(names)
        if other != found[0] and other not in example.context:
            options.append(q[: found.start()] + other + q[found.end() :])
    if not options:
        return None
    return replace(example, id=f"{example.id}-exchanged", question=draw.choice(options), answers=())


def _other_number(number: str, draw: random.Random) -> str:
    digits = [k for k, c in enumerate(number) if c.isdigit()]
    k = digits[-1] if len(digits) < 3 else draw.choice(digits[-2:])
    return number[:k] + str((int(number[k]) + draw.randint(1, 8)) % 10) + number[k + 1 :]


def _without_answer(example: Example) -> Example | None:
    """Take the sentences that answer out of the paragraph, if the rest does not answer, too."""
    bounds = sentences(example.context)
    cuts = {around(g.start, g.end, bounds) for g in example.answers}
    kept = [(a, b) for a, b in bounds if not any(a < d and c < b for c, d in cuts)]
    rest = " ".join(example.context[a:b] for a, b in kept)
    if len(rest) < 120 or any(g.text.lower() in rest.lower() for g in example.answers):
        return None
    return replace(example, id=f"{example.id}-without", context=rest, answers=())


def _neighbours(chosen: Sequence[Example], examples: Sequence[Example]) -> Iterator[Example | None]:
    """Ask each question of the most similar other paragraph that has none of its answers."""
    from anomalyd.assistant.reader.neighbours import Neighbours

    contexts = list(dict.fromkeys(e.context for e in examples))
    index = Neighbours(contexts)
    for example in chosen:
        for k in index.best(example.question, 4):
            other = contexts[k].lower()
            if contexts[k] != example.context and not any(g.text.lower() in other for g in example.answers):
                yield replace(example, id=f"{example.id}-neighbour", context=contexts[k], answers=())
                break
