"""What a command imports: a shifter who lists reports must not wait for torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from anomalyd.reports.storage.store import Store

HEAVY = ("torch", "transformers", "streamlit", "captum", "matplotlib", "optuna", "pandas", "pyarrow", "scipy")

_PROGRAM = """
import json, sys
sys.argv = ["anomalyd", *{arguments!r}]
from anomalyd.daemon.cli import main
try:
    main()
except SystemExit as end:
    status = end.code
else:
    status = 0
print(json.dumps([status, [name for name in {heavy!r} if name in sys.modules]]), file=sys.stderr)
"""


def imported_by(*arguments: str) -> list[str]:
    program = _PROGRAM.format(arguments=list(arguments), heavy=HEAVY)
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=280)
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status in (0, None), done.stderr
    return list(modules)


@pytest.mark.parametrize(
    "arguments", [("--help",), ("version",), ("run", "--help"), ("train", "--help"), ("reports", "--help")]
)
def test_help_imports_nothing_heavy(arguments: tuple[str, ...]) -> None:
    assert imported_by(*arguments) == []


def test_listing_reports_imports_nothing_heavy(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'reports.db'}"
    Store.open(url).close()
    assert imported_by("reports", "list", "--store", url) == []


@pytest.mark.parametrize("module", ["anomalyd.daemon.application", "anomalyd.daemon.learning.training"])
def test_the_daemon_and_training_import_no_pages_and_no_assistant(module: str) -> None:
    program = f"import json, sys, {module}; print(json.dumps([m for m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    assert not {"streamlit", "transformers", "bm25s"} & set(json.loads(done.stdout))


def test_a_missing_extra_names_the_command_that_brings_it(tmp_path: Path) -> None:
    program = (
        "import sys; sys.modules['streamlit'] = None\n"
        f"sys.argv = ['anomalyd', 'dashboard', '--store', 'sqlite:///{tmp_path / 'reports.db'}']\n"
        "from anomalyd.daemon.cli import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=280)
    assert done.returncode == 2
    assert "pip install 'anomalyd[dashboard]'" in done.stderr
