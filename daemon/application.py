"""The whole daemon, put together from its configuration."""

from __future__ import annotations

import gc
import logging
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import structs
from prometheus_client import CollectorRegistry

from anomalyd.daemon.canary.sender import CanarySender
from anomalyd.daemon.config.config import Config
from anomalyd.daemon.health import HealthServer, Heartbeat, RegularCheck
from anomalyd.daemon.incidents.explainer import Explainer
from anomalyd.daemon.incidents.run_ends import LOOK_S, RunEnds
from anomalyd.daemon.kafka.connection.access import access_problems
from anomalyd.daemon.kafka.connection.connection import no_answer
from anomalyd.daemon.kafka.outbox import Publisher
from anomalyd.daemon.kafka.source import KafkaSource
from anomalyd.daemon.kafka.topic_ids import TopicIds
from anomalyd.daemon.learning.auto_training import AutoTraining
from anomalyd.daemon.learning.comparisons import LOOK_S as COMPARISONS_S
from anomalyd.daemon.learning.comparisons import AskedComparisons
from anomalyd.daemon.learning.starting import publish_starting_models
from anomalyd.daemon.precedence import Precedence
from anomalyd.daemon.scoring.active_model import ActiveModel
from anomalyd.daemon.scoring.trained_until import trained_until
from anomalyd.daemon.service import Found, Service
from anomalyd.daemon.status import daemon_status, detector_status
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.daemon.watchdog import Watchdog
from anomalyd.detectors.library import ModelLibrary
from anomalyd.errors import BrokerError, StoreError
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.comparisons import ABANDONED_S
from anomalyd.reports.storage.repositories.daemon_status import DaemonStatus
from anomalyd.reports.storage.store import Store

_log = logging.getLogger(__name__)

_MEASURE_S = 1.0

_TOLD_S = 3.0
"""How often the store is tried, by writing how this daemon stands: a few kilobytes."""

_STILL_S = 60.0
"""A step of many large maps takes seconds; a loop that stands still for a minute hangs."""

_THREADS_STOP_S = 4.0
"""All threads end at once, within this: below the 10 seconds in which the daemon has promised to end."""


