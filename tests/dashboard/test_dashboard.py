from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import replace
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

import anomalyd.dashboard
from anomalyd.daemon.broker.ports import is_taken, reserve_port
from anomalyd.dashboard import incident_rows, incident_tables, style
from anomalyd.dashboard.filters import Filters, entity_patterns
from anomalyd.dashboard.serve import command, environment, serve
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.errors import AnomalydError
from anomalyd.reports.adaptation import Adapted
from anomalyd.reports.narrative import narrate
from anomalyd.reports.report import Evidence, Explanation, Incident, Report, SeenBy, Severity, Status
from anomalyd.reports.storage.repositories.entity_states import StateChanges, StateSnapshot
from anomalyd.reports.storage.store import Activity, Point, Step, Store, StoredChange
from anomalyd.verdict import Verdict

PAGE = Path(anomalyd.dashboard.__file__).with_name("app.py")
NOW = time.time()
HOSTILE = "host/<script>alert(1)</script>*_$x$"
CHAMBER = "DT/W0/MB4/S13"  # its 8 layers are numbered 1 to 4 and 9 to 12


def incident(id, **changes):
    given = {
        "detector": "hosts",
        "entity": "host/pc1",
        "sample_kind": "vector",
        "severity": Severity.ERROR,
        "status": Status.CLOSED,
        "onset": NOW - 7200,
        "last": NOW - 7080,
        "closed": NOW - 7070,
        "samples": 120,
        "peak": 3.5,
        "peak_time": NOW - 7100,
        "autoencoder": 3.5,
        "classical": float("nan"),
        "seen_by": SeenBy.AUTOENCODER,
        "causes": ("cpu", "load"),
        "model": "20261123T211500Z-1a2b3c4d",
        "source": "hosts/0/17",
    }
    return Incident(id=id, **{**given, **changes})


def still_open(severity, age_s):
    onset = NOW - age_s
    return {
        "status": Status.OPEN,
        "severity": severity,
        "onset": onset,
        "last": onset + 30,
        "closed": None,
        "peak_time": onset + 20,
    }


def report(incident):
    return Report(incident, "", 0, (), "", NOW)


def vector(time):
    return Evidence(
        time=time,
        features=("cpu", "load", "mem"),
        values=np.array([0.98, 4.0, np.nan], dtype=np.float32),
        expectation=np.array([0.31, 1.0, 5.0], dtype=np.float32),
        error=np.array([6.0, 3.0, np.nan], dtype=np.float32),
        contribution=np.array([36.0, 9.0, np.nan], dtype=np.float32),
        history_times=np.array([time - 2, time - 1]),
        history=np.ones((2, 3), dtype=np.float32),
    )


def chamber(time):
    """A chamber whose layer 9 has lost wires 3 to 12."""
    geometry = geometry_of(CHAMBER)
    expected = np.where(geometry.mask(), np.float32(50), np.float32(np.nan))
    counts = expected.copy()
    counts[geometry.row_of(9), 2:12] = 0
    error = (counts - expected) / np.sqrt(expected)
    nothing = np.zeros(0)
    return Evidence(time, (), counts, expected, error, error**2, nothing, np.zeros((0, *counts.shape)))


def explanation(method, evidence):
    values = evidence.contribution / 10
    return Explanation(method, evidence.time, values, 0.25, method == "occlusion")


