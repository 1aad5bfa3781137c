"""A second opinion on how a question was understood: whether that is doubted."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, cached_property

from anomalyd.assistant.intent.labels import labels_of, without_names
from anomalyd.assistant.intent.network import IntentNetwork
from anomalyd.assistant.understanding.question import Question
from anomalyd.assistant.understanding.understand import Understood
from anomalyd.errors import MissingExtra, ModelError

DOUBT = 0.015
"""A typed question with a label less likely than this is doubted (held-out sets: docs/assistant.md)."""


class SecondOpinion:
    """Judges the grammar by how people ask. `load` gives the network, when the first question comes.

    Without the extra `assistant` there is no second opinion, and nothing is doubted.
    """

    def __init__(self, load: Callable[[], IntentNetwork] | None = None) -> None:
        self._load = load or _packaged

    @cached_property
    def _network(self) -> IntentNetwork | None:
        try:
            return self._load()
        except (MissingExtra, ModelError):
            return None

    def doubts(self, typed: Question, read: Understood) -> bool:
        """Say whether a question that the grammar typed is hardly what the words ask."""
        if not read.marked or self._network is None:
            return False
        opinion = self._network.read(without_names(read.marked, read.atoms))
        return opinion.least(labels_of(typed)) < DOUBT


@cache
def _packaged() -> IntentNetwork:
    return IntentNetwork.load()
