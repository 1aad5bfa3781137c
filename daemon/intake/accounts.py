"""What became of everything that was read: each record and each sample has one fate, and all are counted.

    records: consumed + reread = decoded + partly + dead-lettered + empty + canary
    samples: decoded = scored + unscored + unwatched + joined + late + repeated + given up + in flight

Fates are counted once their step is stored. What a step had in hand that was not stored, or that belongs to
partitions which went to another daemon, is given up here, and decoded again by whoever reads it next.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

from anomalyd.daemon.stages import DeadLetter, Fate, Outcome, Sample, Scored
from anomalyd.daemon.telemetry.telemetry import Telemetry

Fates = Mapping[tuple[str, Fate], int]
"""How many samples of each topic had which fate."""


def outcomes(records: int, samples: Iterable[Sample], letters: Sequence[DeadLetter]) -> dict[Outcome, int]:
    """Say what became of so many records of one partition, of which these came."""
    gave = {sample.offset for sample in samples}
    bad = {letter.record.offset for letter in letters}
    partly = len(gave & bad)
    return {
        Outcome.DECODED: len(gave) - partly,
        Outcome.PARTLY: partly,
        Outcome.DEAD: len(bad) - partly,
        Outcome.EMPTY: records - len(gave | bad),
    }


def handed_on(
    samples: Iterable[Sample], scored: Iterable[Scored], watched: Callable[[Sample], bool]
) -> Counter[tuple[str, Fate]]:
    """Say what became of samples that were handed to the detectors, of which these were scored."""
    done = {id(sample) for each in scored for sample in each.samples}
    return Counter(
        (
            sample.topic,
            Fate.SCORED if id(sample) in done else Fate.UNSCORED if watched(sample) else Fate.UNWATCHED,
        )
        for sample in samples
    )


class Accounts:
    """Keeps what was decoded and has no fate yet, and tells the metrics of each fate."""

    def __init__(self, telemetry: Telemetry) -> None:
        self._telemetry = telemetry
        self._unsettled: Counter[str] = Counter()

    def decoded(self, topic: str, samples: int) -> None:
        """Note samples that were decoded just now."""
        self._unsettled[topic] += samples
        self._telemetry.intake.decoded(topic, samples)

    def settle(self, fates: Fates, in_flight: Mapping[str, int]) -> None:
        """Count the fates of a step that is stored; `in_flight`: samples that wait, by topic."""
        for (topic, fate), samples in fates.items():
            self._unsettled[topic] -= samples
            self._telemetry.intake.settled(topic, fate, samples)
        for topic in self._unsettled:
            self._telemetry.intake.in_flight(topic, in_flight.get(topic, 0))

    def give_up(self) -> None:
        """Count as given up what has no fate yet: it is read again, here or elsewhere."""
        for topic, samples in self._unsettled.items():
            self._telemetry.intake.settled(topic, Fate.GIVEN_UP, samples)
            self._telemetry.intake.in_flight(topic, 0)
        self._unsettled.clear()
