"""Up to when the models at work know the history: what is newer, none of them was trained on."""

from __future__ import annotations

from collections.abc import Sequence

from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.detectors.model import STARTING


def trained_until(active_models: Sequence[ActiveModel]) -> float | None:
    """Give the event time (s) of the last sample that every trained model knows; None where none is trained.

    A topic does not say which detectors its entities belong to, so the model that was trained the longest ago
    counts. One that is to be trained yet scores nothing; one that ships was trained on none of the topics.
    """
    cards = [each.loaded.pair.autoencoder.card for each in active_models if each.loaded is not None]
    return min((card.trained_to for card in cards if STARTING not in card.figures), default=None)
