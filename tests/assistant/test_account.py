"""What the words of a question demand of the typed question, whatever rule made it."""

from __future__ import annotations

import pytest

from anomalyd.assistant.understanding.account import unaccounted
from anomalyd.assistant.understanding.atoms import Atom
from anomalyd.assistant.understanding.question import Ask, Aspect, Question, Target
from anomalyd.reports.conditions import AllOf, Among, During, Lumisections, Not, Within
from anomalyd.reports.queries import Order

NODES = Among("entity", ("node17", "node18"), "node*")
ATOMS = {
    "ENT0": Atom("ENT", NODES, "hosts"),
    "RUN1": Atom("RUN", Among("run", (5,), "run 5")),
    "TIME2": Atom("TIME", During(0.0, 9.0, "yesterday")),
    "LS3": Atom("LS", Lumisections(50, 50, "lumisection 50")),
    "LS4": Atom("LS", Lumisections(150, 150, "lumisection 150")),
    "SCORE5": Atom("SCORE", Within("peak", 3.0, words="peak score 3")),
}
YESTERDAY = AllOf((During(0.0, 9.0),))
COUNT = Question(Ask.COUNT)


@pytest.mark.parametrize(
    ("text", "typed", "lost"),
    [
        ("in total", Question(Ask.COUNT, YESTERDAY), "in total"),
        ("how many incidents in RUN1", COUNT, "run 5"),
        ("how many incidents TIME2", COUNT, "yesterday"),
        ("how many incidents with SCORE5", COUNT, "peak score 3"),
        (
            "how many from LS3 to LS4",
            Question(Ask.COUNT, AllOf((ATOMS["LS3"].condition, ATOMS["LS4"].condition))),
            "LS3 to LS4",
        ),
        ("how many of the 7 incidents", COUNT, "7"),
        ("longest incident", Question(Ask.CASE, order=Order.LATEST), "longest"),
        ("oldest incident", Question(Ask.CASE, order=Order.WORST), "oldest"),
        ("biggest one", Question(Ask.LIST), "biggest"),
        ("average duration", COUNT, "average"),
        ("what percentage of incidents", COUNT, "percentage"),
        ("incidents per severity", COUNT, "per"),
        ("more incidents than before", COUNT, "more incidents than"),
        ("incidents without warnings", COUNT, "without"),
        ("how many warnings", COUNT, "warnings"),
        ("seen by the autoencoder", COUNT, "autoencoder"),
        ("still open", COUNT, "still"),
        ("how many incidents", Question(Ask.LIST), "how many"),
        ("how long did it last", Question(Ask.CASE, aspect=Aspect.SCORE), "how long"),
        ("when did it peak", Question(Ask.CASE, aspect=Aspect.START), "when did it peak"),
        ("why was it flagged", Question(Ask.CASE, aspect=Aspect.START), "why"),
        ("which run was it", Question(Ask.CASE, aspect=Aspect.START), "which run"),
        ("how many incidents are too many", COUNT, "too many"),
        ("how many did the autoencoder see alone", COUNT, "autoencoder see alone"),
        ("since when do we have it", Question(Ask.CASE, aspect=Aspect.SINCE), "do we have"),
        ("is there anything", Question(Ask.LIST), "is"),
        ("ENT0 with incidents", Question(Ask.LIST, AllOf((NODES,))), "hosts"),
    ],
)
def test_a_word_without_a_place(text: str, typed: Question, lost: str) -> None:
    assert lost in unaccounted(text, typed, ATOMS)


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("how many incidents TIME2 in total", Question(Ask.COUNT, YESTERDAY)),
        ("began TIME2", Question(Ask.LIST, AllOf((Within("onset", 0.0, 9.0),)))),
        ("the 3 longest incidents", Question(Ask.LIST, order=Order.LONGEST, limit=3)),
        ("who alarmed more than 3 times", Question(Ask.LIST, target=Target.ENTITIES, fewest=4)),
        ("ENT0 with incidents", Question(Ask.LIST, AllOf((NODES,)), target=Target.ENTITIES)),
        ("incidents not on ENT0", Question(Ask.LIST, AllOf((Not(NODES),)))),
        ("did we have incidents", Question(Ask.EXISTS)),
        ("maintenance longest in total", Question(Ask.MAINTENANCE)),
    ],
)
def test_a_word_with_its_place(text: str, typed: Question) -> None:
    assert unaccounted(text, typed, ATOMS) == ()
