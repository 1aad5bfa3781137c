"""Reports for the tests of the dashboard: single ones, and the store of a night in the control room."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import replace

import numpy as np

from anomalyd.detectors.maps.geometries.known import geometry_of, shipped
from anomalyd.reports.adaptation import Adapted
from anomalyd.reports.narrative import narrate
from anomalyd.reports.quality import Flag, Look, Override
from anomalyd.reports.remark import Remark, RemarkKind
from anomalyd.reports.report import (
    Cause,
    Direction,
    Evidence,
    Explanation,
    Incident,
    SeenBy,
    Severity,
    Status,
)
from anomalyd.reports.storage import tables
from anomalyd.reports.storage.repositories.daemon_status import DaemonStatus, DetectorStatus
from anomalyd.reports.storage.repositories.entity_states import StateChanges, StateSnapshot
from anomalyd.reports.storage.repositories.maintenance import Window
from anomalyd.reports.storage.store import Activity, Point, Step, Store, StoredChange

NOW = time.time()
HOSTILE = "host/<script>alert(1)</script>*_$x$"
CHAMBER = "DT/W0/MB4/S13"  # its 8 layers are numbered 1 to 4 and 9 to 12


def incident(id, **changes):
    given = {
        "detector": "hosts",
        "entity": "host/pc1",
        "sample_kind": "vector",
        "severity": Severity.ERROR,
        "status": Status.CLOSED,
        "onset": NOW - 7200,
        "last": NOW - 7080,
        "closed": NOW - 7070,
        "samples": 120,
        "peak": 3.5,
        "peak_time": NOW - 7100,
        "autoencoder": 3.5,
        "classical": float("nan"),
        "seen_by": SeenBy.AUTOENCODER,
        "causes": ("cpu", "load"),
        "model": "20261123T211500Z-1a2b3c4d",
        "source": "hosts/0/17",
    }
    return Incident(id=id, **{**given, **changes})


def still_open(severity, age_s):
    onset = NOW - age_s
    return {
        "status": Status.OPEN,
        "severity": severity,
        "onset": onset,
        "last": onset + 30,
        "closed": None,
        "peak_time": onset + 20,
    }


def vector(time):
    return Evidence(
        time=time,
        features=("cpu", "load", "mem"),
        values=np.array([0.98, 4.0, np.nan], dtype=np.float32),
        expectation=np.array([0.31, 1.0, 5.0], dtype=np.float32),
        error=np.array([6.0, 3.0, np.nan], dtype=np.float32),
        contribution=np.array([36.0, 9.0, np.nan], dtype=np.float32),
        history_times=np.array([time - 2, time - 1]),
        history=np.ones((2, 3), dtype=np.float32),
    )


def chamber(time):
    """A chamber whose layer 9 has lost wires 3 to 12."""
    geometry = geometry_of(CHAMBER)
    expected = np.where(geometry.mask(), np.float32(50), np.float32(np.nan))
    counts = expected.copy()
    counts[geometry.row_of(9), 2:12] = 0
    error = (counts - expected) / np.sqrt(expected)
    nothing = np.zeros(0)
    return Evidence(time, (), counts, expected, error, error**2, nothing, np.zeros((0, *counts.shape)))


def explanation(method, evidence):
    values = evidence.contribution / 10
    return Explanation(method, evidence.time, values, 0.25, method == "occlusion")


def keep(store, incident, evidence=None):
    points = tuple(Point(incident.onset + k, 0.5 * k, None if k == 3 else 0.4) for k in range(8))
    stored_change = StoredChange(incident, narrate(incident, evidence), evidence, points)
    activity = {incident.entity: Activity(incident.sample_kind, NOW - 9000, NOW - 600, 100)}
    store.commit(Step("group", stored_changes=(stored_change,), activity=activity))


METRICS = (
    *("cpu.user_percent", "cpu.iowait_percent", "load.1m", "mem.used", "net.rx_bytes_per_s"),
    *("net.tx_bytes_per_s", "disk.read_bytes_per_s", "disk.write_bytes_per_s", "disk.busy_percent"),
)
_USUAL = np.array([22.0, 0.4, 1.8, 9.2e9, 8.1e7, 2.3e7, 1.1e6, 6.4e6, 3.0])
_WIDTH = np.array([4.0, 0.2, 0.4, 2.0e8, 6.0e6, 2.5e6, 3.0e5, 1.2e6, 1.2])


def host_evidence(onset, at, fault, rng):
    """A host whose metrics depart, `fault` (metric -> value), some seconds after each other."""
    times = np.arange(onset - 120, at + 30, 2.0)
    rows = _USUAL + _WIDTH * rng.normal(size=(len(times), len(METRICS)))
    began = {}
    for delay, (name, value) in enumerate(fault.items()):
        f = METRICS.index(name)
        began[name] = onset + 4.0 * delay
        rising = np.clip((times - began[name]) / 10, 0, 1)
        rows[:, f] += rising * (value - _USUAL[f])
    rows = np.maximum(rows, 0)
    values = rows[int(np.searchsorted(times, at))]
    error = (values - _USUAL) / _WIDTH
    blame = np.clip(np.abs(error) - 3, 0, None)
    shares = blame / blame.sum()
    causes = tuple(
        Cause(
            METRICS[f], METRICS[f].partition(".")[0],
            Direction.ABOVE if error[f] > 0 else Direction.BELOW,
            began.get(METRICS[f], float("nan")),
            *(float(x[f]) for x in (_USUAL, values, error, shares)),
        )
        for f in np.argsort(-blame)[:3]
        if blame[f] > 0
    )  # fmt: skip
    wide = [a.astype(np.float32) for a in (values, _USUAL, error, blame)]
    return Evidence(
        at, METRICS, *wide, times, rows.astype(np.float32), onset=onset, score=9.0,
        width=_WIDTH.astype(np.float32), causes=causes,
    )  # fmt: skip


def chamber_evidence(entity, at, rng):
    """A chamber that has lost a block of wires."""
    geometry = geometry_of(entity)
    shape = geometry.shape
    slope = np.linspace(60, 30, shape[1])[None, :] * np.linspace(1.0, 0.8, shape[0])[:, None]
    expected = np.where(geometry.mask(), slope, np.nan).astype(np.float32)
    counts = rng.poisson(np.nan_to_num(expected)).astype(np.float32)
    counts[:4, 8:24] = 0
    counts[~geometry.mask()] = np.nan
    error = (counts - expected) / np.sqrt(expected)
    blame = np.where(error < -4, error**2, 0).astype(np.float32)
    return Evidence(at, (), counts, expected, error, blame, np.zeros(0), np.zeros((0, *shape)))


def _course(i, rng):
    """Scores from before the onset to the end, the classical test below the autoencoder."""
    times = np.linspace(i.onset - 20, i.last, 40)
    shape = np.clip((times - i.onset) / 15, 0, 1) * (i.peak - 0.5) + 0.4
    scores = shape * np.exp(0.08 * rng.normal(size=len(times)))
    return tuple(Point(float(t), float(s), float(0.6 * s)) for t, s in zip(times, scores, strict=True))


def a_night(url):
    """Fill a store: 250 chambers and 60 hosts, a switch that fails, a chamber that trips just then."""
    rng = np.random.default_rng(5)
    store = Store.open(url)
    hosts = [f"host/daq-{k:02d}" for k in range(1, 61)]
    chambers = [e.entity for e in shipped("dt").elements]
    activity = {h: Activity("vector", NOW - 3500, NOW - 4, 3500) for h in hosts}
    activity |= {c: Activity("map", NOW - 3500, NOW - 12, 150) for c in chambers}
    activity["host/daq-61"] = Activity("vector", NOW - 3500, NOW - 900, 2600)
    activity["host/daq-62"] = Activity("vector", NOW - 30, NOW - 4, 26)
    states = tuple(
        StateSnapshot("hosts" if e.startswith("host") else "chambers", e, "v1", NOW - 4, b"")
        for e in activity
        if e != "host/daq-62"
    )
    seen = {
        (321909, system, n): {
            f"{system}/{k}": Look(judged=not (system == "RPC" and n > 40), alerting=alerting(system, n, k))
            for k in range(20)
        }
        for system in ("DT", "ECAL", "RPC")
        for n in range(1, 49)
    }
    before = {f"before/{k}": Look(judged=True, alerting=False) for k in range(20)}
    seen |= {(321907, system, n): before for system in ("DT", "ECAL", "RPC") for n in range(1, 30)}
    store.commit(Step("night", activity=activity, states=StateChanges(states), lumisections=seen))
    network = {"net.rx_bytes_per_s": 2.1e5, "net.tx_bytes_per_s": 9.0e4, "load.1m": 14.0}
    for k in range(14):
        given = still_open(Severity.ERROR if k else Severity.CRITICAL, 640 - 0.7 * k)
        told(store, incident(f"aa{k:06x}", entity=hosts[k], **given), network, rng)
    lost = incident(
        "bb000001", detector="chambers", entity="DT/W+1/MB2/S07", sample_kind="map",
        causes=("layers 1-4, wires 9-24: no hits",), seen_by=SeenBy.BOTH, classical=31.0, run=321909,
        first_lumisection=44, last_lumisection=48, peak=48.0, autoencoder=48.0,
        **still_open(Severity.CRITICAL, 634),
    )  # fmt: skip
    told(store, lost, chamber_evidence(lost.entity, lost.peak_time, rng), rng)
    for k in range(24):
        onset = NOW - 3600.0 * (3 + 7 * k)
        over = {"onset": onset, "last": onset + 300, "closed": onset + 330, "peak_time": onset + 60}
        about = {"entity": hosts[20 + k % 5], "severity": list(Severity)[k % 3], "samples": 150}
        disk = {"disk.busy_percent": 97.0, "cpu.iowait_percent": 41.0, "disk.write_bytes_per_s": 3.1e8}
        told(store, incident(f"cc{k:06x}", **over, **about), disk, rng)
    store.remarks.write(Remark("cc000001", RemarkKind.FALSE_ALARM, "Ada", "the nightly backup"))
    store.remarks.write(Remark("aa000000", RemarkKind.ACKNOWLEDGED, "Enrico", "called the network team"))
    store.maintenance.add(Window(("host/daq-50",), NOW - 600, NOW + 7200, "Ada: new disk"))
    store.flags.say(Override(321909, "ECAL", 20, 24, Flag.GOOD, "Ada", "a calibration, nothing wrong"))
    about = {"detector": "hosts", "entity": hosts[20], "model": "v1", "time": NOW - 9000}
    text = "its disk was busier for an hour and stayed so: taken for the new normal"
    shift = Adapted("ad01", what="level", text=text, before=b"state", **about)
    store.commit(Step("night", adaptations=(shift,)))
    store.status.keep(a_daemon())
    store.close()


def a_daemon():
    """A daemon that is well, and goes on being so: it promises to write once in a while only."""
    hosts = DetectorStatus(
        "hosts", "v1", learning=1, learning_names=("host/daq-59",), rate_wanted=1e-3, rate_realised=2.1e-3,
        alarms_wanted=6.0, alarms_realised=17,
    )  # fmt: skip
    chambers = DetectorStatus("chambers", "v1", rate_wanted=1e-3, rate_realised=8e-4, alarms_realised=1)
    return DaemonStatus(
        "daq-head:9464", "0.1", NOW - 90_000, time.time(), 86_400.0, newest=NOW - 4,
        lag={"hosts": 120, "maps": 0}, detectors=(hosts, chambers),
    )  # fmt: skip


def alerting(system, number, element):
    return (system == "DT" and number >= 44 and element < 3) or (
        system == "ECAL" and 20 <= number < 26 and element < 2
    )


def told(store, i, what, rng):
    """Keep an incident with its evidence, its course and two explanations."""
    evidence = what if isinstance(what, Evidence) else host_evidence(i.onset, i.peak_time, what, rng)
    names = tuple(cause.name for cause in evidence.causes)
    i = replace(i, causes=names or i.causes)
    store.commit(
        Step("night", stored_changes=(StoredChange(i, narrate(i, evidence), evidence, _course(i, rng)),))
    )
    made = [
        Explanation(method, evidence.time, evidence.contribution, 0.2, complete=True)
        for method in ("occlusion", "integrated-gradients")
    ]
    store.explain(i.id, evidence.until, made)


def many(file, reports, open_):
    """Fill an SQLite store with `reports` incidents of 400 hosts over thirty days, `open_` of them open."""
    store = Store.open(f"sqlite:///{file}")
    hosts = [f"host/pc{k:03d}" for k in range(400)]
    activity = {host: Activity("vector", NOW - 3500, NOW - 4, 3500) for host in hosts}
    states = tuple(StateSnapshot("hosts", host, "v1", NOW - 4, b"") for host in hosts)
    store.commit(Step("many", activity=activity, states=StateChanges(states)))
    keep(store, incident("first", onset=NOW - 40 * 86_400))
    store.close()
    onset = f"{NOW} - 2592000 * ((k * 7919 % 100003) / 100003.0)"
    changed = {
        "id": "printf('%016x', k)",
        "entity": "printf('host/pc%03d', k % 400)",
        "severity": "case k % 3 when 0 then 'warning' when 1 then 'error' else 'critical' end",
        "status": f"case when k < {open_} then 'open' else 'closed' end",
        "onset": onset,
        "last": f"{onset} + 60",
        "closed": f"case when k < {open_} then null else {onset} + 70 end",
        "peak": "1.0 + k % 50",
        "peak_time": f"{onset} + 30",
    }
    columns = [column.name for column in tables.reports.columns]
    values = ", ".join(changed.get(name, f'"{name}"') for name in columns)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(
            f"with recursive n(k) as (select 0 union all select k + 1 from n where k < {reports - 1}) "
            f"insert into reports ({', '.join(columns)}) select {values} from n, reports where id = 'first'"
        )
        connection.execute("delete from reports where id = 'first'")
