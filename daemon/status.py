"""What a daemon says of itself in the store, for those who do not reach it: the dashboard above all."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Mapping, Sequence
from heapq import nsmallest

from anomalyd import __version__
from anomalyd.daemon.config.config import Config
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.scoring.realised_rate import Figures
from anomalyd.daemon.stages import Partition
from anomalyd.daemon.telemetry.scoring_metrics import ScoringMetrics
from anomalyd.reports.storage.repositories.daemon_status import (
    MOST_NAMES,
    DaemonStatus,
    DetectorStatus,
)


def instance_of(config: Config) -> str:
    """Name a daemon so that it has the same name after a restart, and no other beside it has."""
    return config.kafka.instance_id or f"{socket.gethostname()}:{config.metrics.port}"


def daemon_status(
    config: Config,
    *,
    started: float,
    turned: float,
    every_s: float,
    lag: Mapping[Partition, int],
    newest: Mapping[Partition, float],
    missing: Mapping[str, str | None],
    detectors: Sequence[DetectorStatus],
) -> DaemonStatus:
    """Give a daemon's status; times are seconds since the epoch, as `DaemonStatus` says.

    Arguments:
        config: of the daemon.
        started: when it began.
        turned: when its loop last went round.
        every_s: how often it writes.
        lag: records not taken yet.
        newest: newest event times.
        missing: what keeps it from being ready; None where nothing does.
        detectors: how each stands.

    """
    behind: Counter[str] = Counter()
    for (topic, _), records in lag.items():
        behind[topic] += records
    return DaemonStatus(
        instance=instance_of(config),
        version=__version__,
        started=started,
        turned=turned,
        every_s=every_s,
        newest=max(newest.values(), default=None),
        lag=dict(behind),
        missing={name: why for name, why in missing.items() if why is not None},
        detectors=tuple(detectors),
    )


def detector_status(active_model: ActiveModel, figures: Figures, scoring: ScoringMetrics) -> DetectorStatus:
    """Say how a detector stands."""
    name, loaded = active_model.config.name, active_model.loaded
    learners, misfits = scoring.learners(name), scoring.misfits(name)
    wanted = None if loaded is None else loaded.pair.alarms_per_day
    return DetectorStatus(
        name=name,
        model="" if loaded is None else loaded.version,
        learning=len(learners),
        unfit=len(misfits),
        learning_names=tuple(nsmallest(MOST_NAMES, learners)),
        unfit_names=tuple(nsmallest(MOST_NAMES, misfits)),
        rate_wanted=None if loaded is None else loaded.pair.false_alarm_rate,
        rate_realised=figures.rate,
        alarms_wanted=None if wanted is None else wanted * figures.entities,
        alarms_realised=figures.alarms,
    )