def keep(store, incident, evidence=None):
    points = tuple(Point(incident.onset + k, 0.5 * k, None if k == 3 else 0.4) for k in range(8))
    stored_change = StoredChange(incident, narrate(incident, evidence), evidence, points)
    activity = {incident.entity: Activity(incident.sample_kind, NOW - 9000, NOW - 600, 100)}
    store.commit(Step("group", stored_changes=(stored_change,), activity=activity))


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A store with five reports: a host and a chamber explained, two that are not, a hostile name."""
    url = f"sqlite:///{tmp_path_factory.mktemp('dashboard')}/reports.db"
    store = Store.open(url)
    host = incident("aaaa1111")
    keep(store, host, vector(host.peak_time))
    methods = ("occlusion", "integrated-gradients")
    store.explain(
        "aaaa1111", host.peak_time, [explanation(method, vector(host.peak_time)) for method in methods]
    )
    lost = incident(
        "bbbb2222",
        detector="chambers",
        entity=CHAMBER,
        sample_kind="map",
        causes=("layer 9 wires 3-12",),
        seen_by=SeenBy.BOTH,
        classical=2.0,
        run=321909,
        first_lumisection=12,
        last_lumisection=19,
        peak=40.0,
        **still_open(Severity.CRITICAL, 900),
    )
    keep(store, lost, chamber(lost.peak_time))
    store.explain("bbbb2222", lost.peak_time, [explanation("occlusion", chamber(lost.peak_time))])
    hostile = incident("cccc3333", entity=HOSTILE, **still_open(Severity.WARNING, 60))
    keep(store, hostile, vector(hostile.peak_time))
    failed = incident("dddd4444", onset=NOW - 90_000, last=NOW - 89_000, closed=NOW - 88_000)
    keep(store, failed, vector(failed.peak_time))
    store.explain("dddd4444", failed.peak_time, [], error="ModelMissing: it *is* gone")
    bare = incident("eeee5555", entity="host/pc2", causes=(), onset=NOW - 95_000, last=NOW - 94_000)
    keep(store, bare)
    store.close()
    return url


@pytest.fixture
def page(monkeypatch):
    """Open the page on a store: page(url, report="id")."""

    def open_page(url, **query):
        monkeypatch.setenv("ANOMALYD_STORE", url)
        at = AppTest.from_file(str(PAGE), default_timeout=60)
        at.query_params.update(query)
        return healthy(at.run())

    return open_page


def healthy(at):
    assert not at.exception, at.exception
    return at


def words(at):
    """Everything that is said on the page, as HTML."""
    elements = [*at.get("html"), *at.error, *at.warning, *at.info, *at.caption, *at.markdown]
    return "\n".join(str(element.value) for element in elements)


def ids(at):
    return list(at.dataframe[0].value["report"])


def click(at, row):
    """Click a cell of the list: AppTest has no verb for it, so the browser's message is sent as it is."""
    states = at._tree.get_widget_states()
    state = states.widgets.add(id=at.dataframe[0].proto.id)
    cells = {"rows": [], "columns": [], "cells": [[row, "entity"]]}
    state.string_value = json.dumps({"selection": cells})
    return healthy(at._run(states))


# The page


def test_the_list_begins_with_what_is_open_and_worst(page, url):
    at = page(url)
    assert ids(at) == ["bbbb2222", "cccc3333", "aaaa1111", "dddd4444", "eeee5555"]
    table = at.dataframe[0].value
    assert list(table["severity"][:3]) == ["▲ critical", "● warning", "◆ error"]
    assert list(table["status"][:3]) == ["open", "open", "closed"]
    assert list(table["most to blame"])[-1] == "–"
    said = words(at)
    assert "▲ critical: 1 open" in said
    assert "● warning: 1 open" in said
    assert "5 incidents" in said


def test_the_age_of_the_data_is_said(page, url):
    said = re.search(r"no data for (\d+) min", words(page(url)))
    assert said is not None
    # Its newest step was ten minutes old when this file was imported, which in a whole run is long ago.
    passed = int((time.time() - NOW) / 60)
    assert 10 + passed - 1 <= int(said[1]) <= 10 + passed + 1


def test_filters(page, url):
    at = page(url)
    at.get_by_key("severity").set_value([Severity.CRITICAL, Severity.ERROR])
    healthy(at.run())
    assert set(ids(at)) == {"bbbb2222", "aaaa1111", "dddd4444", "eeee5555"}
    at.text_input(key="entity").set_value("PC1")
    healthy(at.run())
    assert ids(at) == ["aaaa1111", "dddd4444"]
    assert "2 incidents of 5" in words(at)
    at.selectbox(key="window").set_value("in the last 24 hours")
    healthy(at.run())
    assert ids(at) == ["aaaa1111"]
    at.multiselect(key="detector").set_value(["chambers"])
    healthy(at.run())
    assert not at.dataframe
    assert "None of the 5 recorded incidents fits these filters" in words(at)


