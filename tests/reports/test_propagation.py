"""Across entities: who began, and who followed."""

from __future__ import annotations

from collections.abc import Callable

from anomalyd.reports.cases.propagation import Related, related_incidents, told
from anomalyd.reports.report import Incident


class Reports:
    """Stands for the queries: gives those of these incidents that are near."""

    def __init__(self, *incidents: Incident) -> None:
        self.incidents = incidents
        self.overview = self

    def near(self, onset: float, window_s: float, limit: int) -> list[Incident]:
        return [each for each in self.incidents if abs(each.onset - onset) <= window_s]


def test_who_began_and_who_followed(incident: Callable[..., Incident]) -> None:
    onset = 1_795_200_000.0
    own = incident(id="o", entity="rack1/a", onset=onset, source="metrics/0/5")
    others = [
        incident(id="1", entity="rack1/b", onset=onset - 60, source="metrics/1/5"),
        incident(id="2", entity="rack1/c", onset=onset + 30, source="other/1/5"),
        incident(id="3", entity="rack2/d", onset=onset - 90, source="other/1/5"),
        incident(id="4", entity="rack1/e", onset=onset + 2000, source="metrics/1/5"),
    ]
    found = related_incidents(Reports(own, *others), own, {"rack 1": ["rack1/*"]})  # type: ignore[arg-type]
    assert [(r.entity, r.delay_s, r.shared) for r in found] == [
        ("rack1/b", -60.0, ("group rack 1", "input metrics")),
        ("rack1/c", 30.0, ("group rack 1",)),
        ("rack2/d", -90.0, ()),
    ]
    assert told(found) == (
        "rack1/b began 60 s earlier (group rack 1, input metrics); followed by rack1/c +30 s"
    )
    assert told([found[2]]) == ""
    assert told([found[0]]) == "rack1/b began 60 s earlier (group rack 1, input metrics)"
    many = [Related(str(k), f"h{k}", float(k), 1.0, ("input m",)) for k in range(7)]
    assert told(many).startswith("it began first; followed by h0 +0 s")
    assert told(many).endswith("and 2 more")
