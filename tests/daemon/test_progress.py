"""How a long step is shown: bars on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import logging
import sys

import pytest

from anomalyd.daemon.progress import showing


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "anomalyd.progress")
    return caplog


def test_lines_are_the_first_the_last_and_one_every_five_seconds(lines: pytest.LogCaptureFixture) -> None:
    now = 0.0
    with showing(terminal=False, clock=lambda: now) as progress:
        for step in range(1, 121):  # eight steps a second
            progress("training", step, 120)
            now += 0.125
    assert lines.messages == [f"training: {step} of 120" for step in (1, 41, 81, 120)]


def test_each_step_has_its_own_lines_and_figures_are_shown(lines: pytest.LogCaptureFixture) -> None:
    with showing(terminal=False, clock=lambda: 0.0) as progress:
        progress("one", 1, 5, {"loss": 0.123456, "rate": 2.0})
        progress("two", 1, 5)
        progress("one", 2, 5)
    assert lines.messages == ["one: 1 of 5 loss=0.1235 rate=2", "two: 1 of 5"]


def test_bars_go_to_standard_error_and_survive_everything(capsys: pytest.CaptureFixture[str]) -> None:
    with showing(terminal=True) as progress:
        progress("reading [history]", 0, 0)
        progress("reading [history]", 0, 10)
        progress("training", 1, 3, {"loss": float("nan")})
        progress("training", 3, 3, {"loss": 0.5})
        progress("reading [history]", 12, 10)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "3/3" in shown.err
    assert "loss=0.5" in shown.err


def test_without_being_told_it_looks_whether_standard_error_is_a_terminal(
    lines: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for is_terminal in (False, True):
        monkeypatch.setattr(sys.stderr, "isatty", lambda is_terminal=is_terminal: is_terminal)
        with showing() as progress:
            progress("reading", 1, 1)
    assert lines.messages == ["reading: 1 of 1"]
    assert "1/1" in capsys.readouterr().err
