"""The page of the models: rolled back, candidates beside them, wanted against realised alarms."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace

import pytest
from dashboard_reports import NOW

from anomalyd.dashboard.models import cards
from anomalyd.dashboard.settings import MODELS, SETTINGS, Settings
from anomalyd.detectors.detector_pair import DetectorPair
from anomalyd.detectors.library import ModelLibrary, candidates_folder
from anomalyd.reports.storage.repositories.daemon_status import DetectorStatus
from anomalyd.reports.storage.store import Store


def dated(pair, seconds):
    members = (pair.autoencoder, pair.classical)
    return DetectorPair(
        *(replace(m, card=replace(m.card, created=m.card.created + seconds)) for m in members)
    )


@pytest.fixture
def library(experiment, tmp_path, monkeypatch):
    """Two published versions, and a candidate that did not pass."""
    folder = tmp_path / "models"
    monkeypatch.setenv(MODELS, str(folder))
    library = ModelLibrary(folder)
    for seconds in (0, 60):
        library.publish("hosts", dated(experiment.host_pair, seconds))
    shelf = candidates_folder(folder)
    kept = ModelLibrary(shelf).publish("hosts", dated(experiment.host_pair, 120))
    of = {"alert_rate": 0.031, "faults_found": 1.0, "samples": 500, "faults": 3}
    differs = {
        "since": NOW - 3600, "until": NOW, "samples": 500, "candidate": 12, "old": 1, "both": 2,
        "entities": [{"entity": "host/pc7", "candidate": 12, "old": 1, "both": 2}],
        "differing": [{"entity": "host/pc7", "time": NOW - 60, "candidate": 4.2, "old": 0.3}],
    }  # fmt: skip
    decision = {"promoted": False, "why": "3.10% of the last samples alert", "candidate": of, "old": of}
    (shelf / "hosts" / f"{kept}.json").write_text(json.dumps({**decision, "differs": differs}))
    (shelf / "hosts" / "20260101T000000Z-00000000.json").write_text("{")
    return library


def said(at):
    elements = [*at.get("html"), *at.error, *at.warning, *at.success, *at.caption, *at.markdown]
    return "\n".join(str(e.value) for e in elements).replace("\\", "")


def press(at, key):
    at.button(key=key).click()
    at.run()
    assert not at.exception, at.exception
    return at


def test_an_earlier_version_is_rolled_back_to_and_let_go(page, url, library):
    first, second = library.versions("hosts")
    at = page(url, "models")
    assert at.button(key="roll back hosts").disabled
    at.text_input(key="who rolls back hosts").set_value("Ada")
    at.text_input(key="why roll back hosts").set_value("it is deaf")
    at.run()
    press(at, "roll back hosts")
    pinned = library.pinned("hosts")
    assert (pinned.version, pinned.who, pinned.reason) == (first, "Ada", "it is deaf")
    assert f"{first} is kept at work since" in said(at)
    assert list(at.dataframe[0].value["at work"]) == ["", "● yes"]
    at.selectbox(key="version of hosts").set_value("the newest, whatever is published")
    at.text_input(key="why roll back hosts").set_value("mended")
    at.run()
    press(at, "roll back hosts")
    assert library.pinned("hosts") is None
    assert library.load("hosts").version == second


def test_a_candidate_is_shown_beside_the_old_one_and_promoted(page, url, library):
    at = page(url, "models")
    text = said(at)
    assert "was not promoted: 3.10% of the last samples alert" in text
    assert "the new one alone alerts on 12, the old one alone on 1, both on 2" in text
    assert "host/pc7" in text
    assert "4.2" in text
    at.text_input(key="who promotes hosts").set_value("Ada")
    at.run()
    press(at, "promote hosts")
    assert "is published by Ada" in said(at)
    assert len(library.versions("hosts")) == 3


def test_two_versions_are_compared_on_demand(page, night, library):
    first, at_work = library.versions("hosts")
    at = page(night, "models")
    assert at.button(key="compare hosts").disabled
    assert "some minutes" in said(at)
    at.text_input(key="who compares hosts").set_value("Ada")
    at.selectbox(key="compared version of hosts").set_value(first)
    at.run()
    press(at, "compare hosts")
    assert f"The daemon will compare {first} with {at_work}" in said(at)
    assert "asked for by Ada" in said(at)
    assert "it waits for the daemon" in said(at)
    press(at, "compare hosts")
    assert "wait to be compared already" in said(at)
    with closing(Store.open(night)) as store:
        asked = store.comparisons.begin(("hosts",))
        assert (asked.candidate, asked.old) == (first, at_work)
        assert "it is being made since" in said(page(night, "models"))
        store.comparisons.end(asked)
    made = said(page(night, "models"))
    assert "made at" in made
    assert "the last one took" in made


def test_who_may_only_read_changes_no_model(page, url, library, monkeypatch):
    monkeypatch.setenv(SETTINGS, Settings(annotate=()).as_text())
    keys = {button.key for button in page(url, "models").button}
    assert not {"roll back hosts", "promote hosts", "compare hosts"} & keys


def test_folders_that_cannot_be_written_are_told(page, url, library, monkeypatch):
    def refuse(*_, **__):
        raise OSError("read-only file system")

    at = page(url, "models")
    at.text_input(key="who rolls back hosts").set_value("Ada")
    at.text_input(key="why roll back hosts").set_value("it is deaf")
    at.run()
    monkeypatch.setattr("anomalyd.detectors.library.tempfile.mkstemp", refuse)
    press(at, "roll back hosts")
    assert "do it where the daemon runs" in said(at)
    assert library.pinned("hosts") is None


def test_what_was_realised_stands_beside_what_was_wanted(page, night):
    text = said(page(night, "models"))
    assert "⚠ 0.21%" in text
    status = DetectorStatus("h", rate_wanted=0.01, rate_realised=0.011, alarms_wanted=3.0)
    assert cards._against(status, 6)["wanted a day"] == "3.0"
    assert cards._against(status, 7)["wanted a day"] == "⚠ 3.0"
    assert cards._against(status, 0)["samples that alert"] == "1.10%"
    assert cards._against(None, 0)["wanted share"] == "–"
