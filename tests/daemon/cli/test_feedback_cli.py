"""The operator's commands: whom a word reaches, what is listed, what is refused."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from anomalyd.daemon.cli import feedback, main
from anomalyd.reports.adaptation import Adapted, AnsweredUndo
from anomalyd.reports.feedback import AppliedFeedback
from anomalyd.reports.step import Activity, Step
from anomalyd.reports.storage.repositories.entity_states import StateChanges, StateSnapshot
from anomalyd.reports.storage.store import Store
from anomalyd.verdict import Verdict

AT = 1_795_288_500.0


def adapted(id: str, entity: str = "host/a", before: bytes = b"state", **changes: Any) -> Adapted:
    about = {"detector": "hosts", "model": "v1", "time": AT, "what": "new-normal", "text": "it is so now"}
    return Adapted(id=id, entity=entity, before=before, **{**about, **changes})


@pytest.fixture
def url(tmp_path: Path) -> str:
    """A store of two entities that detectors score, one that none does, and two adaptations."""
    url = f"sqlite:///{tmp_path}/reports.db"
    store = Store.open(url, clock=lambda: AT + 60)
    scored = [("hosts", "host/a"), ("levels", "host/a"), ("hosts", "host/b")]
    store.commit(
        Step(
            "g",
            states=StateChanges(tuple(StateSnapshot(*key, "v1", AT, b"") for key in scored)),
            activity={name: Activity("vector", AT, AT, 1) for name in ("host/a", "host/b", "host/new")},
            adaptations=(adapted("aaaa1111"), adapted("aaaa2222", "host/b", b""), adapted("bbbb3333")),
        )
    )
    store.close()
    return url


@pytest.fixture
def store(url: str) -> Iterator[Store]:
    store = Store.open(url, clock=lambda: AT + 90)
    yield store
    store.close()


@pytest.fixture
def anomalyd(
    url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, str, str]]:
    """Run a command on the store as the shell does; gives exit status, output and errors."""
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setenv("LOGNAME", "anna")

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["anomalyd", *map(str, arguments), "--store", url])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return int(ended.value.code or 0), said.out, said.err

    return run


def test_a_word_goes_to_every_detector_that_scores_the_entity(
    anomalyd: Callable[..., Any], store: Store
) -> None:
    code, out, _ = anomalyd("tell", "host/a", "normal", "--reason", "new firmware", "--wait", 0)
    assert code == 0
    assert out.count("waits; a running daemon takes it") == 2
    found = store.ledger.pending_feedback()
    assert [(w.detector, w.entity, w.word) for w in found] == [
        ("hosts", "host/a", Verdict.NORMAL),
        ("levels", "host/a", Verdict.NORMAL),
    ]
    assert {(w.who, w.reason, w.since, w.applied) for w in found} == {("anna", "new firmware", None, None)}


def test_a_word_for_one_detector_since_a_time(anomalyd: Callable[..., Any], store: Store) -> None:
    when = "2026-11-21T20:05:00+01:00"
    options = ("--detector", "hosts", "--since", when, "--who", "bob", "--wait", 0)
    assert anomalyd("tell", "host/a", "broken", *options)[0] == 0
    (word,) = store.ledger.pending_feedback()
    assert (word.detector, word.word, word.who, word.since) == ("hosts", Verdict.BROKEN, "bob", AT - 600)


def test_what_came_of_it_is_said_as_soon_as_the_daemon_says_it(
    anomalyd: Callable[..., Any], store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = 0

    def daemon(seconds: float) -> None:
        nonlocal looks
        looks += 1
        if looks == 2:
            (word,) = store.ledger.pending_feedback()
            store.commit(Step("g", words=(AppliedFeedback(word.id, AT, AT, "learnt as normal"),)))

    # Of this command only: threads of others sleep, too.
    monkeypatch.setattr(feedback, "sleep", daemon)
    code, out, _ = anomalyd("tell", "host/b", "normal", "--wait", 60)
    assert (code, out, looks) == (0, "word 1, hosts on host/b: learnt as normal\n", 2)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("host/aa", "normal"), "no entity 'host/aa' is known; the nearest are host/a"),
        (("host/new", "normal"), "no detector has scored 'host/new' yet"),
        (("host/b", "broken", "--detector", "levels"), "does not score 'host/b'; these do: hosts"),
        (("host/b", "broken", "--since", "yesterday"), "expected a time with its zone"),
        (("host/b", "broken", "--since", "2026-11-24T22:00:00"), "expected a time with its zone"),
        (("host/b", "fine"), "'fine' is not one of"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    anomalyd: Callable[..., Any], store: Store, arguments: tuple[str, ...], said: str
) -> None:
    code, out, err = anomalyd("tell", *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert store.ledger.pending_feedback() == []


def test_where_the_login_has_no_name_it_is_asked_for(
    anomalyd: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody() -> str:
        raise OSError("no username set in the environment")

    monkeypatch.setattr(feedback.getpass, "getuser", nobody)
    assert "--who" in anomalyd("tell", "host/b", "normal")[2]


def test_adaptations_and_words_are_listed_latest_first(anomalyd: Callable[..., Any], store: Store) -> None:
    store.ledger.record_word("hosts", "host/b", Verdict.BROKEN, who="bob", reason="disk")
    lines = anomalyd("adaptations", "list")[1].splitlines()
    assert [line.rpartition("[")[2] for line in lines] == ["bbbb3333]", "aaaa2222]", "aaaa1111]", "word 1]"]
    assert lines[0].startswith("2026-11-21 19:15:00Z  host/a ")
    assert "hosts: new-normal, it is so now" in lines[0]
    assert "bob said broken (disk): waits" in lines[3]
    found = json.loads(anomalyd("adaptations", "list", "--entity", "*b", "--json")[1])
    assert [each["id"] for each in found["adaptations"]] == ["aaaa2222"]
    assert [each["who"] for each in found["words"]] == ["bob"]
    assert anomalyd("adaptations", "list", "--detector", "levels")[1] == (
        "no adaptations, and nobody said anything\n"
    )


def test_an_adaptation_is_shown_with_whether_it_can_be_undone(anomalyd: Callable[..., Any]) -> None:
    assert "can be undone: anomalyd adaptations undo bbbb3333" in anomalyd("adaptations", "show", "bb")[1]
    assert "cannot be undone" in anomalyd("adaptations", "show", "aaaa2")[1]
    assert json.loads(anomalyd("adaptations", "show", "bb", "--json")[1])["undoable"] is True
    for what, said in (("aaaa", "several adaptations begin with"), ("cccc", "there is no adaptation 'cccc'")):
        code, _, err = anomalyd("adaptations", "show", what)
        assert (code, said in err) == (2, True)


def test_an_undo_waits_for_the_daemon(anomalyd: Callable[..., Any], store: Store) -> None:
    code, out, _ = anomalyd("adaptations", "undo", "bbbb", "--reason", "it was a fault", "--wait", 0)
    assert (code, "the undo waits" in out) == (0, True)
    (asked,) = store.ledger.pending_undos()
    assert (asked.id, asked.undo_by, asked.undo_reason) == ("bbbb3333", "anna", "it was a fault")
    store.commit(Step("g", undos=(AnsweredUndo("bbbb3333", "undone", ("bbbb3333",)),)))
    code, _, err = anomalyd("adaptations", "undo", "bbbb")
    assert (code, "undone already" in err) == (2, True)
    code, _, err = anomalyd("adaptations", "undo", "aaaa2222")
    assert (code, "the state before it is no longer kept" in err) == (2, True)


def test_the_answer_to_an_undo_is_said(anomalyd: Callable[..., Any], store: Store) -> None:
    ended = threading.Event()

    def daemon() -> None:
        while not ended.wait(0.01):
            for asked in store.ledger.pending_undos():
                store.commit(Step("g", undos=(AnsweredUndo(asked.id, "undone", (asked.id,)),)))

    thread = threading.Thread(target=daemon)
    thread.start()
    try:
        assert anomalyd("adaptations", "undo", "bbbb")[1] == "undone\n"
    finally:
        ended.set()
        thread.join()
