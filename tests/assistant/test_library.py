"""What is written: when a document is taken for an answer, and which three of them are shown."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from anomalyd.assistant.answers.coverage import Rarity, content_words, coverage
from anomalyd.assistant.answers.library import Library, Reads
from anomalyd.assistant.dialogue.orders import order_in
from anomalyd.assistant.language.general import asks_meaning, names_alert, sounds_general
from anomalyd.assistant.language.spelling import plain
from anomalyd.assistant.retrieval.passage import Filters, Hit, Passage, SourceKind
from anomalyd.errors import ModelMissing

_DOCUMENTS = (
    Passage(SourceKind.DOCUMENT, "howto/dead-letters.md#look", "Look into what was not read", "Replay them."),
    Passage(SourceKind.DOCUMENT, "runbooks/lag.md#lag", "AnomalydConsumerLag", "The daemon is behind."),
    Passage(SourceKind.DOCUMENT, "runbooks/lag.md#what-to-do", "What to do", "Add a daemon, look at lag."),
    Passage(SourceKind.DOCUMENT, "config.md#log", "log", "The level of the log."),
)


class _Shelf:
    """A retriever that finds every document, with the same score and cosine."""

    def __init__(self, cosine: float) -> None:
        self._cosine = cosine

    def refresh(self, seconds: float | None = None) -> int:
        return 0

    def documents(self) -> Sequence[Passage]:
        return _DOCUMENTS

    def search(self, question: str, filters: Filters = Filters(), k: int = 5) -> list[Hit]:
        return [Hit(passage, 0.5, self._cosine, 0.5) for passage in _DOCUMENTS]


def _library(cosine: float) -> Library:
    def no_reader() -> Reads:
        raise ModelMissing("no reader")

    return Library(lambda: _Shelf(cosine), no_reader)


def test_the_runbook_of_a_named_alert_comes_first_and_each_document_once() -> None:
    told = _library(0.5).answer("AnomalydConsumerLag fires, what to do", of_documents=True)
    cited = [source.id.partition("#")[0] for s in told.sentences for source in s.sources]
    assert told.known
    assert cited[0] == "runbooks/lag.md"
    assert len(cited) == len(set(cited)) == 3


@pytest.mark.parametrize(
    ("question", "cosine"),
    [
        ("who waters the plants in the foyer", 0.3),
        ("how do I replay dead letters", 0.05),
    ],
)
def test_what_no_document_speaks_of_is_not_known(question: str, cosine: float) -> None:
    told = _library(cosine).answer(question, of_documents=True)
    assert not told.known
    assert "does not say" in told.sentences[0].text


def test_rare_words_weigh_more() -> None:
    rarity = Rarity((*_DOCUMENTS, *(Passage(SourceKind.DOCUMENT, "a.md", "A", "daemon") for _ in range(5))))
    words = content_words("daemon lag")
    assert coverage(words, "lag", rarity) > 0.5 > coverage(words, "daemon", rarity)
    assert rarity.unseen(content_words("coffee lag")) == 0.5
    assert rarity.unseen(()) == 0.0


@pytest.mark.parametrize(
    ("question", "alert", "general"),
    [
        ("AnomalydStoreErrors at 3am help", True, True),
        ("which kafka acls does it need", False, True),
        ("consumer lag alert, now what", False, True),
        ("does it accept influx line protocol", False, True),
        ("how many hosts were bad yesterday", False, False),
        ("are the hosts bad", False, False),
    ],
)
def test_the_form_in_which_documents_are_asked(question: str, alert: bool, general: bool) -> None:
    assert names_alert(plain(question)) is alert
    assert sounds_general(plain(question)) is general


@pytest.mark.parametrize("question", ["mute alarms tonight, how?", "mark something as normal - how"])
def test_how_something_is_done_is_no_order(question: str) -> None:
    assert order_in(question) is None
    assert asks_meaning(plain(question))
    assert order_in("mute the alarms") == "mute"
