"""TLS, SCRAM and ACLs of a real Kafka: what is wrong is said, each in words of its own; and then it works."""

from __future__ import annotations

import gc
import json
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from kafka.admin import ACLOperation, ResourceType
from kafka.errors import KafkaError
from secured_kafka import PASSWORD, USER, SecuredKafka

from anomalyd.daemon.broker import create_topics
from anomalyd.daemon.config.config import Config
from anomalyd.daemon.kafka.connection.access import access_problems
from anomalyd.daemon.kafka.connection.connection import connect, no_answer
from anomalyd.daemon.kafka.newest_records import newest_records
from anomalyd.errors import BrokerError


@pytest.fixture(scope="module")
def secured(kafka_home: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredKafka]:
    if shutil.which("openssl") is None:
        pytest.skip("no openssl in PATH, which makes the certificates")
    with SecuredKafka(kafka_home, tmp_path_factory.mktemp("secured")) as broker:
        broker.let_in()
        create_topics(broker.bootstrap_servers, {"in": 1, "out": 1, "dead": 1})
        yield broker


def config(broker: SecuredKafka, server: str, **security: Any) -> Config:
    return Config.model_validate(
        {
            "kafka": {"bootstrap_servers": [server], "group": "g", "security": security},
            "inputs": [{"topic": "in"}],
            "detectors": [{"name": "d", "kind": "vector-autoencoder"}],
            "output": {"topic": "out", "dead_letter_topic": "dead"},
        }
    )


def whole(broker: SecuredKafka, **changed: Any) -> Config:
    """What is right, but for what is changed."""
    security = {"protocol": "SASL_SSL", "username": USER, "password": PASSWORD, "ca_file": str(broker.ca)}
    return config(broker, broker.secured, **(security | changed))


def refused(settings: Config) -> str:
    """Why there is no connection."""
    with pytest.raises(BrokerError) as told:
        connect(KafkaConsumer, settings.kafka)
    return str(told.value)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning", "ignore::ResourceWarning")
def test_what_is_wrong_is_said_and_then_it_works(
    secured: SecuredKafka, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What pytest keeps of kafka-python's log holds errors, and these the sockets, until the session's end.
    monkeypatch.setattr(logging.getLogger("kafka"), "propagate", False)
    wrong = {
        "refuses the login": whole(secured, password="another"),
        "is not trusted": whole(secured, ca_file=str(secured.folder / "other.pem")),
        "it does not take PLAIN": whole(secured, sasl_mechanism="PLAIN"),
        "it speaks TLS": whole(secured, protocol="SASL_PLAINTEXT"),
        "it wants a login": whole(secured, protocol="SSL"),
        "it asks for no login": config(
            secured,
            secured.tls,
            protocol="SASL_SSL",
            username=USER,
            password=PASSWORD,
            ca_file=str(secured.ca),
        ),
        "it does not speak TLS": config(
            secured, secured.bootstrap_servers, protocol="SSL", ca_file=str(secured.ca)
        ),
    }
    said = {}
    for expected, settings in wrong.items():
        said[expected] = refused(settings)
        assert expected in said[expected]
        assert PASSWORD not in said[expected]
    assert len(set(said.values())) == len(wrong)
    # kafka-python leaves the sockets of failed TLS handshakes to the collector: now, not in a later test.
    gc.collect()

    right = whole(secured)
    assert no_answer(right.kafka) is None
    problems = access_problems(right)
    assert [problem.split(";")[0].split(" may not ")[1].split(" (")[0] for problem in problems] == [
        "READ the topic in",
        "WRITE the topic out",
        "WRITE the topic dead",
        "READ the group g",
    ]
    secured.allow(ResourceType.TOPIC, "in", ACLOperation.READ)
    secured.allow(ResourceType.GROUP, "g", ACLOperation.READ)
    secured.allow(ResourceType.TOPIC, "out", ACLOperation.WRITE, ACLOperation.READ)
    secured.allow(ResourceType.TOPIC, "dead", ACLOperation.WRITE, ACLOperation.READ)
    deadline = time.monotonic() + 300.0
    while access_problems(right):
        assert time.monotonic() < deadline, access_problems(right)

    plain = KafkaProducer(bootstrap_servers=secured.bootstrap_servers)
    plain.send("in", json.dumps({"entity": "e", "time": 1.0, "values": {"a": 1.0}}).encode()).get(60)
    plain.close()
    assert [len(records) for records in newest_records(right.kafka, ["in"]).values()] == [1]
    producer = connect(KafkaProducer, right.kafka)
    assert producer.send("out", b"x").get(60).offset == 0
    with pytest.raises(KafkaError):
        producer.send("in", b"x").get(60)  # it may only read that one
    producer.close()
    gc.collect()
