"""The documents are true: what they name exists, and what exists stands in them."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("assistant", "daemon", "dashboard", "detectors", "interpret", "reports")
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))

_GLOSSARY = re.compile(r"^\| \*\*(.+?)\*\* \|", re.MULTILINE)
_PATH = re.compile(rf"`((?:{'|'.join(ROOMS)}|tests|docs|deploy|benchmarks)/[\w./-]+)`")
_TEST = re.compile(r"`(tests/[\w/-]+\.py)::(\w+)`")


def glossary() -> set[str]:
    """The terms of the glossary; names of code stand in backticks."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    return {term.strip() for row in _GLOSSARY.findall(page) for term in row.replace("`", "").split(",")}


@pytest.mark.parametrize("room", ROOMS)
def test_exported_names_have_a_docstring_and_stand_in_the_glossary(room: str) -> None:
    package = importlib.import_module(f"anomalyd.{room}")
    assert package.__doc__
    terms = glossary()
    for name in getattr(package, "__all__", ()):
        exported = getattr(package, name)
        assert exported.__doc__, f"anomalyd.{room}.{name} has no docstring"
        assert name in terms, f"docs/architecture.md: the glossary lacks {name} of anomalyd.{room}"


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(AttributeError, match=r"'anomalyd\.reports' has no attribute 'Nothing'"):
        importlib.import_module("anomalyd.reports").Nothing  # noqa: B018


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_paths_that_a_page_names_exist(page: Path) -> None:
    named = _PATH.findall(page.read_text())
    missing = [path for path in named if not (ROOT / path).exists() and not list(ROOT.glob(path + "*"))]
    assert missing == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_tests_that_a_page_names_exist(page: Path) -> None:
    missing = [
        f"{file}::{test}"
        for file, test in _TEST.findall(page.read_text())
        if not (ROOT / file).exists() or f"\ndef {test}(" not in (ROOT / file).read_text()
    ]
    assert missing == []


def test_every_promise_names_a_test() -> None:
    table = (ROOT / "docs" / "guarantees.md").read_text().partition("## Measured")[0]
    promises = [row for row in table.splitlines() if row.startswith("| ")][1:]
    assert len(promises) > 20
    assert [row for row in promises if not _TEST.search(row)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", page.read_text())
    assert [t for t in targets if not (page.parent / t).exists()] == []


def test_every_command_is_named_in_a_page() -> None:
    program = (
        "import typer.main; from anomalyd.daemon.cli.app import app\n"
        "def walk(command, name):\n"
        "    if not hasattr(command, 'commands'): print(name)\n"
        "    for each, inner in getattr(command, 'commands', {}).items(): walk(inner, f'{name} {each}')\n"
        "walk(typer.main.get_command(app), 'anomalyd')"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    pages = "\n".join(page.read_text() for page in PAGES)
    assert [command for command in done.stdout.splitlines() if command not in pages] == []
