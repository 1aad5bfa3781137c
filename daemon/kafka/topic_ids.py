"""Which topic an offset belongs to: one that is deleted and made anew has another id (KIP-516)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from anomalyd.daemon.stages import Partition

STATE_NAME = "topics"


class TopicIds:
    """The ids that the stored offsets belong to, and what was lost and found while seeking them.

    Shared by the source, which asks Kafka, and the service, which stores an id with the offset it belongs to.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._stored: dict[str, str] = {}
        self._seen: dict[str, str] = {}
        self._lost: Counter[str] = Counter()
        self._made_anew: Counter[str] = Counter()

    def restore(self, states: Mapping[str, bytes]) -> None:
        """Start from what was stored: `topic/partition` -> id."""
        with self._lock:
            self._stored = {place: blob.decode() for place, blob in states.items()}

    def state(self, places: Iterable[Partition]) -> dict[str, bytes]:
        """Give what to store with the offsets of these partitions, as far as it is new."""
        with self._lock:
            new = {
                f"{topic}/{partition}": self._seen[topic]
                for topic, partition in places
                if topic in self._seen and self._stored.get(f"{topic}/{partition}") != self._seen[topic]
            }
            self._stored |= new
            return {place: id_.encode() for place, id_ in new.items()}

    def look(self, consumer: Any, topics: Iterable[str]) -> bool:
        """Ask what is known of the topics; says whether one was made anew since it was asked last.

        Brokers before Kafka 3.1 have no ids: then nothing is known.
        """
        cluster = getattr(consumer, "_cluster", None)
        anew = False
        if cluster is None:
            return anew
        for topic in set(topics):
            id_ = cluster.topic_id(topic)
            if id_ is None or not getattr(id_, "int", 1):
                continue
            with self._lock:
                anew |= self._seen.get(topic, str(id_)) != str(id_)
                self._seen[topic] = str(id_)
        return anew

    def made_anew(self, place: Partition) -> bool:
        """Say whether the stored offset of a partition belongs to another topic of this name."""
        topic, partition = place
        with self._lock:
            stored, seen = self._stored.get(f"{topic}/{partition}"), self._seen.get(topic)
            return stored is not None and seen is not None and stored != seen

    def count_lost(self, topic: str, records: int) -> None:
        """Note records that Kafka deleted before they were read."""
        with self._lock:
            self._lost[topic] += records

    def count_made_anew(self, topic: str) -> None:
        """Note a partition that is read from its beginning, since it is another than before."""
        with self._lock:
            self._made_anew[topic] += 1

    @property
    def lost(self) -> Counter[str]:
        """Records lost by topic, since the start."""
        with self._lock:
            return Counter(self._lost)

    @property
    def anew(self) -> Counter[str]:
        """Partitions of topics made anew, by topic, since the start."""
        with self._lock:
            return Counter(self._made_anew)
