"""Runs a recorded case through the real service in process, and writes down what comes out.

A case is a folder with `config.yaml` and `input.jsonl`; what comes out lies beside them in `reports.json`,
`events.jsonl`, `dead-letters.jsonl` and `metrics.txt`, and where there are `questions.txt` in `answers.txt`.
Each line of the input is a Kafka record, or something that happens between two records:

    {"topic": ..., "partition": 0, "offset": 0, "timestamp": 1795288500.0, "value": "text"}
        and, where the record has them, "key" (text) and "headers" ([[name, text], ...]); "base64" in place of
        "value" for bytes that are no text; "value": null is a tombstone
    {"do": "restart"}                   the service is dropped, and a new one starts on the same store
    {"do": "wait", "seconds": 60}       nothing comes for a while
    {"do": "normal" | "broken", "detector": ..., "entity": ..., "who": ..., "reason": ...}
    {"do": "undo", "who": ..., "reason": ...}                       takes the newest adaptation back
    {"do": "maintenance", "entities": [...], "since": ..., "until": ..., "reason": ...}

All that the driver needs of anomalyd is imported here.
"""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from golden_text import number, plain
from prometheus_client import CollectorRegistry, generate_latest

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.encoder import Encoder
from anomalyd.daemon.config.config import Config
from anomalyd.daemon.incidents.explainer import Explainer
from anomalyd.daemon.kafka.poll_result import Batch, PollResult
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.service import Service
from anomalyd.daemon.stages import Record
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair, train_pair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.reports.feedback import Verdict
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.storage.repositories.maintenance import Window
from anomalyd.reports.storage.store import Store

ROOT = Path(__file__).parent
MODELS = ROOT / "models"
CASES = tuple(sorted(path.parent.name for path in ROOT.glob("*/config.yaml")))
OUTPUTS = ("reports.json", "events.jsonl", "dead-letters.jsonl", "metrics.txt", "answers.txt")

_RECORDS_AT_ONCE = 10
_STEP_S = 5.0  # of the stopwatch: what operators said and new models are looked for in every step
_ALL = 10_000

# Of the metrics: the process, what this build is, how long things took, and when counters were made.
_PASSING_METRICS = re.compile(r"#|process_|python_|anomalyd_build_|anomalyd_stage_seconds|\w+_created\b")

Partition = tuple[str, int]


# ---- a case


class _Log:
    """A source that hands out the records that have been sent so far, in the order of the input."""

    def __init__(self, sent: Sequence[Record]) -> None:
        self._sent = sent
        self._at = 0
        self._stored: Mapping[Partition, int] | None = None
        self.service: Service | None = None
        self.newest = 0.0

    @property
    def _rest(self) -> list[Record]:
        stored = self._stored or {}
        return [r for r in self._sent[self._at :] if r.offset >= stored.get((r.topic, r.partition), 0)]

    @property
    def drained(self) -> bool:
        return self._stored is not None and not self._rest

    def take(self, timeout_s: float) -> PollResult | None:
        if self._stored is None:
            return PollResult(assigned=frozenset((r.topic, r.partition) for r in self._sent))
        some = self._rest[:_RECORDS_AT_ONCE]
        if not some:
            return None
        self._at = next(i for i, r in enumerate(self._sent) if r is some[-1]) + 1
        self.newest = max(self.newest, *(r.timestamp for r in some))
        by_place: dict[Partition, list[Record]] = {}
        for record in some:
            by_place.setdefault((record.topic, record.partition), []).append(record)
        return PollResult(tuple(Batch(*place, records) for place, records in by_place.items()))

    def start_at(self, offsets: Mapping[Partition, int]) -> None:
        self._stored = dict(offsets)

    def rewind(self) -> None:
        raise AssertionError("no step of a golden run is refused")

    def behind(self) -> set[Partition]:
        return {(r.topic, r.partition) for r in self._rest}

    def committed(self, offsets: Mapping[Partition, int]) -> None:
        pass


