"""What the pages are made of, without a page: words, tables, filters, states and groups."""

from __future__ import annotations

import re
from dataclasses import replace
from fnmatch import fnmatchcase

import numpy as np
import pytest
from dashboard_reports import NOW, chamber, incident, still_open, vector
from hypothesis import given
from hypothesis import strategies as st

from anomalyd.dashboard import style, wording
from anomalyd.dashboard.incident import export, tables
from anomalyd.dashboard.incidents import rows, timeline
from anomalyd.dashboard.incidents.filters import Filters, entity_patterns
from anomalyd.dashboard.now import daemons, drawing, states, urgent
from anomalyd.dashboard.now.states import Condition, Known
from anomalyd.interpret.pictures.palette import DARK, LIGHT
from anomalyd.reports.queries import Selection
from anomalyd.reports.relations.incident_row import IncidentIndex, IncidentRow
from anomalyd.reports.remark import Remark, RemarkKind
from anomalyd.reports.report import Cause, Direction, Explanation, Report, Severity, Status
from anomalyd.reports.step import CanaryCheck
from anomalyd.reports.storage.repositories.daemon_status import DaemonStatus
from anomalyd.reports.storage.repositories.overview import LatestSample


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
    assert Filters(window_s=3600.0).selection(10_000.0).since == 6400.0
    assert Filters(since=5.0, until=7.0).selection(10_000.0) == Selection(since=5.0, until=7.0)
    assert Filters(status=Status.CLOSED).selection(0.0).statuses == (Status.CLOSED,)
    assert Filters().selection(0.0) == Selection()


def test_freshness():
    assert wording.freshness(None, 1000.0) == (False, "nothing received yet")
    assert wording.freshness(1000.0, 1000.0 + wording.SILENT_S - 1)[0]
    assert not wording.freshness(1000.0, 1000.0 + wording.SILENT_S)[0]
    assert wording.freshness(1060.0, 1000.0)[0]  # a producer's clock that is ahead


def test_scores_are_never_in_powers_of_ten():
    assert [wording.score(s) for s in (float("nan"), 3.14159, 343.5, 8.1e8)] == [
        "could not tell",
        "3.14",
        "344",
        "810,000,000",
    ]


def test_summary_never_hides_that_there_is_more():
    assert rows.summary(12, 900, 1200) == "900 incidents of 1,200 in 12 rows of what started together"
    assert rows.summary(1, 1, 1) == "1 incident"
    assert "No reports yet" in rows.summary(0, 0, 0)
    assert "None of the 5 recorded incidents" in rows.summary(0, 0, 5)


def test_a_group_is_as_bad_as_what_is_still_open():
    over = incident("over", severity=Severity.CRITICAL, causes=("cpu",))
    open_ = incident("open", entity="host/pc2", causes=("net",), **still_open(Severity.WARNING, 60))
    more = incident("more", entity="host/pc3", causes=("net",), run=5)
    row = rows.group_row([over, open_, more], 30, unfolded=False)
    assert (row["severity"], row["status"], row["run"]) == ("● warning", "1 open", "5")
    assert row["entity"] == "▸ 30: host/pc1, host/pc2 and 1 more"
    assert row["most to blame"] == "net, cpu"


def test_csv_holds_no_formula():
    report = Report(incident("a", entity="=cmd()", causes=("-1",)), "", 0, (), "", NOW)
    head, line = rows.as_csv([report]).splitlines()
    assert head.startswith("report,entity,detector")
    assert "'=cmd()" in line
    assert "'-1" in line
    assert rows.as_csv([]) == ""


def test_the_timeline_stacks_severities():
    index = IncidentIndex(
        ids=np.array(["a", "b", "c"], dtype=object),
        detectors=np.zeros(3, dtype=np.int64),
        onsets=np.array([100.0, 101.0, 700.0]),
        ranks=np.array([0, 2, 2]),
        still_open=np.zeros(3, dtype=bool),
    )
    table, width = timeline.counts(index)
    assert width == 10
    assert list(table["severity"]) == ["warning", "critical", "critical"]
    assert list(table["bottom"]) == [0, 1, 0]


# One incident


