"""Orders: what is asked to be done rather than answered."""

from __future__ import annotations

import re

_POLITE = (
    r"(?:(?:please|kindly|(?:can|could|would|will) (?:you|we|someone)|you (?:should|must|need to)"
    r"|(?:i|we) (?:want|need) (?:you )?to|go and|go ahead and|now|just|hey|ok|and|then)[ ,]+)*"
)
_VERBS = (
    r"acknowledge|ack|apply|block|book|build|buy|calibrate|call|cancel|change|clean|clear|close|comment|connect|copy|create|deactivate|delete"
    r"|deploy|disable|disconnect|drain|drop|edit|email|enable|erase|execute|fix|forget|format|hide|ignore|inform|insert|install|kill"
    r"|mark|mask|message|move|mute|note that|notify|open a (?:ticket|window)|overwrite|page (?:me"
    r"|the)|pause|ping|power|purge|put|raise the|reboot"
    r"|recalibrate|reconfigure|remove|rename|repair|replace|reset|restart|restore|resume|retrain"
    r"|roll back|run (?:the|a)|schedule|send|set|shut"
    r"|silence|snooze|start (?:the|a)|stop|submit|suppress|switch|tag|tell (?!me|us)|train|truncate"
    r"|turn|unmask|unmute|update|upgrade|write"
)
_ORDER = re.compile(rf"^\W*{_POLITE}({_VERBS})\b", re.IGNORECASE)
_HOW = re.compile(r"[,-]\s*how\W*$", re.IGNORECASE)


def order_in(question: str) -> str | None:
    """Give the verb of an order, None if the text is none: "mute the alarms, how?" is a question."""
    match = _ORDER.match(" ".join(question.split()))
    return match[1].lower() if match and not _HOW.search(question) else None
