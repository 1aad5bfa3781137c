"""Questions that documents answer: what a word means, how a thing is done, what anomalyd is and does."""

from __future__ import annotations

import re

from anomalyd.assistant.language.systems import INCIDENTS

_DEFINITION = re.compile(
    r"^(?:what|whats) (?:is|are) an? |^what (?:does|do|is meant by)\b.*\bmean|^(?:define"
    r"|definition of|meaning of)\b"
    r"|^what (?:is|are) (?:the )?(?:meaning|definition|difference between (?:an? |the )?(?:warning"
    r"|error|critical))"
    r"|^(?:how|where) (?:do|can|should|could|would|must) (?:i|we|one|you|people)\b|^how to\b|^how "
    r"(?:is|are|does|do) .*"
    r"\b(?:calibrated|computed|calculated|work|works|set|decided|chosen|defined|trained|measured|stored|kept|found|evaluated)\b"
    r"|^what (?:should|must|do|can|would) (?:i|we|one) do\b|^(?:can|may|should|must) (?:i|we)\b"
    r"|^who(?:m)? (?:should|do|must) (?:i|we)\b|[,-] ?how$"
)
_OF_THE_DAEMON = re.compile(
    r"^(?:how|where|what) (?:does|do|is|can|will|would) (?:it|this|that) (?:mean|scale|work"
    r"|run|installed|configured|started|stopped"
    r"|deployed|updated|upgraded|set up|built|licensed|tested|stored?|kept|read|learn|decide|know)\b"
    r"|^what (?:does|do) (?:it|that|this) mean\b"
    r"|^(?:which|what) (?:is the |are the )?(?:commands?|options?|settings?|formats?|message"
    r" formats?|keys?|fields?|ports?|topics?"
    r"|files?|environment variables?|parameters?|alert rules?|pages?|libraries|licen[cs]e"
    r"|permissions?|threats?|python versions?"
    r"|metrics? (?:tells?|shows?|counts?|says?|names?|exposes?|measures?))\b"
    r"|^(?:how|where) (?:are|is|do|does) (?!.*\bincidents?\b)(?!ENT|[\w/.+*-]*[0-9])(?:(?:the"
    r"|an?) )?\w+(?: \w+)?"
    r" (?:go|come|live|lie|stand|end up|given|written"
    r"|look|read|sent|delivered|counted|handled|protected|secured|encrypted|backed up|retained"
    r"|deleted|named|merged|split)\b"
    r"|^how (?:well|fast|accurate(?:ly)?|reliabl[ey]|good|quick(?:ly)?|precise(?:ly)?"
    r"|sensitive|robust)(?: \w+)? (?:does|do|is|are) "
    r"(?:the |a )?(?!\S*[0-9])"
    r"|^(?:what|which \w+) (?:was|were|has been|is|are) (?:validated|evaluated|benchmarked"
    r"|measured on|tested|considered|supported)\b"
    r"|^(?:what|which) (?:\w+ )?(?:threats?|attacks?|risks?|limits?|limitations?|guarantees?"
    r"|promises?) (?:were|was|are|is|does|do)\b"
    r"|^is (?:anything|something) \w+ (?:twice|lost|doubled|kept)\b"
)
"""A question on anomalyd itself, where "it" points at nothing that was told."""

_SOUNDS = re.compile(
    r"\b(?:what now|now what|what to do|what (?:do|should|can|must|shall) (?:i|we|one|you|the|a)\b"
    r"|what (?:can|could|should) be done|what (?:helps|could help)|meaning|means?|runbook|how to"
    r"|how (?:do|can|could|should|must|would) (?:i|we|one|you|a|the)|setup|set up|installation|explain"
    r"|alert says|is the setting|settings? for)\b"
    r"|\banomalyd[a-z]{4,}"
    r"|^(?:can|could|may|does|do|will|must|should|is|are) (?:it|a|an|the|two|2|one|1|there an?|i|we)\b"
    rf"(?! (?:{INCIDENTS}|hosts?|chambers?)\b)"
    r"|^(?:what|which|where) (?:does|do|is|are|happens|kinds?|sort)\b"
    r"|^(?:all |the )*(?:list of |commands|settings|metrics|options|alerts\b)"
    r"|^why do(?:es)? (?:we|it|i|the)\b"
    r"|^which .* (?:needed|required|known|supported|understood|exported|available|exposed?|use[ds]?|take)$"
    r"|\bhelp$|^is every\b"
    r"|\b(?:daemons?|kafka|systemd|prometheus|grafana|configuration|config|topics?|brokers?|postgres(?:ql)?|sqlite"
    r"|kubernetes|docker|command line|python|api|dashboards?|log level|security|messages?|models?)\b"
)
"""The way questions are asked that documents may answer, and others, too."""
_ALERT = re.compile(r"\banomalyd[a-z]{4,}|\brunbook\b")


def asks_meaning(text: str) -> bool:
    """Say of a plain question whether it asks what a word means or how a thing is done."""
    return _DEFINITION.search(text) is not None


def is_general(text: str) -> bool:
    """Say the same, and whether it asks what anomalyd itself is and does."""
    return asks_meaning(text) or _OF_THE_DAEMON.search(text) is not None


def sounds_general(text: str) -> bool:
    """Say of a plain question whether it is asked in a way in which documents are."""
    return _SOUNDS.search(text) is not None


def names_alert(text: str) -> bool:
    """Say of a plain question whether it names an alert on anomalyd itself, which has a runbook."""
    return _ALERT.search(text) is not None
