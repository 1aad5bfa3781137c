"""A run at a glance, and beside another: what its lumisections were like, and which elements had faults.

Made of what the store holds: the quality flags of each system, and the incidents with maps of the run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from anomalyd.reports.quality import Flag, FlagRange
from anomalyd.reports.report import Incident
from anomalyd.systems import system_of

_MOST_ELEMENTS = 12
"""Elements with faults that the text names of a system; JSON has all."""


@dataclass(frozen=True, slots=True)
class FaultyElement:
    """An element with incidents in a run: how many, the `first` lumisection, the worst score, the causes."""

    entity: str
    incidents: int
    first: int | None
    peak: float
    causes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SystemSummary:
    """One detector system in a run: its lumisections by flag, and its elements with faults, worst first."""

    good: int
    bad: int
    uncertain: int
    empty: int
    elements: tuple[FaultyElement, ...]

    @property
    def lumisections(self) -> int:
        """How many lumisections were seen."""
        return self.good + self.bad + self.uncertain + self.empty

    @property
    def good_share(self) -> float:
        """Share of the lumisections that are good; 0 where none was seen."""
        return self.good / self.lumisections if self.lumisections else 0.0


@dataclass(frozen=True, slots=True)
class RunSummary:
    """A run: its systems by name."""

    run: int
    systems: Mapping[str, SystemSummary]


def summarise(
    run: int, flags: Mapping[str, Sequence[FlagRange]], incidents: Iterable[Incident]
) -> RunSummary:
    """Summarise a run by its quality flags (by system) and the incidents of its maps."""
    by_system: dict[str, dict[str, list[Incident]]] = {}
    for incident in incidents:
        by_system.setdefault(system_of(incident.entity), {}).setdefault(incident.entity, []).append(incident)
    systems = {}
    for name in sorted(set(flags) | set(by_system)):
        counts = dict.fromkeys(Flag, 0)
        for each in flags.get(name, ()):
            counts[each.flag] += each.last - each.first + 1
        elements = sorted(
            (_element(e, some) for e, some in by_system.get(name, {}).items()), key=lambda e: -e.peak
        )
        systems[name] = SystemSummary(
            good=counts[Flag.GOOD],
            bad=counts[Flag.BAD],
            uncertain=counts[Flag.UNCERTAIN],
            empty=counts[Flag.EMPTY],
            elements=tuple(elements),
        )
    return RunSummary(run, systems)


def _element(entity: str, incidents: Sequence[Incident]) -> FaultyElement:
    lumisections = [i.first_lumisection for i in incidents if i.first_lumisection is not None]
    worst = max(incidents, key=lambda i: i.peak or 0.0)
    return FaultyElement(
        entity, len(incidents), min(lumisections, default=None), worst.peak or 0.0, tuple(worst.causes)
    )


def best_references(run: RunSummary, others: Iterable[RunSummary]) -> list[int]:
    """Order other runs by how well they serve as a reference for a run: the best first.

    It must have the run's systems; what counts is the share of good lumisections, then how near the run
    is in time: conditions change from run to run.
    """
    fit = [o for o in others if o.run != run.run and set(run.systems) <= set(o.systems)]

    def worth(other: RunSummary) -> tuple[float, int]:
        shares = [other.systems[name].good_share for name in run.systems]
        return -round(min(shares, default=0.0), 1), abs(other.run - run.run)

    return [o.run for o in sorted(fit, key=worth)]


def as_text(summary: RunSummary, references: Sequence[RunSummary] = ()) -> str:
    """Write a page: a block for each system, beside the references where there are any."""
    title = f"Run {summary.run}"
    if references:
        title += " beside " + ", ".join(f"run {r.run}" for r in references)
    lines = [title]
    for name, system in summary.systems.items():
        empty = f", {system.empty} empty (no beam, or no data)" if system.empty else ""
        lines += [
            "",
            f"{name}: {system.good} good, {system.bad} bad, {system.uncertain} uncertain lumisections{empty}",
        ]
        beside = [r.systems[name] for r in references if name in r.systems]
        known: set[str] = set()
        if beside:
            shares = ", ".join(f"{100 * s.good_share:.0f} %" for s in beside)
            lines.append(f"  good: {100 * system.good_share:.0f} %; reference: {shares}")
            known = {e.entity for s in beside for e in s.elements}
        elif references:
            lines.append("  the reference has nothing of this system")
        for element in system.elements[:_MOST_ELEMENTS]:
            since = "" if element.first is None else f" from lumisection {element.first}"
            new = " NEW" if references and element.entity not in known else ""
            causes = f": {element.causes[0]}" if element.causes else ""
            incidents = f"{element.incidents} incident{'' if element.incidents == 1 else 's'}"
            lines.append(f"  {element.entity}{new}, {incidents}{since}{causes}")
        if len(system.elements) > _MOST_ELEMENTS:
            lines.append(f"  and {len(system.elements) - _MOST_ELEMENTS} more elements")
        gone = sorted(known - {e.entity for e in system.elements})
        if gone:
            lines.append(f"  no longer: {', '.join(gone[:_MOST_ELEMENTS])}")
    if len(lines) == 1:
        lines.append("nothing was seen of it")
    return "\n".join(lines)
