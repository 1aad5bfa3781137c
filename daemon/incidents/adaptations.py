"""Adaptations on their way: what the detectors changed of themselves, for the store and for the reports."""

from __future__ import annotations

from collections.abc import Sequence

from anomalyd.daemon.incidents.tracking import Note
from anomalyd.daemon.scoring.entity_state import encode_state
from anomalyd.daemon.stages import Scored
from anomalyd.reports.adaptation import Adapted, adaptation_id
from anomalyd.reports.narrative import assumed


def adaptations_of(scored: Scored) -> tuple[Adapted, ...]:
    """Give what the detectors adapted to on a window; nothing is remembered of a late one."""
    if scored.late:
        return ()
    return tuple(
        Adapted(
            # The members of the pair stand before the dot: both may adapt at the same sample.
            id=adaptation_id(
                scored.detector,
                scored.entity,
                each.time,
                each.what,
                {name.partition(".")[0] for name in each.before},
            ),
            detector=scored.detector,
            entity=scored.entity,
            model=scored.model,
            time=each.time,
            what=each.what,
            text=each.text,
            before=encode_state(each.before) if each.before else b"",
        )
        for each in scored.scores.adaptations
    )


def notes_on(adapted: Sequence[Adapted]) -> list[Note]:
    """Tell of each what was assumed, and how that is taken back."""
    return [Note(each.time, assumed(each.text, each.time, each.id)) for each in adapted]
