"""The assistant on its page: what was understood is corrected by a click, and orders wait for a yes."""

from __future__ import annotations

from contextlib import closing

from dashboard_reports import CHAMBER

from anomalyd.reports.queries import Queries
from anomalyd.reports.remark import RemarkKind

LOST = "bb000001"


def press(at, wanted):
    """Press the first button with this label or this beginning of a key."""
    next(b for b in at.button if b.label == wanted or str(b.key).startswith(wanted)).click()
    at.run()
    assert not at.exception, at.exception
    return at


def said(at):
    return "\n".join(element.value for element in at.get("html"))


def test_what_was_understood_is_corrected_by_a_click(page, url):
    at = page(url, "assistant", q="which incidents are open?")
    assert CHAMBER in said(at)
    press(at, "correction 0")
    assert len(at.chat_message) == 4


def test_an_order_is_carried_out_once_it_is_confirmed(page, night):
    at = page(night, "assistant", q=f"what was {LOST}?")
    assert not any(str(button.key).startswith("order") for button in at.button)
    at.text_input(key="who asks").set_value("Ada")
    at.run()
    press(at, f"order acknowledge {LOST}")
    assert "Shall I?" in said(at)
    with closing(Queries.open(night)) as queries:
        assert queries.remarks(LOST) == []
    press(at, "cancel")
    assert "Nothing was done" in said(at)
    at.chat_input[0].set_value(f"acknowledge {LOST}")
    at.run()
    press(at, "confirm")
    with closing(Queries.open(night)) as queries:
        (remark,) = queries.remarks(LOST)
    assert (remark.kind, remark.who) == (RemarkKind.ACKNOWLEDGED, "Ada")
