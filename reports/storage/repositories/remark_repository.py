"""Remarks on reports and verdicts on answers, in the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace

from sqlalchemy import Connection, insert, select

from anomalyd.errors import StoreError
from anomalyd.reports.remark import AnswerFeedback, AnswerVerdict, Remark, RemarkKind
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.tables import answer_feedback, remarks, reports


class RemarkBook:
    """What people write. Every method is one transaction, and raises StoreError if it fails."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def write(self, remark: Remark) -> Remark:
        """Keep a remark, and give it with its number.

        Raises:
            StoreError: no name, a comment without text, or no such report.

        """
        if not remark.who.strip() or (remark.kind is RemarkKind.COMMENT and not remark.text.strip()):
            raise StoreError("a remark needs the name of who writes it, and a comment its text")
        row = {**asdict(remark), "recorded": self._clock()}
        del row["id"]
        with self._database.writing() as connection:
            known = connection.execute(select(reports.c.id).where(reports.c.id == remark.report)).first()
            if known is None:
                raise StoreError(f"there is no report {remark.report}; name one that is recorded")
            number = connection.execute(insert(remarks).values(row).returning(remarks.c.id)).scalar_one()
        return replace(remark, id=number, recorded=row["recorded"])

    def judge(self, feedback: AnswerFeedback) -> AnswerFeedback:
        """Keep what somebody said of an answer, and give it with its number."""
        row = {**asdict(feedback), "recorded": self._clock()}
        del row["id"]
        with self._database.writing() as connection:
            query = insert(answer_feedback).values(row).returning(answer_feedback.c.id)
            number = connection.execute(query).scalar_one()
        return replace(feedback, id=number, recorded=row["recorded"])


def read_remarks(connection: Connection, report: str) -> list[Remark]:
    """Give the remarks on a report, in the order in which they were written."""
    r = remarks.c
    query = select(r.report, r.kind, r.who, r.text, r.recorded, r.id).where(r.report == report).order_by(r.id)
    return [Remark(row[0], RemarkKind(row[1]), *row[2:]) for row in connection.execute(query)]


def read_feedback(connection: Connection) -> list[AnswerFeedback]:
    """Give what was said of answers, in that order."""
    f = answer_feedback.c
    columns = (f.verdict, f.question, f.understood, f.answer, f.who, f.note, f.recorded, f.id)
    rows = connection.execute(select(*columns).order_by(f.id))
    return [AnswerFeedback(AnswerVerdict(row[0]), *row[1:]) for row in rows]