def test_filters_of_status_and_witness(page, url):
    at = page(url)
    at.get_by_key("status").set_value(Status.OPEN)
    healthy(at.run())
    assert ids(at) == ["bbbb2222", "cccc3333"]
    at.get_by_key("seen_by").set_value([SeenBy.BOTH])
    healthy(at.run())
    assert ids(at) == ["bbbb2222"]


def test_a_click_opens_an_incident_and_a_button_leads_back(page, url):
    at = click(page(url), 2)
    assert at.query_params["report"] == "aaaa1111"
    assert "host/pc1 was anomalous from" in words(at)
    back = next(button for button in at.button if button.label == "All incidents")
    back.click()
    healthy(at.run())
    assert "report" not in at.query_params
    assert len(ids(at)) == 5


def test_a_click_means_the_list_that_was_seen(page, tmp_path):
    """A new incident comes on top between the look and the click."""
    url = f"sqlite:///{tmp_path}/reports.db"
    store = Store.open(url)
    keep(store, incident("old"))
    at = page(url)
    assert ids(at) == ["old"]
    keep(store, incident("new", **still_open(Severity.CRITICAL, 10)))
    store.close()
    assert click(at, 0).query_params["report"] == "old"


def test_a_changed_filter_leads_back_to_the_list(page, url):
    at = page(url, report="aaaa1111")
    assert not any("status" in table.value for table in at.dataframe)
    at.text_input(key="entity").set_value("mb4")
    healthy(at.run())
    assert "report" not in at.query_params
    assert ids(at) == ["bbbb2222"]


def test_one_vector_with_its_reasons(page, url):
    at = page(url, report="aaaa1111")
    assert [tab.label for tab in at.tabs] == ["occlusion", "integrated-gradients"]
    assert len(at.get("image")) == 2
    first = at.tabs[0].dataframe[0].value
    assert list(first["metric"]) == ["cpu", "load", "mem"]
    assert first["observed"][0] == pytest.approx(0.98)
    assert first["expected"][0] == pytest.approx(0.31)
    assert first["share of the raw score"][0] == pytest.approx(3.6)
    assert np.isnan(first["observed"][2])
    assert "ended it early" not in at.tabs[0].caption[0].value
    assert "ended it early" in at.tabs[1].caption[0].value
    said = words(at)
    assert "hosts/0/17" in said
    assert "could not tell" in said  # the classical test


def test_the_course_of_the_score_has_its_alert_line(page, url):
    at = page(url, report="aaaa1111")
    chart = json.loads(at.get("vega_lite_chart")[0].proto.spec)
    marks = [layer["mark"]["type"] for layer in chart["layer"]]
    assert marks == ["rule", "line"]
    lines = chart["layer"][1]["encoding"]
    assert lines["x"]["scale"] == {"type": "utc"}
    assert lines["y"]["scale"]["type"] == "linear"
    high = json.loads(page(url, report="bbbb2222").get("vega_lite_chart")[0].proto.spec)
    assert high["layer"][1]["encoding"]["y"]["scale"]["type"] == "log"


def test_one_map_with_its_cells_called_as_people_call_them(page, url):
    at = page(url, report="bbbb")  # the beginning of an id is enough
    cells = at.tabs[0].dataframe[0].value
    assert set(cells["layer"][:10]) == {9}
    assert sorted(cells["wire"][:10]) == list(range(3, 13))
    assert len(cells) <= incident_tables.MOST_CELLS
    assert "321909" in words(at)
    assert "12 to 19" in words(at)


def test_without_an_explanation_the_evidence_is_shown(page, url):
    at = page(url, report="cccc3333")
    assert "Not explained yet" in at.info[0].value
    assert len(at.get("image")) == 1
    assert list(at.dataframe[0].value["metric"]) == ["cpu", "load", "mem"]


