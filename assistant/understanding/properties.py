"""Conditions on what incidents are: severity, who saw them, open, explained, acknowledged."""

from __future__ import annotations

import re

from anomalyd.assistant.language.systems import INCIDENTS
from anomalyd.assistant.understanding.atoms import Atoms
from anomalyd.reports.conditions import Acknowledged, Among, Commented, Explained, Not
from anomalyd.reports.report import SeenBy, Severity, Status

_AE = r"(?:the )?(?:autoencoders?|network|neural net(?:work)?)(?: (?:detector|test|method|one|side|model))?"
_CL = (
    r"(?:the )?(?:classical|classic|conventional|statistical)(?: (?:detector|tests?|method|one|side"
    r"|baseline|scan))?"
)
_SAW = (
    r"(?:seen|found|flagged|detected|noticed|caught|spotted|saw|see|sees|reported|raised|picked up"
    r"|catch|find|notice|detect|flag|spot)"
)
_ONLY = r"(?:only|just|solely|exclusively|alone)"


def read_properties(atoms: Atoms) -> None:
    """Take severity, who saw it, status, and whether it was explained."""
    _severities(atoms)
    _seen_by(atoms)
    still = (
        r"(?:still |currently |right now )*(?:open|on-?going|active|unresolved|unclosed|going on|(?<=still "
        r")going"
        r"|running|pending"
        rf"|in progress|not over|live|current(?= {INCIDENTS}))(?: (?:right now|now|at the moment"
        rf"|currently|still|at present))?"
    )
    atoms.sub(still, lambda m: atoms.put("STAT", Among("status", (Status.OPEN,), "open")))
    over = (
        r"(?:already )?(?:closed|resolved|finished|over(?! (?:the|a|[0-9]+)\b)|past(?= )|recovered from"
        r"|no longer open)(?: (?:already|by now))?"
    )
    atoms.sub(over, lambda m: atoms.put("STAT", Among("status", (Status.CLOSED,), "closed")))
    atoms.sub(
        r"(?:have|has|with|had) no explanations?",
        lambda m: atoms.put("EXPL", Not(Explained()), "not explained"),
    )
    _remarked(atoms)
    explained = (
        r"(?:have |has |with |been )*(?:an? )?(?:explained|explanations?)(?= |$)(?! (?:of|for|the|why))"
    )
    atoms.sub(
        r"(?:un-?explained|without (?:an? )?explanations?)",
        lambda m: atoms.put("EXPL", Not(Explained()), "not explained"),
    )
    if re.search(
        r"\b(?:which|how many|incidents?|not|been|are|were|have)\b.* (?:explained|an explanation)\b",
        atoms.text,
    ):
        atoms.sub(explained, lambda m: atoms.put("EXPL", Explained("explained")))


