"""Ask every question in every store, grade the answers, and count by kind."""

from __future__ import annotations

import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import yaml

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.evaluation.grade import Gold, Grade
from anomalyd.assistant.evaluation.stores import Plan, generate, plans
from anomalyd.reports.queries import Queries

KINDS = ("store", "case", "follow", "ledger", "documents", "unanswerable")
PARTS = ("tuned on", "held out", *(f"blind {number}" for number in range(1, 14)))
"""Phrasings that the grammar was tuned on, those held out from it, and the later sets,
written before their answers were seen."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One question and its grade. `part`: which part of the evaluation it is of, one of PARTS."""

    store: str
    kind: str
    question: str
    grade: Grade
    part: str
    two: bool
    seconds: float


def questions() -> Iterator[tuple[str, dict[str, Any], str, str]]:
    """Give (kind, item, phrasing, part) of every question."""
    folder = resources.files("anomalyd.assistant.evaluation") / "questions"
    for path in sorted(folder.iterdir(), key=lambda each: each.name):
        name = path.name.removesuffix(".yaml")
        for item in yaml.safe_load(path.read_text(encoding="utf-8")):
            for k, phrasing in enumerate(item["ask"]):
                if name in KINDS:
                    yield name, item, phrasing, PARTS[k % 3 == 2]
                else:
                    yield item["kind"], item, phrasing, name.replace("blind", "blind ")


def evaluate(
    folder: Path,
    make: Callable[[Queries, Plan], Assistant],
    kinds: tuple[str, ...] = KINDS,
    parts: tuple[str, ...] = PARTS,
    only: Callable[[Plan], bool] = lambda plan: True,
) -> list[Outcome]:
    """Ask everything; the stores are generated into `folder` where they are not there yet."""
    outcomes = []
    for plan in filter(only, plans()):
        path = folder / f"{plan.name}.db"
        if not path.exists():
            generate(plan, folder)
        queries = Queries.open(f"sqlite:///{path}")
        connection = sqlite3.connect(path)
        gold = Gold(connection, plan)
        assistant = make(queries, plan)
        for kind, item, phrasing, part in questions():
            if kind not in kinds or part not in parts:
                continue
            assistant.session.reset()
            for before in item.get("before", ()):
                assistant.ask(gold.question(before))
            question = gold.question(phrasing)
            start = time.process_time()
            answer = assistant.ask(question)
            seconds = time.process_time() - start
            grade = gold.grade(item, answer)
            outcomes.append(Outcome(plan.name, kind, question, grade, part, bool(item.get("two")), seconds))
        connection.close()
        queries.close()
    return outcomes


def table(outcomes: list[Outcome]) -> str:
    """Say the outcomes by kind, each part for itself."""
    lines = [
        "| kind | phrasings | questions | exact | wrong and sure | abstained |",
        "|---|---|---|---|---|---|",
    ]
    groups: list[tuple[str, list[Outcome]]] = [
        (kind, [o for o in outcomes if o.kind == kind]) for kind in KINDS
    ]
    groups.append(("two conditions", [o for o in outcomes if o.two]))
    groups.append(("all", outcomes))
    for name, some in groups:
        for words in PARTS:
            those = [o for o in some if o.part == words]
            if those:
                n = Counter(o.grade.verdict for o in those)
                share = [f"{100 * n[v] / len(those):.1f} %" for v in ("exact", "wrong", "abstained")]
                lines.append(f"| {name} | {words} | {len(those)} | {' | '.join(share)} |")
    seconds = sorted(o.seconds for o in outcomes)
    if seconds:
        p50, p95 = seconds[len(seconds) // 2], seconds[int(len(seconds) * 0.95)]
        lines.append(f"\nCPU a question: p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms.")
    return "\n".join(lines)
