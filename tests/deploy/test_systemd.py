"""The unit for systemd, by systemd's own checks."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNIT = Path(__file__).parents[2] / "deploy" / "systemd" / "anomalyd.service"


@pytest.fixture(scope="module")
def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("no systemd-analyze in PATH")
    return found


@pytest.fixture
def unit(tmp_path: Path) -> Path:
    """The unit with a program that is there, for anomalyd is not installed in /opt."""
    copy = tmp_path / "anomalyd.service"
    copy.write_text(UNIT.read_text().replace("/opt/anomalyd/bin/anomalyd", "/bin/true"))
    return copy


def test_systemd_has_nothing_to_say(analyze: str, unit: Path) -> None:
    done = subprocess.run([analyze, "verify", str(unit)], capture_output=True, text=True, timeout=280)
    assert (done.returncode, done.stderr) == (0, "")


def test_little_is_exposed(analyze: str, unit: Path) -> None:
    command = [analyze, "security", "--offline=true", "--no-pager", str(unit)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    found = re.search(r"Overall exposure level for anomalyd.service: ([\d.]+)", done.stdout)
    if found is None:
        pytest.skip(f"this systemd-analyze cannot look at a file: {done.stderr.strip()}")
    assert float(found[1]) < 3
