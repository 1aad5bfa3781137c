"""The command outline, and what `reports show` says beyond the narrative."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from anomalyd.daemon.cli.app import app
from anomalyd.errors import AnomalydError, StoreError
from anomalyd.reports.cases.interpretation import Counterfactual, Interpretation, UnusualUnit
from anomalyd.reports.cases.outline import Outline
from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Evidence, Incident, SeenBy, Severity, Status
from anomalyd.reports.step import Step, StoredChange
from anomalyd.reports.storage.store import Store

ONSET = 1_795_200_000.0


def incident(name: str, kind: str, onset: float) -> Incident:
    return Incident(
        id=name,
        detector="maps",
        entity=f"element/{name}",
        sample_kind=kind,
        severity=Severity.ERROR,
        status=Status.CLOSED,
        onset=onset,
        last=onset,
        closed=onset + 60,
        samples=1,
        peak=3.0,
        peak_time=onset,
        autoencoder=3.0,
        classical=2.0,
        seen_by=SeenBy.BOTH,
        causes=("row 3",),
        model="1",
        source="maps/0/1",
    )


def evidence(values: np.ndarray, time: float) -> Evidence:
    usual = np.full(values.shape, 40.0, dtype=np.float32)
    none = np.zeros((0, *values.shape), dtype=np.float32)
    error = (values - usual).astype(np.float32)
    return Evidence(time, (), values, usual, error, np.abs(error), np.zeros(0), none)


@pytest.fixture
def url(tmp_path: Path) -> str:
    url = f"sqlite:///{tmp_path}/reports.db"
    counts = np.random.default_rng(0).poisson(40.0, (8, 30)).astype(np.float32)
    counts[2, 5:17] = 0
    store = Store.open(url)
    found = [
        StoredChange(incident("one", "map", ONSET), "one", evidence(counts, ONSET)),
        StoredChange(incident("two", "map", ONSET + 90), "two", evidence(counts, ONSET + 90)),
        StoredChange(incident("bare", "map", ONSET + 5000), "bare", None),
    ]
    store.commit(Step(group="g", stored_changes=tuple(found)))
    for name, time in (("one", ONSET), ("two", ONSET + 90)):
        told = Interpretation(
            {"occlusion": "good"},
            {"2.1": -0.8},
            Counterfactual(("2,5", "2,6"), 0.4, name == "two"),
            (UnusualUnit("code", 3, 7.5, 0.98),),
        )
        store.explain(name, time, [], told)
    store.close()
    return url


def run(*arguments: str) -> str:
    found = CliRunner().invoke(app, [*arguments])
    if found.exception is not None and not isinstance(found.exception, SystemExit):
        raise found.exception
    return found.output


def test_the_fault_around_a_cell_is_told_and_kept(url: str) -> None:
    looked = run("outline", "one", "--cell", "3,10", "--look", "--store", url)
    assert "row 3, columns 6-17: no hits (0 of 480 in 12 cells)" in looked
    assert "kept" not in looked
    kept = json.loads(run("outline", "one", "--cell", "3,10", "--store", url, "--who", "ann", "--json"))
    queries = Queries.open(url)
    (drawn,) = queries.cases.outlines("one")
    queries.close()
    assert (drawn.id, drawn.who, drawn.row, drawn.column) == (kept["id"], "ann", 2, 9)
    assert drawn.cells == tuple((2, c) for c in range(5, 17))
    assert set(drawn.polygons[0]) == {(5.0, 2.0), (17.0, 2.0), (17.0, 3.0), (5.0, 3.0)}
    assert "kept as label 2 by bob" in run("outline", "one", "--cell", "3,8", "--store", url, "--who", "bob")


def test_what_cannot_be_outlined_is_refused(url: str) -> None:
    with pytest.raises(AnomalydError, match="no map is kept with it"):
        run("outline", "bare", "--cell", "3,10", "--store", url)
    assert "is not ROW,COL" in run("outline", "one", "--cell", "here", "--store", url)
    store = Store.open(url)
    nobody = Outline("one", " ", 0, 0, (), (), (), 0.0, 0.0, 0.0, "")
    with pytest.raises(StoreError, match="who draws it"):
        store.outlines.keep(nobody)
    with pytest.raises(StoreError, match="no report gone"):
        store.outlines.keep(Outline("gone", "ann", 0, 0, (), (), (), 0.0, 0.0, 0.0, ""))
    store.close()


def test_a_report_says_what_was_made_of_its_explanation(url: str) -> None:
    shown = run("reports", "show", "two", "--store", url)
    assert "would not have alerted with 2,5; 2,6 as expected: the score falls to 0.40" in shown
    assert "hidden units that fired unusually: code unit 3 (+7.5 sigma)" in shown
    assert "across entities: element/one began 90 s earlier (input maps)" in shown
    assert "similar (1.00): element/one" in shown
    assert "alerts even with 2,5; 2,6 as expected" in run("reports", "show", "one", "--store", url)
    told = json.loads(run("reports", "show", "two", "--store", url, "--json"))
    assert told["interpretation"]["trust"] == {"occlusion": "good"}
    assert [case["report"] for case in told["similar"]] == ["one"]
    assert [each["report"] for each in told["related"]] == ["one"]


def test_an_entity_and_a_method_that_are_mistyped(url: str, tmp_path: Path) -> None:
    listed = CliRunner().invoke(
        app, ["reports", "list", "--store", url, "--entity", "elemnt/a*", "--entity", "*"]
    )
    assert listed.output.count("\n") > 1
    mistyped = CliRunner().invoke(app, ["reports", "list", "--store", url, "--entity", "elemnt/one"])
    assert "no entity like 'elemnt/one' is known; did you mean 'element/one'" in mistyped.output
