"""Incident -> Report, beside the scoring path: says why a report's worst sample was flagged.

Works from the store alone: a report with evidence and no explanation of it is work to do. So a daemon that is
killed between a report and its explanation finds the same work after the restart, and doing it twice changes
nothing.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from anomalyd.daemon.config.config import ExplainConfig
from anomalyd.daemon.incidents.evidence import expected_rows, strangeness, window_of
from anomalyd.daemon.kafka.messages import report_entry
from anomalyd.daemon.precedence import GivingWay, Precedence
from anomalyd.daemon.telemetry.telemetry import Telemetry
from anomalyd.detectors.detector import Explainable, Layered
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.detectors.model import Model
from anomalyd.errors import AnomalydError
from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.cases.interpret import interpret
from anomalyd.interpret.explain import differentiable, explain, explain_metrics
from anomalyd.interpret.fidelity import ScoreOf, score_of_cells, score_of_metrics
from anomalyd.interpret.maps.windows import units_of
from anomalyd.interpret.neurons.activations import UsualActivity
from anomalyd.interpret.neurons.study import unusual_units
from anomalyd.interpret.rescoring import Rescoring
from anomalyd.reports.cases.interpretation import UnusualUnit
from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Evidence, Explanation, Report
from anomalyd.reports.storage.store import Store

_log = logging.getLogger(__name__)

_AT_ONCE = 8

_GIVES_WAY_S = 2.0
"""So long an explanation waits for scoring at most, all in all."""


def _stored(attribution: Attribution, evidence: Evidence) -> Explanation:
    return Explanation(
        method=attribution.method,
        evidence_time=evidence.time,
        values=attribution.values,
        seconds=attribution.seconds,
        complete=attribution.complete,
    )


class Explainer:
    """Explains reports in a thread of its own; `wake` tells it that there may be work.

    Between two pieces of its work it gives way to who holds `precedence`.
    `on_explained` is told of each report that was dealt with (its explanation is stored by then).
    """

    def __init__(
        self,
        store: Store,
        queries: Queries,
        library: ModelLibrary,
        config: ExplainConfig,
        telemetry: Telemetry,
        *,
        output_topic: str | None = None,
        link: Callable[[str], str | None] = lambda report_id: None,
        clock: Callable[[], float] = time.monotonic,
        precedence: Precedence | None = None,
        on_explained: Callable[[str], None] = lambda report_id: None,
    ) -> None:
        self._store = store
        self._queries = queries
        self._library = library
        self._config = config
        self._telemetry = telemetry
        self._output_topic = output_topic
        self._link = link
        self._clock = clock
        self._precedence = precedence or Precedence()
        self._on_explained = on_explained
        self._pairs: dict[tuple[str, str], DetectorPair] = {}
        self._wake = threading.Event()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="explainer", daemon=True)

    def start(self) -> None:
        """Start working; what a former run left undone is done first."""
        self._wake.set()
        self._thread.start()

    def wake(self) -> None:
        """Say that there may be work."""
        self._wake.set()

    def stop(self, timeout_s: float) -> bool:
        """Finish the report in hand, if the time allows; says whether the thread ended in time."""
        self._stopping.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def work(self) -> int:
        """Explain what waits now, a few reports at most; gives how many were dealt with."""
        waiting = self._store.unexplained(_AT_ONCE)
        self._telemetry.incidents.explanations_pending(self._store.unexplained_count())
        for done, report_id in enumerate(waiting):
            if self._stopping.is_set():
                return done
            self._explain(self._queries.report(report_id))
        if waiting:
            self._telemetry.incidents.explanations_pending(self._store.unexplained_count())
        return len(waiting)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.wait()
            self._wake.clear()
            try:
                while not self._stopping.is_set() and self.work():
                    pass
            except AnomalydError as error:
                # The store is away for a moment: the work is still there, the next wake finds it.
                _log.warning("explaining stopped for now: %s", error)

    def _explain(self, report: Report) -> None:
        report_id = report.incident.id
        evidence = self._queries.evidence(report_id)
        if evidence is None:
            return
        explanations: Sequence[Explanation] = ()
        interpretation, error = None, ""
        try:
            with self._telemetry.timing.stage("explain"):
                model = self._model(report, evidence)
                attributions, score = self._attribute(report, evidence, model)
                explanations = [_stored(each, evidence) for each in attributions]
                units = self._units(report, evidence, model)
                interpretation = replace(
                    interpret(report.incident.entity, evidence, model, attributions, score), units=units
                )
        except Exception as failure:  # whatever it is, the report stands and says so
            _log.exception("report %s cannot be explained", report_id)
            error = f"{type(failure).__name__}: {failure}"
        outgoing = (
            []
            if self._output_topic is None
            else [
                report_entry(
                    "explained", report.incident, self._output_topic, report.narrative, self._link(report_id)
                )
            ]
        )
        self._store.explain(
            report_id, evidence.until, explanations, interpretation, error=error, outgoing=outgoing
        )
        for each in explanations:
            self._telemetry.incidents.explained(each.method, "complete" if each.complete else "partial")
        if error:
            for method in self._config.methods:
                self._telemetry.incidents.explained(method, "failed")
        self._on_explained(report_id)

    def _model(self, report: Report, evidence: Evidence) -> Model:
        """Give the model whose score the evidence shows."""
        pair = self._pair(report.incident.detector, evidence.model or report.incident.model)
        return pair.classical if evidence.detector == "classical" else pair.autoencoder

    def _units(self, report: Report, evidence: Evidence, model: Model) -> tuple[UnusualUnit, ...]:
        """Name the hidden units that fired unusually, if `anomalyd neurons` was asked about the model."""
        detector: object = model.detector
        version = evidence.model or report.incident.model
        folder = self._library.folder(report.incident.detector, version, evidence.detector)
        usual = UsualActivity.load(folder) if isinstance(detector, Layered) else None
        if usual is None or not isinstance(detector, Layered) or not isinstance(detector, Explainable):
            return ()
        encoded = detector.encode(window_of(report.incident.entity, evidence))
        return unusual_units(detector, usual, encoded)

    def _attribute(
        self, report: Report, evidence: Evidence, model: Model
    ) -> tuple[list[Attribution], ScoreOf | None]:
        """Ask every method within the budget; and give the score as a function of what is as observed."""
        detector, entity = model.detector, report.incident.entity
        window = window_of(entity, evidence)
        budget_s, methods = self._config.budget_s, self._config.methods
        clock = GivingWay(self._precedence, self._clock, _GIVES_WAY_S)
        if evidence.values.ndim == 1:
            rescoring = Rescoring(detector, window, expected_rows(evidence, len(window.times)))
            attributions = explain_metrics(
                rescoring,
                strangeness(evidence),
                methods,
                budget_s=budget_s,
                clock=clock,
                error=evidence.error,
            )
            return attributions, score_of_metrics(rescoring)
        if evidence.total is not None and evidence.total.leads:
            return [Attribution("contribution", evidence.contribution, 0.0)], None
        asked = differentiable(detector, window)
        attributions = explain(
            asked,
            window,
            methods,
            shape=evidence.values.shape,
            budget_s=budget_s,
            clock=clock,
            units=units_of(geometry_of(entity), np.isfinite(evidence.values)),
            error=evidence.error,
        )
        if not attributions:
            attributions.append(Attribution("contribution", evidence.contribution, 0.0))
        return attributions, score_of_cells(asked, asked.encode(window))

    def _pair(self, detector: str, version: str) -> DetectorPair:
        """Load the very version that scored the evidence; a handful stay in memory."""
        pair = self._pairs.get((detector, version))
        if pair is None:
            pair = self._library.load(detector, version).pair
            if len(self._pairs) >= _AT_ONCE:
                self._pairs.pop(next(iter(self._pairs)))
            self._pairs[detector, version] = pair
        return pair