class Run:
    """One case from its first record to its last, on a store of its own in `folder`.

    `restart_after`: the service is killed and started again after so many steps, besides where the case asks
    for it.
    """

    def __init__(self, case: str, folder: Path, restart_after: int | None = None) -> None:
        self._path = path = ROOT / case
        url = f"sqlite:///{folder}/reports.db"
        raw = yaml.safe_load((path / "config.yaml").read_text())
        raw["store"] = {**raw.get("store", {}), "url": url, "models": str(MODELS)}
        self._config = Config.model_validate(raw)
        script = [json.loads(line) for line in (path / "input.jsonl").read_text().splitlines()]
        self._places = {(e["topic"], e["partition"]) for e in script if "do" not in e}
        self._now = next(e["timestamp"] for e in script if "do" not in e)
        self._sent: list[Record] = []
        self._restart_after = restart_after
        self._library = ModelLibrary(MODELS)
        self.steps = 0
        self._store = Store.open(url, clock=lambda: self._now)
        self._queries = Queries.open(url)
        with closing(self._store), closing(self._queries):
            self._start()
            for entry in script:
                self._happen(entry)
            self._drain()
            self._explain()
            self.output = dict(zip(OUTPUTS, self._write(), strict=True))

    def _start(self) -> None:
        self._registry = CollectorRegistry()
        self._telemetry = Telemetry.for_config(self._config, self._registry)
        self._source = _Log(self._sent)
        self._service = self._source.service = Service(
            self._config,
            self._source,
            self._store,
            [ActiveModel(detector, self._library) for detector in self._config.detectors],
            self._telemetry,
            clock=lambda: self._now,
            stopwatch=lambda: self._now + self.steps * _STEP_S,
            monotonic=lambda: self._now,
            sleep=lambda seconds: None,
        )

    def _happen(self, entry: dict[str, Any]) -> None:
        what = entry.pop("do", None)
        if what is None:
            self._sent.append(_record(entry))
            return
        self._drain()
        if what == "restart":
            self._start()
        elif what == "wait":
            for _ in range(int(entry["seconds"])):
                self._now += 1.0
                self._step()
        elif what == "maintenance":
            self._store.maintenance.add(Window(tuple(entry.pop("entities")), **entry))
        elif what == "undo":
            newest = self._queries.adaptations(Selection(), limit=1)[0]
            self._store.ledger.request_undo(newest.id, **entry)
        else:
            self._store.ledger.record_word(word=Verdict(what), **entry)
        self._step()

    def _drain(self) -> None:
        while not self._source.drained:
            self._step()

    def _step(self) -> None:
        self._now = max(self._now, self._source.newest)
        self._service.step(0.0)
        self.steps += 1
        if self.steps == self._restart_after:
            self._start()

    def _explain(self) -> None:
        explainer = Explainer(
            self._store,
            self._queries,
            self._library,
            self._config.explain,
            self._telemetry,
            output_topic=self._config.output.topic,
            clock=lambda: 0.0,  # within every budget
        )
        while explainer.work():
            pass

    # ---- what came out

    def _write(self) -> Iterator[str]:
        queries = self._queries
        reports = queries.reports(Selection(), Order.EARLIEST, limit=_ALL)
        runs = sorted({r.incident.run for r in reports if r.incident.run is not None})
        found = {
            "reports": [self._about(report) for report in reports],
            "words": queries.words(Selection(), limit=_ALL),
            "adaptations": queries.adaptations(Selection(), limit=_ALL),
            "maintenance": queries.maintenance(),
            "flags": {run: queries.flags(run) for run in runs},
            "activity": dict(sorted(queries.activity().items())),
            "kept": [
                (piece.entity, piece.sample_kind, piece.first, piece.last, piece.samples)
                for piece in self._store.samples.pieces()
            ],
        }
        yield json.dumps(plain(found), indent=1, ensure_ascii=False) + "\n"
        entries = [outgoing.entry for outgoing in self._store.unsent(_ALL)]
        dead = self._config.output.dead_letter_topic
        for wanted in ([e for e in entries if e.topic != dead], [e for e in entries if e.topic == dead]):
            yield "".join(json.dumps(_message(e), ensure_ascii=False) + "\n" for e in wanted)
        lines = generate_latest(self._registry).decode().splitlines()
        yield "".join(sorted(f"{_metric(line)}\n" for line in lines if not _PASSING_METRICS.match(line)))
        yield "".join(self._answers())

    def _answers(self) -> Iterator[str]:
        questions = self._path / "questions.txt"
        if questions.exists():
            assistant = Assistant(self._queries, clock=lambda: self._now)
            for question in questions.read_text().splitlines():
                yield f"{question}\n{assistant.ask(question).text}\n\n"

    def _about(self, report: Any) -> dict[str, Any]:
        identity = report.incident.id
        evidence = self._queries.evidence(identity)
        return {
            # The version of the code is no outcome.
            **{k: v for k, v in plain(report).items() if k != "provenance"},
            "points": [
                f"{p.time!r} {number(p.autoencoder)} {number(p.classical)}"
                for p in self._queries.points(identity)
            ],
            # What the detectors remembered is theirs; that it is right is seen in the explanations.
            "evidence": {k: v for k, v in (plain(evidence) or {}).items() if k != "state"},
            "explanations": [plain(each) for each in self._queries.explanations(identity)],
        }