def _remarked(atoms: Atoms) -> None:
    """Take "acknowledged", "acknowledged by anna", "which anna acked", "with a comment"."""
    who = {name.lower(): name for name in atoms.names.people}
    names = "|".join(map(re.escape, sorted(who, key=len, reverse=True))) or "(?!)"
    acked = r"(?:acknowledged?|acked?)"
    be = r"(?:(?:that|which|has|have|had|been|were|was|are|is|did|already|got) )*"
    nobody = (
        rf"(?:un-?(?:acknowledged|acked)|{be}not (?:yet )?(?:been )?{acked}(?: yet)?|(?:that )?(?:nobody|no "
        rf"one) (?:has |yet )*{acked}"
    )
    nobody += rf"(?: yet)?|{be}(?:never|not) (?:been )?{acked})"
    atoms.sub(nobody, lambda m: atoms.put("ACK", Not(Acknowledged("acknowledged"))))
    for noun, make in ((acked, Acknowledged), (r"comment(?:ed)?(?: on)?", Commented)):
        said = "acknowledged" if make is Acknowledged else "commented"
        atoms.sub(
            rf"{be}{noun} by (?P<a>{names})|{be}(?P<b>{names}) (?:has |have |had )?{noun}",
            lambda m, make=make, said=said: atoms.put(  # type: ignore[misc]
                "ACK", make(f"{said} by {m['a'] or m['b']}", who[m["a"] or m["b"]])
            ),
        )
    anybody = (
        r"(?:someone|somebody|anyone|anybody|people|an? (?:operator|shifter|person|colleague)"
        r"|operators|shifters)"
    )
    asked = re.match(rf" *(?:did|has|have|had) {anybody}\b", atoms.text)  # whether anybody did, no condition
    if not asked:
        atoms.sub(
            rf"{be}{anybody} (?:has |have |already )*{acked}",
            lambda m: atoms.put("ACK", Acknowledged("acknowledged")),
        )
    atoms.sub(
        rf"(?:with|have|has|had|having|got) (?:an? |any |some )?(?:acknowledge?ments?|acks?)(?: by"
        rf" {anybody})?",
        lambda m: atoms.put("ACK", Acknowledged("acknowledged")),
    )
    atoms.sub(
        r"(?:without|lacking|(?:have|has|had) no|with no) (?:an? |any )?(?:acknowledge?ments?|acks?)",
        lambda m: atoms.put("ACK", Not(Acknowledged("acknowledged"))),
    )
    atoms.sub(
        rf"{be}{acked}(?: by (?:someone|somebody|anyone|anybody))?",
        lambda m: atoms.put("ACK", Acknowledged("acknowledged")),
    )
    atoms.sub(
        r"(?:without|with no|(?:have|has|had) no|not) (?:any |a )?(?:comments?|commented|remarks?)",
        lambda m: atoms.put("ACK", Not(Commented("commented"))),
    )
    atoms.sub(
        rf"{be}(?:(?:with|have|has|had|having) (?:an? |any )?(?:comments?|remarks?)|commented(?: on)?(?: "
        rf"by (?:someone|anyone))?)"
        rf"(?: (?:by|of|from) (?P<who>{names}))?",
        lambda m: atoms.put(
            "ACK",
            Commented(f"commented by {m['who']}" if m["who"] else "commented", who.get(m["who"] or "", "")),
        ),
    )


def _severities(atoms: Atoms) -> None:
    rising = list(Severity)
    worse = r"(?: (?:or|and) (?:worse|above|higher|more|up|more severe))"

    def severity(match: re.Match[str]) -> str:
        stem = next(s for s in rising if match["s"].startswith(s.value[:4]))
        at, lead = rising.index(stem), (match["lead"] or "").strip()
        if match["worse"] or lead == "at least":
            wanted = rising[at:]
        elif lead in (
            "worse than",
            "more severe than",
            "above",
            "higher than",
            "more than",
            "worse than a",
            "worse than an",
        ):
            wanted = rising[at + 1 :]
        elif lead in ("below", "less than", "milder than", "less severe than", "under"):
            wanted = rising[:at]
        elif lead in ("non", "non-", "not"):
            wanted = [s for s in rising if s != stem]
        else:
            wanted = [stem]
        words = " or ".join(wanted) or "no severity"
        noun = match["s"] if match["s"].endswith("s") else ""
        return atoms.put("SEV", Among("severity", tuple(wanted), f"severity {words}"), noun)

    lead = r"at least|(?:worse|more severe|higher|milder|less severe) than(?: an?)?|above|below|under|non-?"
    atoms.sub(
        rf"(?:(?:of |with )?(?:the )?(?:severity|level) (?:of |is |was |= "
        rf"?)?)?(?:(?P<lead>{lead}) ?)?(?:severity )?"
        rf"(?P<s>warnings?|errors?|critical(?:s)?)(?: (?:severity|level|ones?"
        rf"|grade))?(?P<worse>{worse})?",
        severity,
    )
    # "critical errors" are critical ones.
    atoms.text = re.sub(
        r"(SEV[0-9]+) +(SEV[0-9]+)",
        lambda m: m[1] if not atoms.found[m[1]].words else m[0],
        atoms.text,
    )


