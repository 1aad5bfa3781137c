"""One daemon at ten times the normal rate: does its memory grow, do its descriptors, does it fall behind?

    python benchmarks/soak.py --minutes 60 [--hosts N] [--every SECONDS] [--keep FILE]

Hosts send a row every ten seconds as a rule; here every second. Each minute one of them has a fault of eight
rows. Evidence is kept for ten minutes, reports for a quarter of an hour, so that retention has work. Prints
a line every half minute and, of the second half, by how much memory grows in an hour (a fitted line). At the
end every record and sample must be accounted for.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import numpy as np
import psutil
from host_farm import HostFarm, run_daemon, write_config
from kafka import KafkaProducer

from anomalyd.daemon.broker import EmbeddedBroker, create_topics
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.reports.storage.store import Store

sys.path.append(str(Path(__file__).parents[1] / "tests" / "servers"))
from accounting import assert_accounted

_LOOK_S = 5.0
_TOLD_EVERY = 6
_FAULT_EVERY, _FAULT_ROWS = 60, 8
_RETENTION = {
    "evidence_s": dict.fromkeys(("warning", "error", "critical"), 600.0),
    "reports_s": dict.fromkeys(("warning", "error", "critical"), 900.0),
}
_CATCHES_UP_S = 300.0


def soak(farm: HostFarm, minutes: float, every_s: float, folder: Path) -> list[dict[str, float]]:
    """Send and look, until the time is over; give what was seen."""
    farm.train(folder / "models")
    seen: list[dict[str, float]] = []
    with EmbeddedBroker() as broker:
        create_topics(broker.bootstrap_servers, {"hosts": 4})
        url = f"sqlite:///{folder / 'reports.db'}"
        port = reserve_port()
        file = write_config(folder, broker.bootstrap_servers, url, port, retention=_RETENTION)
        daemon = run_daemon(file, folder / "daemon.log")
        process = psutil.Process(daemon.pid)
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, linger_ms=50)
        store = Store.open(url)
        try:
            begun, row, sent, looks = time.monotonic(), 0, 0, 0
            while time.monotonic() < begun + 60 * minutes:
                for host, name in enumerate(farm.names):
                    faulty = row % _FAULT_EVERY < _FAULT_ROWS and host == row // _FAULT_EVERY % len(
                        farm.names
                    )
                    message = farm.message(host, row, time.time(), broken=faulty)
                    producer.send("hosts", key=name.encode(), value=message)
                sent += len(farm.names)
                row += 1
                if time.monotonic() >= begun + looks * _LOOK_S:
                    looks += 1
                    seen.append(_look(process, store, sent, time.monotonic() - begun))
                    if looks % _TOLD_EVERY == 1:
                        print(_line(seen[-1]), flush=True)
                time.sleep(max(0.0, begun + row * every_s - time.monotonic()))
            producer.flush(60)
            _account(store, sent, f"http://127.0.0.1:{port}/metrics")
        finally:
            daemon.terminate()
            status = daemon.wait(60)
            store.close()
            producer.close(5)
    print(f"exit {status}")
    return seen


def _account(store: Store, sent: int, url: str) -> None:
    """Wait until all is taken; see that each record and sample has its fate."""
    deadline = time.monotonic() + _CATCHES_UP_S
    while sum(store.offsets("benchmark").values()) < sent:
        assert time.monotonic() < deadline, "it does not catch up"
        time.sleep(1.0)
    time.sleep(3.0)  # the step's own figures
    with urlopen(url, timeout=60.0) as answer:
        assert_accounted(answer.read().decode())


def _look(process: psutil.Process, store: Store, sent: int, at: float) -> dict[str, float]:
    times = process.cpu_times()
    return {
        "at": at,
        "memory": process.memory_info().rss / 2**20,
        "descriptors": process.num_fds(),
        "cpu": times.user + times.system,
        "behind": sent - sum(store.offsets("benchmark").values()),
        "sent": sent,
        "reports": store.retention.sizes()["reports"].rows,
        "store": sum(size.bytes for size in store.retention.sizes().values()) / 2**20,
    }


def _line(look: dict[str, float]) -> str:
    return (
        f"{look['at']:6.0f} s  {look['sent']:8.0f} sent, {look['behind']:6.0f} not stored yet  "
        f"{look['memory']:7.1f} MiB  {look['descriptors']:3.0f} descriptors  {look['cpu']:6.1f} s of CPU  "
        f"{look['reports']:.0f} reports, store {look['store']:.1f} MiB"
    )


def main(told: Callable[[str], None] = print) -> None:
    """Print what grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--every", type=float, default=1.0)
    parser.add_argument("--keep", type=Path, help="file that gets the figures, as JSON")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="anomalyd-soak-") as folder:
        seen = soak(HostFarm(given.hosts, given.metrics), given.minutes, given.every, Path(folder))
    late = seen[len(seen) // 2 :]
    at, memory = (np.array([look[name] for look in late]) for name in ("at", "memory"))
    slope = float(np.polyfit(at, memory, 1)[0]) * 3600
    figures = {
        "fault": f"none: {given.minutes:g} minutes at ten times the normal rate",
        "messages": int(late[-1]["sent"]),
        "memory_mib": round(float(memory.mean()), 1),
        "memory_percent_an_hour": round(100 * slope / float(memory.mean()), 2),
        "descriptors": sorted({int(look["descriptors"]) for look in late}),
        "most_not_stored_yet": int(max(look["behind"] for look in late)),
        "most_reports_kept": int(max(look["reports"] for look in late)),
        "largest_store_mib": round(max(look["store"] for look in late), 1),
        "share_of_a_core": round((late[-1]["cpu"] - late[0]["cpu"]) / float(at[-1] - at[0]), 3),
    }
    told(f"second half: {json.dumps(figures, indent=1)}")
    if given.keep is not None:
        given.keep.parent.mkdir(parents=True, exist_ok=True)
        given.keep.write_text(json.dumps([figures], indent=1) + "\n")


if __name__ == "__main__":
    main()