@cache
def _encoder() -> Encoder:
    return Encoder.load()


def steps(case: str) -> int:
    """How many deliveries the records of a case are, at least."""
    lines = (ROOT / case / "input.jsonl").read_text().splitlines()
    return sum('"offset"' in line for line in lines) // _RECORDS_AT_ONCE


def _record(entry: dict[str, Any]) -> Record:
    value = base64.b64decode(entry["base64"]) if "base64" in entry else entry["value"]
    return Record(
        entry["topic"],
        entry["partition"],
        entry["offset"],
        entry["timestamp"],
        entry["key"].encode() if "key" in entry else None,
        value.encode() if isinstance(value, str) else value,
        tuple((name, text.encode()) for name, text in entry.get("headers", ())),
    )


def _message(entry: Any) -> dict[str, Any]:
    """A message to Kafka: JSON in its parts, text as it is, other bytes in base64."""
    value = {"value": None}
    if entry.value is not None:
        try:
            text = entry.value.decode()
            value = {"value": plain(json.loads(text)) if text.startswith('{"') else text}
        except json.JSONDecodeError:
            value = {"value": text}
        except UnicodeDecodeError:
            value = {"base64": base64.b64encode(entry.value).decode()}
    return {
        "topic": entry.topic,
        "key": None if entry.key is None else entry.key.decode(),
        "headers": {name: content.decode() for name, content in entry.headers},
        **value,
    }


def _metric(line: str) -> str:
    name, _, value = line.rpartition(" ")
    return f"{name} {number(float(value))}"


# ---- models


def train(name: str, library: Path, series: Mapping[str, Any], features: Sequence[str], **how: Any) -> str:
    """Train a pair for the cases; gives its version. The same data give the same version on one machine."""
    training = TrainingSet(
        {e: Series(times, values) for e, (times, values) in series.items()}, tuple(features)
    )
    pair = train_pair(training, alert_on="either", code_version="golden", created=1_795_200_000.0, **how)
    timeless = [
        replace(m, card=replace(m.card, figures={k: v for k, v in m.card.figures.items() if k != "seconds"}))
        for m in (pair.autoencoder, pair.classical)
    ]
    return ModelLibrary(library).publish(name, DetectorPair(*timeless))


def cards(library: Path, name: str) -> str:
    """What the newest models of a name say of themselves, without the hashes of their weights."""
    found = ModelLibrary(library)
    members = found.cards(name, found.versions(name)[-1])
    about = {m: {**asdict(card.card), **asdict(card.calibration)} for m, card in members.items()}
    return json.dumps(plain(about), indent=1) + "\n"


def recorded(case: str, name: str) -> str:
    """What came out of a case when it was recorded; nothing where there is no file."""
    path = ROOT / case / name
    return path.read_text() if path.exists() else ""


def record(case: str, output: Mapping[str, str]) -> None:
    """Write down what came out of a case; nothing is no file."""
    for name, text in output.items():
        (ROOT / case / name).unlink(missing_ok=True)
        if text:
            (ROOT / case / name).write_text(text)


def forget_models() -> None:
    """Remove the recorded models."""
    shutil.rmtree(MODELS, ignore_errors=True)
