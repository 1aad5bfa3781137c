"""What explanations cost on one thread, in milliseconds of CPU.

    python benchmarks/explanations.py [--quick]

A report of metrics: occlusion, integrated gradients and the trust in both, for a level fault of one of 16
metrics as `vector-ensemble` sees it. Maps: occlusion, and integrated gradients with 32 steps, of a dead
region in a drift-tube chamber and of a hot tower in the ECAL barrel; beside them what captum's own
`IntegratedGradients` takes in the same minute.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from captum.attr import IntegratedGradients

from anomalyd.detectors.detector import Series, SeriesWindow, TrainingSet
from anomalyd.detectors.registry import detector_class
from anomalyd.interpret.analytical.integrated_gradients import integrate
from anomalyd.interpret.evaluation import Course
from anomalyd.interpret.explain import explain, explain_metrics
from anomalyd.interpret.maps.windows import units_of
from anomalyd.interpret.rescoring import Rescoring

METRICS, TRAINED, BEFORE, LEAD = 16, 2880, 240, 8
METHODS = ("occlusion", "integrated-gradients")


def milliseconds(work: Callable[[], object], times: int) -> float:
    """CPU time of one call, the least of several."""
    work()
    found = []
    for _ in range(times):
        begun = time.process_time()
        work()
        found.append(time.process_time() - begun)
    return 1e3 * min(found)


def metric_report(times: int) -> float:
    """CPU time of a report of metrics, from the evidence to the trust in it."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(TRAINED + BEFORE + LEAD, METRICS)).astype(np.float32)
    rows[-4:, 3] += 15.0
    at = np.arange(len(rows)) * 30.0
    training = TrainingSet({"host": Series(at[:TRAINED], rows[:TRAINED])}, tuple(map(str, range(METRICS))))
    detector = detector_class("vector-ensemble").fit(training, {}, seed=0)
    before = slice(TRAINED, TRAINED + BEFORE)
    (scored,) = detector.score([SeriesWindow("host", at[before], rows[before])])
    window = SeriesWindow("host", at[-LEAD:], rows[-LEAD:], scored.state)
    strange = np.zeros(METRICS)
    strange[3] = 15.0
    usual = rows[-2 * LEAD : -LEAD].copy()

    def report() -> None:
        explain_metrics(
            Rescoring(detector, window, usual), strange, METHODS, budget_s=60.0, clock=time.monotonic
        )

    return milliseconds(report, times)


def of_maps(times: int) -> None:
    """Print a line for each kind of map."""
    print(f"\n{'map':<12} {'cells':>8} {'occlusion':>10} {'32 steps':>9} {'captum':>7}")
    for geometry, fault in (("dt", "dead region x 0"), ("ecal-barrel", "hot tower x 10")):
        course = Course(geometry, "map-autoencoder", 50.0, 1, 1)
        drawn = next(maps[0] for name, _, maps, _ in course.faults() if name == fault)
        window = course.window(0, drawn)
        detector = course.detector
        encoded = detector.encode(window)  # type: ignore[attr-defined]
        units = units_of(course.geometry, np.isfinite(drawn))
        plain = IntegratedGradients(detector.forward)  # type: ignore[attr-defined]
        found = (
            milliseconds(
                lambda d=detector, w=window, u=units, s=drawn.shape: explain(
                    d, w, METHODS[:1], shape=s, budget_s=60.0, clock=time.monotonic, units=u
                ),
                times,
            ),
            milliseconds(lambda d=detector, e=encoded: integrate(d, e, 32), times),
            milliseconds(
                lambda p=plain, e=encoded: p.attribute(
                    e.inputs, baselines=e.baseline, additional_forward_args=e.context, n_steps=32
                ),
                times,
            ),
        )
        cells = f"{drawn.shape[0]} x {drawn.shape[1]}"
        print(f"{geometry:<12} {cells:>8} {found[0]:>10.1f} {found[1]:>9.1f} {found[2]:>7.1f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only see that it runs")
    times = 1 if parser.parse_args().quick else 10
    torch.set_num_threads(1)
    print("milliseconds of CPU")
    print(f"report of {METRICS} metrics by vector-ensemble: {metric_report(times):.1f}")
    of_maps(times)


if __name__ == "__main__":
    main()