def test_blame_without_evidence_or_geometry():
    assert tables.blame(np.array([1.0, 3.0], dtype=np.float32), None, None) == [
        {"metric": "number 2", "share": "75 %"},
        {"metric": "number 1", "share": "25 %"},
    ]
    cells = np.array([[np.nan, 1.0], [2.0, -1.0]], dtype=np.float32)
    blamed = tables.blame(cells, None, None)
    assert [(r["row"], r["column"], r["share"]) for r in blamed] == [
        ("2", "1", "67 %"),
        ("1", "2", "33 %"),
        ("2", "2", "–"),
    ]


def test_blame_is_in_the_units_of_the_picture():
    evidence = vector(5.0)
    first, _, last = tables.blame(evidence.contribution, evidence, None)
    assert first == {
        "metric": "cpu",
        "share": "80 %",
        "seen": "0.980",
        "expected": "0.310",
        "difference": "+6.0 σ",
    }
    assert (last["seen"], last["difference"]) == ("missing", "–")


def test_the_cause_that_moved_first_is_marked():
    found = (
        Cause("mem.used", "mem", Direction.ABOVE, 20.0, 1e9, 8e9, 40.0, 0.7),
        Cause("load", "load", Direction.ABOVE, 10.0, 1.0, 9.0, 20.0, 0.3),
    )
    seen = replace(vector(5.0), history_times=np.arange(8.0, 30.0), causes=found)
    worst, first = tables.causes(seen)
    assert (worst["metric"], worst["seen"], worst["share"]) == ("mem.used", "8.00 GB", "70 %")
    assert first["metric"].endswith("moved first")
    assert "first" not in tables.causes(replace(seen, causes=found[:1]))[0]["metric"]
    together = replace(found[0], started=11.0)
    both = tables.causes(replace(seen, causes=(together, found[1])))
    assert not any("first" in row["metric"] for row in both)


def test_the_exported_page_stands_alone_and_is_harmless():
    evidence = chamber(NOW)
    made = Explanation("occlusion", evidence.time, evidence.contribution, 0.1, complete=True)
    report = Report(incident("a", entity="<b>x</b>"), "It <i>was</i>.", 0, (), "", NOW)
    remark = Remark("a", RemarkKind.COMMENT, "<u>Ada</u>", "seen & done", NOW)
    page = export.as_html(
        report, evidence, [made], [("occlusion", b"png")], [remark], ["host/pc2, 1 s later"], "http://d/x"
    )
    for markup in ("<b>", "<i>", "<u>", "<script", 'http-equiv="refresh'):
        assert markup not in page
    assert "data:image/png;base64,cG5n" in page
    assert "&lt;u&gt;Ada&lt;/u&gt;, comment: seen &amp; done" in page
    assert "By occlusion" in page
    assert 'src="http' not in page
    assert 'href="http://d/x"' in page


# Now


def known(**changes):
    given = {
        "latest": {
            "DT/W+1/MB2/S07": LatestSample("map", 1000.0, 23.0),
            "host/pc1": LatestSample("vector", 1000.0, 1.0),
            "host/pc2": LatestSample("vector", 800.0, 1.0),
            "host/pc3": LatestSample("vector", 1000.0, 1.0),
            "host/pc10": LatestSample("vector", 800.0, 60.0),
            "ds-12": LatestSample("vector", 1000.0, 1.0),
            "host/gone": LatestSample("vector", 1000.0 - 40 * 86_400, 1.0),
        },
        "scored": frozenset({"DT/W+1/MB2/S07", "host/pc1", "host/pc2", "host/pc10", "ds-12"}),
        "alarming": {},
        "silenced": frozenset({"ds-12"}),
    }
    return Known(**{**given, **changes})


def open_row(entity, severity, peak=2.0):
    return IncidentRow("id", "hosts", entity, severity, Status.OPEN, 900.0, 990.0, peak)


