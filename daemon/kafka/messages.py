"""What anomalyd writes to Kafka: dead letters, and the events of incidents, adaptations and words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from anomalyd.daemon.stages import DeadLetter
from anomalyd.reports.adaptation import Adaptation, Adapted
from anomalyd.reports.feedback import OperatorFeedback
from anomalyd.reports.report import Incident
from anomalyd.reports.run_summary import RunSummary
from anomalyd.reports.step import OutboxEntry

PREFIX = "anomalyd-"

Event = Literal["opened", "escalated", "closed", "explained"]


def dead_letter_entry(letter: DeadLetter, topic: str) -> OutboxEntry:
    """Make the message of a dead letter: the original key, value and headers, and why and where from.

    Where only parts of the record are bad, the value holds these alone, and `anomalyd-part` names them.
    Headers added: `anomalyd-reason`, `anomalyd-text`, `anomalyd-topic`, `anomalyd-partition`,
    `anomalyd-offset`, `anomalyd-timestamp` (Kafka's, milliseconds), and `anomalyd-null-value` where the
    original had no value: it is sent empty, since a message without one would delete in a compacted topic.
    """
    record = letter.record
    headers = [
        # A dead letter may come round again: the words of the last time would contradict these.
        (name, value if value is not None else b"")
        for name, value in record.headers
        if not name.startswith(PREFIX)
    ]
    told = {
        "reason": str(letter.reason),
        "text": letter.text,
        "topic": record.topic,
        "partition": str(record.partition),
        "offset": str(record.offset),
        "timestamp": str(round(record.timestamp * 1000)),
    }
    if record.value is None:
        told["null-value"] = "true"
    if letter.where is not None:
        told["part"] = letter.where
    headers += [(PREFIX + name, _bytes(text)) for name, text in told.items()]
    value = record.value if letter.broken is None else letter.broken
    return OutboxEntry(topic, record.key, value or b"", tuple(headers))


def report_entry(
    event: Event, incident: Incident, topic: str, narrative: str = "", link: str | None = None
) -> OutboxEntry:
    """Make the message of an incident's event: JSON, with the incident's id as the key.

    The value holds `event`, `narrative` and every field of the incident; times are seconds since the epoch,
    a score that could not be told is null. `link`: the address of its page, left out where there is none.
    """
    page = {} if link is None else {"link": link}
    return _event(
        event, topic, incident.id, {"narrative": narrative, **page, **msgspec.to_builtins(incident)}
    )


def adapted_entry(adapted: Adapted, topic: str) -> OutboxEntry:
    """Make the message of an adaptation ("adapted"): what was assumed, keyed by the adaptation's id."""
    return _event("adapted", topic, adapted.id, _fields(adapted))


def undone_entry(adaptation: Adaptation, topic: str, who: str, outcome: str) -> OutboxEntry:
    """Make the message of an adaptation that was taken back ("undone"): by whom, and what came of it."""
    return _event("undone", topic, adaptation.id, {**_fields(adaptation), "who": who, "outcome": outcome})


def feedback_entry(word: OperatorFeedback, topic: str) -> OutboxEntry:
    """Make the message of an operator's word that was applied ("word"): whose it was, what came of it."""
    return _event("word", topic, f"word-{word.id}", msgspec.to_builtins(word))


def run_entry(summary: RunSummary, references: Sequence[RunSummary], text: str, topic: str) -> OutboxEntry:
    """Make the message of a run that ended ("run-ended"): its summary, beside those of good references."""
    told = {"run": summary.run, "systems": summary.systems, "references": references, "text": text}
    return _event("run-ended", topic, f"run-{summary.run}", told)


def _fields(adaptation: Adapted | Adaptation) -> dict[str, Any]:
    names = ("id", "detector", "entity", "model", "time", "what", "text")
    return {name: getattr(adaptation, name) for name in names}


def _event(event: str, topic: str, key: str, about: dict[str, Any]) -> OutboxEntry:
    headers = (("content-type", b"application/json"), (PREFIX + "event", event.encode()))
    return OutboxEntry(topic, key.encode(), msgspec.json.encode({"event": event, **about}), headers)


def _bytes(text: str) -> bytes:
    return text.encode(errors="replace")
