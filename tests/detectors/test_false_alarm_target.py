"""A wanted number of alarms a day becomes a rate that gives about so many, and not more."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from anomalyd.detectors.calibration import fit_calibration
from anomalyd.detectors.detector import AlertOn, Series, TrainingSet
from anomalyd.detectors.detector_pair import DetectorPair, train_pair
from anomalyd.detectors.false_alarm_target import AlarmsPerDay, usual_interval
from anomalyd.detectors.library import ModelLibrary
from anomalyd.errors import TrainingError


def noise(n: int, seed: int, memory: float) -> NDArray[np.float64]:
    """Scores with a tail, each of which remembers the one before."""
    steps = np.random.default_rng(seed).normal(size=n) * np.sqrt(1 - memory**2)
    found = np.empty(n)
    value = 0.0
    for k, step in enumerate(steps.tolist()):
        value = memory * value + step
        found[k] = value
    return np.exp(found)


def alarms(above: NDArray[np.bool_], open_after: int, close_after: int) -> int:
    """Count incidents as the daemon does, sample by sample."""
    count = run = quiet = 0
    opened = False
    for alert in above.tolist():
        if alert:
            run, quiet = run + 1, 0
            if not opened and run >= open_after:
                opened, count = True, count + 1
        else:
            run, quiet = 0, quiet + 1
            opened = opened and quiet < close_after
    return count


@pytest.mark.parametrize(
    ("memory", "open_after", "close_after", "per_day"),
    [
        (0.9, 3, 10, 1.0),
        (0.9, 3, 10, 5.0),
        (0.98, 3, 10, 1.0),
        (0.0, 1, 1, 1.0),
        (0.5, 1, 3, 5.0),
        (0.5, 3, 10, 5.0),
    ],
)
def test_as_many_alarms_come_as_are_wanted(
    memory: float, open_after: int, close_after: int, per_day: float
) -> None:
    target = AlarmsPerDay(per_day, open_after, close_after)
    held_out = [noise(3000, seed, memory) for seed in (1, 2)]
    rate = target.rate(held_out, 60.0)
    threshold = fit_calibration(np.concatenate(held_out), rate).threshold
    days = 40
    found = alarms(noise(days * 1440, 3, memory) > threshold, open_after, close_after) / days
    assert per_day / 3 <= found <= per_day * 1.7


def test_a_rate_grows_with_what_is_wanted_and_with_the_time_between_samples() -> None:
    held_out = [noise(6000, 1, 0.9)]
    rates = [AlarmsPerDay(n, 3, 10).rate(held_out, 60.0) for n in (0.01, 0.1, 1.0, 5.0)]
    assert rates == sorted(rates)
    assert rates[1] == pytest.approx(10 * rates[0])
    assert AlarmsPerDay(0.1, 3, 10).rate(held_out, 600.0) == pytest.approx(10 * rates[1])
    assert AlarmsPerDay(1e6, 3, 10).rate(held_out, 60.0) == 0.1


def test_one_real_anomaly_that_lasts_hardly_matters() -> None:
    calm = noise(6000, 1, 0.9)
    broken = calm.copy()
    broken[2000:2100] += 1000.0
    before, after = (AlarmsPerDay(0.5, 3, 10).rate([scores], 60.0) for scores in (calm, broken))
    assert after == pytest.approx(before, rel=0.7)


def test_without_alarms_to_count_it_errs_towards_few() -> None:
    a_day = 1440
    assert AlarmsPerDay(1.0, 3, 10).rate([np.arange(20.0)], 60.0) == pytest.approx(1 / a_day)
    assert AlarmsPerDay(1.0).rate([np.full(20, np.nan)], 60.0) == pytest.approx(1 / a_day)


def test_entities_are_not_joined_to_one_run() -> None:
    """Ten alerts, the last of one entity and the first of the next: two alarms, not one."""
    one, other = np.zeros(200), np.zeros(200)
    one[-5:] = other[:5] = 1.0
    total, lengths = AlarmsPerDay(1.0, 3, 10)._count([one, other], 0.5)
    assert (total, lengths) == (10, [5, 5])
    apart = np.concatenate([one, other])
    assert AlarmsPerDay(1.0, 3, 10)._count([apart], 0.5) == (10, [10])


@pytest.mark.parametrize(("per_day", "interval"), [(0.0, 60.0), (1.0, 0.0), (float("nan"), 60.0)])
def test_impossible_wishes_are_refused(per_day: float, interval: float) -> None:
    with pytest.raises(TrainingError, match="must be above 0"):
        AlarmsPerDay(per_day).rate([np.arange(20.0)], interval)


def test_the_usual_interval_is_that_of_most_entities() -> None:
    def at(*times: float) -> Series:
        return Series(np.array(times), np.zeros((len(times), 1), dtype=np.float32))

    assert usual_interval({"a": at(0, 10, 20, 500), "b": at(0, 10), "c": at(7), "d": at(0, 3600)}) == 10
    with pytest.raises(TrainingError, match="two samples of an entity"):
        usual_interval({"c": at(7)})


@pytest.mark.parametrize(("alert_on", "share"), [("autoencoder", 1.0), ("either", 0.5)])
def test_the_card_keeps_what_was_wanted(
    training: TrainingSet, tmp_path: Path, alert_on: AlertOn, share: float
) -> None:
    about = {"epochs": 1, "warmup": 12}
    wanted = AlarmsPerDay(30.0, 2, 5)
    pair = train_pair(
        training,
        kind="vector-autoencoder",
        parameters=about,
        classical_parameters={"warmup": 12},
        false_alarms=wanted,
        alert_on=alert_on,
    )
    library = ModelLibrary(tmp_path)
    version = library.publish("hosts", pair)
    loaded = replace(
        library.load("hosts", version).pair, alert_on=alert_on
    )  # which is the policy's, not the model's
    assert loaded.alarms_per_day == 30.0
    assert loaded.autoencoder.card.alarms_per_day == 30.0 * share
    rates = [m.calibration.false_alarm_rate for m in (loaded.autoencoder, loaded.classical)]
    assert loaded.false_alarm_rate == (sum(rates) if alert_on == "either" else rates[0])
    assert all(15.0 / 86_400 <= rate <= 0.1 for rate in rates)  # a sample a second


def test_a_rate_that_was_wanted_is_no_number_of_alarms(pair: DetectorPair) -> None:
    assert pair.alarms_per_day is None
