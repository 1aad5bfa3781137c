"""Canaries that came back: scored as the next sample of their entity, and nothing is remembered of them."""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Callable, Collection, Mapping, Sequence

from anomalyd.daemon.canary.planted import Template, template_of
from anomalyd.daemon.intake.formats.canary import Canary
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.scoring.entity_states import EntityStates
from anomalyd.daemon.scoring.score import window_of
from anomalyd.daemon.stages import Sample, Scored
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.calibration import ALERT
from anomalyd.errors import ModelMismatch
from anomalyd.reports.step import CanaryCheck

_log = logging.getLogger(__name__)

_NEXT_S = 1.0
"""After the newest sample of its entity: what is older is late, and a long pause is a fault of its own."""

_MAPS_BACK = 5
"""A map again at once adds up its fluctuations where detectors sum the last ones: an earlier one is sent."""


class CanaryChecks:
    """Judges the canaries of a step; keeps what the next ones are made of, one entity for each detector."""

    def __init__(
        self,
        active_models: Mapping[str, ActiveModel],
        entity_states: EntityStates,
        telemetry: Telemetry,
        clock: Callable[[], float],
    ) -> None:
        self._active_models = active_models
        self._entity_states = entity_states
        self._telemetry = telemetry
        self._clock = clock
        self._templates: dict[str, deque[Template]] = {}
        self._told: dict[tuple[str, str], float] = {}

    @property
    def templates(self) -> Collection[Template]:
        """What canaries can be made of; may be asked for from any thread."""
        return tuple(kept[0] for kept in list(self._templates.values()))

    def judge(self, canaries: Sequence[Canary]) -> tuple[CanaryCheck, ...]:
        """Score canaries that came back; those of a detector without a model are not judged.

        Raises:
            StoreError: what is remembered of an entity cannot be read.

        """
        return tuple(found for canary in canaries if (found := self._judge(canary)) is not None)

    def note(self, scored: Sequence[Scored], stored: Sequence[CanaryCheck]) -> None:
        """Take normal samples as what the next canaries are made of, and tell what is stored of the last."""
        for some in scored:
            loaded = self._active_models[some.detector].loaded
            if loaded is not None and (found := template_of(some, loaded.pair.features)) is not None:
                back = _MAPS_BACK if loaded.pair.sample_kind == "map" else 1
                self._templates.setdefault(some.detector, deque([found], back)).append(found)
        for check in stored:
            # After a failure they are read again.
            if check.sent > self._told.get((check.detector, check.kind), -math.inf):
                self._told[check.detector, check.kind] = check.sent
                self._telemetry.canary.came_back(check)

    def _judge(self, canary: Canary) -> CanaryCheck | None:
        active_model = self._active_models.get(canary.detector)
        kind = "vector" if canary.map is None else "map"
        if active_model is None or active_model.loaded is None or active_model.sample_kind != kind:
            return None
        loaded = active_model.loaded
        self._entity_states.load(canary.detector, [canary.like], loaded)
        held = self._entity_states.get(canary.detector, canary.like).for_model(loaded.version)
        at = held.track.newest + _NEXT_S if math.isfinite(held.track.newest) else canary.sent
        sample = Sample(canary.like, at, "", 0, 0, canary.values, canary.map)
        try:
            (scores,) = loaded.pair.score([window_of(active_model, loaded, held, [sample])])
        except ModelMismatch as error:
            _log.warning("a canary of %s cannot be scored: %s", canary.detector, error)
            return None
        score = float(scores.score[-1])
        right = (score > ALERT) == (canary.kind == "faulty")
        return CanaryCheck(
            canary.detector,
            canary.kind,
            canary.sent,
            max(0.0, self._clock() - canary.sent),
            score if math.isfinite(score) else None,
            right,
        )