def test_what_entities_are_like():
    found = {g.name: g for g in states.group_states(known(), {"storage": ["ds-*"]})}
    assert set(found) == {"DT", "host", "storage"}
    assert {e.entity: e.condition for e in found["host"].entities} == {
        "host/pc1": Condition.NORMAL,
        "host/pc2": Condition.SILENT,
        "host/pc3": Condition.UNSCORED,
        "host/pc10": Condition.NORMAL,  # it sends once a minute
    }
    assert [e.entity for e in found["host"].entities][-1] == "host/pc10"
    assert found["storage"].condition is Condition.MAINTENANCE
    assert drawing.words(found["host"]) == "✕ 1 no data · ? 1 not scored · 2 normal"


def test_who_learns_and_who_fits_no_model_is_told():
    learning, unfit = frozenset({"host/pc1", "host/pc10"}), {"host/pc10": "30 of 30 maps alert"}
    groups = states.group_states(known(learning=learning, unfit=unfit), {"storage": ["ds-*"]})
    host = next(g for g in groups if g.name == "host")
    assert {e.entity: e.condition for e in host.entities if e.entity in learning} == {
        "host/pc1": Condition.LEARNING,
        "host/pc10": Condition.UNFIT,
    }
    assert drawing.words(host).startswith(
        "✕ 1 no data · ≠ 1 model does not fit · ? 1 not scored · … 1 learning"
    )


def daemon(instance="pc1:9464", seen=1000.0, **changes):
    given = {"version": "1", "started": 0.0, "turned": seen, "every_s": 3.0, "lag": {"hosts": 5, "maps": 1}}
    return DaemonStatus(instance, seen=seen, **{**given, **changes})


@pytest.mark.parametrize(
    ("known", "said"),
    [
        ([], [(False, "no daemon has written to this store yet")]),
        ([daemon()], [(True, "daemon up · consumer lag 6 records")]),
        ([daemon(), daemon("pc2", stopped=True)], [(True, "daemon up · consumer lag 6 records")]),
        ([daemon(), daemon("pc2")], [(True, "2 daemons up · consumer lag 12 records")]),
        ([daemon(stopped=True, seen=910.0)], [(False, "the daemon was stopped 1 min 35 s ago")]),
        (
            [daemon(seen=940.0)],
            [(False, "no news from the daemon for 1 min 5 s: it is down, or cannot write to the store")],
        ),
        (
            [daemon("pc2", seen=940.0), daemon()],
            [
                (True, "daemon up · consumer lag 6 records"),
                (False, "no news from daemon pc2 for 1 min 5 s: it is down, or cannot write to the store"),
            ],
        ),
        ([daemon(turned=900.0)], [(False, "the daemon hangs: its loop has stood still for 1 min 40 s")]),
        (
            [daemon(missing={"kafka": "no broker answers"})],
            [(False, "the daemon is not ready: kafka: no broker answers")],
        ),
        ([daemon(seen=2000.0)], [(True, "daemon up · consumer lag 6 records")]),  # its clock is ahead
    ],
)
def test_silence_of_a_daemon_is_never_taken_for_well(known, said):
    assert [(each.well, each.text) for each in daemons.of_all(known, 1005.0)] == said


@pytest.mark.parametrize(
    ("healthy", "faulty", "said"),
    [
        ({}, {}, [(True, "canary well, through in 2.5 s")]),
        ({"right": False}, {}, [(False, "a healthy canary of hosts raised an alarm")]),
        ({}, {"right": False}, [(False, "a faulty canary of hosts was not found")]),
        ({"sent": 500.0}, {}, [(False, "no canary of hosts has come back for 8 min 25 s")]),
    ],
)
def test_canaries_that_are_missed_or_misjudged_are_told(healthy, faulty, said):
    fine = {"sent": 980.0, "latency_s": 2.5, "score": 1.0, "right": True}
    checks = [
        CanaryCheck("hosts", kind, **{**fine, **over})
        for kind, over in (("healthy", healthy), ("faulty", faulty))
    ]
    assert [(each.well, each.text) for each in daemons.of_canaries(checks, 1005.0)] == said
    assert daemons.of_canaries([], 1005.0) == []


def test_the_group_that_needs_somebody_comes_first():
    alarming = states.worst_of(
        [open_row("DT/W+1/MB2/S07", Severity.WARNING, 9.0), open_row("DT/W+1/MB2/S07", Severity.ERROR)]
    )
    groups = states.group_states(known(alarming=alarming), {})
    assert groups[0].name == "DT"
    assert groups[0].condition is Condition.ERROR


