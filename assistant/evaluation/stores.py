"""Generated report stores: other entities, systems, times and sizes, each from a seed."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from anomalyd.assistant.evaluation.ledger import write_ledger
from anomalyd.reports.narrative import narrate
from anomalyd.reports.report import Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Activity, Step, StoredChange
from anomalyd.reports.storage.store import Store

HOUR, DAY = 3600.0, 86400.0
METRICS = ("cpu.user", "mem.available", "disk.sda.write", "net.eth0.errors", "load.1", "swap.used")
REGIONS = (
    "layer 9, wires 1-49: 31 % of expected",
    "layers 1-4: no hits",
    "layer 3, wire 7: 5.2 x expected (hot)",
)


@dataclass(frozen=True)
class Plan:
    """A store to generate. `slots`: what stands for {names} in questions; `sets`: what IN_GROUP means, as
    names.
    """

    name: str
    now: float
    hosts: tuple[str, ...]
    maps: tuple[str, ...]
    other_maps: tuple[str, ...]
    incidents: int
    days: int
    seed: int
    slots: Mapping[str, str]
    sets: Mapping[str, tuple[str, ...]]
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    quiet: tuple[str, ...] = ()

    @property
    def entities(self) -> tuple[str, ...]:
        """All names."""
        return (*self.hosts, *self.maps, *self.other_maps)

    @property
    def named(self) -> dict[str, str]:
        """Slot -> what it says, with a name as it is in the store: `gpu2` is `rack4/gpu2`."""
        return {
            slot: next((n for n in self.entities if n == said or n.endswith(f"/{said}")), said)
            for slot, said in self.slots.items()
        }


def _utc(*when: int) -> float:
    year, month, day, hour, minute = (*when, 0)[:5]
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


def plans() -> tuple[Plan, ...]:
    """Give the four stores: an afternoon at a muon detector, a night at a farm, a small laboratory on a
    Sunday, and an early morning at a computing centre.
    """
    return (_muons(), _farm(), _laboratory(), _centre())


def _muons() -> Plan:
    hosts = tuple(f"host/node{k:03}" for k in range(21, 61)) + tuple(
        f"host/storage{k:02}" for k in range(1, 9)
    )
    chambers = tuple(
        f"DT/W{w:+d}/MB{s}/S{k:02}".replace("W+0", "W0")
        for w in (-2, -1, 0, 1, 2)
        for s in (1, 3)
        for k in (2, 5, 11)
    )
    others = tuple(f"EB{k:+03}" for k in (1, 2, 7, -3, -11)) + tuple(f"HCAL/D{k}" for k in (1, 2, 3, 4))
    return Plan(
        "muons",
        _utc(2026, 11, 23, 15),
        hosts,
        chambers,
        others,
        900,
        14,
        1,
        {
            "host1": "node033",
            "host2": "node041",
            "open_host": "node047",
            "closed_host": "node052",
            "quiet_host": "node060",
            "typo_host": "node333",
            "chamber1": "DT/W-2/MB1/S05",
            "maps": "chambers",
            "group": "storage nodes",
            "part": "wheel -2",
            "range_first": "node030",
            "range_last": "node043",
            "cause": "eth0",
            "often": "6",
            "often2": "12",
        },
        {
            "hosts": hosts,
            "maps": chambers,
            "group": hosts[40:],
            "part": tuple(c for c in chambers if "/W-2/" in c),
            "range": tuple(f"host/node{k:03}" for k in range(30, 44)),
        },
        quiet=("host/node060", "DT/W+2/MB3/S11"),
    )


def _farm() -> Plan:
    hosts = tuple(f"rack{r}/wn{k:02}" for r in (1, 2, 3) for k in range(1, 13)) + tuple(
        f"rack4/gpu{k}" for k in range(1, 6)
    )
    others_v = tuple(f"switch/sw{k}" for k in (1, 2))
    towers = (*(f"EB{s}{k:02}" for s in "+-" for k in (1, 4, 9, 14)), "EE+", "EE-")
    dt = tuple(f"DT/W{w}/MB2/S0{k}" for w in ("-1", "0", "+1") for k in (1, 4))
    wn = {int(h[-2:]): h for h in hosts if h.startswith("rack2")}
    return Plan(
        "farm",
        _utc(2026, 9, 4, 3, 10),
        hosts,
        dt,
        (*others_v, *towers),
        3000,
        10,
        2,
        {
            "host1": "rack2/wn04",
            "host2": "rack1/wn11",
            "open_host": "rack3/wn02",
            "closed_host": "gpu2",
            "quiet_host": "gpu5",
            "typo_host": "wn77",
            "chamber1": "DT/W+1/MB2/S04",
            "maps": "chambers",
            "group": "gpu machines",
            "part": "rack 2",
            "range_first": "rack2/wn03",
            "range_last": "rack2/wn06",
            "cause": "swap",
            "often": "25",
            "often2": "50",
        },
        {
            "hosts": hosts,
            "maps": dt,
            "group": hosts[36:],
            "part": tuple(wn.values()),
            "range": tuple(wn[k] for k in range(3, 7)),
        },
        quiet=("rack4/gpu5",),
    )


def _laboratory() -> Plan:
    hosts = (
        tuple(f"daq-ru-{k:02}" for k in range(1, 9))
        + tuple(f"daq-bu-{k:02}" for k in range(1, 5))
        + ("eos-fst-1", "eos-fst-2")
    )
    maps = tuple(f"CSC/ME+{s}/R{r}" for s in (1, 2, 3) for r in (1, 2))
    return Plan(
        "laboratory",
        _utc(2026, 3, 1, 12, 30),
        hosts,
        maps,
        ("Pixel/L1", "Pixel/L2"),
        240,
        9,
        3,
        {
            "host1": "daq-ru-03",
            "host2": "daq-bu-02",
            "open_host": "daq-ru-06",
            "closed_host": "daq-ru-08",
            "quiet_host": "daq-bu-04",
            "typo_host": "daq-ru-33",
            "chamber1": "CSC/ME+2/R1",
            "maps": "chambers",
            "group": "event builders",
            "part": "daq-ru",
            "range_first": "daq-ru-02",
            "range_last": "daq-ru-05",
            "cause": "disk",
            "often": "6",
            "often2": "12",
        },
        {
            "hosts": hosts,
            "maps": maps,
            "group": hosts[8:12],
            "part": hosts[:8],
            "range": hosts[1:5],
        },
        groups={"event-builder": ["daq-bu-*"]},
        quiet=("daq-bu-04",),
    )


def _centre() -> Plan:
    workers = tuple(f"batch/lxb{k}" for k in range(1101, 1131))
    hosts = (*workers, *(f"disk/dss{k:02}" for k in range(1, 13)), "gw-a", "gw-b")
    chambers = tuple(f"RPC/W{w}/RB{s}/S{k:02}" for w in ("-1", "0", "+1") for s in (1, 2) for k in (1, 7, 12))
    return Plan(
        "centre",
        _utc(2026, 11, 28, 6, 20),
        hosts,
        chambers,
        ("HCAL/HF+", "HCAL/HF-", "L1T/muons"),
        1500,
        21,
        4,
        {
            "host1": "lxb1107",
            "host2": "dss04",
            "open_host": "lxb1119",
            "closed_host": "gw-b",
            "quiet_host": "lxb1130",
            "typo_host": "lxb9119",
            "chamber1": "RPC/W+1/RB2/S07",
            "maps": "chambers",
            "group": "disk servers",
            "part": "wheel +1",
            "range_first": "lxb1103",
            "range_last": "lxb1110",
            "cause": "load",
            "often": "10",
            "often2": "20",
        },
        {
            "hosts": hosts,
            "maps": chambers,
            "group": hosts[30:42],
            "part": tuple(c for c in chambers if "/W+1/" in c),
            "range": workers[2:10],
        },
        groups={"disk-server": ["disk/*"], "batch-worker": ["batch/*"]},
        quiet=("batch/lxb1130", "RPC/W0/RB1/S12"),
    )


def incidents_of(plan: Plan) -> list[Incident]:
    """Draw the incidents of a store: a few entities have most of them, some are open, maps have runs."""
    draw = random.Random(plan.seed)
    by_slot = plan.named
    often = [by_slot["host1"], by_slot["host2"], by_slot["chamber1"], by_slot["closed_host"]]
    alarming = [n for n in plan.entities if n not in plan.quiet]
    opens = {by_slot["open_host"], plan.other_maps[0]}
    found: dict[str, Incident] = {}
    while len(found) < plan.incidents:
        entity = draw.choice(often) if draw.random() < 0.15 else draw.choice(alarming)
        onset = plan.now - draw.random() ** 1.4 * plan.days * DAY - 120
        onset = float(round(onset))
        length = float(round(min(8 * HOUR, draw.expovariate(1 / 1500.0)) + 5))
        if onset + length + 30 > plan.now:
            continue
        found |= _drawn(plan, draw, entity, onset, length, closed=True)
    for k, entity in enumerate(sorted(opens)):
        for n in range(1 + k):
            onset = float(round(plan.now - 5000 * (k + 1) - 777 * n))
            found |= _drawn(plan, draw, entity, onset, plan.now - 10 - onset, closed=False)
    return sorted(found.values(), key=lambda i: i.onset)


def _drawn(
    plan: Plan, draw: random.Random, entity: str, onset: float, length: float, *, closed: bool
) -> dict[str, Incident]:
    is_map = entity in plan.maps or (entity in plan.other_maps and not entity.startswith("switch"))
    peak = round(1.02 + draw.expovariate(0.6), 3)
    seen = draw.choice(list(SeenBy))
    run = 320000 + plan.seed * 100 + int((onset - (plan.now - plan.days * DAY)) // (DAY / 2))
    first = int(onset // 25) % 600
    key = hashlib.sha256(f"{entity}{onset}".encode()).hexdigest()[:16]
    causes = (draw.choice(REGIONS),) if is_map else tuple(draw.sample(METRICS, 2))
    incident = Incident(
        id=key,
        detector="maps" if is_map else "host-metrics",
        entity=entity,
        sample_kind="map" if is_map else "vector",
        severity=Severity.CRITICAL if peak >= 4 else Severity.ERROR if peak >= 2 else Severity.WARNING,
        status=Status.CLOSED if closed else Status.OPEN,
        onset=onset,
        last=onset + length,
        closed=onset + length + 20 if closed else None,
        samples=int(length) // 10 + 3,
        peak=peak,
        peak_time=onset + length / 2,
        autoencoder=0.5 if seen is SeenBy.CLASSICAL else peak,
        classical=0.5 if seen is SeenBy.AUTOENCODER else peak - 0.01,
        seen_by=seen,
        causes=causes,
        model=f"20260{plan.seed}01T120000Z-1a2b3c4d",
        run=run if is_map else None,
        first_lumisection=first if is_map else None,
        last_lumisection=first + int(length) // 25 if is_map else None,
        source="metrics/0/1",
    )
    return {key: incident}


def generate(plan: Plan, folder: Path) -> str:
    """Write a store into a folder; give its URL."""
    url = f"sqlite:///{folder / plan.name}.db"
    store = Store.open(url, clock=lambda: plan.now)
    found = incidents_of(plan)
    for k in range(0, len(found), 500):
        changes = tuple(StoredChange(i, narrate(i, None)) for i in found[k : k + 500])
        store.commit(Step("evaluation", stored_changes=changes))
    write_ledger(store, found, plan.named, plan.sets["range"], plan.now)
    kinds = {i.entity: i.sample_kind for i in found}
    first_hour = (plan.now - plan.days * DAY) // HOUR * HOUR
    hour = first_hour
    while hour < plan.now:
        end = min(hour + HOUR, plan.now) - 5
        sent = {
            name: Activity(kinds.get(name, "map" if name in plan.maps else "vector"), hour, end, 360)
            for name in plan.entities
        }
        store.commit(Step("evaluation", activity=sent))
        hour += HOUR
    store.close()
    return url
