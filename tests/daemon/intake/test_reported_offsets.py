"""What is read twice is told once."""

from __future__ import annotations

from anomalyd.daemon.intake.reported_offsets import ReportedOffsets

SEVEN = ReportedOffsets().state({("t", 0): 7})


def test_what_was_stored_as_told_is_not_fresh_after_a_restart() -> None:
    told = ReportedOffsets()
    assert told.fresh("t", 0, 0)
    states = told.state({("t", 0): 7, ("a/b", 1): 3})
    again = ReportedOffsets()
    again.restore(states)
    assert [again.fresh("t", 0, offset) for offset in (6, 7)] == [False, True]
    assert [again.fresh("a/b", 1, offset) for offset in (2, 3)] == [False, True]


def test_killed_while_reading_again_it_does_not_go_back() -> None:
    told = ReportedOffsets()
    told.restore(SEVEN)
    assert told.state({("t", 0): 4}) == SEVEN


def test_a_topic_made_again_is_told_from_its_beginning() -> None:
    told = ReportedOffsets()
    told.restore(SEVEN)
    told.begin_anew("t", 0)
    assert told.fresh("t", 0, 0)
