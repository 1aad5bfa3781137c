"""Change -> what is stored of it and what is sent: a finding with its narrative, and events."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from anomalyd.daemon.config.config import Config
from anomalyd.daemon.incidents.tracking import Change
from anomalyd.daemon.kafka.messages import adapted_entry, dead_letter_entry, report_entry
from anomalyd.daemon.stages import DeadLetter
from anomalyd.reports.adaptation import Adapted
from anomalyd.reports.narrative import narrate
from anomalyd.reports.report import Provenance
from anomalyd.reports.step import OutboxEntry, StoredChange

_UNKNOWN = Provenance()


def stored_change(change: Change, made_with: Provenance = _UNKNOWN) -> StoredChange:
    """Give what the store keeps of a change; the evidence only where it is new."""
    return StoredChange(
        incident=change.incident,
        narrative=_narrative(change),
        evidence=change.evidence if change.fresh or "opened" in change.events else None,
        points=change.points,
        provenance=replace(made_with, until=change.until),
    )


def event_entries(changes: Iterable[Change], config: Config) -> list[OutboxEntry]:
    """Give a message for everything that happened, if any are wanted; that an incident goes on is none."""
    topic, link = config.output.topic, config.dashboard.link
    if topic is None:
        return []
    return [
        report_entry(event, change.incident, topic, _narrative(change), link(change.incident.id))
        for change in changes
        for event in change.events
        if event != "updated"
    ]


def outgoing(
    config: Config, changes: Iterable[Change], adapted: Iterable[Adapted], dead: Iterable[DeadLetter]
) -> list[OutboxEntry]:
    """Give all messages of a step: events of incidents, adaptations, dead letters."""
    output = config.output
    entries = event_entries(changes, config)
    if output.topic is not None:
        entries += [adapted_entry(each, output.topic) for each in adapted]
    if output.dead_letter_topic is not None:
        entries += [dead_letter_entry(letter, output.dead_letter_topic) for letter in dead]
    return entries


def _narrative(change: Change) -> str:
    return narrate(change.incident, change.evidence, change.notes)
