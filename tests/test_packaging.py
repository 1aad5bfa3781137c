"""The wheel holds the whole house and nothing else, and its name in Python is `anomalyd` alone."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = (".py", ".yaml", ".toml", ".mako")
ROOMS = ("assistant", "daemon", "dashboard", "detectors", "interpret", "reports")


def _sources() -> set[str]:
    """What a clean clone holds of the rooms, as paths in the wheel."""
    found = {f"anomalyd/{path.name}" for path in (ROOT / "src" / "anomalyd").glob("*.py*") if path.is_file()}
    found |= {"anomalyd/py.typed", "anomalyd/assistant/reader/model/ATTRIBUTION.md"}
    found |= {f"anomalyd/{path.relative_to(ROOT)}" for path in (ROOT / "docs").rglob("*.md")}
    for room in ROOMS:
        for path in (ROOT / room).rglob("*"):
            if path.suffix in {*SOURCES, ".safetensors", ".json"} and "__pycache__" not in path.parts:
                found.add(f"anomalyd/{path.relative_to(ROOT)}")
    return found


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from a copy: setuptools leaves its own files where it builds."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    for name in ("src", *ROOMS, "docs", "tests"):
        shutil.copytree(
            ROOT / name,
            source / name,
            symlinks=True,
            ignore=shutil.ignore_patterns("__pycache__", "*.egg-info", "e2e"),
        )
    command = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--quiet", "--wheel-dir", str(folder)]
    # With setuptools at hand nothing is fetched.
    isolation = ["--no-build-isolation"] if importlib.util.find_spec("setuptools") else []
    built = subprocess.run([*command, *isolation, str(source)], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


def test_the_wheel_holds_every_module_and_every_file_they_read(wheel: zipfile.ZipFile) -> None:
    held = {name for name in wheel.namelist() if ".dist-info/" not in name}
    assert held == _sources()
    assert any(name.startswith("anomalyd/reports/storage/migrations/versions/0001") for name in held)
    assert any(name.endswith(".yaml") for name in held)
    assert "anomalyd/docs/runbooks/incident.md" in held  # the assistant answers from them


def test_the_wheel_says_what_it_is(wheel: zipfile.ZipFile) -> None:
    (name,) = (n for n in wheel.namelist() if n.endswith(".dist-info/METADATA"))
    about = wheel.read(name).decode()
    assert f"Version: {metadata.version('anomalyd')}" in about
    assert "License-Expression: Apache-2.0" in about
    assert any(n.endswith("licenses/LICENSE") for n in wheel.namelist())
    entry = next(n for n in wheel.namelist() if n.endswith("entry_points.txt"))
    assert "anomalyd = anomalyd.daemon.cli:main" in wheel.read(entry).decode()


def test_the_wheel_is_imported_by_its_own_name(wheel: zipfile.ZipFile, tmp_path: Path) -> None:
    wheel.extractall(tmp_path / "site")
    program = (
        "import anomalyd.daemon, anomalyd.daemon.cli, importlib.util as u\n"
        "from anomalyd.detectors.maps.geometries.known import geometry_of\n"
        "from anomalyd.reports.storage.store import Store\n"
        "Store.open('sqlite:///reports.db').close()\n"
        "assert geometry_of('DT/W0/MB1/S01') is not None\n"
        "print(anomalyd.__file__)\n"
        f"for room in {ROOMS!r}:\n"
        "    found = u.find_spec(room)\n"
        "    assert found is None or 'site/' not in str(found.origin), room\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip().startswith(str(tmp_path))


def test_what_is_installed_here_works_from_any_folder(tmp_path: Path) -> None:
    program = "import anomalyd.daemon, importlib.util as u; print(u.find_spec('daemon'))"
    ran = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    assert str(ROOT) not in ran.stdout  # a `daemon` may be there (python-daemon), but it is not ours
