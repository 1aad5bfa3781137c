"""One detector pair at work: its configuration and the newest trained model that can be used."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from anomalyd.daemon.config.config import DetectorConfig
from anomalyd.daemon.scoring.alert_policy import Policy
from anomalyd.detectors.library import LoadedPair, ModelLibrary, Pin
from anomalyd.detectors.registry import detector_class
from anomalyd.errors import ModelError
from anomalyd.reports.storage.repositories.maintenance import Window

_log = logging.getLogger(__name__)


class ActiveModel:
    """One detector pair at work. A model published while the daemon runs is taken at the next `refresh`.

    `on_refused` is told of every version that was refused; the last good one stays at work.
    """

    def __init__(
        self,
        config: DetectorConfig,
        library: ModelLibrary,
        on_refused: Callable[[str, str], None] = lambda detector, why: None,
    ) -> None:
        self.config = config
        self.policy = Policy.of(config)
        self.sample_kind = detector_class(config.kind).sample_kind
        self.loaded: LoadedPair | None = None
        self._library = library
        self._on_refused = on_refused
        self._seen: tuple[tuple[str, ...], Pin | None] = ((), None)
        self._reported: set[str] = set()

    def refresh(self) -> bool:
        """Load the pinned model, or the newest, if it is another; say whether another is at work now."""
        seen = (self._library.versions(self.config.name), self._library.pinned(self.config.name))
        if seen == self._seen:
            return False
        self._seen = seen
        before = self.loaded
        try:
            found = self._library.load(self.config.name)
        except ModelError as error:
            self._refuse(str(error))
            return False
        for why in found.refused:
            self._refuse(why)
        if not self._fits(found):
            return False
        if before is not None and before.version == found.version:
            return False
        self.loaded = replace(found, pair=replace(found.pair, alert_on=self.config.alert.alert_on))
        _log.info("detector %s: model %s is at work", self.config.name, found.version)
        return True

    def maintain(self, opened: Sequence[Window]) -> None:
        """Take over the maintenance windows that operators opened, in place of those it knew."""
        self.policy = Policy.of(self.config, opened)

    def _fits(self, found: LoadedPair) -> bool:
        """See that the model is of the kind that the configuration asks for."""
        kind = found.pair.autoencoder.card.kind
        if kind == self.config.kind:
            return True
        self._refuse(
            f"{found.version}: is a {kind!r}, the configuration asks for {self.config.kind!r}; "
            f"run `anomalyd train` for {self.config.name}"
        )
        return False

    def _refuse(self, why: str) -> None:
        # A look at the library names all that it passes over; each is told of once.
        if why in self._reported:
            return
        self._reported.add(why)
        _log.error("detector %s: model refused: %s", self.config.name, why)
        self._on_refused(self.config.name, why)
