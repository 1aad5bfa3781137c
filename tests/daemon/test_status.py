"""What a daemon says of itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from prometheus_client import CollectorRegistry

from anomalyd import __version__
from anomalyd.daemon.config.config import Config
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.scoring.realised_rate import Figures
from anomalyd.daemon.status import daemon_status, detector_status, instance_of
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.reports.storage.repositories.daemon_status import MOST_NAMES


def config(**kafka: Any) -> Config:
    return Config.model_validate(
        {"inputs": [{"topic": "hosts"}], "detectors": [{"name": "hosts"}], "kafka": kafka}
    )


def active(pair: Any = None) -> ActiveModel:
    loaded = None if pair is None else SimpleNamespace(version="v1", pair=pair)
    return cast("ActiveModel", SimpleNamespace(config=SimpleNamespace(name="hosts"), loaded=loaded))


def test_an_instance_has_the_same_name_after_a_restart() -> None:
    assert instance_of(config(instance_id="a-0")) == "a-0"
    assert instance_of(config()) == instance_of(config())
    assert instance_of(config()).endswith(":9464")


def test_lag_is_told_by_topic_and_only_what_is_missing() -> None:
    status = daemon_status(
        config(),
        started=1.0,
        turned=9.0,
        every_s=3.0,
        lag={("hosts", 0): 3, ("hosts", 1): 4, ("maps", 0): 0},
        newest={("hosts", 0): 7.0, ("hosts", 1): 8.0},
        missing={"kafka": None, "models": "no usable model of hosts"},
        detectors=(),
    )
    assert (status.version, status.lag, status.newest) == (__version__, {"hosts": 7, "maps": 0}, 8.0)
    assert status.missing == {"models": "no usable model of hosts"}


def test_how_a_detector_stands() -> None:
    scoring = Telemetry(CollectorRegistry(), detectors=["hosts"]).scoring
    for k in range(MOST_NAMES + 5):
        scoring.learning("hosts", f"host/{k:04d}", True)
    scoring.learning("hosts", "host/0001", False)
    scoring.unfit("hosts", "host/x", True)
    pair = SimpleNamespace(false_alarm_rate=0.001, alarms_per_day=2.0)
    told = detector_status(active(pair), Figures(0.002, 7, 10), scoring)
    assert (told.model, told.learning, len(told.learning_names)) == ("v1", MOST_NAMES + 4, MOST_NAMES)
    assert told.learning_names[:2] == ("host/0000", "host/0002")
    assert (told.unfit, told.unfit_names) == (1, ("host/x",))
    assert (told.rate_wanted, told.rate_realised) == (0.001, 0.002)
    assert (told.alarms_wanted, told.alarms_realised) == (20.0, 7)
    scoring.unfit("hosts", "host/x", False)
    untrained = detector_status(active(), Figures(None, 0, 0), scoring)
    assert (untrained.model, untrained.unfit, untrained.rate_wanted) == ("", 0, None)
