"""The command line: help that helps, errors in one line, JSON that is JSON."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer

from anomalyd import __version__
from anomalyd.daemon.cli import main
from anomalyd.daemon.cli.app import app
from anomalyd.reports.report import (
    Evidence,
    Explanation,
    Incident,
    SeenBy,
    Severity,
    Status,
)
from anomalyd.reports.step import Step, StoredChange
from anomalyd.reports.storage.store import Store

PNG = b"\x89PNG\r\n\x1a\n"
NAN = float("nan")
GOOD = """
inputs:
  - topic: host-metrics
detectors:
  - name: hosts
    kind: vector-autoencoder
    entities: ["host/*"]
"""


@dataclass(frozen=True)
class Ran:
    """How a command ended, and what it said."""

    code: int
    out: str
    err: str

    def json(self) -> Any:
        def refuse(constant: str) -> None:
            raise AssertionError(f"{constant} is no JSON")

        assert self.code == 0, self.err
        return json.loads(self.out, parse_constant=refuse)


@pytest.fixture
def anomalyd(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Iterator[Callable[..., Ran]]:
    """Run the command as the shell does: anomalyd("version") -> Ran."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Ran:
        monkeypatch.setattr(sys, "argv", ["anomalyd", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else int(code is not None), said.out, said.err)

    yield run
    root.handlers[:] = handlers  # a command logs to standard error, and to nothing else
    root.setLevel(level)


def failed(ran: Ran, *words: str) -> bool:
    """Whether it failed as it should: status 2, one clear message on standard error, nothing else."""
    assert ran.out == ""
    assert "Traceback" not in ran.err
    for word in words:
        assert word in ran.err
    return ran.code == 2


# ---- help


def commands(group: Any, *path: str) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, group
    for name, command in getattr(group, "commands", {}).items():
        yield from commands(command, *path, name)


COMMANDS = dict(commands(typer.main.get_command(app)))


def test_every_command_is_there() -> None:
    """Those of docs/cli.md, which `make docs` writes: a command that goes is seen in review."""
    page = (Path(__file__).parents[3] / "docs" / "cli.md").read_text()
    written = set(re.findall(r"^## `anomalyd ([\w-]+)`", page, re.MULTILINE))
    assert {path[0] for path in COMMANDS if len(path) == 1} == written
    assert {("reports", "list"), ("reports", "show"), ("evaluate", "metrics")} <= COMMANDS.keys()


def test_the_version_is_told_without_a_command(anomalyd: Callable[..., Ran]) -> None:
    assert anomalyd("--version").out == anomalyd("version").out


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_help_describes_every_option(path: tuple[str, ...], anomalyd: Callable[..., Ran]) -> None:
    command = COMMANDS[path]
    ran = anomalyd(*path, "--help")
    assert ran.code == 0
    assert command.help.split()[0] in ran.out
    for parameter in command.params:
        about = getattr(parameter, "help", None)
        assert about, f"{' '.join(path)}: {parameter.name} is not described"
        assert about.split()[0] in ran.out
        for name in parameter.opts:
            assert name in ran.out or not name.startswith("-")
    for name, sub in getattr(command, "commands", {}).items():
        assert name in ran.out
        assert sub.help, f"{name} is not described"


def test_version_is_said(anomalyd: Callable[..., Ran]) -> None:
    assert anomalyd("version") == Ran(0, f"anomalyd {__version__}\n", "")


def test_what_does_not_exist_is_a_usage_error(anomalyd: Callable[..., Ran]) -> None:
    assert failed(anomalyd("dance"), "dance")
    assert failed(anomalyd("version", "--loudly"), "--loudly")


def test_the_command_starts_as_a_process_and_says_its_errors_there(tmp_path: Path) -> None:
    program = [sys.executable, "-c", "from anomalyd.daemon.cli import main; main()"]
    ran = subprocess.run(
        [*program, "check-config", "-c", "nowhere.yaml"], cwd=tmp_path, capture_output=True, text=True
    )
    assert failed(Ran(ran.returncode, ran.stdout, ran.stderr), "anomalyd: nowhere.yaml: cannot be read")


# ---- configuration


@pytest.fixture
def good(tmp_path: Path) -> Path:
    path = tmp_path / "anomalyd.yaml"
    path.write_text(GOOD)
    return path


def test_a_good_configuration_is_told_in_words(anomalyd: Callable[..., Ran], good: Path) -> None:
    ran = anomalyd("check-config", "-c", good)
    assert ran.code == 0
    assert "host-metrics (json)" in ran.out
    assert "hosts: vector-autoencoder and median-distance on host/*; 0.001 false alarms a sample" in ran.out
    assert ran.out.endswith(f"{good}: good\n")


def test_every_mistake_of_a_bad_configuration_is_told_with_its_path(
    anomalyd: Callable[..., Ran], good: Path
) -> None:
    good.write_text(GOOD + "stroe: {}\nmetrics:\n  port: high\n")
    ran = anomalyd("check-config", "-c", good)
    assert failed(
        ran, "anomalyd: ", "stroe: unknown setting; did you mean 'store'? known here: ", "metrics.port: "
    )


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("format: xml", "inputs[1].format: unknown format 'xml'; known: json, npy, telegraf-json"),
        ("counters: []", "host-metrics: counters is of no use to the format 'json'"),
    ],
)
def test_a_format_nobody_knows_is_found_before_anything_starts(
    anomalyd: Callable[..., Ran], good: Path, setting: str, said: str
) -> None:
    text = GOOD.replace("- topic: host-metrics", f"- topic: other\n  - topic: host-metrics\n    {setting}")
    assert text != GOOD
    good.write_text(text)
    assert failed(anomalyd("check-config", "-c", good), said)


