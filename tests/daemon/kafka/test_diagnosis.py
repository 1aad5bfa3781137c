"""Why there is no connection, and what we may not do: in words, with the setting or the ACL to change."""

from __future__ import annotations

import logging
import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kafka.errors import ClusterAuthorizationFailedError, GroupAuthorizationFailedError

from anomalyd.daemon.config.config import Config, KafkaConfig
from anomalyd.daemon.kafka.connection.access import access_problems, explained
from anomalyd.daemon.kafka.connection.diagnosis import diagnose
from anomalyd.daemon.kafka.connection.folded_log import FoldedLog

API_VERSIONS, SASL_HANDSHAKE, SASL_AUTHENTICATE = 18, 17, 36
PASSWORD = b"\0ann\0pw"


class Broker:
    """Answers the first requests of Kafka's protocol: with or without a login, or with a TLS alert."""

    def __init__(self, *, mechanism: str | None = None, tls: bool = False) -> None:
        self.mechanism = mechanism
        self.tls = tls
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                opened, _ = self.server.accept()
            except OSError:
                return
            with opened:
                self._talk(opened)

    def _talk(self, opened: socket.socket) -> None:
        while head := opened.recv(4):
            if head[0] == 0x16:  # a TLS handshake
                opened.recv(65_536)
                return
            if self.tls:
                opened.sendall(bytes.fromhex("15030300020246"))
                return
            (length,) = struct.unpack(">i", head)
            request = opened.recv(length)
            answer = self._answer(struct.unpack_from(">h", request)[0], request[10:])
            opened.sendall(struct.pack(">ii", 4 + len(answer), 1) + answer)

    def _answer(self, key: int, body: bytes) -> bytes:
        if key == API_VERSIONS:
            return struct.pack(">hi", 0, 0)
        if key == SASL_AUTHENTICATE:
            refusal = b"Invalid username or password"
            good = body[4:] == PASSWORD
            return struct.pack(">hhi", 0, -1, 0) if good else struct.pack(">hh", 58, len(refusal)) + refusal
        if self.mechanism is None:
            return struct.pack(">hi", 34, 0)
        name = self.mechanism.encode()
        error = 0 if body[2:] == name else 33
        return struct.pack(">hih", error, 1, len(name)) + name


@pytest.fixture
def broker() -> Iterator[Callable[..., Broker]]:
    brokers: list[Broker] = []

    def start(**settings: Any) -> Broker:
        brokers.append(Broker(**settings))
        return brokers[-1]

    yield start
    for each in brokers:
        each.server.close()


SASL = {"protocol": "SASL_PLAINTEXT", "sasl_mechanism": "PLAIN", "username": "ann", "password": "pw"}


@pytest.mark.parametrize(
    ("serves", "security", "said"),
    [
        (
            {"mechanism": "PLAIN"},
            SASL | {"password": "bad"},
            "refuses the login of user 'ann' .*Invalid username",
        ),
        (
            {"mechanism": "PLAIN"},
            SASL | {"sasl_mechanism": "SCRAM-SHA-256"},
            "does not take SCRAM.*but PLAIN; set",
        ),
        ({"mechanism": "PLAIN"}, {}, r"wants a login \(PLAIN\).*set SASL_PLAINTEXT"),
        ({}, SASL, "asks for no login.*set PLAINTEXT"),
        ({}, {"protocol": "SSL"}, "does not speak TLS.*set PLAINTEXT"),
        ({"tls": True}, {}, "hangs up at the first request"),
        (
            {"mechanism": "SCRAM-SHA-256"},
            SASL | {"sasl_mechanism": "SCRAM-SHA-256"},
            "takes SCRAM.*refuses the login",
        ),
    ],
)
def test_why_there_is_no_connection(
    broker: Callable[..., Broker], serves: dict[str, Any], security: dict[str, Any], said: str
) -> None:
    config = KafkaConfig.model_validate(
        {"bootstrap_servers": [f"127.0.0.1:{broker(**serves).port}"], "security": security}
    )
    found = diagnose(config)
    assert found is not None
    assert re.search(said, found), found
    assert "bad" not in found


def test_where_nothing_is_wrong_nothing_is_found(broker: Callable[..., Broker]) -> None:
    for serves, security in (({}, {}), ({"mechanism": "PLAIN"}, SASL)):
        servers = ["127.0.0.1:1", f"127.0.0.1:{broker(**serves).port}"]
        config = KafkaConfig.model_validate({"bootstrap_servers": servers, "security": security})
        assert diagnose(config) is None


