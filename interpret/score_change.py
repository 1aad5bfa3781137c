"""How much a sample scores above what was expected of it: what attributions share out."""

from __future__ import annotations

import torch

from anomalyd.detectors.detector import Encoded, Explainable


def score_change(detector: Explainable, encoded: Encoded) -> float:
    """Give the score of a sample (1, ...) less that of its baseline."""
    both = torch.cat([encoded.inputs, encoded.baseline])
    with torch.no_grad():
        observed, usual = detector.forward(
            both, *(each.expand(2, *each.shape[1:]) for each in encoded.context)
        )
    return float(observed - usual)
