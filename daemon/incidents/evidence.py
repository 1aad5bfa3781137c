"""The evidence of one scored sample: what was seen, what was expected, who is to blame."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from anomalyd.daemon.scoring.entity_state import RECENT_ROWS
from anomalyd.daemon.stages import Scored
from anomalyd.detectors.detector import SeriesWindow
from anomalyd.detectors.detector_pair import DetectorPair, member_state
from anomalyd.detectors.maps.findings import Locating
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.regions import describe_region
from anomalyd.detectors.threshold import parted
from anomalyd.reports.report import Evidence

_DEAD = "the whole element counts nothing: it is dead, or not read out"

_CAUSES = 3
"""Metrics named as causes: more than three are not read at 3 a.m.; the attribution has them all."""


def evidence_of(pair: DetectorPair, scored: Scored, k: int) -> tuple[Evidence, tuple[str, ...]]:
    """Give the evidence of the k-th sample of a scored window, and its causes, worst first."""
    window = scored.window
    autoencoder, classical = scored.scores.autoencoder, scored.scores.classical
    # The autoencoder's view, unless only the classical test saw anything.
    view = classical if classical.score[k] > 1 and not autoencoder.score[k] > 1 else autoencoder
    before = SeriesWindow(window.entity, window.times[:k], window.values[:k], window.state)
    # A window read after an outage holds thousands of rows; only the last ones are drawn.
    drawn = slice(-RECENT_ROWS, None) if pair.sample_kind == "vector" else slice(0, 0)
    evidence = Evidence(
        time=float(window.times[k]),
        features=pair.features,
        values=window.values[k],
        expectation=view.expectation[k],
        error=view.error[k],
        contribution=view.contribution[k],
        history_times=np.concatenate([scored.recent_times, before.times])[drawn],
        history=np.concatenate([scored.recent, before.values])[drawn],
        state=pair.score([before])[0].state if k else window.state,
    )
    return evidence, _causes(pair if view is autoencoder else None, window.entity, evidence)


def _causes(pair: DetectorPair | None, entity: str, evidence: Evidence) -> tuple[str, ...]:
    if evidence.values.ndim == 2:
        if not np.nan_to_num(evidence.values).any():
            return (_DEAD,)
        detector: object = None if pair is None else pair.autoencoder.detector
        if isinstance(detector, Locating):
            state = parted(member_state(evidence.state, "autoencoder"))[0]
            window = SeriesWindow(entity, np.array([evidence.time]), evidence.values[None], state)
            if lines := detector.findings(window).lines(geometry_of(entity)):
                return lines
        region = describe_region(
            evidence.values, evidence.expectation, evidence.contribution, geometry_of(entity)
        )
        return (region,) if region else ()
    return _worst(evidence.features, evidence)


def _worst(features: Sequence[str], evidence: Evidence) -> tuple[str, ...]:
    """Name the metrics most to blame, leaving out those with less than a tenth of the first one's blame."""
    blame = np.nan_to_num(evidence.contribution, nan=0.0)
    order = np.argsort(-blame, kind="stable")[:_CAUSES]
    return tuple(features[i] for i in order if blame[i] > 0.1 * blame[order[0]])
