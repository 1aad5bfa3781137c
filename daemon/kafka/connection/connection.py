"""How anomalyd reaches Kafka: the settings that consumers, producers and admin clients share."""

from __future__ import annotations

import logging
import socket
import ssl
import struct
from collections.abc import Callable
from typing import Any, Self, TypeVar

from kafka.cluster import get_ip_port_afi
from kafka.errors import KafkaError, SaslAuthenticationFailedError
from kafka.net.compat import KafkaNetClient

from anomalyd.daemon.config.config import KafkaConfig, Security
from anomalyd.daemon.kafka.connection.diagnosis import diagnose
from anomalyd.errors import BrokerError

# A client's constructor blocks until it is logged in; a stopping daemon cannot wait kafka-python's 30 s.
BOOTSTRAP_TIMEOUT_MS = 5_000

Client = TypeVar("Client")

_log = logging.getLogger(__name__)


def client_settings(config: KafkaConfig) -> dict[str, Any]:
    """Give the keyword arguments that every kafka-python client takes: servers, name, TLS, SASL."""
    security = config.security
    settings: dict[str, Any] = {
        "bootstrap_servers": list(config.bootstrap_servers),
        "client_id": config.client_id,
        "bootstrap_timeout_ms": BOOTSTRAP_TIMEOUT_MS,
        "security_protocol": security.protocol,
    }
    if security.protocol.endswith("SSL"):
        settings |= {
            "ssl_check_hostname": security.check_hostname,
            "ssl_cafile": security.ca_file,
            "ssl_certfile": security.cert_file,
            "ssl_keyfile": security.key_file,
            "ssl_password": security.key_password and security.key_password.get_secret_value(),
        }
    if security.protocol.startswith("SASL"):
        settings |= {
            "sasl_mechanism": security.sasl_mechanism,
            "sasl_plain_username": security.username,
            "sasl_plain_password": security.password and security.password.get_secret_value(),
        }
    return settings


def connect(factory: Callable[..., Client], config: KafkaConfig, **settings: Any) -> Client:
    """Make a consumer or a producer: `factory` is KafkaConsumer or KafkaProducer, or one that takes the same.

    Raises:
        BrokerError: the brokers cannot be reached, or do not let us in; the text says which, where known.

    """
    opened: list[Any] = []

    def open_and_note(**net_settings: Any) -> Any:
        opened.append(KafkaNetClient(**net_settings))
        return opened[-1]

    with _Overhearing() as overhearing:
        try:
            return factory(**client_settings(config), **settings, kafka_client=open_and_note)
        except (KafkaError, OSError) as error:
            for net in opened:  # a constructor that fails leaves its thread and sockets behind
                net.close()
            found = diagnose(config)
            text = f"Kafka: {found}" if found else _describe(config, overhearing.cause or error)
            raise BrokerError(text) from error


def close_producer(producer: Any, timeout_s: float) -> None:
    """Close a producer, whether or not what it still holds could be sent; what fails is only logged.

    Up to kafka-python 3.0.12 `close` raises where something is not sent in time, and leaves a thread and
    sockets behind; when it is collected it does so again.
    """
    try:
        producer.close(timeout=timeout_s)
    except Exception as error:
        _log.debug("a producer is closed before all was sent: %s", error)
        try:
            producer._sender.force_close()  # fails what it holds, so that nothing is waited for
            producer.close(timeout=timeout_s)
        except Exception as again:
            _log.debug("a producer could not be closed: %s", again)


class _Overhearing(logging.Handler):
    """Listens to kafka-python's log: a constructor says only that it timed out, the log says of what."""

    _LOGGER = logging.getLogger("kafka.net.manager")

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.cause: Exception | None = None

    def emit(self, record: logging.LogRecord) -> None:
        for argument in record.args or ():
            # A lost connection that follows a refused login says nothing more.
            if isinstance(argument, Exception) and not isinstance(self.cause, SaslAuthenticationFailedError):
                self.cause = argument

    def __enter__(self) -> Self:
        self._LOGGER.addHandler(self)
        return self

    def __exit__(self, *_: object) -> None:
        self._LOGGER.removeHandler(self)


def no_answer(config: KafkaConfig, timeout_s: float = 2.5) -> str | None:
    """Say so if none of the brokers answers, None if one does.

    A connection alone says little: the kernel takes it for a broker that hangs. So each is asked for the
    versions that it knows, which it tells before any login.
    """
    servers = config.bootstrap_servers
    reasons = []
    for server in servers:
        host, port, _ = get_ip_port_afi(server)
        try:
            _ask_versions(host, port, config.security, timeout_s / len(servers))
        except TimeoutError:
            reasons.append(f"{server} does not answer")
        except OSError as error:
            reasons.append(f"{server}: {error.strerror or error}")
        else:
            return None
    return f"no broker answers: {'; '.join(reasons)}"


_API_VERSIONS = struct.pack(">hhih", 18, 0, 1, -1)
"""A request of Kafka's protocol: key 18, version 0, number 1, no client id."""


def _ask_versions(host: str, port: int, security: Security, timeout_s: float) -> None:
    with socket.create_connection((host, port), timeout_s) as plain:
        opened = plain
        if security.protocol.endswith("SSL"):
            context = ssl.create_default_context(cafile=security.ca_file)
            context.check_hostname = security.check_hostname
            if security.cert_file is not None:
                secret = security.key_password
                password = None if secret is None else secret.get_secret_value()
                context.load_cert_chain(security.cert_file, security.key_file, password)
            opened = context.wrap_socket(plain, server_hostname=host)
        with opened:
            opened.sendall(struct.pack(">i", len(_API_VERSIONS)) + _API_VERSIONS)
            if not opened.recv(4):
                raise ConnectionResetError("it hangs up")


def _describe(config: KafkaConfig, cause: Exception) -> str:
    security, servers = config.security, ", ".join(config.bootstrap_servers)
    login = f"user {security.username!r} ({security.sasl_mechanism} over {security.protocol})"
    if isinstance(cause, SaslAuthenticationFailedError):
        return f"Kafka at {servers} refuses the login of {login}: {cause}; check kafka.security"
    if security.protocol.startswith("SASL"):
        return (
            f"cannot reach Kafka at {servers} or log in as {login}: {cause}; "
            "check kafka.bootstrap_servers and kafka.security"
        )
    return (
        f"cannot reach Kafka at {servers} ({security.protocol}): {cause}; check kafka.bootstrap_servers, "
        "that the broker runs, and kafka.security"
    )
