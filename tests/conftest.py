"""What every room's tests share: one thread for torch, and brokers that are started once."""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from postgresql_cluster import Cluster

from anomalyd.daemon.broker import ApacheKafka, EmbeddedBroker, LocalBroker, create_topics

# On small models two threads are up to 170 times slower than one.
torch.set_num_threads(1)

# A shell that starts the tests in the background has them ignore Ctrl-C, and every child would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

_BROKERS = {"broker", "embedded_broker", "apache_kafka"}
_KAFKA_BESIDE_US = Path(__file__).parents[2] / "shared" / "kafka"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what uses a broker, so that `-m "not broker"` leaves it out."""
    for item in items:
        if _BROKERS & set(getattr(item, "fixturenames", ())):
            item.add_marker("broker")


@pytest.fixture(scope="session")
def embedded_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker(tmp_path_factory.mktemp("tansu")) as broker:
        yield broker


@pytest.fixture(scope="session")
def kafka_home() -> Path:
    """An unpacked Apache Kafka 4 and a java to run it with."""
    home = Path(os.environ.get("KAFKA_HOME", _KAFKA_BESIDE_US))
    if not (home / "bin" / "kafka-server-start.sh").is_file():
        pytest.skip("no Apache Kafka: set KAFKA_HOME to an unpacked Apache Kafka 4")
    if shutil.which("java") is None and "JAVA_HOME" not in os.environ:
        pytest.skip("no java in PATH, which Apache Kafka needs")
    return home


@pytest.fixture(scope="session")
def apache_kafka(kafka_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    with ApacheKafka(kafka_home, tmp_path_factory.mktemp("kafka")) as broker:
        yield broker


@pytest.fixture(params=["embedded_broker", "apache_kafka"])
def broker(request: pytest.FixtureRequest) -> LocalBroker:
    """Each of the two brokers in turn; a test leaves it running."""
    started: LocalBroker = request.getfixturevalue(request.param)
    return started


_numbers = itertools.count()


@pytest.fixture
def make_topic() -> Callable[..., str]:
    """Make a topic that no other test has: make_topic(broker, partitions=1) -> its name."""

    def make(broker: LocalBroker, partitions: int = 1) -> str:
        name = f"test-{os.getpid()}-{next(_numbers)}"
        create_topics(broker.bootstrap_servers, {name: partitions})
        return name

    return make


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    if importlib.util.find_spec("psycopg") is None:
        pytest.skip("no psycopg: pip install 'anomalyd[postgres]'")
    found = shutil.which("initdb") or next(Path("/usr/lib/postgresql").glob("*/bin/initdb"), None)
    if found is None:
        pytest.skip("no PostgreSQL server programs (initdb): apt-get install postgresql")
    # Not below pytest's own folder: the user postgres may not enter that one.
    folder = Path(tempfile.mkdtemp(prefix="anomalyd-pg-"))
    try:
        cluster = Cluster(Path(found).resolve().parent, folder)
        yield cluster
        cluster.stop()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