def test_a_failed_explanation_says_why(page, url):
    at = page(url, report="dddd4444")
    assert "It could not be explained" in at.warning[0].value.replace("\\", "")
    assert "\\*is\\*" in at.warning[0].value  # shown as it is, not in italics


def test_what_was_assumed_and_said_of_the_entity_is_shown(page, tmp_path):
    url = f"sqlite:///{tmp_path}/reports.db"
    store = Store.open(url)
    keep(store, incident("told", entity="host/*"))
    about = {"detector": "hosts", "model": "v1", "time": NOW - 7100, "what": "new-normal", "text": "so it is"}
    kept = (("mine", "host/*"), ("other", "host/pc1"))
    adapted = [Adapted(id=id, entity=entity, before=b"state", **about) for id, entity in kept]
    store.commit(Step("group", adaptations=tuple(adapted)))
    store.ledger.record_word("hosts", "host/*", Verdict.BROKEN, who="anna", reason="disk")
    store.ledger.record_word("hosts", "host/pc1", Verdict.NORMAL, who="bob")
    store.close()
    at = page(url, report="told")
    changed, said = (table.value for table in at.dataframe)
    assert list(changed["undo"]) == ["anomalyd adaptations undo mine"]
    assert list(changed["assumed"]) == ["so it is"]
    assert list(said["who"]) == ["anna"]
    assert list(said["came of it"]) == ["waits for the daemon"]


@pytest.fixture(scope="module")
def library(experiment, tmp_path_factory):
    """A library of one detector in three versions; the newest is damaged."""
    folder = tmp_path_factory.mktemp("models")
    library = ModelLibrary(folder)
    pair = experiment.host_pair
    for seconds in (0, 60, 120):
        dated = DetectorPair(
            *(
                replace(m, card=replace(m.card, created=m.card.created + seconds))
                for m in (pair.autoencoder, pair.classical)
            )
        )
        library.publish("hosts", dated)
    damaged = folder / "hosts" / library.versions("hosts")[-1] / "classical" / "model.safetensors"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    return library, folder


def test_models_with_their_cards_and_which_is_at_work(page, url, library, monkeypatch):
    models, folder = library
    monkeypatch.setenv("ANOMALYD_MODELS", str(folder))
    at = page(url)
    next(button for button in at.button if button.label == "Models").click()
    healthy(at.run())
    assert at.query_params["page"] == "models"
    table = at.dataframe[0].value
    assert list(table["version"]) == list(reversed(models.versions("hosts")))
    assert list(table["at work"]) == ["", "● yes", ""]
    assert "truncated or damaged" in at.warning[0].value.replace("\\", "")
    said = words(at)
    for word in (
        "vector-autoencoder",
        "median-distance",
        "2026-11-21 19:16:00",
        "cpu, memory, net, disk",
        "epochs: 3, warmup: 10, window: 4",
        "validation loss",
        "held-out share above 1",
        "0.005 of the",
    ):
        assert word in said, word
    next(button for button in at.button if button.label == "All incidents").click()
    healthy(at.run())
    assert len(ids(at)) == 5


def test_a_changed_filter_leads_from_the_models_back_to_the_list(page, url):
    at = page(url, page="models")
    assert "No folder of models" in at.info[0].value
    at.text_input(key="entity").set_value("mb4")
    healthy(at.run())
    assert ids(at) == ["bbbb2222"]


def test_without_a_model_it_is_said_what_makes_one(page, url, tmp_path, monkeypatch):
    monkeypatch.setenv("ANOMALYD_MODELS", str(tmp_path / "none"))
    assert "anomalyd train" in page(url, page="models").info[0].value


def test_without_evidence_the_page_still_stands(page, url):
    at = page(url, report="eeee5555")
    assert not at.get("image")
    assert not at.dataframe


