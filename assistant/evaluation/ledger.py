"""What people said and detectors adapted to, in a generated store: the same in each, by its own names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anomalyd.reports.adaptation import Adapted, adaptation_id
from anomalyd.reports.quality import Flag, Look, Override
from anomalyd.reports.remark import Remark, RemarkKind
from anomalyd.reports.report import Incident, Status
from anomalyd.reports.step import Step
from anomalyd.reports.storage.repositories.maintenance import Window
from anomalyd.reports.storage.store import Store
from anomalyd.systems import system_of
from anomalyd.verdict import Verdict

_HOUR, _DAY = 3600.0, 86400.0
_PEOPLE = ("anna", "marco")


def write_ledger(
    store: Store, found: Sequence[Incident], named: Mapping[str, str], part: Sequence[str], now: float
) -> None:
    """Write remarks, words, maintenance windows, adaptations and flags.

    `named`: slot -> whole name of the entity; `part`: the entities that are worked on tomorrow; `found`:
    the incidents by onset.
    """
    _remarks(store, found, named)
    today = now // _DAY * _DAY
    for entity, word, who, reason, age in (
        (named["host1"], Verdict.NORMAL, "anna", "runs a new kernel since Monday", 1.0),
        (named["host2"], Verdict.BROKEN, "marco", "its disk is dying", 2.0),
        (named["chamber1"], Verdict.BROKEN, "anna", "tripped high voltage", 0.1),
    ):
        detector = next(i.detector for i in found if i.entity == entity)
        store.ledger.record_word(detector, entity, word, since=now - age * _DAY, who=who, reason=reason)
    for entities, since, until, reason in (
        ((named["chamber1"],), today - 14 * _HOUR, today - 12 * _HOUR, "high voltage test"),
        ((named["host2"],), now - 0.5 * _HOUR, now + 2 * _HOUR, "swap of the disks"),
        (tuple(part), today + 32 * _HOUR, today + 34 * _HOUR, "firmware upgrade"),
    ):
        store.maintenance.add(Window(entities, since, until, reason))
    adapted = tuple(
        Adapted(
            adaptation_id("host-metrics", named[slot], time, what, ("a",)),
            "host-metrics",
            named[slot],
            "a",
            time,
            what,
            text,
            b"",
        )
        for slot, time, what, text in (
            ("host1", now - 3 * _DAY, "rebase", "load.1 was taken for a new level: 2.1 to 3.4"),
            ("closed_host", today - 6 * _HOUR, "rebase", "swap.used was taken for a new level: 0.1 to 0.4"),
            ("host2", today - 5 * _HOUR, "relearn", "the daily course of cpu.user was learnt anew"),
        )
    )
    _quality(store, found, adapted)


def _remarks(store: Store, found: Sequence[Incident], named: Mapping[str, str]) -> None:
    """Acknowledge the open incident of the open host, and every seventh of the latest seventy."""
    latest = sorted(found, key=lambda i: (-i.onset, i.id))
    opened = next(i for i in latest if i.entity == named["open_host"] and i.status is Status.OPEN)
    store.remarks.write(Remark(opened.id, RemarkKind.ACKNOWLEDGED, "marco", ""))
    for k, incident in enumerate(i for i in latest[3:70:7] if i.id != opened.id):
        store.remarks.write(Remark(incident.id, RemarkKind.ACKNOWLEDGED, _PEOPLE[k % 2], ""))
    for slot, who, text in (
        ("host1", "marco", "fan swapped, watching it"),
        ("chamber1", "anna", "the voltage tripped, the expert is informed"),
    ):
        incident = next(i for i in latest if i.entity == named[slot])
        store.remarks.write(Remark(incident.id, RemarkKind.COMMENT, who, text))


def _quality(store: Store, found: Sequence[Incident], adapted: Sequence[Adapted]) -> None:
    """Sixty lumisections of the run with most incidents, the first twenty bad by Anna's word."""
    run, system = most_reported_run(found)
    looks = {
        (run, system, n): {f"{system}/{k}": Look(judged=True, alerting=n > 50 and k == 0) for k in range(9)}
        for n in range(1, 61)
    }
    store.commit(Step("evaluation", adaptations=tuple(adapted), lumisections=looks))
    store.flags.say(Override(run, system, 1, 20, Flag.BAD, "anna", "the high voltage was off"))


def most_reported_run(found: Sequence[Incident]) -> tuple[int, str]:
    """Give the run with most incidents, the smallest of equal ones, and the system of its first."""
    runs = [i.run for i in found if i.run is not None]
    run = min(set(runs), key=lambda r: (-runs.count(r), r))
    return run, system_of(next(i.entity for i in found if i.run == run))
