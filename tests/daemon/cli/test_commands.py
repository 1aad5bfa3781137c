"""Commands are imported one by one, and a store is read without what only the daemon needs."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer.main

from anomalyd.daemon.cli import COMMANDS, application
from anomalyd.detectors.detector import SampleKind
from anomalyd.detectors.registry import detector_class, kinds, sample_kind_of
from anomalyd.errors import TrainingError
from anomalyd.reports.storage.schema import revisions


@pytest.mark.parametrize("first", sorted({name for names in COMMANDS.values() for name in names}))
def test_each_command_is_in_its_module(first: str) -> None:
    alone = typer.main.get_command(application([first, "--help"]))
    whole = typer.main.get_command(application())
    assert first in alone.commands  # type: ignore[attr-defined]
    assert set(alone.commands) <= set(whole.commands)  # type: ignore[attr-defined]


def test_every_command_is_listed() -> None:
    whole = typer.main.get_command(application())
    assert set(whole.commands) == {n for names in COMMANDS.values() for n in names}  # type: ignore[attr-defined]


def test_reading_a_store_imports_neither_pytorch_nor_kafka(tmp_path: Path) -> None:
    config = tmp_path / "anomalyd.yaml"
    config.write_text(
        "kafka: {servers: [localhost:9092]}\n"
        f"store: {{url: 'sqlite:///{tmp_path}/none.db'}}\n"
        "inputs: [{topic: metrics}]\n"
        "detectors: [{name: hosts, parameters: {window: 3}}]\n"
    )
    code = (
        "import sys\nfrom anomalyd.daemon.cli import main\n"
        f"sys.argv = ['anomalyd', 'ask', 'how many?', '-c', {str(config)!r}]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2\n"
        "print([m for m in ('torch', 'kafka', 'alembic', 'transformers') if m in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_revisions_are_those_of_alembic() -> None:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "anomalyd.reports.storage:migrations")
    scripts = ScriptDirectory.from_config(config)
    assert revisions()[-1] == scripts.get_current_head()
    assert set(revisions()) == {script.revision for script in scripts.walk_revisions()}


@pytest.mark.parametrize("kind", kinds())
def test_what_a_kind_takes_is_known_without_it(kind: str) -> None:
    found: SampleKind = sample_kind_of(kind)
    assert found == detector_class(kind).sample_kind


def test_an_unknown_kind_takes_nothing() -> None:
    with pytest.raises(TrainingError, match="unknown kind"):
        sample_kind_of("tea-leaves")
