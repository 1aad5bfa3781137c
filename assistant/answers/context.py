"""What every answer is made from: the store, the clock, the names; and what a true nothing means."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from anomalyd.assistant.answers.sentence import Result, Sentence, Source, Told, cites
from anomalyd.assistant.language.names import Names, shown
from anomalyd.assistant.language.phrasing import counted
from anomalyd.assistant.language.times.time_meaning import Calendar
from anomalyd.assistant.understanding.interpretation import interpretation
from anomalyd.assistant.understanding.question import Question
from anomalyd.reports.conditions import AllOf, Among, AnyOf, Causes, Condition, During, Not, Recurring, Within
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.report import Report
from anomalyd.reports.step import Activity

MOST_IDS = 2000


@dataclass(frozen=True)
class Context:
    """The store, the clock, and the names that are known."""

    queries: Queries
    calendar: Calendar
    names: Names

    def count(self, *where: Condition) -> int:
        """Count the reports that fulfil every condition."""
        return self.queries.count(select(*where))

    def reports(
        self, where: Condition, order: Order = Order.LATEST, limit: int = 100, offset: int = 0
    ) -> list[Report]:
        """Give reports in order."""
        return self.queries.reports(select(where), order, limit, offset)

    def ids(self, where: Condition, order: Order = Order.LATEST) -> tuple[str, ...]:
        """Give the ids of reports in order, at most 2,000."""
        return tuple(self.queries.ids(select(where), order, MOST_IDS))

    def entities(self, where: Condition) -> tuple[str, ...]:
        """Give the known entities that the conditions on entities allow."""
        return tuple(name for name in self.names.kinds if _allows(where, name))

    def entity_words(self, where: Condition) -> str:
        """Say those entities; nothing where all are."""
        those = self.entities(where)
        return "" if len(those) == len(self.names.kinds) else shown(those, self.names)

    def sent(self, where: Condition) -> dict[str, Activity]:
        """Give what the entities meant sent within the interval meant; in the last hour, if none is."""
        since, until = interval_of(where)
        those = set(self.entities(where))
        if since is None and until is None:
            return {name: sent for name, sent in self.queries.latest_activity().items() if name in those}
        return {name: sent for name, sent in self.queries.activity(since, until).items() if name in those}

    def cited(self, text: str, where: Condition, total: int) -> Sentence:
        """Cite the latest of the reports that were counted, and say so where there are more."""
        found = self.reports(where, limit=min(total, 5)) if total else []
        more = f" (The latest {len(found)} are cited.)" if total > len(found) else ""
        return Sentence(text + more, cites(found, self.calendar))


def select(*where: Condition) -> Selection:
    """Select by conditions that hold together."""
    return Selection(where=where[0] if len(where) == 1 else AllOf(where))


def causes_in(where: Condition) -> tuple[str, ...]:
    """Give the parts of causes that conditions ask for."""
    match where:
        case Causes(part):
            return (part,)
        case AllOf(parts) | AnyOf(parts):
            return tuple(cause for each in parts for cause in causes_in(each))
        case _:
            return ()


def query_source(question: Question) -> Source:
    """Name the query that a question became as a source."""
    return Source("query", "query", interpretation(question))


def interval_of(where: Condition) -> tuple[float | None, float | None]:
    """Give the time that conditions limit incidents to, from its beginning to its end."""
    match where:
        case During(since, until):
            return since, until
        case Within("onset", low, high):
            return (None if low == float("-inf") else low), (None if high == float("inf") else high)
        case AllOf(parts):
            limits = [interval_of(part) for part in parts]
            sinces = [s for s, _ in limits if s is not None]
            untils = [u for _, u in limits if u is not None]
            return (max(sinces) if sinces else None), (min(untils) if untils else None)
        case AnyOf(parts) if parts:
            limits = [interval_of(part) for part in parts]
            since = None if any(s is None for s, _ in limits) else min(s for s, _ in limits if s is not None)
            until = None if any(u is None for _, u in limits) else max(u for _, u in limits if u is not None)
            return since, until
        case _:
            return None, None


def none_recorded(where: Condition, context: Context, head: str = "None recorded.") -> Told:
    """Tell that there is no such incident, and whether there were data in which one could have been seen."""
    sent = context.sent(where)
    told = (Sentence(head), data_sentence(where, context, sent))
    return Told(told, known=bool(sent), result=Result(value=0.0, verdict=False))


def data_sentence(where: Condition, context: Context, sent: dict[str, Activity] | None = None) -> Sentence:
    """Tell whether data of the entities meant were received in the interval meant."""
    since, until = interval_of(where)
    then = "" if since is None and until is None else " then"
    who = context.entity_words(where)
    sent = context.sent(where) if sent is None else sent
    if sent:
        samples = counted(sum(each.samples for each in sent.values()), "sample")
        sources = "" if len(sent) == 1 else f" from {len(sent)} entities"
        last = context.calendar.say(max(each.last for each in sent.values()))
        by_hour = " (counted by whole hours)" if then else ""
        of = f" of {who}" if who else ""
        if not then:
            return Sentence(f"Data{of} were received{sources}, the last of {last}.")
        return Sentence(f"Data{of} were received{then}: {samples}{sources}, the last of {last}{by_hour}.")
    those = set(context.entities(where))
    ever = [each for name, each in context.queries.latest_activity().items() if name in those]
    last_words = (
        f"; the last data are of {context.calendar.say(max(each.last for each in ever))}" if ever else ""
    )
    return Sentence(
        f"But no data of {who or 'any entity'} were received{then}{last_words}: whether anything "
        f"happened I don't know."
    )


def nearest_of(reports: Iterable[Report]) -> str | None:
    """Give the id of the first report, None if there is none."""
    return next((report.incident.id for report in reports), None)


def _allows(where: Condition, entity: str) -> bool:
    """Say whether an entity fulfils the conditions on entities; others are taken for fulfilled."""
    match where:
        case Among("entity", values):
            return entity in values
        case AllOf(parts):
            return all(_allows(part, entity) for part in parts)
        case AnyOf(parts):
            return any(_allows(part, entity) for part in parts)
        case Not(part):
            return not (_only_entities(part) and _allows(part, entity))
        case _:
            return True


def entities_or_time(where: Condition) -> bool:
    """Say whether a condition is on entities or time alone."""
    return _only_entities(where) or isinstance(where, During | Recurring)


def _only_entities(where: Condition) -> bool:
    match where:
        case Among(column, _):
            return column == "entity"
        case AllOf(parts) | AnyOf(parts):
            return bool(parts) and all(map(_only_entities, parts))
        case Not(part):
            return _only_entities(part)
        case _:
            return False
