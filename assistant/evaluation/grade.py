"""Graders: what a question must be answered with, computed from the store by SQL written by hand."""

from __future__ import annotations

import json
import math
import re
import sqlite3
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from anomalyd.assistant.answer import Answer
from anomalyd.assistant.evaluation.stores import DAY, Plan

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


@dataclass(frozen=True, slots=True)
class Grade:
    """How an answer was: `exact`, `wrong` (and sure of it), `abstained`; and why it is no exact one."""

    verdict: str
    why: str = ""


class Gold:
    """Computes what is right, in one store."""

    def __init__(self, connection: sqlite3.Connection, plan: Plan) -> None:
        self._connection = connection
        self.plan = plan
        self.slots = dict(plan.slots)
        self._full = plan.named
        rows = self.rows(
            "select run from reports where run is not null group by run order by count(*) desc, run limit 2"
        )
        self.slots |= {"run1": str(rows[0][0]), "run2": str(rows[1][0])}
        self._full |= {"run1": str(rows[0][0]), "run2": str(rows[1][0])}
        self.slots["id1"] = self._full["id1"] = self.rows(
            "select id from reports order by id limit 1 offset 7"
        )[0][0]

    def question(self, text: str) -> str:
        """Fill the names of this store into a question."""
        return re.sub(r"\{(\w+)\}", lambda m: self.slots[m[1]], text)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Run hand-written SQL after its abbreviations were written out."""
        return self._connection.execute(self._written(sql)).fetchall()

    def _written(self, sql: str) -> str:
        today = self.plan.now // DAY * DAY

        def at(m: re.Match[str]) -> str:
            return str(today + int(m[1]) * DAY + int(m[2]) * 3600 + int(m[3]) * 60)

        def weekday(m: re.Match[str]) -> str:
            back = (datetime.fromtimestamp(today, UTC).weekday() - _WEEKDAYS.index(m[1])) % 7
            return str(today - back * DAY)

        sql = re.sub(r"\{(\w+)\}", lambda m: getattr(self, "_full", {}).get(m[1], m[0]), sql)
        sql = re.sub(r"AT\((-?\d+),(\d\d):(\d\d)\)", at, sql)
        sql = re.sub(r"WEEKDAY\((\w+)\)", weekday, sql)
        sql = sql.replace("NOW", str(self.plan.now))
        sql = re.sub(
            r"DURING\((.+?), (.+?)\)", r"(onset < \2 and (status='open' or coalesce(closed,last) >= \1))", sql
        )
        listed = {name: ",".join(f"'{n}'" for n in names) for name, names in self.plan.sets.items()}
        sql = sql.replace("ENTITIES", json.dumps(self.plan.entities))
        return re.sub(
            r"IN_GROUP\((\w+)(?:, (\w+))?\)", lambda m: f"{m[2] or 'entity'} in ({listed[m[1]]})", sql
        )

    def grade(self, item: dict[str, Any], answer: Answer) -> Grade:
        """Grade one answer."""
        if item.get("want") in (None, "abstain"):
            return Grade("exact") if not answer.known else Grade("wrong", answer.text[:120])
        if item["want"] == "abstain_or_no":
            fine = not answer.known or answer.result.verdict is False
            return Grade("exact") if fine else Grade("wrong", answer.text[:120])
        wrong = self._wrong(item, answer)
        if wrong is None and (unsaid := _unsourced(answer)):
            wrong = f"no source: {unsaid}"
        if answer.known:
            return Grade("exact") if wrong is None else Grade("wrong", wrong)
        # A nothing may be told as not known only where nothing was received.
        return Grade("abstained", answer.text[:120])

    def _wrong(self, item: dict[str, Any], a: Answer) -> str | None:
        """Say what is wrong with an answer, None if nothing."""
        want, r = item["want"], a.result
        where = item.get("where", "1")
        if want in ("count", "number"):
            sql = item.get("sql") or f"select count(*) from reports where {where}"
            gold = float(self.rows(sql)[0][0] or 0.0)
            if r.value is None or not math.isclose(r.value, gold, rel_tol=1e-6, abs_tol=1e-6):
                return f"value {r.value}, gold {gold}"
            return (
                _cited_wrongly(a, {row[0] for row in self.rows(f"select id from reports where {where}")})
                if want == "count"
                else None
            )
        if want == "reports":
            gold_ids = {row[0] for row in self.rows(f"select id from reports where {where}")}
            return None if set(r.reports) == gold_ids else f"{len(r.reports)} reports, gold {len(gold_ids)}"
        if want == "names":
            names = {str(row[0]) for row in self.rows(item["sql"])}
            return (
                None
                if set(r.names) == names
                else f"{len(r.names)} names, gold {len(names)}: {sorted(set(r.names) ^ names)[:4]}"
            )
        if want == "says":
            return self._unsaid(
                {"says": f"time:{item['time']}" if "time" in item else f"sql:{item['sql']}"}, a
            )
        if want == "first":
            golds = [self.rows(item["sql"])[0][0]]
            if "or_worst" in item:
                golds.append(
                    self.rows(f"select id from reports where {item['or_worst']} order by peak desc limit 1")[
                        0
                    ][0]
                )
            gold_id = next((g for g in golds if r.reports[:1] == (g,)), golds[0])
            if r.reports[:1] != (gold_id,):
                return f"report {r.reports[:1]}, gold {gold_id}"
            return self._unsaid(item, a)
        if want == "yes":
            gold_yes = bool(self.rows(item["sql"])[0][0])
            return None if r.verdict is gold_yes else f"verdict {r.verdict}, gold {gold_yes}"
        if want == "groups":
            groups = {str(g): float(n) for g, n in self.rows(item["sql"])}
            got = dict(r.groups)
            return None if groups.items() <= got.items() or got == groups else f"{got}, gold {groups}"
        if want == "compare":
            golds = [float(self.rows(sql)[0][0]) for sql in item["sqls"]]
            return None if [n for _, n in r.groups] == golds else f"{r.groups}, gold {golds}"
        if want == "document":
            sources = [s.id for sentence in a.sentences for s in sentence.sources]
            wanted = item["file"] if isinstance(item["file"], list) else [item["file"]]
            return None if any(f in s for f in wanted for s in sources) else f"cites {sources[:3]}"
        raise ValueError(f"unknown want {want!r}")

    def _unsaid(self, item: dict[str, Any], answer: Answer) -> str | None:
        says = item.get("says")
        if says is None:
            return None
        kind, _, sql = says.partition(":")
        gold = self.rows(sql)[0][0]
        if kind == "time":
            at = datetime.fromtimestamp(gold, UTC)
            gold = f"{at.day} {at:%b} {at:%H:%M}"
        return None if str(gold).lower() in answer.text.lower() else f"does not say {gold}"


def _cited_wrongly(answer: Answer, ids: set[str]) -> str | None:
    cited = {s.id for sentence in answer.sentences for s in sentence.sources if s.kind == "report"}
    return None if cited <= ids else "cites reports that were not counted"


def _unsourced(answer: Answer) -> str:
    return next((s.text for s in answer.sentences if not s.sources), "")
