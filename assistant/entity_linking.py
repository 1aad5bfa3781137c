"""Names in a question: entities, whole, in part or as a pattern, and the names nearest to a misspelt one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from functools import cached_property
from os.path import commonprefix

from anomalyd.errors import QuestionError
from anomalyd.reports.queries import Queries, Selection

# A name begins and ends where no further character of a name follows; a full stop may end the sentence.
_BEFORE, _AFTER = r"(?<![\w/.+*-])", r"(?:'s)?(?![\w/+*-]|\.\w)"
_TOKEN = re.compile(r"[\w*?\[\]](?:[\w*?\[\]+./:-]*[\w*\]])?", re.ASCII)
# Words that may stand between the parts of one name: "chamber W-2, MB1 in sector 4".
_WITHIN = re.compile(r"[\s,/]*(?:(?:in|of|the|chamber|wheel|station|sector)[\s,/]+)*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Mention:
    """A name in a question: its words, and the entities meant (names or shell patterns)."""

    words: str
    entities: tuple[str, ...]


@dataclass(frozen=True)
class Names:
    """Every name that can be recognised. `kinds`: entity -> sample kind, of those that sent data."""

    entities: tuple[str, ...]
    kinds: Mapping[str, str]
    detectors: tuple[str, ...]
    runs: tuple[int, ...]

    @classmethod
    def of(cls, queries: Queries) -> Names:
        """Collect the names that the store knows."""
        return cls(
            entities=tuple(queries.entities()),
            kinds={name: sent.sample_kind for name, sent in queries.activity().items()},
            detectors=tuple(queries.detectors()),
            runs=tuple(sorted(int(run) for run, _ in queries.tally(Selection(), "run"))),
        )

    @cached_property
    def by_part(self) -> Mapping[str, frozenset[str]]:
        """Lower-case part of a name -> the entities that have it.

        Parts of `host/node17.site.org` are `host`, `node17.site.org`, `node17`, and `node`, its group.
        """
        parts: dict[str, set[str]] = {}
        for name in self.entities:
            for part in name.lower().split("/"):
                parts.setdefault(part, set()).add(name)
                parts.setdefault(part.split(".")[0], set()).add(name)
                if group := re.match(r"[a-z][a-z_-]*[a-z](?=[_-]?[0-9])", part):
                    parts.setdefault(group[0], set()).add(name)
        return {part: frozenset(names) for part, names in parts.items() if part}

    def find_whole(self, text: str, reserved: frozenset[str]) -> tuple[list[Mention], str]:
        """Find quoted names, patterns and whole names in lower-case `text`; give them and the rest of it.

        `reserved` words name an entity only in double quotes.

        Raises:
            QuestionError: a quoted name or a pattern that no entity fits; carries the nearest names.

        """
        found: list[tuple[int, Mention]] = []
        pattern = _BEFORE + r"([\w/.+-]*\*[\w/.+*-]*)"
        for marked, meant in ((r'"([^"]+)"', self._quoted), (pattern, self._pattern)):
            for match in re.finditer(marked, text):
                found.append((match.start(), Mention(match[1], meant(match[1]))))
                text = _blank(text, match.start(), match.end())
        for name in sorted({n.lower() for n in self.entities if n.lower() in text}, key=len, reverse=True):
            if name in reserved:
                continue
            for match in re.finditer(_BEFORE + re.escape(name) + _AFTER, text):
                same = tuple(n for n in self.entities if n.lower() == name)
                found.append((match.start(), Mention(name, same)))
                text = _blank(text, match.start(), match.end())
        return _in_order(found), text

    def find_parts(self, text: str, reserved: frozenset[str]) -> tuple[list[Mention], str]:
        """Find parts of names ("node17", "W-2 MB1", "wheel -2 station 1"); give them and the rest.

        Parts that stand side by side are one name, others are several.

        Raises:
            QuestionError: parts that no entity has together; carries the nearest names.

        """
        found: list[tuple[int, Mention]] = []
        text = self._parts(self._spelt_out(text), reserved, found)
        return _in_order(found), text

    def kind(self, kind: str, noun: str) -> tuple[str, ...]:
        """Give the entities that send metric vectors, or maps; nothing where all entities do.

        Raises:
            QuestionError: there are none.

        """
        those = {name for name, its in self.kinds.items() if its == kind}
        if not those:
            raise QuestionError(f"No {noun} has sent anything yet; known are {self.some()}.")
        return () if those.issuperset(self.entities) else self.cover(those)

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
                if {n for n in self.entities if fnmatchcase(n, pattern)} == set(wanted):
                    return (pattern,)
        return tuple(wanted)

    def nearest(self, words: str, *, cutoff: float = 0.6) -> tuple[str, ...]:
        """Give the known names nearest to a misspelt one, nearest first; `cutoff` 1 is the same name."""
        written: dict[str, str] = {}
        for part, names in self.by_part.items():
            if len(names) > 1 and not any(part in name.lower().split("/") for name in names):
                continue  # a group is no name
            written[part] = next(iter(names)) if len(names) == 1 else part
        written |= {name.lower(): name for name in (*self.detectors, *self.entities)}
        close = get_close_matches(words.lower(), written, n=6, cutoff=cutoff)
        return tuple(dict.fromkeys(written[each] for each in close))[:3]

    def some(self) -> str:
        """Name a few entities, for an error message."""
        if not self.entities:
            return "none: nothing was received yet"
        more = len(self.entities) - 5
        return ", ".join(self.entities[:5]) + (f" and {more} more" if more > 0 else "")

    def unknown(self, words: str) -> QuestionError:
        """Make the error for a name that nobody knows."""
        nearest = self.nearest(words)
        hint = f"the nearest names are {', '.join(nearest)}" if nearest else f"known are {self.some()}"
        return QuestionError(f"I know nothing called “{words}”; {hint}.", nearest)

    def _quoted(self, words: str) -> tuple[str, ...]:
        same = tuple(name for name in self.entities if name.lower() == words)
        if same:
            return same
        if words in self.by_part:
            return self.cover(self.by_part[words])
        raise self.unknown(words)

    def _pattern(self, words: str) -> tuple[str, ...]:
        for pattern in (words, f"*/{words}"):
            fitting = [name for name in self.entities if fnmatchcase(name.lower(), pattern)]
            if fitting:
                return self.cover(fitting)
        raise self.unknown(words)

    def _spelt_out(self, text: str) -> str:
        """Write "wheel -2, station 1, sector 4" as W-2, MB1, S04, and "node 17" as node17."""
        if any(re.fullmatch(r"mb[0-9]", part) for part in self.by_part):
            text = re.sub(r"\bwheel ?([+-]?[0-9])\b", lambda m: _wheel(m[1]), text)
            text = re.sub(r"\bw([12])\b", lambda m: _wheel(m[1]), text)
            text = re.sub(r"\b(?:station|mb) ?([0-9])\b", r"mb\1", text)
            text = re.sub(r"\bsector ?([0-9]{1,2})\b", lambda m: f"s{int(m[1]):02}", text)

        def joined(match: re.Match[str]) -> str:
            ways = (f"{match[1]}{match[2]}", f"{match[1]}-{match[2]}", f"{match[1]}{match[2]:0>2}")
            return next((way for way in ways if way in self.by_part), match[0])

        return re.sub(r"\b([a-z]+) ([0-9]{1,6})\b", joined, text)

    @staticmethod
    def _places(part: str, names: Iterable[str]) -> frozenset[int]:
        """Give the levels of the names at which a part stands."""
        return frozenset(
            level
            for name in names
            for level, each in enumerate(name.lower().split("/"))
            if part in (each, each.split(".")[0])
        )

    def _parts(self, text: str, reserved: frozenset[str], found: list[tuple[int, Mention]]) -> str:
        """Read parts of names that stand side by side as one name ("W-2 MB1"), else as several."""
        open_names: frozenset[str] = frozenset()
        open_words, open_places, start, end = "", frozenset[int](), 0, -1
        remaining = text
        for match in _TOKEN.finditer(text):
            token = match[0].removesuffix("'s")
            if token in reserved:
                continue
            parts = [part for part in token.split("/") if part]
            if not parts or not all(part in self.by_part for part in parts):
                continue
            names = frozenset.intersection(*(self.by_part[part] for part in parts))
            adjacent = end >= 0 and _WITHIN.fullmatch(text, end, match.start())
            remaining = _blank(remaining, match.start(), match.end())
            if adjacent and open_names & names:
                remaining = _blank(remaining, end, match.start())
                open_names, open_words, end = open_names & names, f"{open_words} {token}", match.end()
                continue
            if adjacent and open_places.isdisjoint(self._places(parts[-1], names)):
                # Two levels of one name, but no entity has both: "MB1 S13".
                raise self.unknown(f"{open_words} {token}")
            if open_names:
                found.append((start, Mention(open_words, self.cover(open_names))))
            if not names:
                raise self.unknown(token)
            open_names, open_words, start, end = names, token, match.start(), match.end()
            open_places = self._places(parts[-1], names)
        if open_names:
            found.append((start, Mention(open_words, self.cover(open_names))))
        return re.sub(r"(?<=\s)'s\b", " ", remaining)


def _in_order(found: list[tuple[int, Mention]]) -> list[Mention]:
    return [mention for _, mention in sorted(found, key=lambda f: f[0])]


def _wheel(number: str) -> str:
    value = int(number)
    return f"w{value:+d}" if value else "w0"


def _blank(text: str, start: int, end: int) -> str:
    """Blank a window, so that places in the text stay what they are."""
    return text[:start] + " " * (end - start) + text[end:]