def _seen_by(atoms: Atoms) -> None:
    ae, classical, both = SeenBy.AUTOENCODER, SeenBy.CLASSICAL, SeenBy.BOTH
    of_both = r"both(?: of (?:them|the detectors)| detectors| methods| tests| the (?:detectors|two)| sides)?"
    lead = rf"(?:{_SAW} )?(?:(?:only |just )?by )?"
    did = r"(?:did |has |have |had )?"
    pair = rf"(?:both )?(?:{_AE} and (?:by )?{_CL}|{_CL} and (?:by )?{_AE})"
    one = (
        r"(?:only|exactly|just) (?:one|1|a single)(?: of the(?: 2| two)?)? (?:detectors?"
        r"|methods?|of them)"
    )
    atoms.sub(
        rf"(?:{_SAW} )?(?:by )?{one}(?: {_SAW})?",
        lambda m: atoms.put("SEEN", Among("seen_by", (ae, classical), "seen by one detector only")),
    )
    neither = (
        rf"(?:{did}{{x}} (?:did |has |have |had )?(?:not|never) {_SAW}|(?:which |that "
        rf")?{did}{{x}} (?:miss(?:ed)?|overlook(?:ed)?|fail(?:ed)? to {_SAW})|(?:missed|overlooked|unnoticed"
        rf"|unseen|undetected) by {{x}}|(?:slip(?:ped)?|got|get|went|go|pass(?:ed)?|sneak(?:ed)?) (?:past"
        rf"|by|through"
        rf"|unnoticed by|unseen by) {{x}}|(?:escap(?:e|ed)|evad(?:e|ed)) {{x}})"
    )
    for patterns, seen, words in (
        (
            (
                rf"{lead}{pair}(?: {_SAW})?",
                rf"{_SAW} by {of_both}",
                rf"{did}{of_both} {_SAW}",
                r"on which both agreed?|both agreed?(?: on)?",
            ),
            (both,),
            "seen by both detectors",
        ),
        (_alone(_AE), (ae,), "seen only by the autoencoder"),
        (_alone(_CL), (classical,), "seen only by the classical detector"),
        ((neither.replace("{x}", _CL),), (ae,), "not seen by the classical detector"),
        ((neither.replace("{x}", _AE),), (classical,), "not seen by the autoencoder"),
        (
            (rf"{_SAW} by {_AE}", rf"{did}{_AE} {_SAW}", rf"autoencoder (?={INCIDENTS})", rf"by {_AE}"),
            (both, ae),
            "seen by the autoencoder (alone or with the other)",
        ),
        (
            (rf"{_SAW} by {_CL}", rf"{did}{_CL} {_SAW}", rf"classical (?={INCIDENTS})", rf"by {_CL}"),
            (both, classical),
            "seen by the classical detector (alone or with the other)",
        ),
    ):
        condition = Among("seen_by", seen, words)
        for pattern in patterns:
            atoms.sub(pattern, lambda m, c=condition: atoms.put("SEEN", c))  # type: ignore[misc]


def _alone(one: str) -> tuple[str, ...]:
    did = r"(?:did |has |have )?"
    return (
        rf"{did}{_ONLY} {one}(?: (?:ever )?{_SAW})?",
        rf"{_ONLY} {_SAW} by {one}",
        rf"{_SAW} {_ONLY} by {one}",
        rf"{_SAW} by {_ONLY} {one}",
        rf"{_SAW} by {one} (?:only|alone)",
        rf"(?:by )?{one} (?:only|alone)(?: {_SAW})?",
        rf"{did}{one} (?:only|alone) {_SAW}",
        rf"{did}{one} {_SAW} (?:only|alone|exclusively)",
        rf"exclusive to {one}",
    )