def test_a_worse_sample_than_the_explained_one(page, tmp_path):
    url = f"sqlite:///{tmp_path}/reports.db"
    store = Store.open(url)
    first = incident("worse", **still_open(Severity.ERROR, 100))
    keep(store, first, vector(first.peak_time))
    store.explain("worse", first.peak_time, [explanation("occlusion", vector(first.peak_time))])
    keep(store, replace(first, peak=9.0), vector(first.peak_time + 5))
    store.close()
    at = page(url, report="worse")
    assert "A worse sample" in at.tabs[0].info[0].value
    assert "observed" not in at.tabs[0].dataframe[0].value  # that of another sample would be misleading


def test_names_from_messages_stay_text(page, url):
    at = page(url, report="cccc3333")
    said = "\n".join(element.value for element in at.get("html"))
    assert "<script>" not in said
    assert "&lt;script&gt;alert(1)" in said


def test_an_unknown_report_leads_to_the_nearest(page, url):
    at = page(url, report="aaaa1112")
    assert "there is no report" in at.warning[0].value
    near = next(button for button in at.button if button.label == "aaaa1111")
    near.click()
    healthy(at.run())
    assert at.query_params["report"] == "aaaa1111"


def ask(at, question):
    at.text_input(key="question").set_value(question)
    next(button for button in at.button if button.label == "Ask").click()
    return healthy(at.run())


def test_ask_and_follow_a_source(page, url):
    at = ask(page(url), "which incidents are open?")
    said = words(at)
    assert "understood as" in said
    assert CHAMBER in said
    source = next(button for button in at.button if button.label == "bbbb2222")
    source.click()
    healthy(at.run())
    assert at.query_params["report"] == "bbbb2222"
    assert "understood as" in words(at)  # the answer stays beside it
    next(button for button in at.button if button.label == "Clear").click()
    healthy(at.run())
    assert "understood as" not in words(at)


def test_an_empty_store_says_so(page, tmp_path):
    url = f"sqlite:///{tmp_path}/reports.db"
    Store.open(url).close()
    said = words(page(url))
    assert "No reports yet" in said
    assert "nothing received yet" in said
    assert "nothing open" in said


def test_a_missing_store_says_so_until_it_is_there(page, tmp_path):
    url = f"sqlite:///{tmp_path}/reports.db"
    at = page(url)
    assert "there is no report store" in at.error[0].value.replace("\\", "")
    assert not at.dataframe
    store = Store.open(url)
    keep(store, incident("first"))
    store.commit(Step("group", states=StateChanges((StateSnapshot("hosts", "host/pc1", "v1", 1.0, b""),))))
    store.close()
    healthy(at.run())
    assert not at.error
    assert ids(at) == ["first"]
    assert at.multiselect(key="detector").options == ["hosts"]


def test_no_store_named(page):
    at = page("")
    assert "anomalyd dashboard" in at.error[0].value


# What the page is made of


@pytest.mark.parametrize(
    ("text", "name", "fits"),
    [
        ("pc1", "host/PC1", True),
        ("HOST/*", "host/pc1", True),
        ("host/*", "my-host/pc1", False),
        ("pc?", "pc1", True),
        ("[1]", "node[1]", True),
        ("[1]", "node1", False),
        (" ", "anything", None),
    ],
)
def test_entity_patterns(text, name, fits):
    patterns = entity_patterns(text)
    assert (fnmatchcase(name, patterns[0]) if patterns else None) is fits


@given(st.text(min_size=1).filter(lambda text: text.strip() and not {"*", "?"} & set(text)))
def test_a_part_of_a_name_finds_it(text):
    (pattern,) = entity_patterns(text)
    assert fnmatchcase(f"a{text}z", pattern)


def test_filters_without_a_choice_select_everything():
    chosen = Filters(window_s=3600.0).selection(10_000.0, Status.OPEN)
    assert (chosen.since, chosen.statuses) == (6400.0, (Status.OPEN,))
    assert Filters(status=Status.CLOSED).selection(0.0).statuses == (Status.CLOSED,)
    assert Filters().selection(0.0) == type(chosen)()


