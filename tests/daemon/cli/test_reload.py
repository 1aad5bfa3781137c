"""A configuration that changes while the daemon runs: taken if it is good, refused and told of if not."""

from __future__ import annotations

from pathlib import Path

import pytest

from anomalyd.daemon.cli.reload import ConfigWatch
from anomalyd.daemon.config.config import load_config

GOOD = "inputs: [{topic: a}]\ndetectors: [{name: d, kind: vector-autoencoder}]\n"


def test_a_good_change_is_taken_and_a_bad_one_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    # As in Kubernetes: the file is a link, and the folder behind it is swapped.
    (tmp_path / "one").mkdir()
    (tmp_path / "one" / "anomalyd.yaml").write_text(GOOD)
    file = tmp_path / "anomalyd.yaml"
    file.symlink_to(tmp_path / "one" / "anomalyd.yaml")
    told: list[str] = []
    watch = ConfigWatch(
        file,
        load_config(file),
        on_changed=lambda: told.append("changed"),
        on_refused=lambda: told.append("refused"),
    )
    assert not watch.look()
    file.resolve().write_text("# a remark\n" + GOOD)
    assert not watch.look()
    assert told == []

    file.resolve().write_text(GOOD.replace("topic: a", "topic: [a]"))
    assert not watch.look()
    assert not watch.look()
    assert told == ["refused"]
    assert "inputs[0].topic" in caplog.text

    file.unlink()
    (tmp_path / "two.yaml").write_text(GOOD.replace("topic: a", "topic: b"))
    file.symlink_to(tmp_path / "two.yaml")
    assert watch.look()
    assert told == ["refused", "changed"]
