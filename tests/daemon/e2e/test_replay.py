"""What was read is read again into another store: the same reports, and the live store is not touched."""

from __future__ import annotations

import re
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from anomalyd import __version__
from anomalyd.daemon.cli.app import app
from anomalyd.daemon.cli.operate import _begin
from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.replay import replay
from anomalyd.detectors.library import ModelLibrary
from anomalyd.errors import ConfigError, ModelMissing
from anomalyd.reports.queries import Queries, Selection

ROWS = 150


@pytest.fixture
def lived(
    embedded_broker: Any, make_world: Any, running: Any, make_stream: Any, plant: Any, eventually: Any
) -> Path:
    """A daemon has lived, and found twelve incidents of hosts and one of parts; the configuration's file."""
    world = make_world(embedded_broker)
    planted = [plant(f"node0{n}", at + 5 * n, 6, "cpu") for n in range(4) for at in (20, 60, 100)]
    stream = make_stream(ROWS, [*planted, plant("part00", 50, 6, "disk")])
    file: Path = world.configure("lived", explain=())
    config = load_config(file)
    with running(file):
        world.send(stream.hosts(range(ROWS)) + stream.parts(range(ROWS)))
        eventually(lambda: len(_reports(file)) == 13 and world.settled(config))
    return file


def _reports(file: Path) -> list[Any]:
    with closing(Queries.open(load_config(file).store.url.get_secret_value())) as queries:
        return list(queries.reports(Selection(), limit=100))


def test_the_same_reports_come_out(lived: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = load_config(lived)
    before = _reports(lived)
    for report in before:
        made, incident = report.provenance, report.incident
        assert (made.code, made.configuration) == (__version__, config.fingerprint)
        assert re.fullmatch(r"test-[^/]+/\d+/\d+", made.until)
        first, last = (where.rpartition("/") for where in (incident.source, made.until))
        assert first[0] == last[0]
        assert int(first[2]) < int(last[2])
    found = replay(config, 0, f"sqlite:///{tmp_path}/again.db")
    assert found.equal
    assert len(found.same) == 13
    assert (found.other_model, found.other_configuration) == ((), 0)
    assert _reports(lived) == before
    shown = CliRunner().invoke(app, ["reports", "show", before[0].incident.id, "-c", str(lived)])
    assert f"made by anomalyd {__version__} with model {before[0].incident.model}" in shown.output

    # A time before everything; what a later one gives is Kafka's to say.
    assert len(replay(config, datetime.fromtimestamp(1.0, UTC), f"sqlite:///{tmp_path}/t.db").same) == 13

    # Another alert policy finds others: said, with an exit code.
    about = yaml.safe_load(lived.read_text())
    about["detectors"][0]["alert"]["open_after"] = 20
    lived.write_text(yaml.safe_dump(about))
    told = CliRunner().invoke(app, ["replay", "--from", "0", "-c", str(lived)])
    assert told.exit_code == 1
    assert told.output.count("missing") == 13
    assert "13 reports were made with another configuration" in told.output

    # The model that made them is gone.
    monkeypatch.setattr(ModelLibrary, "versions", lambda self, name: ())
    with pytest.raises(ModelMissing):
        replay(config, 0, f"sqlite:///{tmp_path}/gone.db")


def test_where_to_begin_is_an_offset_or_a_time() -> None:
    assert _begin("120") == 120
    assert _begin("2026-11-29T10:00:00") == datetime(2026, 11, 29, 10, tzinfo=UTC)
    assert _begin("2026-11-29T11:00:00+01:00") == datetime(2026, 11, 29, 10, tzinfo=UTC)
    with pytest.raises(ConfigError, match="neither an offset nor a time"):
        _begin("yesterday")
