"""What every format keeps: a record in, its samples out, or the reason why not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from anomalyd.daemon.config.config import InputConfig
from anomalyd.daemon.stages import Record, Sample
from anomalyd.errors import DecodeError


class Format(ABC):
    """Decodes the messages of one input.

    `maps_names`: it makes entities and metrics of other producers' names, as `inputs` says how.
    `says_counters`: its messages say themselves which metrics count, or hold none. `grid_s` and
    `lateness_s`: how its samples are aligned if `inputs` does not say it; 10 s is how often Telegraf and
    collectd read a host unless they are told otherwise, and a batch may reach Kafka one such interval later.
    """

    maps_names = False
    says_counters = True
    grid_s = 10.0
    lateness_s = 20.0

    def __init__(self, config: InputConfig) -> None:
        self.config = config

    @abstractmethod
    def decode(self, record: Record, now: float) -> tuple[Sequence[Sample], DecodeError | None]:
        """Decode a record whose value is not empty; `now` is the wall clock in seconds since the epoch.

        A message of several samples loses only the bad ones: the others are returned, with the error that
        names the bad ones. One that holds nothing of interest (texts, metadata, metrics that are not wanted)
        gives no samples and no error.

        Raises:
            DecodeError: nothing of the message can be used.

        """
