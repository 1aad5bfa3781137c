"""Which question is answered by what."""

from __future__ import annotations

from collections.abc import Callable

from anomalyd.assistant.answers import case, health, ledger, lists, numbers, quality
from anomalyd.assistant.answers.context import Context, query_source
from anomalyd.assistant.answers.sentence import Sentence, Told
from anomalyd.assistant.understanding.question import Ask, Question, Target

_EXAMPLES = (
    "How many incidents were there since 14:00, per severity?",
    "Which hosts had incidents last night?",
    "What is the worst incident of the last 3 days?",
    "Is node17 fine?",
    "Why was node17 flagged? Who saw it? And the day before?",
    "How many critical incidents were not seen by the classical test?",
    "How do I plan a maintenance window?",
)


def tell(question: Question, context: Context) -> Told:
    """Answer a typed question."""
    return _teller(question)(question, context).citing(query_source(question))


def _teller(q: Question) -> Callable[[Question, Context], Told]:
    of_entities = q.target is not Target.INCIDENTS
    match q.ask:
        case Ask.COUNT:
            return numbers.how_many_entities if of_entities else numbers.how_many
        case Ask.LIST:
            return lists.which_entities if of_entities else lists.which
        case _:
            return _TELLERS[q.ask]


def _help(question: Question, context: Context) -> Told:
    return Told((Sentence("You can ask, for example:"), *(Sentence(example) for example in _EXAMPLES)))


_TELLERS: dict[Ask, Callable[[Question, Context], Told]] = {
    Ask.GROUPS: numbers.per_group,
    Ask.AGGREGATE: numbers.statistic,
    Ask.SHARE: numbers.share,
    Ask.COMPARE: numbers.comparison,
    Ask.CASE: case.about_one,
    Ask.WHY_NOT: case.why_not,
    Ask.EXISTS: health.exists,
    Ask.FINE: health.is_fine,
    Ask.ONGOING: health.still_going_on,
    Ask.DATA: health.latest_data,
    Ask.KNOWN: lists.known,
    Ask.QUIET: lists.without_incident,
    Ask.FLAGS: quality.flags,
    Ask.MAINTENANCE: ledger.maintenance,
    Ask.FEEDBACK: ledger.feedback,
    Ask.ADAPTATIONS: ledger.adaptations,
    Ask.REMARKS: ledger.remarks,
    Ask.HELP: _help,
}
