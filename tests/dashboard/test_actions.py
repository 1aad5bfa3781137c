"""What people do on the pages: shown first, done with a name and a reason, by those who may."""

from __future__ import annotations

from contextlib import closing

import pytest
import streamlit as st
from dashboard_reports import NOW, incident

from anomalyd.dashboard.incident import actions
from anomalyd.dashboard.settings import SETTINGS, Settings
from anomalyd.reports.quality import Flag, Override
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.remark import RemarkKind
from anomalyd.reports.storage.store import Store
from anomalyd.verdict import Verdict


@pytest.fixture
def store(night):
    with closing(Store.open(night)) as store:
        yield store


def of(url):
    return closing(Queries.open(url))


LOST = "bb000001"
CASE = incident("cc000000", entity="host/*[x]")


@pytest.mark.parametrize("kind", list(RemarkKind))
def test_remarks(store, night, kind):
    action = actions.remark(kind, CASE, "Ada", "seen on the console", "")
    assert "“seen on the console”" in action.words
    assert not action.missing
    assert action.do(store) == f"Kept with report cc000000: {kind.value}, by Ada."
    with of(night) as queries:
        assert queries.remarks("cc000000")[-1].kind is kind


def test_a_comment_needs_a_text():
    assert actions.remark(RemarkKind.COMMENT, CASE, "Ada", "", "").missing == "a text"
    assert actions.remark(RemarkKind.REAL, CASE, "Ada", "", "").missing == ""


@pytest.mark.parametrize("verdict", list(Verdict))
def test_telling_the_detectors(store, night, verdict):
    action = actions.tell(verdict, CASE, "Ada", "it is so", "")
    assert f"is {verdict.value} since" in action.words
    action.do(store)
    with of(night) as queries:
        (word,) = queries.words(Selection())
    assert (word.word, word.entity, word.since, word.who) == (verdict, CASE.entity, CASE.onset, "Ada")


def test_silence_means_this_very_entity(store, night):
    action = actions.silence(CASE, "Ada", "new firmware", NOW, 7200.0, "")
    assert "for 2 h" in action.words
    assert "maintenance window" in action.do(store)
    with of(night) as queries:
        window = queries.maintenance()[-1]
    assert window.covers("host/*[x]")
    assert not window.covers("host/ax")
    assert window.reason == "Ada: new firmware"
    assert window.until - window.since == 7200.0


def test_a_flag_from_an_incident(store, night):
    override = Override(321909, "DT", 44, 48, Flag.BAD, "Ada", "no high voltage")
    action = actions.set_flag(override, "")
    assert action.do(store) == "Lumisections 44 to 48 of DT in run 321909 are flagged bad by Ada."
    backwards = Override(321909, "DT", 9, 8, Flag.BAD, "Ada", "x")
    assert "not before the first" in actions.set_flag(backwards, "").missing


def healthy(at):
    assert not at.exception, at.exception
    assert not at.error, at.error
    return at


def type_in(at, **fields):
    for key, text in fields.items():
        at.text_input(key=key.replace("_", " ")).set_value(text)
    return healthy(at.run())


@pytest.mark.parametrize("choice", ["Tell: broken", "Silence", "Flag"])
def test_nothing_is_done_without_a_name_and_a_reason(page, night, choice):
    at = page(night, "incident", report=LOST)
    at.get_by_key(f"action {LOST}").set_value(choice)
    healthy(at.run())
    assert at.button(key=f"do {LOST}").disabled
    type_in(at, **{f"who {LOST}": "Ada"})
    assert "It needs a reason." in [caption.value for caption in at.caption]
    type_in(at, **{f"reason {LOST}": "no high voltage"})
    at.button(key=f"do {LOST}").click()
    healthy(at.run())
    assert at.success
    assert not at.get("pills") or f"do {LOST}" not in [b.key for b in at.button]


def test_flags_are_set_and_taken_back_on_the_page_of_the_run(page, night):
    at = page(night, "runs")
    said = "\n".join(element.value for element in at.get("html"))
    assert "Run 321909" in said
    assert "lumisections 1 to 24, 26 to 40" in said
    assert "beside run 321907" in said
    at.selectbox(key="flag value").set_value("uncertain")
    type_in(at, who_flags="Ada", flag_reason="a test")
    at.button(key="do flag").click()
    healthy(at.run())
    with of(night) as queries:
        newest = queries.overrides()[-1]
    assert (newest.run, newest.system, newest.flag, newest.who) == (321909, "DT", Flag.UNCERTAIN, "Ada")
    at.selectbox(key="flag value").set_value("take back what was set")
    healthy(at.run())
    at.button(key="do flag").click()
    healthy(at.run())
    with of(night) as queries:
        assert queries.overrides()[-1].flag is None


def test_an_adaptation_is_undone_on_the_page_of_the_models(page, night):
    at = page(night, "models")
    assert list(at.dataframe[0].value["undo"]) == ["can be undone"]
    type_in(at, who_undoes="Ada", undo_reason="the disk was broken")
    at.button(key="do undo").click()
    healthy(at.run())
    assert at.success
    assert list(at.dataframe[0].value["undo"]) == ["asked by Ada, waits for the daemon"]
    assert not any(button.key == "do undo" for button in at.button)


def test_two_entities_over_a_free_time(page, night):
    at = page(night, "explore", entity="host/daq-21", other="host/daq-22", back="7 d")
    said = "\n".join(element.value for element in at.get("html"))
    assert "host/daq-21 and host/daq-22" in said
    assert len(at.get("vega_lite_chart")) == 3
    at = page(
        night,
        "explore",
        entity="host/daq-21",
        back="free",
        since="2020-01-01T00:00",
        until="2020-01-02T00:00",
    )
    assert "Nothing alarmed in this time" in at.caption[0].value


def test_who_may_only_read_is_offered_nothing(page, night, monkeypatch):
    monkeypatch.setenv(SETTINGS, Settings(annotate=()).as_text())
    at = page(night, "incident", report=LOST)
    assert not any(button.key == f"do {LOST}" for button in at.button)
    assert "You may read here" in "".join(caption.value for caption in at.caption)
    for name in ("runs", "models"):
        assert not page(night, name).text_input


def test_a_sign_in_is_asked_for(page, night, monkeypatch):
    monkeypatch.setenv(SETTINGS, Settings(sign_in=True).as_text())
    assert "no provider is named" in page(night, "now").error[0].value
    monkeypatch.setattr(type(st.user), "__contains__", lambda self, name: True)
    at = page(night, "now")
    assert [button.label for button in at.button] == ["Sign in"]
    assert not at.get("html")[1:]
    monkeypatch.setenv(SETTINGS, Settings(user_header="X-User").as_text())
    assert "Nobody is named in the header X-User" in page(night, "now").error[0].value
