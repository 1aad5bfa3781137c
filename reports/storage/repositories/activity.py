"""What each entity sent, hour by hour, as rows of the tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import case

from anomalyd.reports.step import Activity
from anomalyd.reports.storage import tables as t
from anomalyd.reports.storage.database import Database, Insert


def activity_upsert(database: Database) -> Insert:
    """Insert what an entity sent within an hour, or widen and count up what is there."""
    upsert = database.insert(t.activity)
    old, new = t.activity.c, upsert.excluded
    return upsert.on_conflict_do_update(
        index_elements=["entity", "hour"],
        set_={
            "sample_kind": new.sample_kind,
            "first": case((new.first < old.first, new.first), else_=old.first),
            "last": case((new.last > old.last, new.last), else_=old.last),
            "samples": old.samples + new.samples,
        },
    )


def activity_rows(activity: Mapping[str, Activity]) -> list[dict[str, Any]]:
    """Give the rows of what each entity sent in a step."""
    return [
        {
            "entity": entity,
            "hour": int(seen.last // 3600),
            "sample_kind": seen.sample_kind,
            "first": seen.first,
            "last": seen.last,
            "samples": seen.samples,
        }
        for entity, seen in sorted(activity.items())
    ]