def test_order_of_urgency():
    minor = report(incident("minor", **still_open(Severity.WARNING, 10)))
    old = report(incident("old", **still_open(Severity.CRITICAL, 9000)))
    young = report(incident("young", **still_open(Severity.CRITICAL, 20)))
    over = report(incident("over", severity=Severity.CRITICAL))
    before = report(incident("before", severity=Severity.CRITICAL, onset=NOW - 8000))
    shuffled = [over, minor, before, old, young]
    assert [r.incident.id for r in incident_rows.in_order(shuffled)] == [
        "young",
        "old",
        "minor",
        "over",
        "before",
    ]


def test_freshness():
    assert incident_rows.freshness(None, 1000.0) == (False, "nothing received yet")
    assert incident_rows.freshness(1000.0, 1000.0 + incident_rows.SILENT_S - 1)[0]
    assert not incident_rows.freshness(1000.0, 1000.0 + incident_rows.SILENT_S)[0]
    assert incident_rows.freshness(1060.0, 1000.0)[0]  # a producer's clock that is ahead


def test_summary_never_hides_that_there_is_more():
    assert (
        incident_rows.summary(400, 900, 1200)
        == "900 incidents of 1,200, of which the 400 most urgent are listed"
    )
    assert incident_rows.summary(1, 1, 1) == "1 incident"


def test_blame_without_evidence_or_geometry():
    assert incident_tables.blame(np.array([1.0, 3.0], dtype=np.float32), None, None) == [
        {"metric": "number 2", "share of the raw score": 3.0},
        {"metric": "number 1", "share of the raw score": 1.0},
    ]
    cells = np.array([[np.nan, 1.0], [2.0, -1.0]], dtype=np.float32)
    assert [(r["row"], r["column"]) for r in incident_tables.blame(cells, None, None)] == [
        (2, 1),
        (1, 2),
        (2, 2),
    ]


def test_literal_markdown():
    assert style.literal("a *b* :red[c] `d` é1") == "a \\*b\\* \\:red\\[c\\] \\`d\\` é1"


# The server


def test_an_address_of_another_machine_is_refused(url, monkeypatch):
    monkeypatch.setattr(os, "environ", dict(os.environ))  # `serve` is the process: it adds to its environment
    taken_by_tests = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with pytest.raises(AnomalydError, match=r"cannot listen on 203\.0\.113\.1"):
        serve(url, host="203.0.113.1", port=0)
    assert taken_by_tests == {number: signal.getsignal(number) for number in taken_by_tests}


def test_ctrl_c_ends_it_in_good_order(url, tmp_path):
    port = reserve_port()
    code = (
        "import sys; from anomalyd.dashboard.serve import serve;"
        f"sys.exit(serve({url!r}, host='127.0.0.1', port={port}))"
    )
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([sys.executable, "-c", code], stdout=log, stderr=log, cwd=tmp_path)
    try:
        # Only once Streamlit says that it serves are its signal handlers in place.
        deadline = time.monotonic() + 60
        while not is_taken(port):
            assert process.poll() is None, (tmp_path / "log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}", timeout=10) as answer:
            assert answer.status == 200
        with pytest.raises(AnomalydError, match=f"port {port} is taken"):
            serve(url, host="127.0.0.1", port=port)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0
    finally:
        process.kill()
        process.wait()
    assert not is_taken(port)
    assert f"dashboard: http://127.0.0.1:{port}" in (tmp_path / "log").read_text()


def test_the_password_is_not_on_the_command_line():
    secret = "postgresql://watcher:hunter2@db/reports"
    assert "hunter2" not in " ".join(command("127.0.0.1", 8501))
    assert environment(secret)["ANOMALYD_STORE"] == secret
    assert environment(secret, Path("models"))["ANOMALYD_MODELS"] == str(Path.cwd() / "models")
    assert environment(secret).keys() <= {"ANOMALYD_STORE", "OMP_NUM_THREADS"} | os.environ.keys()
