"""Faults of five kinds on made hosts, through the real service: what every part of a report says of them.

The same faults were used to choose how metrics are ranked and explained; `docs/validation.md` says so.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from prometheus_client import CollectorRegistry

from anomalyd.daemon.config.config import Config, ExplainConfig
from anomalyd.daemon.incidents.evidence import Witness, expected_rows, strangeness, window_of
from anomalyd.daemon.incidents.explainer import Explainer
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Service
from anomalyd.daemon.stages import Record, Scored
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import AlertOn, Series, SeriesWindow, TrainingSet
from anomalyd.detectors.detector_pair import MEMBERS, DetectorPair, train_pair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.registry import autoencoder_kinds, detector_class
from anomalyd.interpret import metric_gradients, metric_occlusion
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.explain import explain_metrics
from anomalyd.interpret.pictures.drawing import drawn_metrics
from anomalyd.interpret.rescoring import Rescoring
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.report import Direction, Evidence, Explanation
from anomalyd.reports.storage.store import Store

BEGIN = 1_795_200_000.0
BEFORE, AFTER = 240, 30
LATEST = 10
HOSTS = 12
KINDS = ("level", "spikes", "drift", "stuck", "variance")
LOAD = "load"

METRICS = {  # level, usual scatter, part of the daily course, whole numbers
    "cpu.used_percent": (18.0, 3.0, 1.0, False),
    "cpu.iowait_percent": (2.0, 0.5, 0.5, False),
    "cpu.load1": (2.0, 0.4, 1.0, False),
    "mem.used_bytes": (8.0e9, 1.2e8, 0.3, False),
    "swap.used_bytes": (1.01e9, 1.0e7, 0.0, False),
    "disk.latency_ms": (3.0, 0.4, 0.5, False),
    "disk.read_bytes": (2.0e7, 3.0e6, 0.8, False),
    "disk.write_bytes": (1.1e7, 2.0e6, 0.8, False),
    "net.rx_bytes": (3.0e7, 4.0e6, 1.5, False),
    "net.tx_bytes": (2.2e7, 3.0e6, 1.5, False),
    "net.rx_errors": (0.1, 0.05, 0.0, False),
    "tcp.retransmits": (5.0, 2.2, 0.5, True),
    "processes.running": (3.0, 1.7, 0.5, True),
    "temperature.cpu": (52.0, 1.2, 1.0, False),
    "temperature.disk": (38.0, 0.5, 0.3, False),
    "fan.rpm": (4200.0, 40.0, 0.5, False),
}
NAMES = tuple(METRICS)

Rows = NDArray[np.float64]


@dataclass(frozen=True)
class Plan:
    """How often made hosts send, how many rows are trained on, and for how many rows each fault lasts."""

    interval_s: float = 30.0
    trained: int = 2880
    lasts: tuple[int, ...] = (40,)
    kinds: tuple[str, ...] = KINDS
    alert_on: AlertOn = "either"

    @property
    def size(self) -> int:
        """Rows of a turn: some before the faults, the longest fault, some after it."""
        return BEFORE + max(self.lasts) + AFTER


PLAN = Plan()


@dataclass(frozen=True)
class Fault:
    """A fault of one or two metrics on one host for `lasts` rows; `sign` of its departure."""

    number: int
    kind: str
    metrics: tuple[int, ...]
    sign: int
    host: int
    lasts: int

    @property
    def entity(self) -> str:
        return f"host/{self.host:02d}"

    @property
    def names(self) -> set[str]:
        return {NAMES[m] for m in self.metrics}

    def laid_on(self, rows: Rows) -> Rows:
        """The rows (T, F) of a turn with the fault in them."""
        rng = np.random.default_rng(100 + self.number)
        rows = rows.copy()
        for m in self.metrics:
            width, x = METRICS[NAMES[m]][1], rows[BEFORE : BEFORE + self.lasts, m]
            size = rng.uniform(8, 25) * width * self.sign
            match self.kind:
                case "level":
                    x += size
                case "spikes":
                    x[::4] += 1.5 * size
                case "drift":
                    x += np.linspace(0, 1, self.lasts) * size
                case "stuck":
                    x[:] = x[0]
                case "load":
                    x += 20 * size
                    # What was taken is given back by and by, of the first metric most slowly.
                    back = rows[BEFORE + self.lasts :, m]
                    back += (2.0 if m == self.metrics[0] else 0.3) * size * np.exp(-np.arange(len(back)) / 8)
                case _:
                    x += rng.normal(size=self.lasts) * width * rng.uniform(5, 9)
            np.maximum(x, 0, out=x)
        return rows


def made_faults(count: int, plan: Plan = PLAN) -> list[Fault]:
    rng = np.random.default_rng(5)
    found = []
    for n in range(count):
        kind = plan.kinds[n % len(plan.kinds)]
        pool = [i for i, m in enumerate(METRICS.values()) if not (kind == "stuck" and m[3])]
        chosen = tuple(int(i) for i in rng.choice(pool, 5 if kind == LOAD else 1 + n % 2, replace=False))
        low = kind == LOAD or all(METRICS[NAMES[i]][0] < 14 * METRICS[NAMES[i]][1] for i in chosen)
        found.append(
            Fault(
                n,
                kind,
                chosen,
                1 if low else int(rng.choice([-1, 1])),
                n % HOSTS,
                plan.lasts[n % len(plan.lasts)],
            )
        )
    return found


def made_host(seed: int, plan: Plan = PLAN) -> tuple[Rows, Rows]:
    """What a host sends (T, F), and what is expected of it without noise."""
    rng = np.random.default_rng(seed)
    n = plan.trained + 4 * plan.size
    day = np.sin(2 * np.pi * (np.arange(n) * plan.interval_s / 86_400 + rng.uniform()))
    common = _noise(rng, n, 0.9)
    values, truth = np.empty((n, len(NAMES))), np.empty((n, len(NAMES)))
    for i, (level, width, daily, whole) in enumerate(METRICS.values()):
        share = 0.6 if daily >= 1 else 0.2
        truth[:, i] = level * rng.uniform(0.8, 1.25) + 2 * width * daily * day
        noise = share * common + np.sqrt(1 - share**2) * _noise(rng, n, 0.6)
        values[:, i] = rng.poisson(np.maximum(truth[:, i], 0)) if whole else truth[:, i] + width * noise
    return np.maximum(values, 0), truth


def _noise(rng: np.random.Generator, n: int, memory: float) -> Rows:
    steps, found, x = rng.normal(size=n) * np.sqrt(1 - memory**2), np.empty(n), rng.normal()
    for k in range(n):
        x = memory * x + steps[k]
        found[k] = x
    return found


class Feed:
    """A source that hands over what is put into it."""

    def __init__(self) -> None:
        self.values: list[bytes] = []
        self.sent = 0
        self.assigned = False

    def take(self, timeout_s: float) -> PollResult | None:
        if not self.assigned:
            self.assigned = True
            return PollResult(assigned=frozenset({("metrics", 0)}))
        records = [
            Record("metrics", 0, self.sent + i, BEGIN, None, value) for i, value in enumerate(self.values)
        ]
        self.sent += len(records)
        self.values = []
        return PollResult((Batch("metrics", 0, records),)) if records else None

    def start_at(self, offsets: object) -> None: ...

    def rewind(self) -> None: ...

    def committed(self, offsets: object) -> None: ...

    def behind(self) -> tuple[()]:
        return ()


@dataclass
class Told:
    """What is said of a fault that began at `begin`; `truth` (F,) of the metrics before it."""

    fault: Fault
    causes: tuple[str, ...]
    evidence: Evidence
    explanations: Sequence[Explanation | Attribution]
    truth: Rows
    begin: float
    end: float

    def right(self) -> dict[str, bool]:
        evidence, fault = self.evidence, self.fault
        first = evidence.causes[0]
        named = [cause for cause in evidence.causes if cause.name in fault.names]
        found = {
            "text": self.causes[0] in fault.names and first.name in fault.names,
            "in the fault": self.begin <= evidence.time < self.end,
            "expected": all(self._expected(cause.name) for cause in named[:1]),
            "direction": self._direction(first.direction),
            "drawn": fault.names
            & {*drawn_metrics(evidence.features, self.explanations[0].values, self.causes)}
            != set(),
        }
        for each in self.explanations:
            found[each.method] = evidence.features[int(np.nanargmax(each.values))] in fault.names
        return found

    def _expected(self, name: str) -> bool:
        m = NAMES.index(name)
        width = max(METRICS[name][1], np.sqrt(self.truth[m]) if METRICS[name][3] else 0.0)
        return bool(abs(self.evidence.expectation[m] - self.truth[m]) <= width)

    def _direction(self, direction: Direction) -> bool:
        if self.fault.kind == "stuck":
            return direction is Direction.STUCK
        if self.fault.kind == "variance":
            return direction in (Direction.SWINGS, Direction.ABOVE, Direction.BELOW)
        return direction is (Direction.ABOVE if self.fault.sign > 0 else Direction.BELOW)


def told_of(kind: str, faults: Sequence[Fault], folder: Path, plan: Plan = PLAN) -> list[Told]:
    """Train on made hosts, let each fault happen on one, and give what the reports say of those found."""
    hosts = {f"host/{n:02d}": made_host(n, plan) for n in range(HOSTS)}
    times = BEGIN + np.arange(plan.trained + 4 * plan.size) * plan.interval_s
    training = TrainingSet(
        {
            e: Series(times[: plan.trained], v[: plan.trained].astype(np.float32))
            for e, (v, _) in hosts.items()
        },
        NAMES,
    )
    library = ModelLibrary(folder / "models")
    library.publish("hosts", train_pair(training, kind=kind, alert_on=plan.alert_on))
    config = Config.model_validate(
        {
            "inputs": [{"topic": "metrics"}],
            "detectors": [
                {
                    "name": "hosts",
                    "kind": kind,
                    "entities": ["host/*"],
                    "alert": {"alert_on": plan.alert_on},
                }
            ],
        }
    )
    found = []
    for turn in range(-(-len(faults) // HOSTS)):
        mine = {fault.entity: fault for fault in faults[turn * HOSTS : (turn + 1) * HOSTS]}
        begin = plan.trained + turn * plan.size
        sent = {e: f.laid_on(hosts[e][0][begin : begin + plan.size]) for e, f in mine.items()}
        url = f"sqlite:///{folder}/{turn}.db"
        store, queries = Store.open(url), Queries.open(url)
        _run(config, library, store, queries, sent, times[begin : begin + plan.size])
        onset = float(times[begin + BEFORE])
        for entity, fault in mine.items():
            end = onset + fault.lasts * plan.interval_s
            for report in queries.reports(Selection(entities=(entity,)), Order.EARLIEST):
                if onset <= report.incident.onset < end + LATEST * plan.interval_s:
                    evidence = queries.evidence(report.incident.id)
                    assert evidence is not None
                    explanations = queries.explanations(report.incident.id)
                    truth = hosts[entity][1][begin + BEFORE]
                    found.append(
                        Told(fault, report.incident.causes, evidence, explanations, truth, onset, end)
                    )
                    break
        queries.close()
        store.close()
    return found


def _run(
    config: Config, library: ModelLibrary, store: Store, queries: Queries, sent: dict[str, Rows], times: Rows
) -> None:
    """Send all rows, one a step from before the faults on, and explain what comes of it at the end."""
    feed, telemetry = Feed(), Telemetry.for_config(config, CollectorRegistry())
    active = [ActiveModel(detector, library) for detector in config.detectors]
    service = Service(config, feed, store, active, telemetry, clock=lambda: BEGIN + 1e6)
    service.step(0)
    k = 0
    while k < len(times):
        size = 40 if k < BEFORE else 1
        for j in range(k, min(k + size, len(times))):
            for entity, rows in sent.items():
                values = dict(zip(NAMES, rows[j].tolist(), strict=True))
                feed.values.append(
                    json.dumps({"entity": entity, "time": times[j], "values": values}).encode()
                )
        service.step(0)
        k += size
    explainer = Explainer(store, queries, library, ExplainConfig(), telemetry)
    while explainer.work():
        pass


def shares(told: Sequence[Told]) -> dict[str, float]:
    right = [each.right() for each in told]
    return {name: float(np.mean([r[name] for r in right])) for name in right[0]}


def test_a_fault_of_each_kind_is_told_right(tmp_path: Path) -> None:
    told = told_of("vector-autoencoder", made_faults(6), tmp_path)
    assert {each.fault.kind for each in told} >= {"level", "drift", "variance"}
    for each in told:
        assert all(each.right().values()), (each.fault, each.right(), each.causes)


def test_a_short_load_is_explained_in_it_and_not_by_what_is_left_of_it(tmp_path: Path) -> None:
    """Charts are smoothed, so that their score is highest after a load that ends soon."""
    plan = Plan(1.0, 400, (3, 12, 24, 60), (LOAD,), "autoencoder")
    told = told_of("vector-ensemble", made_faults(12, plan), tmp_path, plan)
    assert len(told) == 12
    for each in told:
        assert all(each.right().values()), (each.fault, each.right(), each.causes)


def seen_by(member: str, pair: DetectorPair, sent: Rows, fault: Fault, truth: Rows) -> Told | None:
    """What one member of a pair alone says of a fault on the rows (T, F) of a turn; None: not found."""
    times, rows = BEGIN + np.arange(len(sent)) * PLAN.interval_s, sent.astype(np.float32)
    state = pair.score([SeriesWindow(fault.entity, times[:BEFORE], rows[:BEFORE])])[0].state
    window = SeriesWindow(fault.entity, times[BEFORE:], rows[BEFORE:], state)
    scores = pair.score([window])[0]
    (other,) = {*MEMBERS} - {member}
    silent = replace(getattr(scores, other), score=np.full(len(window.times), np.nan))
    recent = slice(BEFORE - 128, BEFORE)
    witness = Witness(
        pair,
        Scored("hosts", "1", (), window, replace(scores, **{other: silent}), times[recent], rows[recent]),
    )
    evidence = None
    for k, score in enumerate(np.nan_to_num(getattr(scores, member).score[: fault.lasts])):
        if evidence is None:
            evidence = witness.testify(k) if score > 1 else None
        elif (score > 1.1 * evidence.score and witness.shows_more(k, evidence)) or (
            score > max(1.0, evidence.score / 1.1) and witness.times_as_far(k, evidence) >= 1.25
        ):
            evidence = witness.testify(k, evidence)
    if evidence is None:
        return None
    sample = window_of(fault.entity, evidence)
    rescoring = Rescoring(getattr(pair, member).detector, sample, expected_rows(evidence, len(sample.times)))
    attributions = explain_metrics(
        rescoring,
        strangeness(evidence),
        [metric_occlusion.METHOD, metric_gradients.METHOD],
        budget_s=60.0,
        clock=lambda: 0.0,
    )
    causes = witness.name_causes(evidence)
    end = float(times[BEFORE + fault.lasts])
    return Told(fault, causes, evidence, attributions, truth, float(times[BEFORE]), end)


def vector_kinds() -> list[str]:
    return [kind for kind in autoencoder_kinds() if detector_class(kind).sample_kind == "vector"]


@pytest.mark.parametrize("kind", vector_kinds())
def test_every_detector_and_its_baseline_point_at_the_fault_by_every_road(kind: str) -> None:
    """A fault of each kind, of one metric and of two, as the detector and as its baseline see it."""
    rows, truth = made_host(0)
    training = TrainingSet(
        {
            "host/00": Series(
                BEGIN + np.arange(-PLAN.trained, 0) * PLAN.interval_s,
                rows[: PLAN.trained].astype(np.float32),
            )
        },
        NAMES,
    )
    pair = train_pair(training, kind=kind, alert_on="either")
    found = dict.fromkeys(MEMBERS, 0)
    for fault in made_faults(10):
        fault = replace(fault, host=0)
        begin = PLAN.trained + (fault.number % 4) * PLAN.size
        sent = fault.laid_on(rows[begin : begin + PLAN.size])
        for member in MEMBERS:
            told = seen_by(member, pair, sent, fault, truth[begin + BEFORE])
            if told is not None:
                found[member] += 1
                assert all(told.right().values()), (member, fault, told.right(), told.evidence.causes[:2])
    assert min(found.values()) >= 4, found


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("kind", ["vector-autoencoder", "vector-ensemble"])
def test_48_faults_are_told_right(kind: str, tmp_path: Path) -> None:
    told = told_of(kind, made_faults(48), tmp_path)
    found = shares(told)
    print(f"\n{kind}: {len(told)} of 48 found; " + ", ".join(f"{k} {v:.3f}" for k, v in found.items()))
    least = {"occlusion": 0.95, "integrated-gradients": 0.90, "drawn": 1.0, "in the fault": 1.0}
    for name, share in found.items():
        assert share >= least.get(name, 0.98), name


BRIEF_AND_SHORT = [
    Plan(interval_s, trained, (3, 12, 24, 60, 30), (*KINDS, LOAD), "autoencoder")
    for interval_s in (1.0, 60.0)
    for trained in (400, 2880)
]


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("plan", BRIEF_AND_SHORT, ids=lambda plan: f"{plan.interval_s:g}s-{plan.trained}")
def test_short_faults_and_brief_trainings_are_told_right(plan: Plan, tmp_path: Path) -> None:
    """Of 48 faults those that are short or hidden in the noise are not found; what is told of the others."""
    told = told_of("vector-ensemble", made_faults(48, plan), tmp_path, plan)
    found = shares(told)
    print(f"\n{len(told)} of 48 found; " + ", ".join(f"{k} {v:.3f}" for k, v in found.items()))
    assert len(told) >= 24
    # What made hosts do before a fault wanders by half a width in the thirty rows it is told by.
    least = {"drawn": 1.0, "in the fault": 1.0, "direction": 0.98, "expected": 0.9, "text": 0.97}
    for name, share in found.items():
        assert share >= least.get(name, 0.95), name
