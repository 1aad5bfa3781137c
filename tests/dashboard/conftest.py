"""A store with reports of every kind, and the pages opened on it without a browser."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from dashboard_reports import (
    CHAMBER,
    HOSTILE,
    NOW,
    a_night,
    chamber,
    explanation,
    incident,
    keep,
    still_open,
    vector,
)
from streamlit.testing.v1 import AppTest
from streamlit.util import calc_hash

import anomalyd.dashboard
from anomalyd.dashboard import charts
from anomalyd.reports.report import SeenBy, Severity
from anomalyd.reports.storage.store import Store

APP = Path(anomalyd.dashboard.__file__).with_name("app.py")


@pytest.fixture(autouse=True)
def _charts_are_checked(monkeypatch):
    """Against the schema of Vega-Lite; what a person opens is not, for speed."""
    monkeypatch.setattr(charts.Unchecked, "validate", True)


@pytest.fixture(scope="session")
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
    """Open a page on a store: page(url, "incident", report="id")."""

    def open_page(url, name="incidents", **query):
        monkeypatch.setenv("ANOMALYD_STORE", url)
        at = AppTest.from_file(str(APP), default_timeout=60)
        at._page_hash = calc_hash("" if name == "now" else name)
        at.query_params.update(query)
        at.run()
        assert not at.exception, at.exception
        return at

    return open_page


@pytest.fixture(scope="session")
def a_night_in_the_control_room(tmp_path_factory):
    """A store of a night, that is copied and not changed."""
    file = tmp_path_factory.mktemp("night") / "reports.db"
    a_night(f"sqlite:///{file}")
    return file


@pytest.fixture
def night(a_night_in_the_control_room, tmp_path):
    """The URL of a store of a night, one's own."""
    shutil.copy(a_night_in_the_control_room, tmp_path / "reports.db")
    return f"sqlite:///{tmp_path}/reports.db"
