"""Forms of English verbs, of which only the first word bends: "drag on", "drags on", "dragged on"."""

from __future__ import annotations

import re

_IRREGULAR = {
    "arise": ("arose", "arisen"),
    "be": ("was", "been"),
    "begin": ("began", "begun"),
    "blow": ("blew", "blown"),
    "break": ("broke", "broken"),
    "bring": ("brought", "brought"),
    "burst": ("burst", "burst"),
    "catch": ("caught", "caught"),
    "come": ("came", "come"),
    "draw": ("drew", "drawn"),
    "fall": ("fell", "fallen"),
    "find": ("found", "found"),
    "get": ("got", "gotten"),
    "give": ("gave", "given"),
    "go": ("went", "gone"),
    "have": ("had", "had"),
    "hit": ("hit", "hit"),
    "hold": ("held", "held"),
    "lose": ("lost", "lost"),
    "make": ("made", "made"),
    "put": ("put", "put"),
    "ring": ("rang", "rung"),
    "rise": ("rose", "risen"),
    "run": ("ran", "run"),
    "say": ("said", "said"),
    "see": ("saw", "seen"),
    "send": ("sent", "sent"),
    "set": ("set", "set"),
    "show": ("showed", "shown"),
    "spend": ("spent", "spent"),
    "spring": ("sprang", "sprung"),
    "strike": ("struck", "struck"),
    "take": ("took", "taken"),
    "tell": ("told", "told"),
    "think": ("thought", "thought"),
    "throw": ("threw", "thrown"),
    "wind": ("wound", "wound"),
}
_DOUBLED = frozenset({"crop", "drag", "drop", "flip", "pop", "spot", "stop", "trip", "wrap", "tip", "top"})


def forms(verb: str) -> tuple[str, str, str, str, str]:
    """Give plain form, third person, past, participle and -ing form of a verb."""
    first, _, rest = verb.partition(" ")
    rest = f" {rest}" if rest else ""
    stem = first + first[-1] if first in _DOUBLED else first.removesuffix("e")
    third = f"{first[:-1]}ies" if re.search("[^aeiou]y$", first) else first
    third = (
        third
        if third.endswith("ies")
        else f"{first}es"
        if re.search("(?:s|sh|ch|o|x)$", first)
        else f"{first}s"
    )
    regular = f"{first[:-1]}ied" if third.endswith("ies") and first.endswith("y") else f"{stem}ed"
    past, participle = _IRREGULAR.get(first, (regular, regular))
    third = {"have": "has", "be": "is"}.get(first, third)
    ing = f"{first}ing" if first in ("see", "be") else f"{stem}ing"
    if first in ("begin", "get", "hit", "put", "run", "set"):
        ing = f"{first}{first[-1]}ing"
    return first + rest, third + rest, past + rest, participle + rest, ing + rest


def any_form(verbs: str) -> str:
    """Give a pattern of all forms of some verbs."""
    found = {form for verb in verbs.split() for form in forms(verb)}
    return f"(?:{'|'.join(sorted(found, key=len, reverse=True))})"
