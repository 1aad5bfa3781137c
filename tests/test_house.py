"""The house stays readable: short files, short functions, folders to take in at a glance."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
ROOMS = ("assistant", "daemon", "dashboard", "detectors", "interpret", "reports", "benchmarks")

LINES, FUNCTION, MODULES = 400, 60, 15

LONG_FUNCTIONS = {
    "reports/storage/migrations/versions/0001_first.py upgrade": "the tables of the first schema, one by one",
}
FULL_FOLDERS = {
    "reports/storage/migrations/versions": "one for each change of the schema, for ever",
}
"""What is longer, and why."""


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from sorted((ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def long_functions() -> set[str]:
    return {
        f"{name_of(path)} {node.name}"
        for path in sources(*ROOMS)
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and (node.end_lineno or node.lineno) - node.lineno + 1 > FUNCTION
    }


def test_files_are_short() -> None:
    long = {name_of(path): len(path.read_text().splitlines()) for path in sources(*ROOMS)}
    assert {name: lines for name, lines in long.items() if lines > LINES} == {}


def test_functions_are_short() -> None:
    found = long_functions()
    assert found - LONG_FUNCTIONS.keys() == set(), f"above {FUNCTION} lines: cut it where it has parts"


def test_folders_can_be_taken_in_at_a_glance() -> None:
    modules = Counter(
        path.parent.relative_to(ROOT).as_posix() for path in sources(*ROOMS) if path.name != "__init__.py"
    )
    full = {folder for folder, number in modules.items() if number > MODULES}
    assert full - FULL_FOLDERS.keys() == set(), f"more than {MODULES} modules: make rooms of them"