@pytest.mark.parametrize("command", [("run",), ("train",), ("reports", "list"), ("ask", "how many?")])
def test_without_a_configuration_it_is_said_which_is_missing(
    anomalyd: Callable[..., Ran], command: tuple[str, ...], tmp_path: Path
) -> None:
    assert failed(anomalyd(*command, "-c", tmp_path / "none.yaml"), f"{tmp_path}/none.yaml: cannot be read")


def test_a_detector_nobody_configured_is_not_trained(anomalyd: Callable[..., Ran], good: Path) -> None:
    assert failed(anomalyd("train", "chambers", "-c", good), "'chambers'", "there are: hosts")


@pytest.mark.parametrize(
    ("options", "models"),
    [
        (["-c"], "trained"),
        (["--models", "others", "-c"], "others"),
        (["--store", "sqlite:///r.db", "-c"], None),
    ],
)
def test_the_dashboard_shows_the_models_of_the_configuration_unless_others_are_named(
    anomalyd: Callable[..., Ran],
    good: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    models: str | None,
) -> None:
    given: dict[str, Any] = {}
    monkeypatch.setattr("anomalyd.dashboard.serve.serve", lambda url, **options: given.update(options) or 0)
    good.write_text(GOOD + "store:\n  models: trained\n")
    assert anomalyd("dashboard", *options, good).code == 0
    assert given["models"] == (None if models is None else Path(models))


# ---- reports


