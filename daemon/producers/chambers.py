"""Simulated detector elements into Kafka: a map of each every lumisection, and faults of known truth."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from anomalyd.daemon.producers.sender import Message, Sender
from anomalyd.daemon.producers.ticks import Ticks
from anomalyd.detectors.maps.geometries.drift_tubes import dt_chambers
from anomalyd.detectors.maps.geometries.file import ElementType
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.maps.geometry import Geometry
from anomalyd.detectors.maps.simulate.faults import FAULT_KINDS, Fault, random_fault
from anomalyd.detectors.maps.simulate.placed_fault import PlacedFault
from anomalyd.detectors.maps.simulate.simulation import LUMISECTION_S, ElementSimulator


@dataclass(frozen=True, slots=True)
class Injection:
    """The truth of an injected fault: `entity` has it from lumisection `first` to `last`, both included."""

    entity: str
    fault: Fault | PlacedFault
    first: int
    last: int

    @classmethod
    def draw(
        cls,
        entity: str,
        kind: str,
        first: int,
        last: int,
        seed: int,
        element_type: ElementType | None = None,
    ) -> Self:
        """Draw a fault of a kind somewhere in the element; the same arguments give the same.

        Chambers of the drift tubes have the kinds `FAULT_KINDS`; other elements, and those of a type that is
        given, the kinds that the type's YAML lists.

        Raises:
            ValueError: an unknown element or kind, or lumisections that are in no order.

        """
        if not 1 <= first <= last:
            raise ValueError(f"lumisections {first} to {last}: must count up from 1 or later")
        number = FAULT_KINDS.index(kind) if kind in FAULT_KINDS else 0  # random_fault refuses unknown kinds
        rng = np.random.default_rng((seed, number, first, last, *entity.encode()))
        element = _element(entity, element_type)
        if element_type is not None and kind not in FAULT_KINDS:
            return cls(entity, PlacedFault.draw(element_type, kind, element, rng), first, last)
        return cls(entity, random_fault(kind, element, rng), first, last)

    @property
    def kind(self) -> str:
        """The fault's kind."""
        return self.fault.kind

    @property
    def cells(self) -> NDArray[np.bool_]:
        """The cells (R, C) it touches."""
        return self.fault.cells(_element(self.entity))

    def covers(self, entity: str, lumisection: int) -> bool:
        """Say whether this map shows it."""
        return entity == self.entity and self.first <= lumisection <= self.last


class ChamberStream:
    """Sends maps of detector elements in the format `json`, each element's entity being the key.

    Arguments:
        sender: where to; the caller starts and stops it.
        chambers: the entities of the elements.
        seed: of the simulation: the same seed and lumisections give the same maps.
        run: the run number that the maps carry.
        first_lumisection: the number of the first one.
        mean_counts: mean hits of a cell in a map; None: as published for the station, or of the type.
        element_type: what the elements are, if not drift tubes.
        drift: how far their shapes move (relative, rms).
        injections: faults to show. The last one named counts where two touch one map.
        ticks: when; every lumisection of 23.3 s by default.
        clock: wall clock, seconds since the epoch: the event time.

    Raises:
        ValueError: an entity of no known geometry.

    """

    def __init__(
        self,
        sender: Sender,
        chambers: Sequence[str],
        *,
        seed: int = 0,
        run: int = 1,
        first_lumisection: int = 1,
        mean_counts: float | None = None,
        element_type: ElementType | None = None,
        drift: float = 0.0,
        injections: Sequence[Injection] = (),
        ticks: Ticks | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sender = sender
        normal = element_type.normal if element_type is not None else None
        self._simulators = [
            ElementSimulator(_element(entity, element_type), seed, mean_counts, normal=normal, drift=drift)
            for entity in chambers
        ]
        self._run_number = run
        self._ticks = ticks or Ticks(LUMISECTION_S)
        self._clock = clock
        self._lock = threading.Lock()
        self._next = first_lumisection
        self._injections: list[Injection] = []
        for injection in injections:
            self.inject(injection)

    @property
    def injections(self) -> tuple[Injection, ...]:
        """The truth: all faults injected, past and to come."""
        with self._lock:
            return tuple(self._injections)

    @property
    def next_lumisection(self) -> int:
        """The number of the lumisection that is sent next."""
        with self._lock:
            return self._next

    def inject(self, injection: Injection) -> None:
        """Show a fault; maps already sent stay as they are.

        Raises:
            ValueError: its chamber is none of this stream's.

        """
        if injection.entity not in {s.chamber.entity for s in self._simulators}:
            raise ValueError(f"chamber {injection.entity!r} is not simulated here; choose one that is")
        with self._lock:
            self._injections.append(injection)

    def run(self) -> None:
        """Send lumisection after lumisection until `stop`."""
        for _ in self._ticks:
            with self._lock:
                lumisection, self._next = self._next, self._next + 1
            for message in self.messages(lumisection, self._clock()):
                self._sender.send(message)

    def stop(self) -> None:
        """Make `run` return after the lumisection in hand; from any thread or signal handler."""
        self._ticks.stop()

    def messages(self, lumisection: int, now: float) -> Iterator[Message]:
        """Give the messages of one lumisection, one for each chamber, with the event time `now`."""
        injections = self.injections
        for simulator in self._simulators:
            chamber = simulator.chamber
            shown = [i.fault for i in injections if i.covers(chamber.entity, lumisection)]
            counts = simulator.map(lumisection, shown[-1] if shown else None)
            sample = {
                "entity": chamber.entity,
                "time": now,
                "run": self._run_number,
                "lumisection": lumisection,
                "map": _rows(chamber, counts),
            }
            yield Message(chamber.entity.encode(), msgspec.json.encode(sample), now)


def choose_chambers(count: int, seed: int = 0) -> tuple[str, ...]:
    """Draw `count` of the 250 chambers, all different, in the order of wheel, station and sector.

    Raises:
        ValueError: fewer than one, or more than there are.

    """
    chambers = dt_chambers()
    if not 1 <= count <= len(chambers):
        raise ValueError(f"{count} chambers: there are 1 to {len(chambers)}")
    chosen = np.random.default_rng(seed).permutation(len(chambers))[:count]
    return tuple(chambers[i].entity for i in sorted(chosen))


def choose_elements(element_type: ElementType, count: int, seed: int = 0) -> tuple[str, ...]:
    """Draw `count` of a type's elements; those whose name is a pattern are there once.

    Raises:
        ValueError: fewer than one.

    """
    if count < 1:
        raise ValueError(f"{count} elements: at least 1")
    names = [e.entity.rstrip("*") for e in element_type.elements]
    chosen = np.random.default_rng(seed).permutation(len(names))[:count]
    return tuple(names[i] for i in sorted(chosen))


def _element(entity: str, element_type: ElementType | None = None) -> Geometry:
    element = geometry_of(entity, element_type.elements if element_type is not None else ())
    if element is None:
        raise ValueError(
            f"element {entity!r}: not a drift-tube chamber, as DT/W-2/MB1/S04, nor of a known type"
        )
    return replace(element, entity=entity)


def _rows(element: Geometry, counts: NDArray[np.float32]) -> list[list[int | None]]:
    """Give the ragged rows, as whole hits, None where there is no cell."""
    rows = (row[:width] for row, width in zip(counts, element.widths, strict=True))
    return [[None if np.isnan(hits) else int(hits) for hits in row] for row in rows]
