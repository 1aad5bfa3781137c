"""How fast 1, 2 and 4 daemons of one group work off a topic, on one PostgreSQL (or SQLite).

    python benchmarks/replicas.py --store postgresql://user@host/database [--hosts N] [--rows N] 1 2 4

A topic of twelve partitions is filled first. The clock, and the CPU time of the daemons, run from the first
offset that is stored to the last: importing, joining and loading models are not counted.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import psutil
from host_farm import HostFarm, run_daemon, write_config
from kafka import KafkaProducer

from anomalyd.daemon.broker import EmbeddedBroker, create_topics
from anomalyd.daemon.broker.ports import reserve_port
from anomalyd.reports.storage.store import Store

PARTITIONS = 12
_GIVE_UP_S = 900.0


def work_off(
    servers: str, folder: Path, store_url: str, replicas: int, messages: int
) -> tuple[float, list[float], float]:
    """Let so many daemons read the topic to its end: seconds, CPU seconds of each, and messages."""
    store = Store.open(store_url)
    # Of a group of its own: Kafka remembers how far another had come.
    group, daemons = f"benchmark-{replicas}", []
    for number in range(replicas):
        name = f"r{replicas}-{number}"
        file = write_config(folder, servers, store_url, reserve_port(), name, group)
        daemons.append(psutil.Process(run_daemon(file, file.with_suffix(".log")).pid))
    try:
        before = first = 0.0
        used = [0.0] * replicas
        deadline = time.monotonic() + _GIVE_UP_S
        while (done := sum(store.offsets(group).values())) < messages:
            assert time.monotonic() < deadline, f"{done} of {messages}"
            if done and not before:
                before, first, used = time.monotonic(), float(done), [_cpu_s(each) for each in daemons]
            time.sleep(0.05)
        took = time.monotonic() - before
        cpu = [_cpu_s(each) - begun for each, begun in zip(daemons, used, strict=True)]
        return took, cpu, messages - first
    finally:
        for each in daemons:
            each.terminate()
            each.wait(60)
        store.close()


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _fresh(url: str, folder: Path, number: int) -> str:
    """Give the URL of an empty store."""
    if not url:
        return f"sqlite:///{folder / f'reports-{number}.db'}"
    import psycopg

    name = f"replicas_{number}_{int(time.time())}"
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"CREATE SCHEMA {name}")
    return f"{url}{'&' if '?' in url else '?'}options=-csearch_path%3D{name}"


def main() -> None:
    """Print a line for each number of daemons."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--store", default="", help="of PostgreSQL; SQLite if left out")
    parser.add_argument("--hosts", type=int, default=240)
    parser.add_argument("--rows", type=int, default=60)
    parser.add_argument("--metrics", type=int, default=38)
    parser.add_argument("replicas", type=int, nargs="*", default=[1, 2, 4])
    given = parser.parse_args()
    farm = HostFarm(given.hosts, given.metrics)
    with tempfile.TemporaryDirectory(prefix="anomalyd-replicas-") as name, EmbeddedBroker() as broker:
        folder = Path(name)
        farm.train(folder / "models")
        create_topics(broker.bootstrap_servers, {"hosts": PARTITIONS})
        producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers, linger_ms=50)
        begin = time.time() - given.rows
        for row in range(given.rows):
            for host, entity in enumerate(farm.names):
                message = farm.message(host, row, begin + row)
                producer.send("hosts", key=entity.encode(), value=message)
        producer.flush(60)
        producer.close()
        messages = given.rows * given.hosts
        for number in given.replicas:
            store = _fresh(given.store, folder, number)
            took, cpu, counted = work_off(broker.bootstrap_servers, folder, store, number, messages)
            print(
                f"{number} daemons: {counted:.0f} messages in {took:.1f} s, {counted / took:.0f} a second; "
                f"{1e6 * sum(cpu) / counted:.0f} us of CPU a message; by daemon {[round(c, 1) for c in cpu]}",
                flush=True,
            )


if __name__ == "__main__":
    main()
