"""How anomalyd reaches Kafka: the settings that consumers, producers and admin clients share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from kafka.errors import KafkaError
from kafka.net.compat import KafkaNetClient

from anomalyd.daemon.config import KafkaConfig
from anomalyd.errors import BrokerError

# A client's constructor blocks until it is logged in; a stopping daemon cannot wait kafka-python's 30 s.
BOOTSTRAP_TIMEOUT_MS = 5_000

Client = TypeVar("Client")


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

    try:
        return factory(**client_settings(config), **settings, kafka_client=open_and_note)
    except (KafkaError, OSError) as error:
        text = _describe(config, error, opened)
        for net in opened:  # a constructor that fails leaves its thread and sockets behind
            net.close()
        raise BrokerError(text) from error


def _describe(config: KafkaConfig, error: Exception, opened: list[Any]) -> str:
    security, servers = config.security, ", ".join(config.bootstrap_servers)
    # kafka-python says only that it timed out; why a login failed lies in the connection manager.
    refusals = [f for net in opened for f in getattr(net._manager, "_auth_failures", {}).values()]
    if refusals:
        return (
            f"Kafka at {servers} refuses the login of user {security.username!r} "
            f"({security.sasl_mechanism} over {security.protocol}): {refusals[0]}; check kafka.security"
        )
    if security.protocol.startswith("SASL"):
        return (
            f"cannot reach Kafka at {servers} or log in as {security.username!r} ({security.sasl_mechanism} "
            f"over {security.protocol}): {error}; check kafka.bootstrap_servers and kafka.security"
        )
    return (
        f"cannot reach Kafka at {servers} ({security.protocol}): {error}; check kafka.bootstrap_servers, "
        "that the broker runs, and kafka.security"
    )
