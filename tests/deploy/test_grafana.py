"""The Grafana dashboard shows what is exported, all of it; every page names metrics that are."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from anomalyd.daemon.deployment.grafana import dashboard, dashboard_file
from anomalyd.daemon.telemetry.reference import markdown

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


def exported() -> set[str]:
    return set(re.findall(r"^\| `(anomalyd_\w+)`", markdown(), re.MULTILINE))


def without_suffix(name: str) -> str:
    return re.sub(r"_(bucket|sum|count)$", "", name)


def expressions() -> list[str]:
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", ())]


def test_every_exported_metric_is_shown_and_nothing_else() -> None:
    shown = {without_suffix(name) for expr in expressions() for name in re.findall(r"anomalyd_\w+", expr)}
    assert exported() - shown == set(), "no panel shows them: add one in daemon/deployment/grafana.py"
    assert shown - exported() == set()


def test_no_panel_lies_over_another_and_ids_are_unique() -> None:
    panels = dashboard()["panels"]
    cells: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        covered = {
            (x, y) for x in range(at["x"], at["x"] + at["w"]) for y in range(at["y"], at["y"] + at["h"])
        }
        assert at["x"] + at["w"] <= 24
        assert not covered & cells, panel["title"]
        cells |= covered
    assert len({panel["id"] for panel in panels}) == len(panels)


def test_the_shipped_file_is_up_to_date() -> None:
    shipped = ROOT / "deploy" / "grafana" / "anomalyd.json"
    assert shipped.read_text() == dashboard_file(), "run `make docs`"


def test_prometheus_can_read_every_expression(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("no promtool in PATH: install Debian's package prometheus")
    replaced = {"$__rate_interval": "1m", "$instance": ".*", "$detector": ".*"}
    rules = []
    for i, expr in enumerate(expressions()):
        for name, value in replaced.items():
            expr = expr.replace(name, value)
        rules.append({"record": f"panel_{i}", "expr": expr})
    file = tmp_path / "panels.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "panels", "rules": rules}]}))
    done = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, text=True, timeout=280
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_names_metrics_that_are_exported(page: Path) -> None:
    named = {without_suffix(name) for name in re.findall(r"`(anomalyd_\w+)", page.read_text())}
    assert named - exported() == set()
