"""What the field calls the parts of detectors and of computing centres: nouns, and the names they stand
for.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase

INCIDENTS = (
    r"(?:incidents?|anomal(?:y|ies)|alerts?|alarms?|reports?|problems?|faults?|issues?|events? of anomaly"
    r"|detections?|findings?|cases?|outages?|failures?|anomalous (?:events?|things?))"
)
HOSTS = r"(?:hosts?|machines?|servers?|computers?|boxes|pcs|worker nodes?|compute nodes?|computing)"
NODES = r"nodes?"
MAPS = (
    r"(?:maps?|(?:detector )?(?:elements?|parts?)|sub-?detectors?|sub-?systems|map elements?"
    r"|detector maps?|detector side)"
)
CHAMBERS = r"(?:(?:muon )?chambers?)"
ENTITIES = r"(?:entit(?:y|ies)|sources?|channels|objects?|devices?|components?)"

_CHAMBER_SYSTEMS = r"(?:DT|CSC|RPC|GEM|MDT|TGC|MB|ME)(?:/|[+-])"
_MACHINES = r"(?:hosts?|machines?|nodes?|servers?|computers?|pcs?)/"
_NO_MACHINES = (
    r"(?:switch|switches|router|routers|pdu|ups|cooling|chiller|service|services|link|links|port|ports"
    r"|power|psu|gas|hv|lv|magnet|sensor|sensors|disk|disks|broker|topic|network|net|env|cryo|vacuum)[/_.0-9-]"
)

_SYSTEMS: tuple[tuple[str, str], ...] = (
    (r"(?:dt|dts|drift tubes?)(?: chambers?)?|barrel muon chambers?", r"DT(?:/|[+-])"),
    (r"(?:csc|cscs|cathode strip)(?: chambers?)?", r"(?:CSC|ME)(?:/|[+-])"),
    (r"(?:rpc|rpcs|resistive plate)(?: chambers?)?", r"RPC(?:/|[+-])"),
    (r"(?:gem|gems)(?: chambers?)?", r"GEM(?:/|[+-])"),
    (r"ecal barrel|eb|supermodules?|barrel of (?:the )?ecal", r"EB(?:/|[+-])"),
    (r"ecal end ?caps?|ee|end ?caps? of (?:the )?ecal", r"EE(?:/|[+-])"),
    (
        r"ecal|electromagnetic calorimeter|ecal (?:towers?|elements?|maps?|parts?)",
        r"(?:EB|EE|ES|ECAL)(?:/|[+-])",
    ),
    (
        r"hcal|hadron(?:ic)? calorimeter|hcal (?:towers?|elements?|maps?|parts?|depths?)",
        r"(?:HCAL|HB|HE|HF|HO)(?:/|[+-])",
    ),
    (r"calorimeters?|(?:calorimeter )?towers?", r"(?:EB|EE|ES|ECAL|HCAL|HB|HE|HF|HO)(?:/|[+-])"),
    (r"pixels?|pixel detector", r"(?i:pixel|bpix|fpix)[/+-]?"),
)

LEVELS: Mapping[str, tuple[str, ...]] = {
    "wheel": ("w", "wheel", "yb"),
    "station": ("mb", "me", "re", "st", "station"),
    "sector": ("s", "sec", "sector"),
    "rack": ("rack", "r", "rk"),
    "supermodule": ("eb", "sm", "supermodule"),
    "depth": ("d", "depth"),
    "disk": ("disk",),
    "ring": ("ring",),
    "layer": ("layer", "l"),
    "crate": ("crate", "c"),
    "chamber": ("ch", "chamber"),
    "row": ("row",),
    "slot": ("slot",),
    "farm": ("farm",),
}
"""Levels of a detector or a centre -> how they are written within names, before a number."""

LEVEL_WORDS = rf"(?:{'|'.join(LEVELS)})s?"

_SIGNED = frozenset({"w", "wheel", "yb", "eb", "ee", "sm", "me", "re", "hb", "he"})
_NUMBERED = re.compile(r"([a-z]+(?:[._-][a-z]+)*)([._-]?)([+-]?[0-9]+)", re.ASCII)


def numbered(part: str) -> tuple[str, int] | None:
    """Split a part of a name into stem and number: `mb1`, `node-017`, `w-2` (of wheels the sign counts)."""
    found = _NUMBERED.fullmatch(part)
    if found is None:
        return None
    stem, between, digits = found.groups()
    number = int(digits)
    return stem, -number if stem in _SIGNED and between == "-" else number


_MACHINE_GROUP = re.compile(r"(?i)host|machine|node|server|computer|worker|gateway")


def is_machine(entity: str, all_vectors: Iterable[str]) -> bool:
    """Say whether an entity that sends metric vectors is a host: named so, or else not named otherwise."""
    if any(re.match(_MACHINES, name, re.I) for name in all_vectors):
        return re.match(_MACHINES, entity, re.I) is not None
    return re.match(_NO_MACHINES, entity, re.I) is None


def members(
    kinds: Mapping[str, str], groups: Mapping[str, Sequence[str]] | None = None
) -> dict[str, tuple[str, ...]]:
    """Give pattern of nouns -> the entities meant, of those known (entity -> sample kind), longest noun
    first.

    `groups`: name -> shell patterns of the configuration; what it calls servers, nodes ... are machines.
    """
    maps = [name for name, kind in kinds.items() if kind == "map"]
    vectors = [name for name, kind in kinds.items() if kind == "vector"]
    found = {nouns: tuple(n for n in maps if re.match(names, n)) for nouns, names in _SYSTEMS}
    found = {nouns: names for nouns, names in found.items() if names}
    chambers = tuple(n for n in maps if re.match(_CHAMBER_SYSTEMS, n))
    machines_there = any(re.match(_MACHINES, name, re.I) for name in vectors)
    called = [p for name, patterns in (groups or {}).items() if _MACHINE_GROUP.search(name) for p in patterns]
    hosts = tuple(
        n
        for n in vectors
        if is_machine(n, vectors if machines_there else ()) or any(fnmatchcase(n, p) for p in called)
    )
    found[CHAMBERS] = chambers or tuple(maps)
    found[MAPS] = tuple(maps)
    found[HOSTS] = hosts
    return dict(sorted(found.items(), key=lambda each: -len(each[0])))