class Admin:
    """Answers as a broker with ACLs does."""

    def __init__(self, **settings: Any) -> None:
        settings.pop("kafka_client")
        self.closed = False

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        known = {
            "good": {"error_code": 0, "authorized_operations": ["READ", "WRITE", "DESCRIBE"]},
            "old-broker": {"error_code": 0, "authorized_operations": None},
            "seen": {"error_code": 0, "authorized_operations": ["DESCRIBE"]},
            "hidden": {"error_code": 29},
        }
        return [{"name": name, **known.get(name, {"error_code": 3})} for name in names]

    def describe_groups(self, groups: list[str]) -> None:
        if groups == ["forbidden"]:
            raise GroupAuthorizationFailedError("forbidden")
        if groups == ["untold"]:
            raise ValueError("15 is not a valid ACLOperation")

    def describe_cluster(self) -> dict[str, Any]:
        return {"brokers": []}

    def close(self) -> None:
        self.closed = True


class NewerAdmin(Admin):
    """What kafka-python makes of a broker that names an operation which it does not know."""

    def describe_topics(self, names: list[str]) -> list[dict[str, Any]]:
        raise ValueError("15 is not a valid ACLOperation")

    def list_topics(self) -> list[str]:
        return ["good", "out"]


def test_a_broker_that_knows_more_operations_still_tells_what_is_there() -> None:
    config = Config.model_validate(
        {
            "inputs": [{"topic": "good"}, {"topic": "nowhere"}],
            "detectors": [{"name": "d", "kind": "vector-autoencoder"}],
            "output": {"topic": "out", "dead_letter_topic": None},
        }
    )
    (problem,) = access_problems(config, NewerAdmin)
    assert "there is no topic nowhere" in problem


@pytest.mark.parametrize(("told", "missing"), [("true", 0), ("false", 1), (None, 1)])
def test_an_output_topic_that_the_brokers_make_is_not_missing(told: str | None, missing: int) -> None:
    class Makes(Admin):
        def describe_cluster(self) -> dict[str, Any]:
            return {"brokers": [{"broker_id": 7}, {"broker_id": 8}]}

        def describe_configs(self, resources: list[Any], config_filter: str) -> dict[str, Any]:
            if told is None:
                raise ClusterAuthorizationFailedError("describe configs")
            assert config_filter == "all"
            found = {"auto.create.topics.enable": {"value": told}}
            return {"broker": {resource.name: found for resource in resources}}

    config = Config.model_validate(
        {
            "inputs": [{"topic": "good"}],
            "detectors": [{"name": "d"}],
            "output": {"topic": "nowhere", "dead_letter_topic": None},
        }
    )
    assert len(access_problems(config, Makes)) == missing


def problems(inputs: list[str], group: str = "g", **output: str | None) -> list[str]:
    config = Config.model_validate(
        {
            "kafka": {"group": group, "security": SASL},
            "inputs": [{"topic": topic} for topic in inputs],
            "detectors": [{"name": "d", "kind": "vector-autoencoder"}],
            "output": {"topic": None, "dead_letter_topic": None} | output,
        }
    )
    return access_problems(config, Admin)


def test_what_an_acl_forbids_is_named_with_the_acl_to_grant() -> None:
    assert problems(["good", "old-broker"]) == []
    (hidden,) = problems(["hidden"])
    assert "User:ann may not READ the topic hidden" in hidden
    assert "--operation Read --topic hidden" in hidden
    (seen,) = problems(["good"], topic="seen")
    assert "User:ann may not WRITE the topic seen" in seen
    assert problems(["nowhere"]) == ["there is no topic nowhere; check inputs, or start what sends to it"]
    assert "no topic nowhere to write to" in problems(["good"], dead_letter_topic="nowhere")[0]
    assert problems(["good"], "untold") == []
    (group,) = problems(["good"], "forbidden")
    assert "may not READ the group forbidden" in group
    assert "--operation Read --group forbidden" in group


def test_errors_of_kafka_are_explained() -> None:
    config = KafkaConfig(group="g")
    assert "may not READ the group g" in explained(GroupAuthorizationFailedError("g"), config)
    assert explained(ValueError("x"), config) == "ValueError: x"


def test_kafka_python_says_one_line_a_minute() -> None:
    now = [0.0]
    folded = FoldedLog(lambda: now[0])

    def line(name: str = "kafka.net.manager") -> logging.LogRecord:
        return logging.LogRecord(name, logging.WARNING, "", 0, "lost %s", ("it",), None)

    assert folded.filter(line())
    assert [folded.filter(line()) for _ in range(5)] == [False] * 5
    assert folded.filter(line("anomalyd.daemon"))
    now[0] = 61.0
    told = line("kafka")
    assert folded.filter(told)
    assert told.getMessage() == "lost it (and 5 more lines of kafka-python before)"


def test_a_traceback_of_kafka_python_is_left_out() -> None:
    try:
        raise AttributeError("'NoneType' object has no attribute 'recv'")
    except AttributeError:
        theirs, ours = (
            logging.LogRecord(name, logging.ERROR, "", 0, "closing", (), sys.exc_info())
            for name in ("kafka.net.transport", "anomalyd")
        )
    folded = FoldedLog()
    assert folded.filter(theirs)
    assert folded.filter(ours)
    assert "Traceback" not in logging.Formatter().format(theirs)
    assert "Traceback" in logging.Formatter().format(ours)
