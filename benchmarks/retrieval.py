"""What the search index costs: reports a second, milliseconds of CPU time a question, memory.

    python benchmarks/retrieval.py [REPORTS]

Indexing is measured on 2,000 reports. For the searches vectors are drawn by lot: they cost the same.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from anomalyd.assistant.encoder import Encoder
from anomalyd.assistant.retrieval.passage import Filters, Passage, SourceKind
from anomalyd.assistant.retrieval.retriever import Retriever

ENCODED = 2000
METRICS = (
    *("disk.sda.write", "disk.sdb.read", "cpu.user", "cpu.system", "mem.available", "net.eth0.errors"),
    *("net.eth1.drops", "load.1", "io.wait", "swap.in", "temperature.cpu", "nfs.operations"),
)
QUESTIONS = (
    "did the disk write rate of node017 exceed what was expected?",
    "was the available memory of node101 unusual?",
    "network errors above the expected",
    "which node had a cpu temperature above the expected?",
    "critical load on node033 last night",
)
FILTERS = {
    "none": Filters(),
    "one entity": Filters(entities=("node017",)),
    "half of the time": Filters(since=0.0, until=5e5),
    "reports only": Filters(kinds=(SourceKind.REPORT,)),
}


class Reports:
    """So many reports of 400 machines, as the store tells them."""

    name = "reports"

    def __init__(self, count: int) -> None:
        self._count = count
        self._draw = random.Random(0)

    def versions(self) -> Mapping[str, str]:
        """Name them."""
        return {f"r{k}": "1" for k in range(self._count)}

    def read(self, items: Sequence[str]) -> Iterator[tuple[str, list[Passage]]]:
        """Make them up."""
        yield from ((item, [self._report(item)]) for item in items)

    def _report(self, item: str) -> Passage:
        draw = self._draw
        node, metrics = f"node{draw.randint(1, 400):03d}", draw.sample(METRICS, 3)
        severity, seen = draw.choice(["warning", "error", "critical"]), draw.choice(["both", "autoencoder"])
        told = "; ".join(f"{m} was {draw.random():.3g}, expected {draw.random():.3g}" for m in metrics)
        onset = draw.random() * 1e6
        day, minute = draw.randint(1, 28), draw.randint(0, 59)
        text = (
            f"{node} was anomalous from 2026-11-{day:02d} 10:{minute:02d}:00 to 11:00:00 UTC (20 min, 41 "
            f"anomalous samples). Severity {severity}: detector hosts gave a peak score of "
            f"{draw.random() * 9:.2f}; above 1 is an alert. Most to blame: {told}."
        )
        gist = f"{node} had a {severity} of detector hosts, seen by {seen}: {'; '.join(metrics)}"
        return Passage(SourceKind.REPORT, item, node, text, node, onset, onset + 600, gist)


class Drawn:
    """The encoder, but vectors drawn by lot for whatever comes in batches."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._draw = np.random.default_rng(0)
        self.size, self.fingerprint = encoder.size, encoder.fingerprint

    def encode(self, texts: Sequence[str]) -> np.ndarray:
        """Encode a question; make the rest up."""
        if len(texts) == 1:
            return self._encoder.encode(texts)
        vectors = self._draw.standard_normal((len(texts), self.size)).astype(np.float32)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def main() -> None:
    """Measure and print."""
    import torch

    torch.set_num_threads(1)
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    encoder = Encoder.load()
    with TemporaryDirectory() as folder:
        few = Retriever.open(Path(folder) / "few", [Reports(ENCODED)], encoder)
        began = time.process_time()
        few.refresh()
        print(f"indexing: {ENCODED / (time.process_time() - began):.0f} reports a second of CPU time")
        few.close()
        many = Retriever.open(Path(folder) / "many", [Reports(count)], Drawn(encoder))
        many.refresh()
        many.search(QUESTIONS[0])
        began = time.process_time()
        many.refresh()
        print(f"{count} reports, nothing new: {1000 * (time.process_time() - began):.0f} ms of CPU time")
        for name, filters in FILTERS.items():
            times = sorted(_milliseconds(many, question, filters) for question in QUESTIONS * 5)
            print(f"filter {name}: p50 {times[len(times) // 2]:.0f} ms, p95 {times[-2]:.0f} ms of CPU time")
        many.close()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    resident = Path("/proc/self/statm")
    now = int(resident.read_text().split()[1]) * resource.getpagesize() / 2**20 if resident.exists() else peak
    print(f"memory: {now:.0f} MB, at most {peak:.0f} MB")


def _milliseconds(retriever: Retriever, question: str, filters: Filters) -> float:
    began = time.process_time()
    retriever.search(question, filters)
    return 1000 * (time.process_time() - began)


if __name__ == "__main__":
    main()
