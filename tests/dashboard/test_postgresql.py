"""The pages on PostgreSQL say what they say on SQLite."""

from __future__ import annotations

import re

import pytest
from dashboard_reports import a_night


@pytest.fixture(scope="module")
def on_postgresql(cluster):
    url = cluster.new_schema()
    a_night(url)
    return url


def said(at):
    """The words of a page without its times."""
    words = "\n".join(element.value for element in at.get("html"))
    words = re.sub(r"⚠ no data for.*?UTC|data up to.*?UTC| style=\S+", "T", words)
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\d\d:\d\d:\d\d|(\d+ (d|h|min|s)\b ?)+", "T", words)


@pytest.mark.parametrize(
    ("name", "query"),
    [
        ("now", {}),
        ("incidents", {}),
        ("incident", {"report": "bb000001"}),
        ("explore", {"entity": "host/daq-01", "back": "1 h"}),
        ("runs", {}),
        ("models", {}),
    ],
)
def test_a_page_is_the_same(page, night, on_postgresql, name, query):
    assert said(page(on_postgresql, name, **query)) == said(page(night, name, **query))
