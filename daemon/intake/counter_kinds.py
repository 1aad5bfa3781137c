"""Which metrics count up: told by what they do, for a name does not say it.

`node_vmstat_pgfault` counts, though its name does not end in `_total`; `aws_elb_request_count_sum` and
`rabbitmq_queues_count` do not, though theirs look so. What only ever rises is a counter, and its rate is what
there is to watch; what falls is none, unless it was set back (to less than half of what it was) now and then.

A training looks at its whole history and settles which metrics count, and what a model was trained on is kept
(`models/metric-kinds.json`): a metric that turns out to be of the other kind afterwards is missing to the
model, and said, until the next training. Before any training it becomes what it turns out to be at once.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

import msgspec

from anomalyd.daemon.intake.damaged import damaged
from anomalyd.errors import StoreError

STATE_NAME = "kinds"

FILE = "metric-kinds.json"

RISES = 20
"""In so many a metric that never falls has shown that it counts: by chance one in a million would."""

_ENOUGH = 100
"""Rises are not counted further, so that what is settled need not be stored again and again."""


class Kind(StrEnum):
    """What a metric is."""

    COUNTER = "counter"
    GAUGE = "gauge"
    UNPROVEN = "unproven"  # taken for a gauge: it has neither fallen nor risen often enough


@dataclass(frozen=True, slots=True)
class KindChange:
    """A metric that turned out to be of another kind than it was taken for.

    `masked`: the model at work was trained on the other kind, so that it is missing until the next training.
    """

    topic: str
    metric: str
    kind: Kind
    masked: bool


_RANK = (Kind.UNPROVEN, Kind.COUNTER, Kind.GAUGE)


class _Evidence(msgspec.Struct, array_like=True, gc=False):
    """The newest reading of a metric, and how often it rose and was set back."""

    value: int | float
    rises: int = 0
    falls: int = 0
    kind: Kind = Kind.UNPROVEN

    def look(self, value: float, declared: bool) -> Kind:
        """Take a reading: what the metric is by now."""
        before, self.value = self.value, value
        if value > before:
            self.rises = min(self.rises + 1, _ENOUGH)
            if self.kind is Kind.UNPROVEN and self.rises >= RISES:
                self.kind = Kind.COUNTER
        elif value < before:
            counts = declared or self.kind is Kind.COUNTER
            set_back = 0 <= value <= before / 2
            # The kernel's own counters of time step back by a tick now and then.
            ticks = counts and value >= before * 0.99 and self.rises >= RISES
            self.falls += 1
            tolerated = 1 + self.rises // (10 if counts else RISES)
            if not (set_back or ticks) or self.falls > tolerated or not (counts or self.rises >= 5):
                self.kind = Kind.GAUGE
        return self.kind


class _Watched(msgspec.Struct, array_like=True):
    """The metrics of one entity, and the training that they were compared with last."""

    training: float
    metrics: dict[str, _Evidence] = {}


class Trained(msgspec.Struct, frozen=True):
    """What the models at work were trained on: topic -> metric without its labels -> its kind.

    `created` is the wall clock of that training, in seconds since the epoch.
    """

    created: float = 0.0
    kinds: dict[str, dict[str, Kind]] = {}


class CounterKinds:
    """Follows the metrics of each entity.

    Arguments:
        certain: topics whose messages, or whose configuration, say themselves what counts.
        trained: what the models at work were trained on.
        surveys: whether `settled` is asked for at the end.
        frozen: whether `trained` is taken as it is, and nothing looked at.

    """

    def __init__(
        self,
        certain: Collection[str] = (),
        trained: Trained | None = None,
        *,
        surveys: bool = False,
        frozen: bool = False,
    ) -> None:
        self.certain = frozenset(certain)
        self._trained = trained or Trained()
        self._watched: dict[str, _Watched] = {}
        self._changed: set[str] = set()
        self._told: set[tuple[str, str]] = set()
        self._found: list[KindChange] = []
        self._frozen = frozen
        self._declared: dict[tuple[str, str, str], bool] | None = {} if surveys else None

    def trained(self, trained: Trained) -> None:
        """Take what newly trained models were trained on."""
        if trained != self._trained:
            self._trained = trained
            self._told.clear()

    def kind(
        self, topic: str, entity: str, metric: str, declared: bool, readings: Iterable[float | None]
    ) -> Kind | None:
        """Say what a metric is to be given as: COUNTER as its rate, GAUGE as it is, None: as missing.

        Arguments:
            topic: where it came from.
            entity: whose it is.
            metric: its name.
            declared: whether its name, or the configuration, says that it counts.
            readings: what it showed, in the order of event time.

        """
        if topic in self.certain:
            return Kind.COUNTER if declared else Kind.GAUGE
        if self._declared is not None:
            self._declared[topic, entity, metric] = declared
        bare = metric.partition("{")[0]
        was = self._trained.kinds.get(topic, {}).get(bare)
        if was is Kind.GAUGE:
            return Kind.GAUGE
        if self._frozen:
            return Kind.COUNTER if (was or declared) and was is not Kind.UNPROVEN else Kind.GAUGE
        found = self._look(entity, metric, declared or was is Kind.COUNTER, readings)
        base = was or (Kind.COUNTER if declared else Kind.UNPROVEN)
        now = base if found is Kind.UNPROVEN else found
        counts, counted = now is Kind.COUNTER, base is Kind.COUNTER
        if counts == counted:
            return Kind.COUNTER if counts else Kind.GAUGE
        self._tell(topic, bare, now, masked=was is not None)
        if was is not None:
            return None
        return Kind.COUNTER if counts else Kind.GAUGE

    def take(self) -> list[KindChange]:
        """Give, once, which metrics turned out to be of another kind."""
        found, self._found = self._found, []
        return found

    def settled(self) -> tuple[dict[str, dict[str, Kind]], bool]:
        """Give the kinds by topic and metric by all that was seen: what fell anywhere is a gauge everywhere.

        The second says whether any of them was taken for another kind on the way.
        """
        kinds: dict[str, dict[str, Kind]] = {}
        surveyed = self._declared or {}
        for (topic, entity, metric), declared in surveyed.items():
            evidence = self._watched[entity].metrics.get(metric)
            found = Kind.UNPROVEN if evidence is None else evidence.kind
            kind = Kind.COUNTER if declared and found is Kind.UNPROVEN else found
            of_topic = kinds.setdefault(topic, {})
            bare = metric.partition("{")[0]
            of_topic[bare] = max(of_topic.get(bare, Kind.UNPROVEN), kind, key=_RANK.index)
        anew = any(
            (kinds[topic][metric.partition("{")[0]] is Kind.COUNTER) != declared
            for (topic, _, metric), declared in surveyed.items()
        )
        return kinds, anew

    def state(self) -> dict[str, bytes]:
        """Give entity -> what to store of it, for the entities that changed since the last call."""
        changed, self._changed = self._changed, set()
        return {entity: msgspec.msgpack.encode(self._watched[entity]) for entity in changed}

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Start from what was stored, and forget everything else.

        Raises:
            StoreError: what was stored is damaged.

        """
        self._watched.clear()
        self._changed.clear()
        self._found.clear()
        for entity, blob in states.items():
            with damaged(f"what counts of {entity}"):
                self._watched[entity] = msgspec.msgpack.decode(blob, type=_Watched)

    def _look(self, entity: str, metric: str, declared: bool, readings: Iterable[float | None]) -> Kind:
        known = self._watched.get(entity)
        if known is None:
            known = self._watched[entity] = _Watched(self._trained.created)
        elif known.training != self._trained.created:
            # A newer training has looked further: what was found before is found again where it still holds.
            known.training = self._trained.created
            known.metrics = {name: e for name, e in known.metrics.items() if e.kind is Kind.UNPROVEN}
        evidence = known.metrics.get(metric)
        for reading in readings:
            if reading is None:
                continue
            if evidence is None:
                evidence = known.metrics[metric] = _Evidence(reading)
                self._changed.add(entity)
            elif evidence.kind is Kind.GAUGE:
                break
            elif reading != evidence.value:
                settled = evidence.rises == _ENOUGH and reading > evidence.value
                evidence.look(reading, declared)
                if not settled:
                    self._changed.add(entity)
        return Kind.UNPROVEN if evidence is None else evidence.kind

    def _tell(self, topic: str, bare: str, kind: Kind, *, masked: bool) -> None:
        if (topic, bare) not in self._told:
            self._told.add((topic, bare))
            self._found.append(KindChange(topic, bare, kind, masked))


def read_kinds(models: Path) -> Trained:
    """Read what the models in a folder were trained on; nothing where no training has said.

    Raises:
        StoreError: the file is damaged.

    """
    path = models / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Trained)
    except FileNotFoundError:
        return Trained()
    except (OSError, msgspec.DecodeError) as error:
        raise StoreError(f"{path}: cannot be read: {error}; train again, which writes it anew") from error


def kinds_mark(models: Path) -> object:
    """Give what changes whenever a training writes its kinds."""
    try:
        found = (models / FILE).stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino


def write_kinds(models: Path, trained: Trained) -> None:
    """Write what models were trained on: whole, or not at all."""
    models.mkdir(parents=True, exist_ok=True)
    new = models / f".{FILE}.new"
    new.write_bytes(msgspec.json.format(msgspec.json.encode(trained), indent=1))
    new.replace(models / FILE)