@pytest.mark.parametrize("theme", [DARK, LIGHT])
def test_groups_are_drawn_with_names_as_text(theme):
    latest = {"host/<b>": LatestSample("vector", 1000.0, 1.0)}
    alarming = {"host/<b>": open_row("host/<b>", Severity.CRITICAL)}
    (group,) = states.group_states(known(latest=latest, alarming=alarming, silenced=frozenset()), {})
    html = drawing.draw_group(group, theme)
    assert "<b>" not in html
    assert "incident?report=id" in html
    assert "▲" in html


def test_drift_tubes_are_drawn_in_their_wheels():
    latest = {f"DT/W-2/MB4/S{s:02d}": LatestSample("map", 1000.0, 23.0) for s in range(1, 15)}
    (group,) = states.group_states(known(latest=latest), {})
    html = drawing.draw_group(group, DARK)
    assert html.count("ad-wheel") == 1
    assert html.count("ad-cell") == 14
    assert "explore?entity=DT/W-2/MB4/S14" in html


@pytest.mark.parametrize(
    ("names", "panels", "columns"),
    [
        (["EB", "EE+", "EE-"], ["EE-", "EB", "EE+"], [1, 1, 1]),
        ([f"EB{s}{n:02d}" for s in "+-" for n in range(1, 19)], ["EB-", "EB+"], [18, 18]),
        (["ECAL/EE+01", "ECAL/EE+09", "ECAL/EB"], ["EB", "EE+"], [1, 9]),
    ],
)
def test_the_calorimeter_is_drawn_from_minus_to_plus(names, panels, columns):
    latest = {name: LatestSample("map", 1000.0, 23.0) for name in names}
    (group,) = states.group_states(known(latest=latest), {})
    assert group.name == "ECAL"
    html = drawing.draw_group(group, DARK)
    assert re.findall(r'<div class="ad-wheel"><span class="ad-quiet">([^<]+)<', html) == panels
    assert [int(n) for n in re.findall(r"repeat\((\d+)", html)] == columns
    assert html.count('ad-cell"') == len(names)


def test_one_unknown_place_makes_a_grid():
    latest = {name: LatestSample("map", 1000.0, 23.0) for name in ("EB+01", "EB+xx")}
    assert "ad-wheel" not in drawing.draw_group(states.group_states(known(latest=latest), {})[0], DARK)


def test_what_began_together_is_one_line():
    rows = [
        IncidentRow(f"id{k}", "hosts", f"host/pc{k}", Severity.ERROR, Status.OPEN, 900.0 + k, 990.0, 2.0 + k)
        for k in range(14)
    ]
    late = IncidentRow("late", "hosts", "host/late", Severity.ERROR, Status.OPEN, 961.0, 990.0, 2.0)
    map_ = IncidentRow("map", "maps", "EB", Severity.CRITICAL, Status.OPEN, 905.0, 990.0, 8.0)
    groups = urgent.groups([late, *rows, map_])
    assert [len(group.rows) for group in groups] == [1, 1, 14]
    assert groups[0].worst.id == "map"
    assert groups[2].worst.entity == "host/pc13"
    assert (
        urgent.words(groups[2], 1000.0) == "14: host/pc13, host/pc0 and 12 more · for 1 min 40 s · score 15"
    )
    assert urgent.words(groups[0], 1000.0) == "EB · for 1 min 35 s · score 8"


def test_a_thousand_hosts_show_those_that_are_not_well():
    latest = {f"host/{n}": LatestSample("vector", 1000.0, 1.0) for n in range(2000)}
    state = known(
        latest=latest, scored=frozenset(latest), alarming={"host/7": open_row("host/7", Severity.ERROR)}
    )
    html = drawing.draw_group(states.group_states(state, {})[0], DARK)
    assert html.count('ad-cell"') == 1
    assert "1,999 normal entities" in html


def test_literal_markdown():
    assert style.literal("a *b* :red[c] `d` é1") == "a \\*b\\* \\:red\\[c\\] \\`d\\` é1"
