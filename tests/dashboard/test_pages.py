"""The pages without a browser: what they say of stores of every kind, and what a click does."""

from __future__ import annotations

import json
import re
import time
from contextlib import closing
from dataclasses import replace

import pytest
from dashboard_reports import CHAMBER, NOW, explanation, incident, keep, still_open, vector

from anomalyd.dashboard.incident import tables
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import ModelLibrary
from anomalyd.reports.adaptation import Adapted
from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Severity
from anomalyd.reports.storage.repositories.entity_states import StateChanges, StateSnapshot
from anomalyd.reports.storage.store import Step, Store
from anomalyd.verdict import Verdict


def healthy(at):
    assert not at.exception, at.exception
    return at


def words(at):
    """Everything that is said on the page, as HTML."""
    elements = [*at.get("html"), *at.error, *at.warning, *at.info, *at.caption, *at.markdown]
    return "\n".join(str(element.value) for element in elements)


def press(at, label):
    next(button for button in at.button if button.label == label).click()
    return healthy(at.run())


def ids(at):
    return list(at.dataframe[0].value["report"]) if at.dataframe else []


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
    assert "5 incidents" in words(at)


def test_the_age_of_the_data_is_said(page, url):
    said = re.search(r"no data for (\d+) min", words(page(url, "now")))
    assert said is not None
    # Its newest step was ten minutes old when this file was imported, which in a whole run is long ago.
    passed = int((time.time() - NOW) / 60)
    assert 10 + passed - 1 <= int(said[1]) <= 10 + passed + 1


def test_filters(page, url):
    at = page(url)
    at.get_by_key("severity").set_value(["critical", "error"])
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
    at.get_by_key("status").set_value("open")
    healthy(at.run())
    assert ids(at) == ["bbbb2222", "cccc3333"]
    at.get_by_key("seen_by").set_value(["both"])
    healthy(at.run())
    assert ids(at) == ["bbbb2222"]


def test_a_click_opens_an_incident(page, url):
    at = click(page(url), 2)
    assert at.query_params["report"] == "aaaa1111"
    assert "host/pc1 was anomalous from" in words(at)


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


def test_what_started_together_is_one_row_until_it_is_unfolded(page, tmp_path):
    url = f"sqlite:///{tmp_path}/reports.db"
    store = Store.open(url)
    for k in range(3):
        keep(store, incident(f"id{k}", entity=f"host/pc{k}", onset=NOW - 500 + k, last=NOW - 400))
    keep(store, incident("alone", onset=NOW - 9000))
    store.close()
    at = page(url)
    assert ids(at) == ["id0", "alone"]
    assert "4 incidents in 2 rows" in words(at)
    click(at, 0)
    assert ids(at) == ["id0", "id0", "id1", "id2", "alone"]
    click(at, 0)
    assert ids(at) == ["id0", "alone"]
    apart = page(url, together="not at all")
    assert len(ids(apart)) == 4


def test_all_of_many_are_reached_page_by_page(page, tmp_path):
    url = f"sqlite:///{tmp_path}/reports.db"
    store = Store.open(url)
    for k in range(60):
        keep(store, incident(f"id{k:02d}", onset=NOW - 200 * k, closed=NOW - 200 * k + 50))
    store.close()
    assert len(ids(page(url))) == 50
    assert ids(page(url, p="2")) == [f"id{k}" for k in range(50, 60)]


def test_the_address_holds_the_filters(page, url):
    assert ids(page(url, severity=["critical", "warning"])) == ["bbbb2222", "cccc3333"]
    assert ids(page(url, run="321909")) == ["bbbb2222"]
    assert ids(page(url, detector="chambers", status="open")) == ["bbbb2222"]
    assert ids(page(url, cause="LAYER 9")) == ["bbbb2222"]


def test_an_address_without_a_page_still_leads_there(page, url):
    """Alerts and logbooks hold them."""
    assert "host/pc1 was anomalous from" in words(page(url, "now", report="aaaa1111"))
    assert ids(page(url, "now", detector="chambers")) == ["bbbb2222"]


def test_one_vector_with_its_reasons(page, url):
    at = page(url, "incident", report="aaaa1111")
    assert [tab.label for tab in at.tabs] == ["occlusion", "integrated-gradients"]
    assert len(at.get("image")) == 2
    first = at.tabs[0].get("html")[0].value
    assert re.findall(r"<td>(.*?)</td>", first)[:5] == ["cpu", "80 %", "0.980", "0.310", "+6.0 σ"]
    assert "missing" in first
    assert "ended it early" not in at.tabs[0].caption[0].value
    assert "ended it early" in at.tabs[1].caption[0].value
    said = words(at)
    assert "hosts/0/17" in said
    assert "could not tell" in said  # the classical test


