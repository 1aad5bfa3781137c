"""CPU time of the assistant's answers over many reports, on one core: `assistant.py [REPORTS] [FOLDER]`.

The questions are those of the committed evaluation on the first of its stores, made larger. Each is asked in
a process that is warm; reading documents is left out.
"""

from __future__ import annotations

import resource
import sqlite3
import sys
import tempfile
import time
from collections import defaultdict
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from anomalyd.assistant.answer import Assistant
from anomalyd.assistant.evaluation.grade import Gold
from anomalyd.assistant.evaluation.run import questions
from anomalyd.assistant.evaluation.stores import generate, plans
from anomalyd.reports.queries import Queries


def main() -> None:
    """Make the store if it is not there, ask, and print percentiles by kind."""
    reports = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    folder = Path(sys.argv[2]) if len(sys.argv) > 2 else Path(tempfile.mkdtemp())
    plan = replace(plans()[0], name=f"muons{reports}", incidents=reports, days=365)
    path = folder / f"{plan.name}.db"
    if not path.exists():
        start = time.process_time()
        generate(plan, folder)
        print(f"{reports:,} reports written: {time.process_time() - start:.0f} s CPU")
    seconds: dict[str, list[tuple[float, str]]] = defaultdict(list)
    with closing(Queries.open(f"sqlite:///{path}")) as queries, closing(sqlite3.connect(path)) as connection:
        gold = Gold(connection, plan)
        assistant = Assistant(queries, clock=lambda: plan.now, groups=plan.groups)
        assistant.ask("how many incidents are there?")
        for kind, item, phrasing, _ in questions():
            if kind == "documents":
                continue
            assistant.session.reset()
            for before in item.get("before", ()):
                assistant.ask(gold.question(before))
            start = time.process_time()
            assistant.ask(gold.question(phrasing))
            seconds[kind].append((time.process_time() - start, gold.question(phrasing)))
    every = [each for some in seconds.values() for each in some]
    for kind, some in (*seconds.items(), ("all", every)):
        times = sorted(t for t, _ in some)
        p50, p95 = times[len(times) // 2], times[int(len(times) * 0.95)]
        print(f"{kind}: {len(times)} questions, p50 {p50 * 1000:.0f} ms, p95 {p95 * 1000:.0f} ms")
    print("slowest:", *(f"\n  {t * 1000:.0f} ms {q}" for t, q in sorted(every, reverse=True)[:15]))
    print(f"memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB")


if __name__ == "__main__":
    main()