def incident(id: str, **changes: Any) -> Incident:
    found = Incident(
        id=id,
        detector="hosts",
        entity="host/a",
        sample_kind="vector",
        severity=Severity.WARNING,
        status=Status.CLOSED,
        onset=1_795_288_500.0,
        last=1_795_288_560.0,
        closed=1_795_288_570.0,
        samples=60,
        peak=3.25,
        peak_time=1_795_288_530.0,
        autoencoder=3.25,
        classical=0.5,
        seen_by=SeenBy.AUTOENCODER,
        causes=("cpu", "load"),
        model="v1",
    )
    return replace(found, **changes)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A store of three reports; the first is explained, with numbers that JSON cannot say."""
    url = f"sqlite:///{tmp_path}/reports.db"
    store = Store.open(url)
    values = np.array([1.0, NAN], dtype=np.float32)
    evidence = Evidence(
        1_795_288_530.0,
        ("cpu", "load"),
        values,
        np.array([np.inf, -np.inf], dtype=np.float32),
        values,
        values,
        np.empty(0),
        np.empty((0, 2), dtype=np.float32),
    )
    later = {"onset": 1_795_289_000.0, "last": 1_795_289_060.0}
    first = incident("aaaa1111aaaa1111")
    others = (
        incident("bbbb2222bbbb2222", severity=Severity.CRITICAL, peak=9.5, entity="host/b", **later),
        incident("bbbb3333bbbb3333", status=Status.OPEN, closed=None, causes=(), entity="DT/W0", **later),
    )
    stored_changes = (
        StoredChange(first, "host/a was anomalous.", evidence),
        *(StoredChange(i, "So was it.") for i in others),
    )
    store.commit(Step(group="g", stored_changes=stored_changes))
    attribution = Explanation("occlusion", evidence.time, values, 0.125, True)
    other = replace(attribution, method="integrated-gradients", complete=False)
    store.explain(first.id, evidence.time, [attribution, other])
    store.close()
    return url


def test_reports_are_listed_one_a_line_latest_first(anomalyd: Callable[..., Ran], store: str) -> None:
    ran = anomalyd("reports", "list", "--store", store)
    assert ran.code == 0
    *_, last = lines = ran.out.splitlines()
    assert len(lines) == 3
    assert last.startswith("2026-11-21 19:15:00Z  host/a ")
    for word in ("warning", "score    3.2", "closed", "seen by autoencoder", "cpu", "[aaaa1111aaaa1111]"):
        assert word in last


@pytest.mark.parametrize(
    ("options", "ids"),
    [
        ([], ["bbbb2222", "bbbb3333", "aaaa1111"]),
        (["--order", "earliest", "--limit", "1"], ["aaaa1111"]),
        (["--order", "worst", "--limit", "1"], ["bbbb2222"]),
        (["--entity", "host/*", "--entity", "nobody"], ["bbbb2222", "aaaa1111"]),
        (["--severity", "critical"], ["bbbb2222"]),
        (["--status", "open"], ["bbbb3333"]),
        (["--entity", "nobody"], []),
    ],
)
def test_reports_are_chosen_and_ordered(
    anomalyd: Callable[..., Ran], store: str, options: list[str], ids: list[str]
) -> None:
    found = anomalyd("reports", "list", "--store", store, "--json", *options).json()
    assert [report["id"][:8] for report in found] == ids


def test_where_there_are_no_reports_it_is_said(anomalyd: Callable[..., Ran], store: str) -> None:
    nobody = anomalyd("reports", "list", "--store", store, "--entity", "nobody").out
    assert nobody == "no reports; no entity like 'nobody' is known\n"


def test_the_store_is_the_configuration_s_unless_another_is_named(
    anomalyd: Callable[..., Ran], store: str, good: Path
) -> None:
    good.write_text(f"{GOOD}store:\n  url: {store}\n")
    assert len(anomalyd("reports", "list", "-c", good, "--json").json()) == 3


def test_what_leads_to_a_report_s_page(anomalyd: Callable[..., Ran], store: str, good: Path) -> None:
    good.write_text(f"{GOOD}store:\n  url: {store}\ndashboard:\n  url: https://control.example/board/\n")
    page = "https://control.example/board/incident?report=bbbb2222bbbb2222"
    assert f"[bbbb2222bbbb2222] {page}\n" in anomalyd("reports", "list", "-c", good).out
    assert page in [each["link"] for each in anomalyd("reports", "list", "-c", good, "--json").json()]
    assert anomalyd("reports", "show", "bbbb2", "-c", good).out.endswith(f"{page}\n")
    worst = ("ask", "which was the worst incident?", "-c", good)
    assert anomalyd(*worst).out.endswith(f"{page}\n")
    assert anomalyd(*worst, "--json").json()["links"] == {"bbbb2222bbbb2222": page}
    assert "http" not in anomalyd("reports", "list", "--store", store).out


def test_a_report_is_shown_in_words(anomalyd: Callable[..., Ran], store: str) -> None:
    ran = anomalyd("reports", "show", "aaaa", "--store", store)
    assert ran.code == 0
    assert "host/a was anomalous." in ran.out
    assert "explained by occlusion in 0.12 s\n" in ran.out
    assert "explained by integrated-gradients in 0.12 s (cut short)" in ran.out
    assert "not explained: not yet" in anomalyd("reports", "show", "bbbb2", "--store", store).out


def test_a_report_as_json_says_everything_and_null_for_what_is_no_number(
    anomalyd: Callable[..., Ran], store: str
) -> None:
    found = anomalyd("reports", "show", "aaaa1111aaaa1111", "--store", store, "--json").json()
    assert (found["entity"], found["severity"], found["causes"]) == ("host/a", "warning", ["cpu", "load"])
    assert found["narrative"] == "host/a was anomalous."
    assert found["evidence"]["values"] == [1.0, None]
    assert found["evidence"]["expectation"] == [None, None]
    assert [(e["method"], e["complete"], e["values"]) for e in found["explanations"]] == [
        ("occlusion", True, [1.0, None]),
        ("integrated-gradients", False, [1.0, None]),
    ]
    assert found["run"] is None
    assert "evidence" not in anomalyd("reports", "show", "bbbb2", "--store", store, "--json").json()


def test_the_picture_is_written(anomalyd: Callable[..., Ran], store: str, tmp_path: Path) -> None:
    picture = tmp_path / "why.png"
    ran = anomalyd("reports", "show", "aaaa", "--store", store, "--plot", picture)
    assert ran.out.endswith(f"picture: {picture}\n")
    first = picture.read_bytes()
    assert first.startswith(PNG)
    options = ("--plot", picture, "--method", "integrated-gradients", "--json")
    anomalyd("reports", "show", "aaaa", "--store", store, *options).json()
    assert picture.read_bytes().startswith(PNG)
    assert picture.read_bytes() != first
    anomalyd("reports", "show", "aaaa", "--store", store, "--light", "--plot", picture)
    assert picture.read_bytes()[:8] == PNG[:8]
    assert picture.read_bytes() != first
    vector = tmp_path / "why.SVG"
    anomalyd("reports", "show", "aaaa", "--store", store, "--plot", vector)
    assert b"<svg" in vector.read_bytes()


def test_a_picture_that_cannot_be_had_is_a_clear_error(
    anomalyd: Callable[..., Ran], store: str, tmp_path: Path
) -> None:
    show = ("reports", "show", "--store", store, "--plot")
    assert failed(anomalyd(*show, tmp_path / "no" / "a.png", "aaaa"), "cannot be written", "no/a.png")
    assert failed(anomalyd(*show, tmp_path / "a.png", "aaaa", "--method", "magic"), "occlusion")
    assert failed(anomalyd(*show, tmp_path / "a.png", "bbbb2"), "there is: none yet")
    assert not (tmp_path / "a.png").exists()


def test_an_unknown_report_is_refused_with_the_nearest(anomalyd: Callable[..., Ran], store: str) -> None:
    ran = anomalyd("reports", "show", "aaaa1111aaaa2222", "--store", store)
    assert failed(ran, "no report 'aaaa1111aaaa2222'", "aaaa1111aaaa1111")
    assert failed(anomalyd("reports", "show", "bbbb", "--store", store), "several", "bbbb3333bbbb3333")


def test_a_store_that_is_not_there_is_a_clear_error(anomalyd: Callable[..., Ran], tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path}/none.db", "sqlite:////no/such/folder/a.db", "gibberish"):
        assert failed(anomalyd("reports", "list", "--store", url), "anomalyd: ")
    assert list(tmp_path.iterdir()) == []


def test_a_question_is_answered_with_its_sources(anomalyd: Callable[..., Ran], store: str) -> None:
    found = anomalyd("ask", "how many incidents does host/a have?", "--store", store, "--json").json()
    assert found["known"]
    assert found["understood"]
    assert [s["id"] for s in found["sentences"][0]["sources"]] == ["aaaa1111aaaa1111"]
    ran = anomalyd("ask", "which was the worst incident?", "--store", store)
    assert ran.code == 0
    assert "bbbb2222bbbb2222" in ran.out


# ---- evaluate


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    """A folder with one labelled series of four metrics, one of them constant."""
    chance = np.random.default_rng(5)
    values = chance.normal(loc=[5, 50, 500, 7], size=(800, 4))
    values[:, 3] = 7.0
    test, label = values[500:], np.zeros(300, dtype=np.uint8)
    test[100:120, 1] += 40.0
    label[100:120] = 1
    folder = tmp_path / "data"
    folder.mkdir()
    np.savez(folder / "machine.npz", train=values[:500], test=test, label=label)
    return folder


def test_detectors_are_measured_on_labelled_data(
    anomalyd: Callable[..., Ran], labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    ran = anomalyd("evaluate", "metrics", "--data", labelled, "--out", out, "--interval", 60)
    assert ran.code == 0
    with np.load(out / "machine.npz", allow_pickle=False) as held:
        assert sorted(held.files) == ["contribution", "score"]
        score, contribution = held["score"], held["contribution"]
    assert score.shape == (300,)
    assert contribution.shape == (300, 4)
    assert np.isfinite(score).all()
    assert (score[100:120] > 1).all()
    # A metric is to blame while it moves; after ten rows its new height is what it moves from.
    assert (np.nanargmax(contribution[100:110], axis=1) == 1).all()
    rows = Ran(0, (out / "results.json").read_text(), "").json()
    assert [(row["series"], row["detector"]) for row in rows] == [
        (series, detector) for series in ("machine", "mean") for detector in ("autoencoder", "classical")
    ]
    assert rows[2]["auroc"] > 0.97
    table = (out / "results.md").read_text()
    assert ran.out == table
    assert table.count("\n") == 2 + len(rows)
    assert "nan" not in table


def test_data_that_is_not_there_or_no_data_is_refused(
    anomalyd: Callable[..., Ran], labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate = ("evaluate", "metrics", "--kind", "median-distance", "--out", out, "--data")
    assert failed(anomalyd(*evaluate, tmp_path / "none"), "--data", "does not exist")
    (labelled / "machine.npz").write_bytes(b"no zip")
    assert failed(anomalyd(*evaluate, labelled), "machine.npz", "cannot be read")


def test_a_file_that_cannot_be_measured_is_named_and_the_status_says_so(
    anomalyd: Callable[..., Ran], labelled: Path, tmp_path: Path
) -> None:
    (labelled / "broken.npz").write_bytes(b"no zip")
    out = tmp_path / "out"
    ran = anomalyd("evaluate", "metrics", "--kind", "median-distance", "--data", labelled, "--out", out)
    assert ran.code == 1
    assert "broken.npz: cannot be read" in ran.err
    assert "1 could not be measured" in ran.err
    assert "| machine | median-distance |" in ran.out


def test_systematics_and_rates_are_measured_where_asked_for(
    anomalyd: Callable[..., Ran], labelled: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    evaluate = ("evaluate", "metrics", "--kind", "median-distance", "--data", labelled, "--out", out)
    ran = anomalyd(*evaluate, "--systematics", "--rates")
    assert ran.code == 0, ran.err
    tables = [(out / f"{name}.md").read_text() for name in ("results", "systematics", "rates")]
    assert ran.out == "".join(tables)
    assert {f.name for f in out.iterdir()} >= {"systematics.json", "systematics.png", "rates.json"}


def test_constructed_cases_are_shown(anomalyd: Callable[..., Ran], tmp_path: Path) -> None:
    out = tmp_path / "out"
    ran = anomalyd("evaluate", "cases", "--kind", "median-distance", "--machines", 1, "--out", out)
    assert ran.code == 0, ran.err
    assert ran.out == (out / "plants.md").read_text() + (out / "cases.md").read_text()
    assert "| two-day anomaly" in ran.out
    found = [row for name in ("plants", "cases") for row in json.loads((out / f"{name}.json").read_text())]
    assert len(found) == ran.out.count("| median-distance |")


@pytest.mark.parametrize("parameters", ["{", "[1]", "epochs=3"])
def test_parameters_that_are_no_json_object_are_refused(
    anomalyd: Callable[..., Ran], labelled: Path, parameters: str
) -> None:
    evaluate = ("evaluate", "metrics", "--data", labelled, "--out", labelled / "out")
    assert failed(anomalyd(*evaluate, "--parameters", parameters), "--parameters")


# ---- producers


@pytest.mark.parametrize(
    "text",
    [
        "",
        "DT/W0/MB1/S04",
        "DT/W0/MB1/S04:dead-layer",
        "DT/W0/MB1/S04:dead-layer:ten",
        "DT/W0/MB1/S04:dead-layer:20-10",
        "DT/W0/MB1/S04:gremlins:1-2",
        "ECAL:dead-layer:1-2",
    ],
)
def test_a_fault_that_makes_no_sense_is_a_usage_error(anomalyd: Callable[..., Ran], text: str) -> None:
    assert failed(anomalyd("simulate", "--inject", text), "--inject", repr(text), "ELEMENT:KIND:FIRST-LAST")


@pytest.mark.parametrize("text", ["a:b", "a:0", ":3", "a:-1", "a:²"])
def test_a_topic_that_makes_no_sense_is_a_usage_error(anomalyd: Callable[..., Ran], text: str) -> None:
    assert failed(anomalyd("broker", "--topic", text), "--topic", "NAME:PARTITIONS")


@pytest.mark.parametrize(
    "arguments",
    [("agent", "--interval", "0"), ("simulate", "--chambers", "0"), ("simulate", "--seed", "-1")],
)
def test_impossible_numbers_are_usage_errors(
    anomalyd: Callable[..., Ran], arguments: tuple[str, ...]
) -> None:
    assert failed(anomalyd(*arguments), arguments[1])
