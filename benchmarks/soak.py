"""One daemon at ten times the normal rate: does its memory grow, do its descriptors, does it fall behind?

    python benchmarks/soak.py --minutes 60 [--hosts N] [--every SECONDS]

Hosts send a row every ten seconds as a rule; here every second. Each minute one of them has a fault of eight
rows. Prints a line every half minute and, of the second half, by how much memory grows in an hour (a fitted
line).
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
from host_farm import HostFarm, run_daemon, write_config
from kafka import KafkaProducer

from anomalyd.daemon.broker import EmbeddedBroker, create_topics
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.reports.storage.store import Store

_LOOK_S = 5.0
_TOLD_EVERY = 6
_FAULT_EVERY, _FAULT_ROWS = 60, 8


def soak(farm: HostFarm, minutes: float, every_s: float, folder: Path) -> list[dict[str, float]]:
    """Send and look, until the time is over; give what was seen."""
    farm.train(folder / "models")
    seen: list[dict[str, float]] = []
    with EmbeddedBroker() as broker:
        create_topics(broker.bootstrap_servers, {"hosts": 4})
        url = f"sqlite:///{folder / 'reports.db'}"
        file = write_config(folder, broker.bootstrap_servers, url, reserve_port())
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
        finally:
            daemon.terminate()
            status = daemon.wait(60)
            store.close()
            producer.close(5)
    print(f"exit {status}")
    return seen


def _look(process: psutil.Process, store: Store, sent: int, at: float) -> dict[str, float]:
    times = process.cpu_times()
    return {
        "at": at,
        "memory": process.memory_info().rss / 2**20,
        "descriptors": process.num_fds(),
        "cpu": times.user + times.system,
        "behind": sent - sum(store.offsets("benchmark").values()),
        "sent": sent,
    }


def _line(look: dict[str, float]) -> str:
    return (
        f"{look['at']:6.0f} s  {look['sent']:8.0f} sent, {look['behind']:6.0f} not stored yet  "
        f"{look['memory']:7.1f} MiB  {look['descriptors']:3.0f} descriptors  {look['cpu']:6.1f} s of CPU"
    )


def main(told: Callable[[str], None] = print) -> None:
    """Print what grows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--hosts", type=int, default=100)
    parser.add_argument("--metrics", type=int, default=10)
    parser.add_argument("--every", type=float, default=1.0)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="anomalyd-soak-") as folder:
        seen = soak(HostFarm(given.hosts, given.metrics), given.minutes, given.every, Path(folder))
    late = seen[len(seen) // 2 :]
    at, memory = (np.array([look[name] for look in late]) for name in ("at", "memory"))
    slope = float(np.polyfit(at, memory, 1)[0]) * 3600
    descriptors = [look["descriptors"] for look in late]
    told(
        f"second half: {memory.mean():.1f} MiB, {100 * slope / memory.mean():+.2f} % an hour; descriptors "
        f"{min(descriptors):.0f} to {max(descriptors):.0f}; "
        f"at most {max(look['behind'] for look in late):.0f} not stored yet; "
        f"{(late[-1]['cpu'] - late[0]['cpu']) / (at[-1] - at[0]):.3f} of a core"
    )


if __name__ == "__main__":
    main()
