"""A click on a map outlines the fault, which is kept with a name."""

from __future__ import annotations

import json
from contextlib import closing

import numpy as np
from dashboard_reports import CHAMBER, chamber

from anomalyd.dashboard.incident import outlining
from anomalyd.dashboard.settings import SETTINGS, Settings
from anomalyd.detectors.maps.geometries.known import geometry_of
from anomalyd.reports.queries import Queries
from anomalyd.reports.report import Evidence

LOST = "bb000001"


def chart_of(at):
    (found,) = (c for c in at.get("vega_lite_chart") if "crosshair" in c.proto.spec)
    return found


def click(at, row, column):
    """Click a cell: AppTest has no verb for it, so the browser's message is sent as it is."""
    states = at._tree.get_widget_states()
    state = states.widgets.add(id=chart_of(at).proto.id)
    state.string_value = json.dumps({"selection": {"cell": [{"row": row, "column": column}]}})
    at._run(states)
    assert not at.exception, at.exception
    return at


def said(at):
    return "\n".join(str(e.value) for e in [*at.get("html"), *at.success, *at.caption])


def test_a_click_outlines_the_fault_and_a_name_keeps_it(page, night):
    at = click(page(night, "incident", report=LOST), 2, 12)
    assert "layers 1 to 4" in said(at) or "layers 1-4" in said(at)
    keep = at.button(key=f"keep {LOST}")
    assert keep.disabled
    at.text_input(key=f"who outlines {LOST}").set_value("Ada")
    at.run()
    at.button(key=f"keep {LOST}").click()
    at.run()
    assert not at.exception, at.exception
    assert "Kept as label" in said(at)
    with closing(Queries.open(night)) as queries:
        (kept,) = queries.cases.outlines(LOST)
    assert kept.who == "Ada"
    assert (1, 11) in kept.cells
    assert "Ada" in set(next(d.value for d in at.dataframe if "units" in d.value)["who"])
    assert not [b for b in at.button if b.key == f"keep {LOST}"]


def test_an_outline_is_dropped(page, night):
    at = click(page(night, "incident", report=LOST), 2, 12)
    at.button(key=f"drop {LOST}").click()
    at.run()
    assert not [b for b in at.button if b.key == f"keep {LOST}"]


def test_who_may_only_read_is_offered_no_map_to_click(page, night, monkeypatch):
    monkeypatch.setenv(SETTINGS, Settings(annotate=()).as_text())
    at = page(night, "incident", report=LOST)
    assert not [c for c in at.get("vega_lite_chart") if "crosshair" in c.proto.spec]


def test_a_metric_report_has_nothing_to_outline(page, night):
    assert "Outline the fault" not in [m.value for m in page(night, "incident", report="aa000000").markdown]


def test_cells_are_called_as_people_call_them():
    evidence, geometry = chamber(0.0), geometry_of(CHAMBER)
    rows = outlining.cells(evidence, geometry, {(geometry.row_of(9), 4)})
    assert {row["row"] for row in rows} == set(geometry.numbers)
    (inside,) = (row for row in rows if row["inside"])
    assert (inside["row"], inside["column"], inside["seen"]) == (9, 5, 0.0)
    assert inside["sigmas"] < -5


def test_of_a_large_map_what_is_farthest_off_is_drawn():
    shape = (100, 200)
    error = np.zeros(shape, dtype=np.float32)
    error[50:60, 20:30] = -7
    error[0, 0] = np.nan
    ones = np.ones(shape, dtype=np.float32)
    evidence = Evidence(0.0, (), ones, ones, error, error**2, np.zeros(0), np.zeros((0, *shape)))
    rows = outlining.cells(evidence, None, ())
    assert len(rows) == outlining._MOST_CELLS
    assert sum(row["sigmas"] < -6 for row in rows) == 100
    assert not any(row["row"] == row["column"] == 1 for row in rows)
