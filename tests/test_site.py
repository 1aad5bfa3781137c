"""The documentation site builds without a warning; what it says of settings and commands is true."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main
import yaml

from anomalyd.daemon.cli.app import app
from anomalyd.daemon.config.reference import markdown

ROOT = Path(__file__).parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(tmp_path / "site")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=280,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
    )
    assert done.returncode == 0, done.stderr
    python = (tmp_path / "site" / "api" / "index.html").read_text()
    assert 'id="anomalyd.detectors.detector_pair.train_pair"' in python


def test_every_page_stands_in_the_navigation() -> None:
    text = (ROOT / "mkdocs.yml").read_text()
    named = set(re.findall(r"[\w/-]+\.md", str(yaml.safe_load(text)["nav"])))
    assert named == {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}


def test_the_page_of_settings_is_what_is_read() -> None:
    assert (ROOT / "docs" / "settings.md").read_text() == markdown(), "settings changed: run `make docs`"


def typed(page: Path) -> list[str]:
    """The lines of a page that begin with `anomalyd`, as a reader would type them."""
    lines = page.read_text().splitlines()
    found = [line.strip() for line in lines if re.match(r"\s{4,}(\.venv/bin/)?anomalyd\s", line)]
    return [line.removeprefix(".venv/bin/") for line in found if "[-" not in line and "..." not in line]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_tells_to_type_is_a_command_with_such_options(page: Path) -> None:
    for line in typed(page):
        words = shlex.split(re.split(r"\s(?:>|\||&|#)", line)[0])[1:]
        command: Any = typer.main.get_command(app)
        while hasattr(command, "commands"):
            assert words, f"{line}: which command?"
            assert words[0] in command.commands, f"{line}: there is no command {words[0]}"
            command, words = command.commands[words[0]], words[1:]
        known = {option for parameter in command.params for option in parameter.opts} | {"--help"}
        known |= {option for parameter in command.params for option in parameter.secondary_opts}
        given = {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}
        assert given - known == set(), line