class Daemon:
    """Source, service, publisher, explainer, metrics and health, started and stopped together.

    `on_found` is told of every stored change of an incident.

    Raises:
        StoreError: the report store cannot be opened (SchemaError: it is newer than this code).

    """

    def __init__(self, config: Config, *, on_found: Callable[[Found], None] | None = None) -> None:
        self._config = config
        self._telemetry = Telemetry.for_config(config, CollectorRegistry())
        url = config.store.url.get_secret_value()
        self._store = Store.open(url)
        self._queries = Queries.open(url)
        library = ModelLibrary(Path(config.store.models))
        publish_starting_models(config, library)
        self._active_models = [ActiveModel(detector, library, self._refused) for detector in config.detectors]
        self._topic_ids = TopicIds()
        self._source = KafkaSource(
            config.kafka,
            [i.topic for i in config.inputs],
            topic_ids=self._topic_ids,
            trained_until=lambda: trained_until(self._active_models),
        )
        self._publisher = Publisher(self._store, config.kafka)
        precedence = Precedence()
        self._explainer = self._explainer_with(library, precedence)
        self._heartbeat = Heartbeat(_STILL_S)
        self._watchdog = Watchdog()
        self._begins_anew = False
        self._service = Service(
            config,
            self._source,
            self._store,
            self._active_models,
            self._telemetry,
            on_found=on_found or _say,
            on_step=self._after_step,
            on_turn=self._turn,
            topic_ids=self._topic_ids,
            precedence=precedence,
        )
        self._started = time.time()
        self._status: DaemonStatus | None = None
        self._canary_sender = CanarySender(config, lambda: self._service.canaries.templates, self._telemetry)
        self._store_check = RegularCheck(
            "store",
            self._write_to_store,
            every_s=_TOLD_S,
            on_result=lambda missing: self._telemetry.store.writable(missing is None),
        )
        self._broker_check = RegularCheck(
            "broker",
            lambda: no_answer(config.kafka),
            on_result=lambda missing: self._kafka_answers(missing is None),
        )
        ends = RunEnds(self._store, self._queries, config.output.topic, on_end=self._publisher.wake)
        self._run_ends = RegularCheck("runs", ends.look, every_s=LOOK_S, late_s=LOOK_S)
        self._auto_training = AutoTraining(config)
        self._comparisons = _comparisons(config, self._store)
        self._access_check = RegularCheck("access", self._access_missing, every_s=30.0, late_s=30.0)
        self._next_measure = 0.0
        self._source_errors = 0
        self._lost: Counter[str] = Counter()
        self._anew: Counter[str] = Counter()
        self._published: Counter[str] = Counter()
        self._health = self._health_server()

    def _explainer_with(self, library: ModelLibrary, precedence: Precedence) -> Explainer:
        return Explainer(
            self._store,
            self._queries,
            library,
            self._config.explain,
            self._telemetry,
            output_topic=self._config.output.topic,
            link=self._config.dashboard.link,
            precedence=precedence,
            on_explained=lambda _: self._publisher.wake(),
        )

    def _health_server(self) -> HealthServer:
        return HealthServer(
            self._config.metrics.host,
            self._config.metrics.port,
            self._telemetry.registry,
            alive={"service": self._heartbeat.missing},
            ready={
                "kafka": self._kafka_missing,
                "output": self._output_missing,
                "store": self._store_missing,
                "models": self._models_missing,
            },
            notes={"records": self._records_lost},
        )

    @property
    def url(self) -> str:
        """Where /metrics, /livez and /readyz are found."""
        return self._health.url

    def run(self) -> bool:
        """Run until `stop` is called; then leave the group and end within ten seconds.

        Says whether every thread ended in time. Where one did not, the process must end without waiting for
        it: all it does is in transactions.

        Raises:
            ConfigError: the address of the metrics cannot be listened on.

        """
        try:
            self._health.start()
            _log.info("metrics and health: %s/metrics", self._health.url)
            self._store_check.start()
            self._broker_check.start()
            self._access_check.start()
            self._run_ends.start()
            self._auto_training.start()
            self._comparisons.start()
            self._publisher.start()
            if self._telemetry.score_output is not None:
                self._telemetry.score_output.start()
            if self._config.explain.enabled:
                self._explainer.start()
            if self._config.canary.enabled:
                self._canary_sender.start()
            self._source.start()
            self._watchdog.ready()
            # What is loaded now stays: looking through all of it again and again took a third of a step.
            gc.freeze()
            self._service.run()
        finally:
            gc.unfreeze()
            in_time = self._end()
        return in_time

    def config_refused(self) -> None:
        """Count a changed configuration that cannot be used."""
        self._telemetry.config_refused()

    def stop(self, *, reload: bool = False) -> None:
        """Ask `run` to return; may be called from a signal handler and from any thread.

        `reload`: the process goes on with another configuration.
        """
        self._begins_anew = reload
        self._service.stop()

    def _end(self) -> bool:
        if self._begins_anew:
            self._watchdog.reloading()  # after STOPPING=1 systemd would wait for the end, and then kill
        else:
            self._watchdog.stopping()
        self._store_check.stop()
        self._broker_check.stop()
        self._access_check.stop()
        self._run_ends.stop()
        self._auto_training.stop()
        self._comparisons.stop()
        threads = (self._source, self._explainer, self._publisher, self._canary_sender)
        stops = [*(thread.stop for thread in threads), self._store_check.join, self._run_ends.join]
        if self._telemetry.score_output is not None:
            stops.append(self._telemetry.score_output.stop)
        with ThreadPoolExecutor(len(stops)) as together:
            in_time = all(together.map(lambda stop: stop(_THREADS_STOP_S), stops))
        self._health.stop()
        if in_time:
            self._say_that_it_stopped()
            self._queries.close()
            self._store.close()
        # Else a thread still uses the store; what it had not finished is found again by the next start.
        _log.info("stopped%s", "" if in_time else " before everything had ended")
        return in_time

    def _say_that_it_stopped(self) -> None:
        if self._status is None or self._begins_anew:
            return
        try:
            self._store.status.keep(structs.replace(self._status, stopped=True))
        except StoreError as error:
            _log.warning("that it stopped is not in the store: %s", error)

    def _turn(self) -> None:
        self._heartbeat.beat()
        self._watchdog.beat()
        if time.monotonic() >= self._next_measure:
            self._next_measure = time.monotonic() + _MEASURE_S
            self._measure()

    def _after_step(self) -> None:
        self._publisher.wake()
        self._explainer.wake()

    def _refused(self, detector: str, why: str) -> None:
        self._telemetry.scoring.model_refused(detector)

    def _measure(self) -> None:
        """Set the metrics that are a state rather than an event."""
        telemetry = self._telemetry
        telemetry.kafka.lag(self._source.lag())
        telemetry.kafka.queue(self._source.queued)
        telemetry.kafka.last_event_time(self._service.newest_events)
        for topic, records in (self._topic_ids.lost - self._lost).items():
            telemetry.kafka.records_lost(topic, records)
        for topic, partitions in (self._topic_ids.anew - self._anew).items():
            telemetry.kafka.made_anew(topic, partitions)
        self._lost, self._anew = self._topic_ids.lost, self._topic_ids.anew
        telemetry.kafka.source_error(self._source.errors - self._source_errors)
        self._source_errors = self._source.errors
        published = Counter(self._publisher.published)
        for topic, messages in (published - self._published).items():
            telemetry.kafka.published(topic, messages)
        self._published = published
        try:
            telemetry.incidents.open(self._store.open_incidents())
            telemetry.kafka.outbox_pending(self._store.outbox_size())
        except StoreError as error:
            telemetry.store.error(error.failure)
            _log.warning("metrics of the store are as they were: %s", error)
        self._status = self._own_status()

    def _own_status(self) -> DaemonStatus:
        return daemon_status(
            self._config,
            started=self._started,
            turned=time.time(),
            every_s=_TOLD_S,
            lag=self._source.lag(),
            newest=self._service.newest_events,
            missing={
                "kafka": self._kafka_missing(),
                "output": self._output_missing(),
                "models": self._models_missing(),
            },
            detectors=[
                detector_status(each, self._service.realised(each.config.name), self._telemetry.scoring)
                for each in self._active_models
            ],
        )

    def _kafka_answers(self, is_so: bool) -> None:
        self._telemetry.kafka.answers(is_so)
        self._source.answers(is_so)

    def _kafka_missing(self) -> str | None:
        if not self._source.connected:
            return self._source.last_error or "not connected yet"
        if not self._source.owned():
            return self._access_check.missing() or "no partition is assigned yet"
        # kafka-python keeps trying without a word while the brokers are away, and keeps its partitions.
        if (silent := self._broker_check.missing()) is not None:
            return silent
        if not self._source.assigned() and self._store_missing() is None:
            return "the partitions that are assigned are not read yet"
        return None

    def _access_missing(self) -> str | None:
        """Say what we may not do; asked only while something does not come."""
        if self._source.owned() and self._publisher.last_error is None:
            return None
        try:
            return "; ".join(access_problems(self._config)) or None
        except BrokerError as error:
            return str(error)

    def _output_missing(self) -> str | None:
        if self._publisher.last_error is None:
            return None
        return self._access_check.missing() or self._publisher.last_error

    def _records_lost(self) -> str | None:
        lost, anew = self._topic_ids.lost, self._topic_ids.anew
        told = [f"{n} records of {t} were deleted by Kafka before they were read" for t, n in lost.items()]
        told += [f"{topic} was deleted and made anew, and is read from its beginning" for topic in anew]
        return "; ".join(told) or None

    def _store_missing(self) -> str | None:
        return self._service.store_failure or self._store_check.missing()

    def _write_to_store(self) -> str | None:
        try:
            if self._status is None:
                self._store.probe()
            else:
                self._store.status.keep(self._status)
        except StoreError as error:
            self._telemetry.store.error(error.failure)
            return str(error)
        return None

    def _models_missing(self) -> str | None:
        untrained = [
            active_model.config.name for active_model in self._active_models if active_model.loaded is None
        ]
        if not untrained:
            return None
        missing = f"no usable model of {', '.join(untrained)}; run `anomalyd train`"
        if not any(d.training.automatic for d in self._config.detectors if d.name in untrained):
            return missing
        how = [told for name in untrained if (told := self._auto_training.status(name)) is not None]
        return f"{missing}, or wait: {'; '.join(how) or 'it trains by itself once there is enough history'}"


def _comparisons(config: Config, store: Store) -> RegularCheck:
    asked = AskedComparisons(config, store)
    return RegularCheck("comparisons", asked.look, every_s=COMPARISONS_S, late_s=ABANDONED_S)


def _say(found: Found) -> None:
    incident = found.incident
    _log.info(
        "incident %s %s: %s %s score %.1f, seen by %s, %s",
        incident.id,
        "/".join(found.events),
        incident.entity,
        incident.severity.value,
        incident.peak,
        incident.seen_by.value,
        incident.causes[0] if incident.causes else "no single cause",
    )
