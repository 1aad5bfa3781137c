"""Write what operators said and what detectors adapted to: the store's part for words and adaptations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import Connection, Row, delete, exists, insert, select, update

from anomalyd.errors import QuestionError, StoreConflict, StoreError
from anomalyd.near_names import nearest as nearest_to
from anomalyd.reports.adaptation import UNDOABLE, Adaptation, Adapted, AnsweredUndo
from anomalyd.reports.feedback import AppliedFeedback, OperatorFeedback
from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.database import Database
from anomalyd.verdict import Verdict

_a = t.adaptations.c

_undoable = (
    exists()
    .where(t.states_before.c.adaptation == _a.number)
    .correlate(t.adaptations)  # and not with the states that `undo_chain` joins
    .label("undoable")
)

adaptation_columns = (
    *(column for column in _a if column.name != "number"),
    _undoable,
)


class Ledger:
    """Words and requests that wait for the daemon. Every method is one transaction; any thread may call it.

    Every method raises StoreError if the database cannot be reached.
    """

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def record_word(
        self,
        detector: str,
        entity: str,
        word: Verdict,
        *,
        since: float | None = None,
        who: str,
        reason: str = "",
    ) -> int:
        """Keep an operator's word until the daemon applies it, and give its number.

        `since`: event time in seconds since the epoch; None: the onset of the open incident, or now.
        """
        row = {
            "detector": detector,
            "entity": entity,
            "word": word,
            "who": who,
            "reason": reason,
            "since": since,
            "recorded": self._clock(),
            "outcome": "",
        }
        with self._database.writing() as connection:
            number: int = connection.execute(insert(t.words).values(row).returning(t.words.c.id)).scalar_one()
        return number

    def pending_feedback(self) -> list[OperatorFeedback]:
        """Give the words that no daemon has applied yet, in the order they were said."""
        query = select(t.words).where(t.words.c.applied.is_(None)).order_by(t.words.c.id)
        with self._database.reading() as connection:
            return [word_of(row) for row in connection.execute(query)]

    def request_undo(self, adaptation_id: str, *, who: str, reason: str = "") -> Adaptation:
        """Ask the daemon to undo an adaptation, named by its id or by a beginning that no other has.

        Raises:
            QuestionError: there is none, or several begin so; carries the nearest ids.
            StoreError: it is undone already, or the state before it is no longer kept.

        """
        with self._database.writing() as connection:
            found = find_adaptation(connection, adaptation_id)
            if found.undone is not None:
                raise StoreError(f"adaptation {found.id} is undone already: {found.undo_outcome}")
            if not found.undoable:
                raise StoreError(
                    f"adaptation {found.id} cannot be undone any more: the state before it is no longer kept "
                    f"(adaptation.keep_undo_s, and the newest {UNDOABLE} of an entity); "
                    f"`anomalyd train {found.detector}` begins anew"
                )
            asked = {
                "undo_asked": self._clock(),
                "undo_by": who,
                "undo_reason": reason,
                "undo_outcome": "",
            }
            connection.execute(update(t.adaptations).where(_a.id == found.id).values(asked))
        return found

    def pending_undos(self) -> list[Adaptation]:
        """Give the adaptations that somebody asked to undo and no daemon has answered yet, in that order."""
        query = select(*adaptation_columns).where(t.awaits_undo).order_by(_a.undo_asked, _a.number)
        with self._database.reading() as connection:
            return [adaptation_of(row) for row in connection.execute(query)]

    def undo_chain(self, adaptation_id: str) -> list[tuple[Adaptation, bytes | None]]:
        """Give an adaptation and those of the same entity and detector after it that are not undone.

        Newest first, each with the state before it (None: no longer kept): the order to take them back in.
        """
        first = select(_a.number, _a.detector, _a.entity).where(_a.id == adaptation_id).subquery()
        query = (
            select(*adaptation_columns, t.states_before.c.state)
            .join(first, (_a.detector == first.c.detector) & (_a.entity == first.c.entity))
            .outerjoin(t.states_before, t.states_before.c.adaptation == _a.number)
            .where(_a.number >= first.c.number, _a.undone.is_(None))
            .order_by(_a.number.desc())
        )
        with self._database.reading() as connection:
            return [(adaptation_of(row), row.state) for row in connection.execute(query)]

    def forget_before(self, recorded: float) -> int:
        """Drop the states before adaptations recorded earlier than this wall-clock time; give how many.

        The adaptations stay to be read, and cannot be undone any more.
        """
        old = select(_a.number).where(_a.recorded < recorded)
        with self._database.writing() as connection:
            return connection.execute(
                delete(t.states_before).where(t.states_before.c.adaptation.in_(old))
            ).rowcount


def keep_adaptations(
    connection: Connection, database: Database, adapted: Sequence[Adapted], now: float
) -> None:
    """Keep adaptations, in their order; one that is known already is left as it is."""
    for each in adapted:
        row = {
            **{name: getattr(each, name) for name in ("id", "detector", "entity", "model")},
            **{name: getattr(each, name) for name in ("time", "what", "text")},
            "recorded": now,
            "undo_by": "",
            "undo_reason": "",
            "undo_outcome": "",
        }
        fresh = database.insert(t.adaptations).values(row).on_conflict_do_nothing(index_elements=["id"])
        number = connection.execute(fresh.returning(_a.number)).scalar_one_or_none()
        if number is not None and each.before:
            connection.execute(insert(t.states_before).values(adaptation=number, state=each.before))
    for detector, entity in sorted({(each.detector, each.entity) for each in adapted}):
        _forget_the_oldest(connection, detector, entity)


def _forget_the_oldest(connection: Connection, detector: str, entity: str) -> None:
    kept = (
        select(t.states_before.c.adaptation)
        .join(t.adaptations, _a.number == t.states_before.c.adaptation)
        .where(_a.detector == detector, _a.entity == entity)
        .order_by(_a.number.desc())
        .offset(UNDOABLE)
    )
    oldest = connection.execute(kept.limit(1_000)).scalars().all()
    if oldest:
        connection.execute(delete(t.states_before).where(t.states_before.c.adaptation.in_(oldest)))


def mark_applied(connection: Connection, words: Sequence[AppliedFeedback], now: float) -> None:
    """Note what came of words.

    Raises:
        StoreConflict: another daemon has applied one already.

    """
    w = t.words.c
    for word in words:
        told = {"since": word.since, "until": word.until, "applied": now, "outcome": word.outcome}
        mark = update(t.words).where(w.id == word.id, w.applied.is_(None)).values(told)
        if connection.execute(mark).rowcount != 1:
            raise StoreConflict(f"word {word.id} was applied by another daemon; start again from the store")


def mark_undone(connection: Connection, answers: Sequence[AnsweredUndo], now: float) -> None:
    """Note what came of requests to undo.

    Raises:
        StoreConflict: another daemon has answered one already.

    """
    for answer in answers:
        mark = update(t.adaptations).where(_a.id == answer.id, t.awaits_undo)
        if connection.execute(mark.values(undo_outcome=answer.outcome)).rowcount != 1:
            raise StoreConflict(f"undo of {answer.id} was answered by another daemon; start again")
        for each in answer.taken_back:
            told: dict[str, Any] = {"undone": now}
            if each != answer.id:
                told["undo_outcome"] = f"taken back together with {answer.id}, which came before it"
            connection.execute(update(t.adaptations).where(_a.id == each).values(told))


def word_of(row: Row[Any]) -> OperatorFeedback:
    """Read a word from a row of `words`."""
    return OperatorFeedback(**row._mapping)


def adaptation_of(row: Any) -> Adaptation:
    """Read an adaptation from a row that has `adaptation_columns`."""
    columns = {column.name: getattr(row, column.name) for column in adaptation_columns}
    return Adaptation(**{**columns, "undoable": bool(row.undoable)})


def find_adaptation(connection: Connection, adaptation_id: str) -> Adaptation:
    """Give one adaptation by its id, or by a beginning of it that no other has.

    Raises:
        QuestionError: none has this id, or several begin with it; carries the nearest ids.

    """
    query = select(*adaptation_columns)
    begun = _a.id.istartswith(adaptation_id, autoescape=True)
    rows = connection.execute(query.where(begun).order_by(_a.number.desc()).limit(6)).all()
    found = [adaptation_of(row) for row in rows]
    exact = [each for each in found if each.id == adaptation_id]
    if adaptation_id and (exact or len(found) == 1):
        return (exact or found)[0]
    if adaptation_id and found:
        ids = tuple(each.id for each in found)
        raise QuestionError(
            f"several adaptations begin with {adaptation_id!r}: {', '.join(ids)}; give more of the id", ids
        )
    latest = connection.execute(select(_a.id).order_by(_a.number.desc()).limit(1000)).scalars().all()
    nearest = nearest_to(adaptation_id, latest) or tuple(latest[:3])
    hint = f"the nearest are {', '.join(nearest)}" if nearest else "none is recorded yet"
    raise QuestionError(f"there is no adaptation {adaptation_id!r}; {hint}", nearest)
