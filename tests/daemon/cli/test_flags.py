"""Quality flags from the command line, and how a step counts them."""

from __future__ import annotations

import json
from contextlib import closing
from types import SimpleNamespace

import numpy as np
import pytest
from typer.testing import CliRunner

from anomalyd.daemon.cli.app import app
from anomalyd.daemon.incidents.coverage import coverage
from anomalyd.daemon.stages import Sample
from anomalyd.reports.quality import Look
from anomalyd.reports.step import Step
from anomalyd.reports.storage.store import Store


def sample(entity: str, lumisection: int | None, run: int | None = 7, is_map: bool = True) -> Sample:
    held = np.ones((2, 2), dtype=np.float32) if is_map else None
    return Sample(entity, 1.0, "t", 0, 0, map=held, run=run, lumisection=lumisection)


def scored(samples, score):
    return SimpleNamespace(samples=tuple(samples), scores=SimpleNamespace(score=np.array(score)))


def test_elements_are_counted_by_system_and_lumisection_and_once_for_two_detectors():
    samples = [sample("DT/a", 1), sample("DT/b", 1), sample("DT/a", 2), sample("EB", 1)]
    judged = [
        (scored([samples[0], samples[2]], [0.2, 3.0]), np.array([False, True])),
        (scored([samples[0]], [5.0]), np.array([True])),
        (scored([samples[1]], [np.nan]), np.array([False])),
    ]
    assert coverage(samples, judged) == {
        (7, "DT", 1): {"DT/a": Look(judged=True, alerting=True), "DT/b": Look(judged=False, alerting=False)},
        (7, "DT", 2): {"DT/a": Look(judged=True, alerting=True)},
        (7, "EB", 1): {"EB": Look(judged=False, alerting=False)},
    }


def test_a_map_that_comes_again_in_a_later_step_counts_once(tmp_path):
    samples = [sample(f"DT/{k}", 1) for k in range(60)]
    judged = [(scored(samples, [0.2] * 59 + [3.0]), np.arange(60) == 59)]
    again = [(scored(samples[59:], [3.0]), np.array([True]))]
    url = f"sqlite:///{tmp_path}/reports.db"
    with closing(Store.open(url)) as store:
        store.commit(Step("g", {("maps", 0): (None, 60)}, lumisections=coverage(samples, judged)))
        for k in range(60, 63):
            seen = coverage(samples[59:], again)
            store.commit(Step("g", {("maps", 0): (k, k + 1)}, lumisections=seen))
    # One of 60 is tolerated; counted four times it would not be.
    (line,) = run("flags", 7, "--store", url).output.splitlines()
    assert " ".join(line.split()) == "DT 1 to 1 good"


def test_metrics_and_maps_without_a_run_have_no_lumisection():
    samples = [sample("DT/a", 1, run=None), sample("DT/a", None), sample("node17", 1, is_map=False)]
    assert coverage(samples, [(scored(samples, [9.0] * 3), np.ones(3, dtype=bool))]) == {}


@pytest.fixture
def url(tmp_path) -> str:
    url = f"sqlite:///{tmp_path}/reports.db"
    seen = {
        (7, "DT", n): {f"DT/{k}": Look(judged=True, alerting=n == 3 and k < 5) for k in range(10)}
        for n in range(1, 6)
    }
    seen |= {(7, "EB", n): {"EB": Look(judged=True, alerting=False)} for n in range(2, 6)}
    with closing(Store.open(url)) as store:
        store.commit(Step("g", {("maps", 0): (None, 9)}, lumisections=seen))
    return url


def run(*arguments: object):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def test_a_run_is_shown_with_ranges(url):
    lines = run("flags", 7, "--store", url).output.splitlines()
    assert [" ".join(line.split()) for line in lines] == [
        "DT 1 to 2 good",
        "DT 3 to 3 bad",
        "DT 4 to 5 good",
        "EB 1 to 1 uncertain",
        "EB 2 to 5 good",
    ]


def test_golden_json_holds_what_is_good_in_all_systems(url):
    assert json.loads(run("flags", 7, "--store", url, "--golden").output) == {"7": [[2, 2], [4, 5]]}
    only = run("flags", 7, "--store", url, "--golden", "--system", "EB")
    assert json.loads(only.output) == {"7": [[2, 5]]}


def test_a_person_overrides_the_machine_and_takes_it_back(url):
    place = (
        7,
        "--store",
        url,
        "--system",
        "DT",
        "--from",
        3,
        "--to",
        3,
        "--by",
        "Ada",
        "--reason",
        "a test run",
    )
    done = run("flags", "set", *place, "--flag", "good")
    assert done.exit_code == 0, done.output
    assert "good  (machine: bad; Ada: a test run)" in done.output
    assert json.loads(run("flags", 7, "--store", url, "--golden").output) == {"7": [[2, 5]]}
    (held,) = [r for r in json.loads(run("flags", 7, "--store", url, "--json").output)["DT"] if r["by"]]
    assert (held["flag"], held["machine"], held["reason"]) == ("good", "bad", "a test run")
    run("flags", "clear", *place)
    assert json.loads(run("flags", 7, "--store", url, "--golden").output) == {"7": [[2, 2], [4, 5]]}


@pytest.mark.parametrize(("number", "system"), [(7, "DTT"), (8, "DT")])
@pytest.mark.parametrize("order", [["set", "--flag", "bad"], ["clear"]])
def test_a_flag_of_what_the_run_has_not_is_refused(url, order, number, system):
    before = run("flags", 7, "--store", url, "--json").output
    word = ["--system", system, "--from", 1, "--to", 2, "--by", "Ada", "--reason", "why"]
    refused = run("flags", *order, number, "--store", url, *word)
    assert f"run {number} has no maps of {system}" in str(refused.exception)
    assert run("flags", 7, "--store", url, "--json").output == before
    assert json.loads(run("flags", 8, "--store", url, "--json").output) == {}


def test_what_is_not_there_is_said(url):
    assert "run 8: no lumisection seen" in run("flags", 8, "--store", url).output
    missing = run("flags", 7, "--store", url, "--system", "HCAL")
    assert missing.exit_code != 0
    assert "it has: DT, EB" in str(missing.exception)
