"""Outlines of faults on maps, in the store."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from typing import Any

from sqlalchemy import Connection, insert, select

from anomalyd.errors import StoreError
from anomalyd.reports.cases.outline import Outline
from anomalyd.reports.storage.database import Database
from anomalyd.reports.storage.tables import outlines, reports


class OutlineBook:
    """What operators outline. Every method is one transaction, and raises StoreError if it fails."""

    def __init__(self, database: Database, clock: Callable[[], float]) -> None:
        self._database = database
        self._clock = clock

    def keep(self, outline: Outline) -> Outline:
        """Keep an outline, and give it with its number.

        Raises:
            StoreError: no name of who drew it, or no such report.

        """
        if not outline.who.strip():
            raise StoreError("an outline needs the name of who draws it")
        body = asdict(outline)
        for own in ("report", "who", "recorded", "id"):
            del body[own]
        now = self._clock()
        with self._database.writing() as connection:
            known = connection.execute(select(reports.c.id).where(reports.c.id == outline.report)).first()
            if known is None:
                raise StoreError(f"there is no report {outline.report}; name one that is recorded")
            row = {"report": outline.report, "who": outline.who, "body": json.dumps(body), "recorded": now}
            number = connection.execute(insert(outlines).values(row).returning(outlines.c.id)).scalar_one()
        return replace(outline, id=number, recorded=now)


def read_outlines(connection: Connection, report: str) -> list[Outline]:
    """Give the outlines on a report, in the order in which they were drawn."""
    query = select(outlines).where(outlines.c.report == report).order_by(outlines.c.id)
    found = []
    for row in connection.execute(query):
        body: dict[str, Any] = json.loads(row.body)
        for name in ("cells", "polygons"):
            body[name] = _tuples(body[name])
        body["units"] = tuple(body["units"])
        found.append(Outline(report=row.report, who=row.who, recorded=row.recorded, id=row.id, **body))
    return found


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
