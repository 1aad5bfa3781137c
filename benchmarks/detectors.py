"""What detectors cost on one thread: vectors beside a plain PCA, maps beside the network's forward alone.

    python benchmarks/detectors.py [--rows N] [--maps N] [--quick]

Vectors: one machine of 23,700 rows x 38 metrics; training in seconds, scoring in batches of 512 rows as a
ratio to PCA's (one matrix product, which is as little as a multivariate test can do), and the bytes that are
remembered of the machine. Maps: chambers of the drift tubes and the ECAL barrel, with 20 earlier maps each.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch

from anomalyd.detectors.detector import Detector, Series, SeriesWindow, State, TrainingSet
from anomalyd.detectors.maps.autoencoder.network import MapNetwork
from anomalyd.detectors.maps.geometries.known import shipped
from anomalyd.detectors.maps.simulate.elements import elements_of, name_of, training_set
from anomalyd.detectors.registry import detector_class

METRICS, ROWS, BATCH = 38, 23_700, 512
VECTOR_KINDS = ("median-distance", "vector-autoencoder", "vector-ensemble")


def machine(rows: int, seed: int) -> np.ndarray:
    """Rows (rows, 38) of metrics that follow four loads and the hour."""
    rng = np.random.default_rng(seed)
    hours = np.arange(rows) / 1440 * 2 * np.pi
    walks = np.cumsum(rng.normal(0, 0.02, (2, rows)), axis=1)
    loads = np.column_stack([np.sin(hours), np.cos(hours), *walks])
    return (loads @ rng.normal(size=(4, METRICS)) + 0.3 * rng.normal(size=(rows, METRICS))).astype(np.float32)


def seconds(work: Callable[[], object]) -> float:
    """How long it takes, once."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def pca(train: np.ndarray, test: np.ndarray) -> float:
    """Microseconds a row of the residual beside eight principal components."""
    centre, width = train.mean(0), train.std(0) + 1e-6
    plane = np.linalg.svd((train - centre) / width, full_matrices=False)[2][:8].T.astype(np.float32)

    def score() -> None:
        for start in range(0, len(test), BATCH):
            scaled = (test[start : start + BATCH] - centre) / width
            np.square(scaled - (scaled @ plane) @ plane.T).mean(1)

    score()
    return seconds(score) / len(test) * 1e6


def vectors(rows: int, quick: bool) -> None:
    """Print a line for each kind of vector detector."""
    train, test = machine(2000 if quick else ROWS, 1), machine(rows, 2)
    training = TrainingSet(
        {"machine": Series(np.arange(len(train)) * 60.0, train)}, tuple(f"m{f}" for f in range(METRICS))
    )
    plain = pca(train, test)
    print(f"vectors: PCA {plain:.1f} us a row; train on {len(train)} rows x {METRICS} metrics")
    print(f"{'kind':<20} {'train s':>8} {'us a row':>9} {'x PCA':>7} {'state kB':>9}")
    for kind in VECTOR_KINDS:
        found: list[Detector] = []
        trained = seconds(lambda k=kind, f=found: f.append(detector_class(k).fit(training, {}, seed=0)))
        state: State = {}
        begun = time.perf_counter()
        for start in range(0, len(test), BATCH):
            part = test[start : start + BATCH]
            times = (len(train) + start + np.arange(len(part))) * 60.0
            state = found[0].score([SeriesWindow("machine", times, part, state)])[0].state
        each = (time.perf_counter() - begun) / len(test) * 1e6
        held = sum(array.nbytes for array in state.values()) / 1e3
        print(f"{kind:<20} {trained:>8.1f} {each:>9.1f} {each / plain:>7.1f} {held:>9.1f}")


def maps(number: int, quick: bool) -> None:
    """Print maps a second of the scan, and of the network alone in float32 and bfloat16."""
    print(f"\n{'maps a second':<14} {'scan':>8} {'network':>9} {'bfloat16 / float32':>19}")
    for name in ("dt", "ecal-barrel"):
        kind = shipped(name)
        training = training_set(kind, 0, elements=20, maps=6)
        model = detector_class("map-scan").fit(training, {}, seed=0)
        elements = elements_of(kind, max(1, number // 20), 1)
        rng = np.random.default_rng(0)
        earlier, news = elements.maps(40.0, 20, rng), elements.maps(40.0, 5 if quick else 20, rng)
        names = [name_of(elements.geometry, k) for k in range(len(earlier))]
        times = np.arange(40) * 23.3
        before = model.score([SeriesWindow(n, times[:20], m) for n, m in zip(names, earlier, strict=True)])
        windows = [
            SeriesWindow(n, times[20 : 20 + len(m)], m, b.state)
            for n, m, b in zip(names, news, before, strict=True)
        ]
        scan = news.shape[0] * news.shape[1] / seconds(lambda s=windows, d=model: d.score(s))
        speeds = []
        for precision in (torch.float32, torch.bfloat16):
            network = MapNetwork(16).eval().to(precision)
            shape = (100, *elements.geometry.shape)
            # Counts, what is expected, which cells count, and how sure that is: the network's arguments.
            inputs = [torch.rand(s).to(precision) for s in (shape, shape, shape, (100,))]
            with torch.inference_mode():
                network(*inputs)
                speeds.append(100 / seconds(lambda n=network, i=inputs: n(*i)))
        print(f"{name:<14} {scan:>8.0f} {speeds[0]:>9.0f} {speeds[1] / speeds[0]:>19.2f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=10_240, help="rows that are scored")
    parser.add_argument("--maps", type=int, default=400, help="maps that are scored")
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    vectors(arguments.rows, arguments.quick)
    maps(arguments.maps, arguments.quick)


if __name__ == "__main__":
    main()
