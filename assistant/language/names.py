"""Names in a question: entities, whole, in part, by range or group, and the names nearest to a misspelt
one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import cached_property
from os.path import commonprefix

from anomalyd.assistant.language import systems
from anomalyd.assistant.language.phrasing import listed
from anomalyd.errors import QuestionError
from anomalyd.reports.queries import Queries, Selection

# A name begins and ends where no further character of a name follows; a full stop may end the sentence.
BEFORE, AFTER = r"(?<![\w/.+*-])", r"(?:'s)?(?![\w/+*-]|\.\w)"
_TOKEN = re.compile(r"[\w*?\[\]](?:[\w*?\[\]+./:-]*[\w*\]+-])?", re.ASCII)
# Words that may stand between the parts of one name: "chamber W-2, MB1 in sector 4".
_WITHIN = re.compile(r"[\s,/]*(?:(?:in|of|the|chamber|wheel|station|sector)[\s,/]+)*", re.ASCII)
_NOUN_AFTER = re.compile(rf"\s+(?:{systems.HOSTS}|{systems.NODES}|{systems.CHAMBERS}|{systems.MAPS})\b")
_TO = r"(?: ?(?:-|–|\.\.+|to|through|thru|until|till|up to) ?| and )"


_Put = Callable[[str, Iterable[str]], str]


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in a question: its words, and the entities meant."""

    words: str
    entities: tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """Every name that can be recognised.

    `kinds`: entity -> sample kind ("vector", "map"). `groups`: name -> shell patterns, of the configuration.
    `people`: who wrote or said something.
    """

    kinds: Mapping[str, str]
    detectors: tuple[str, ...] = ()
    runs: tuple[int, ...] = ()
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    people: tuple[str, ...] = ()

    @classmethod
    def of(cls, queries: Queries, groups: Mapping[str, Sequence[str]] | None = None) -> Names:
        """Collect the names that the store knows."""
        return cls(
            kinds=dict(sorted(queries.sample_kinds().items())),
            detectors=tuple(queries.detectors()),
            runs=tuple(sorted(int(run) for run, _ in queries.tally(Selection(), "run"))),
            groups=groups or {},
            people=tuple(queries.people()),
        )

    @property
    def entities(self) -> tuple[str, ...]:
        """All names, in order."""
        return tuple(self.kinds)

    @cached_property
    def by_part(self) -> Mapping[str, frozenset[str]]:
        """Lower-case part of a name -> the entities that have it.

        Parts of `host/node17.site.org` are `host`, `node17.site.org`, `node17`, and `node`, its group;
        those of `daq-ru-03` also `daq-ru`, `daq` and `ru`.
        """
        parts: dict[str, set[str]] = {}
        for name in self.kinds:
            for part in name.lower().split("/"):
                short = part.split(".")[0]
                stem = re.match(r"[a-z][a-z_-]*[a-z](?=[_-]?[0-9])", short)
                words = re.findall(r"[a-z]{2,}", short)
                for each in {part, short, stem[0] if stem else "", *(words if len(words) > 1 else ())}:
                    parts.setdefault(each, set()).add(name)
        return {part: frozenset(names) for part, names in parts.items() if part}

    @cached_property
    def by_number(self) -> Mapping[str, Mapping[int, frozenset[str]]]:
        """Stem of a numbered part -> number -> entities: `mb` -> 1 -> every chamber of station 1."""
        stems: dict[str, dict[int, set[str]]] = {}
        for name in self.kinds:
            for part in name.lower().split("/"):
                if found := systems.numbered(part.split(".")[0]):
                    stems.setdefault(found[0], {}).setdefault(found[1], set()).add(name)
        return {s: {n: frozenset(names) for n, names in by.items()} for s, by in stems.items()}

    @cached_property
    def systems(self) -> Mapping[str, tuple[str, ...]]:
        """Pattern of nouns -> entities."""
        found = dict(systems.members(self.kinds, self.groups))
        nodes = self.by_part.get("node")
        found[systems.NODES] = tuple(sorted(nodes)) if nodes else found[systems.HOSTS]
        return found

    def mark(self, text: str, reserved: frozenset[str]) -> tuple[list[Mention], str]:
        """Find names in lower-case `text`; give them and the text with `ENT0`, `ENT1` ... in their places.

        `reserved` words name an entity only in double quotes.

        Raises:
            QuestionError: a quoted name, a pattern or a range that fits nothing; carries the nearest names.

        """
        found: list[Mention] = []

        def put(words: str, entities: Iterable[str]) -> str:
            found.append(Mention(words, tuple(sorted(entities))))
            return f" ENT{len(found) - 1} "

        text = re.sub(r'"([^"]+)"', lambda m: put(m[1], self._quoted(m[1])), text)
        pattern = BEFORE + r"([\w/.+-]*\*[\w/.+*-]*)"
        text = re.sub(pattern, lambda m: put(m[1], self._pattern(m[1])), text)
        text = self._ranges(text, put)
        for name in sorted({n.lower() for n in self.kinds if n.lower() in text}, key=len, reverse=True):
            if name not in reserved:
                text = self._put_all(re.escape(name), [n for n in self.kinds if n.lower() == name], text, put)
        for name, patterns in sorted(self.groups.items(), key=lambda g: -len(g[0])):
            words = re.escape(name.lower()).replace("_", "[ _-]").replace(r"\-", "[ _-]")
            those = [n for n in self.kinds if any(fnmatchcase(n, p) for p in patterns)]
            text = self._put_all(rf"{words}s?(?:{_NOUN_AFTER.pattern})?", those, text, put)
        text = self._numbered(text, put)
        text = self._parts(text, reserved, put)
        for nouns, members in self.systems.items():
            if members:
                text = self._put_all(rf"(?:all (?:the )?)?(?:{nouns})", members, text, put)
        return found, " ".join(text.split())

    def cover(self, names: Iterable[str]) -> tuple[str, ...]:
        """Say a set of entities as one shell pattern if that fits exactly those, else by their names."""
        wanted = sorted(names)
        rows = [name.split("/") for name in wanted]
        if len(wanted) > 1 and len({len(row) for row in rows}) == 1:
            columns = list(zip(*rows, strict=True))
            for common in (lambda column: "", commonprefix):
                pattern = "/".join(
                    column[0] if len(set(column)) == 1 else f"{common(column)}*" for column in columns
                )
                if {n for n in self.kinds if fnmatchcase(n, pattern)} == set(wanted):
                    return (pattern,)
        return tuple(wanted)

    def level(self, level: str, entity: str) -> str | None:
        """Give the part of an entity's name at a level ("wheel" of DT/W-2/MB1/S04: W-2)."""
        for part in entity.split("/"):
            found = systems.numbered(part.lower().split(".")[0])
            if found and found[0] in systems.LEVELS[level]:
                return part
        return None

    def nearest(self, words: str, *, cutoff: float = 60.0) -> tuple[str, ...]:
        """Give the known names nearest to a misspelt one, nearest first; `cutoff` 100 is the same name."""
        from rapidfuzz import fuzz, process

        written: dict[str, str] = {}
        for part, names in self.by_part.items():
            if len(names) > 1 and not any(part in name.lower().split("/") for name in names):
                continue  # a group is no name
            written[part] = next(iter(names)) if len(names) == 1 else part
        written |= {name.lower(): name for name in (*self.detectors, *self.kinds)}
        close = process.extract(words.lower(), list(written), scorer=fuzz.ratio, limit=6, score_cutoff=cutoff)
        return tuple(dict.fromkeys(written[each] for each, *_ in close))[:3]

    def unknown(self, words: str) -> QuestionError:
        """Make the error for a name that nobody knows."""
        nearest = self.nearest(words)
        some = ", ".join(self.entities[:5]) or "none: nothing was received yet"
        hint = f"the nearest names are {', '.join(nearest)}" if nearest else f"known are {some}"
        return QuestionError(f"I know nothing called “{words}”; {hint}.", nearest)

    @staticmethod
    def _put_all(pattern: str, those: Iterable[str], text: str, put: _Put) -> str:
        """Replace every place at which a pattern stands as a name of its own."""
        return re.sub(BEFORE + f"(?:{pattern})" + AFTER, lambda m: put(m[0], those), text)

    def _quoted(self, words: str) -> Iterable[str]:
        same = [name for name in self.kinds if name.lower() == words]
        if not same and words not in self.by_part:
            raise self.unknown(words)
        return same or self.by_part[words]

    def _pattern(self, words: str) -> list[str]:
        for pattern in (words, f"*/{words}"):
            if fitting := [name for name in self.kinds if fnmatchcase(name.lower(), pattern)]:
                return fitting
        raise self.unknown(words)

    def _ranges(self, text: str, put: _Put) -> str:
        """Read "node030 to node043", "MB1-MB3", "sectors 1 to 4", "wheels -2 to 0"."""

        def ranged(match: re.Match[str]) -> str:
            noun, low, high = match["noun"], match["low"], match["high"]
            stems = self._stems(noun)
            if not stems or (match["again"] and not set(self._stems(match["again"])) & set(stems)):
                return match[0]
            if " and " in match[0] and not match["between"]:
                return match[0]
            first, last = sorted((int(low), int(high)))
            prefix = noun[: noun.rfind("/") + 1]
            signed = any(s in systems._SIGNED for s in stems)
            first, last = (first, last) if signed else (abs(first), abs(last))
            first, last = min(first, last), max(first, last)
            those = {
                name
                for stem in stems
                for number, names in self.by_number[stem].items()
                if first <= number <= last
                for name in names
                if name.lower().startswith(prefix)
            }
            if not those:
                raise self.unknown(match[0].strip())
            return put(f"{noun} {low} to {high}", those)

        stem = r"(?:[\w+.-]+/)*[a-z][a-z_.-]*?"
        pattern = (
            rf"{BEFORE}(?P<between>between |from )?(?:the )?(?:(?:{systems.HOSTS}|{systems.NODES}) )?"
            rf"(?P<noun>{stem}) ?(?P<low>[+-]?[0-9]{{1,5}}){_TO}(?P<again>{stem})? "
            rf"?(?P<high>[+-]?[0-9]{{1,5}}){AFTER}"
        )
        return re.sub(pattern, ranged, text)

    def _stems(self, noun: str) -> tuple[str, ...]:
        """Give the stems of names that a noun or the letters before a number stand for."""
        word = noun.rstrip("-_. ").rpartition("/")[2]
        if word.removesuffix("s") in systems.LEVELS and word not in self.by_number:
            return tuple(s for s in systems.LEVELS[word.removesuffix("s")] if s in self.by_number)
        return next(((w,) for w in (word, word.removesuffix("s")) if w in self.by_number), ())

    def _numbered(self, text: str, put: _Put) -> str:
        """Read "wheel -2", "station 1", "sector 04", "rack 3", "node 17"."""

        def named(match: re.Match[str]) -> str:
            stems = self._stems(match[1])
            digits = match[2].replace("minus ", "-").replace("plus ", "+")
            number = int(digits)
            those = {n for s in stems for n in self.by_number[s].get(number, ())}
            if those:
                return put(f"{match[1]} {digits}", those)
            if stems and match[1].removesuffix("s") in systems.LEVELS:
                raise self.unknown(f"{match[1]} {digits}")
            return match[0]

        text = re.sub(r"\bminus (one|two)\b", lambda m: "-1" if m[1] == "one" else "-2", text)
        return re.sub(rf"{BEFORE}([a-z]+) ?((?:minus |plus |[+-])?[0-9]{{1,5}}){AFTER}", named, text)

    def _parts(self, text: str, reserved: frozenset[str], put: _Put) -> str:
        """Read parts of names that stand side by side as one name ("W-2 MB1"), else as several."""
        pieces: list[str] = []
        open_names: frozenset[str] = frozenset()
        open_words, end, written = "", -1, 0

        def close() -> None:
            nonlocal open_names, open_words
            if open_words:
                pieces.append(put(open_words, open_names))
            open_names, open_words = frozenset(), ""

        for match in _TOKEN.finditer(text):
            token = match[0].removesuffix("'s")
            names = self._of_token(token, reserved)
            if names is None or match.start() < end:
                continue
            between = text[end : match.start()] if end >= 0 else ""
            adjacent = open_words and _WITHIN.fullmatch(between)
            if adjacent and open_names & names:
                open_names, open_words = open_names & names, f"{open_words} {token}"
            else:
                if adjacent and "," not in between and not between.isspace():
                    raise self.unknown(f"{open_words} {token}")
                if adjacent and between.isspace():
                    raise self.unknown(f"{open_words} {token}")
                close()
                pieces.append(text[written : match.start()])
                open_names, open_words = names, token
            end = written = match.end()
            if after := _NOUN_AFTER.match(text, end):
                end = written = after.end()
        close()
        return "".join([*pieces, text[written:]])

    def _of_token(self, token: str, reserved: frozenset[str]) -> frozenset[str] | None:
        """Give the entities that a token names a part of, None if it names none."""
        if token in reserved or re.fullmatch(r"(?:ENT|TIME)[0-9]+", token):
            return None
        for word in (token, token.rstrip("-"), token.removesuffix("s")):
            parts = [part for part in word.split("/") if part]
            if parts and word not in reserved and all(part in self.by_part for part in parts):
                names = frozenset.intersection(*(self.by_part[part] for part in parts))
                if not names:
                    raise self.unknown(token)
                return names
        return None


def shown(entities: Sequence[str], names: Names) -> str:
    """Say a set of entities, as a pattern where one fits."""
    return listed(names.cover(entities), limit=4) or "no entity"
