"""What a model of many trained entities takes: memory of its own, memory mapped from its file, time to load.

    python benchmarks/trained.py [--entities N] [--metrics N] [--steps N]

Ten hosts are trained, and what the model holds of them is written down for N entities, over and over: a model
of that size, not of that content. One process writes it, another one loads it and scores some rows of every
entity, the first of a new quarter hour among them, keeping what is remembered of all, as a daemon does. CPU
time.
"""

from __future__ import annotations

import argparse
import multiprocessing
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from live import BEGIN, EVERY_S, Fleet

from anomalyd.detectors.detector import SeriesWindow, State
from anomalyd.detectors.detector_pair import DetectorPair, train_pair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.model import Model
from anomalyd.detectors.vectors.by_entity import EntityArrays

AT_ONCE, OF_ENTITIES = 1000, ("usual", "reference", "primed")


def many(model: Model, entities: int) -> Model:
    """Give a model of so many entities, each a copy of one of those of another."""
    tensors, config = model.detector.tensors(), model.detector.config()
    scaled = config["scaling"]["entities"]
    count, names = len(scaled), [f"host/{e}" for e in range(entities)]
    found = {}
    for name, tensor in tensors.items():
        if name.startswith("scaling.") and tensor.shape[:1] == (count,) and tensor.ndim == 2:
            found[name] = tensor[torch.arange(entities) % count]
        elif name.split(".")[0] not in OF_ENTITIES:
            found[name] = tensor
    for prefix in OF_ENTITIES:
        if prefix in config or (prefix == "reference" and "usual" in config):
            each = EntityArrays.restore(tensors, prefix, count)
            own = [each.at(e) for e in range(count)]
            found |= EntityArrays.of([own[e % count] for e in range(entities)]).tensors(prefix)
    config = {**config, "scaling": {**config["scaling"], "entities": names}}
    config |= {prefix: names for prefix in OF_ENTITIES if prefix in config}
    shapes = dict.fromkeys(names, next(iter(model.card.shapes.values())))
    detector = type(model.detector).restore(found, config)
    return replace(model, detector=detector, card=replace(model.card, shapes=shapes))


def publish(folder: Path, entities: int, metrics: int) -> None:
    """Write a pair of models of so many entities into a library."""
    torch.set_num_threads(1)
    pair = train_pair(Fleet.of(AT_ONCE, metrics).training(), kind="vector-ensemble", created=BEGIN)
    pair = DetectorPair(many(pair.autoencoder, entities), many(pair.classical, entities))
    ModelLibrary(folder).publish("hosts", pair)


def memory_mib() -> str:
    """Say what this process holds, of its own and of files."""
    lines = (line.split() for line in Path("/proc/self/status").read_text().splitlines())
    kib = {
        line[0].rstrip(":"): int(line[1]) for line in lines if line[0] in ("RssAnon:", "RssFile:", "VmHWM:")
    }
    own, files, most = (kib[name] // 1024 for name in ("RssAnon", "RssFile", "VmHWM"))
    return f"{own:6d} MiB of its own, {files:6d} mapped, {most:6d} at most so far"


def measure(folder: Path, entities: int, metrics: int, steps: int) -> None:
    """Load the pair, score all entities and print what that takes."""
    torch.set_num_threads(1)
    library, fleet = ModelLibrary(folder), Fleet.of(AT_ONCE, metrics)
    size = sum(path.stat().st_size for path in folder.rglob("*.safetensors")) >> 20
    print(f"{entities} entities x {metrics} metrics, {size} MiB of weights")
    print(f"before             {memory_mib()}")
    begun = time.process_time()
    loaded = library.load("hosts")
    print(f"loaded             {memory_mib()}, {time.process_time() - begun:.1f} s of CPU time", flush=True)
    states: list[State] = [{}] * entities
    for step in range(steps):
        rows, begun = fleet.rows(step).astype(np.float32), time.process_time()
        times = np.array([BEGIN + step * EVERY_S])
        for first in range(0, entities, AT_ONCE):
            some = range(first, min(first + AT_ONCE, entities))
            windows = [SeriesWindow(f"host/{e}", times, rows[e % AT_ONCE][None], states[e]) for e in some]
            states[first : some.stop] = [scores.state for scores in loaded.pair.score(windows)]
        cost = (time.process_time() - begun) / entities * 1e6
        print(f"row {step:2d}             {memory_mib()}, {cost:.0f} us a row", flush=True)


def main() -> None:
    """Write the model, and measure it in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--entities", type=int, default=10_000, help="trained hosts [%(default)s]")
    parser.add_argument("--metrics", type=int, default=38, help="metrics of a host [%(default)s]")
    parser.add_argument("--steps", type=int, default=8, help="rows of each host [%(default)s]")
    given = parser.parse_args()
    fresh = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory(prefix="anomalyd-trained-") as name:
        size = Path(name), given.entities, given.metrics
        for work, about in ((publish, size), (measure, (*size, given.steps))):
            process = fresh.Process(target=work, args=about)
            process.start()
            process.join()
            if process.exitcode:
                raise SystemExit(process.exitcode)


if __name__ == "__main__":
    main()