def test_the_course_of_the_score_has_its_alert_line(page, url):
    at = page(url, "incident", report="aaaa1111")
    chart = json.loads(at.get("vega_lite_chart")[0].proto.spec)
    marks = [layer["mark"]["type"] for layer in chart["layer"]]
    assert marks == ["rule", "line"]
    lines = chart["layer"][1]["encoding"]
    assert lines["x"]["scale"] == {"type": "utc"}
    assert lines["y"]["scale"]["type"] == "linear"
    high = json.loads(page(url, "incident", report="bbbb2222").get("vega_lite_chart")[0].proto.spec)
    assert high["layer"][1]["encoding"]["y"]["scale"]["type"] == "log"


def test_one_map_with_its_cells_called_as_people_call_them(page, url):
    at = page(url, "incident", report="bbbb")  # the beginning of an id is enough
    rows = re.findall(r"<tr><td>(.*?)</td><td>(.*?)</td>", at.tabs[0].get("html")[0].value)
    assert {layer for layer, _ in rows[:10]} == {"9"}
    assert sorted(int(wire) for _, wire in rows[:10]) == list(range(3, 13))
    assert len(rows) <= tables.MOST_ROWS
    assert "321909" in words(at)
    assert "12 to 19" in words(at)


def test_without_an_explanation_the_evidence_is_shown(page, url):
    at = page(url, "incident", report="cccc3333")
    assert "Not explained yet" in at.info[0].value
    assert len(at.get("image")) == 1
    assert "<td>cpu</td>" in words(at)


def test_a_failed_explanation_says_why(page, url):
    at = page(url, "incident", report="dddd4444")
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
    at = page(url, "incident", report="told")
    said, changed = (table.value for table in at.dataframe)
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
    at = page(url, "models")
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
        "0.01 of the",
    ):
        assert word in said, word


def test_without_a_model_it_is_said_what_makes_one(page, url, tmp_path, monkeypatch):
    monkeypatch.setenv("ANOMALYD_MODELS", str(tmp_path / "none"))
    assert "anomalyd train" in page(url, "models").info[0].value


def test_without_evidence_the_page_still_stands(page, url):
    at = page(url, "incident", report="eeee5555")
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
    at = page(url, "incident", report="worse")
    assert "A worse sample" in at.tabs[0].info[0].value
    assert "seen" not in at.tabs[0].get("html")[0].value  # that of another sample would be misleading


def test_names_from_messages_stay_text(page, url):
    at = page(url, "incident", report="cccc3333")
    said = "\n".join(element.value for element in at.get("html"))
    assert "<script>" not in said
    assert "&lt;script&gt;alert(1)" in said


def test_an_unknown_report_leads_to_the_nearest(page, url):
    at = page(url, "incident", report="aaaa1112")
    assert "there is no report" in at.warning[0].value
    near = next(button for button in at.button if button.label == "aaaa1111")
    near.click()
    healthy(at.run())
    assert at.query_params["report"] == "aaaa1111"


def test_ask_and_follow_a_source(page, url):
    at = page(url, "assistant", q="which incidents are open?")
    said = words(at)
    assert "understood as" in said
    assert CHAMBER in said
    press(at, "bbbb2222")
    assert at.query_params["report"] == "bbbb2222"


def test_a_conversation_goes_on_and_is_judged(page, url):
    at = page(url, "assistant")
    press(at, "what is open?")
    at.chat_input[0].set_value("which of them are critical?")
    healthy(at.run())
    assert len(at.chat_message) == 4
    at.text_input(key="who judges 1").set_value("Ada")
    healthy(at.run())
    at.button(key="wrong 1").click()
    healthy(at.run())
    assert "You said: wrong." in words(at)
    with closing(Queries.open(url)) as queries:
        (kept,) = queries.answer_feedback()
    assert (kept.who, kept.question) == ("Ada", "which of them are critical?")
    press(at, "New conversation")
    assert not at.chat_message


def test_an_empty_store_says_so(page, tmp_path):
    url = f"sqlite:///{tmp_path}/reports.db"
    Store.open(url).close()
    assert "No reports yet" in words(page(url))
    said = words(page(url, "now"))
    assert "nothing received yet" in said
    assert "nothing open" in said
    for name in ("incident", "explore", "runs", "models", "assistant"):
        page(url, name)


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
