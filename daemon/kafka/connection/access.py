"""What we may do with topics and group: existence and ACLs, asked before something silently does not come."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

from kafka.admin import ConfigResource, ConfigResourceType, KafkaAdminClient
from kafka.errors import GroupAuthorizationFailedError, KafkaError, TopicAuthorizationFailedError

from anomalyd.daemon.config.config import Config, KafkaConfig
from anomalyd.daemon.kafka.connection.connection import connect

_UNKNOWN_TOPIC, _NOT_ALLOWED = 3, 29
_MAKES_TOPICS = "auto.create.topics.enable"


def access_problems(config: Config, admin_factory: Callable[..., Any] = KafkaAdminClient) -> list[str]:
    """Name every topic that is missing, and everything that an ACL forbids, with the ACL to grant.

    Raises:
        BrokerError: the brokers cannot be reached, or do not let us in.

    """
    written = [t for t in (config.output.topic, config.output.dead_letter_topic) if t is not None]
    inputs = [i.topic for i in config.inputs]
    admin = connect(admin_factory, config.kafka)
    try:
        return [
            *_topics(admin, config.kafka, inputs, "READ"),
            *_topics(admin, config.kafka, written, "WRITE"),
            *_topics(admin, config.kafka, inputs if config.canary.enabled else (), "WRITE"),
            *_group(admin, config.kafka),
        ]
    except KafkaError as error:
        return [f"topics and group cannot be looked at: {type(error).__name__}: {error}"]
    finally:
        admin.close()


def explained(error: Exception, config: KafkaConfig) -> str:
    """Say what an error of Kafka means for its settings; others as they are."""
    if isinstance(error, GroupAuthorizationFailedError):
        return next(_no_group(config))
    if isinstance(error, TopicAuthorizationFailedError):
        return (
            f"{who(config)} may not use the topic {error}; grant it: {grant(config, 'Read', 'topic', '...')}"
        )
    return f"{type(error).__name__}: {error}"


def who(config: KafkaConfig) -> str:
    """Name the principal as Kafka's ACLs do."""
    return f"User:{config.security.username}" if config.security.username else "this client"


def grant(config: KafkaConfig, operation: str, kind: str, name: str) -> str:
    """Give the command that grants an ACL."""
    principal = who(config) if config.security.username else "User:..."
    return (
        f"kafka-acls --bootstrap-server {config.bootstrap_servers[0]} --add --allow-principal {principal} "
        f"--operation {operation} --{kind} {name}"
    )


def _topics(admin: Any, config: KafkaConfig, names: Sequence[str], operation: str) -> Iterator[str]:
    for found in _described(admin, names) if names else ():
        name, error = found["name"], found["error_code"]
        wanted = operation.title()
        if error == _NOT_ALLOWED or (
            error == 0 and not _allows(found.get("authorized_operations"), operation)
        ):
            yield (
                f"{who(config)} may not {operation} the topic {name} (or it does not exist); grant it: "
                f"{grant(config, wanted, 'topic', name)}"
            )
        elif error == _UNKNOWN_TOPIC and operation == "READ":
            yield f"there is no topic {name}; check inputs, or start what sends to it"
        elif error == _UNKNOWN_TOPIC and not _makes_topics(admin):
            yield f"there is no topic {name} to write to; make it, or set output to null"


def _makes_topics(admin: Any) -> bool:
    """Say whether the brokers make a topic when somebody first writes to it (by default they do).

    One that does not tell, or may not tell us, is taken not to: a topic too many in a list costs a look.
    """
    setting = {_MAKES_TOPICS: None}
    try:
        brokers = [str(each["broker_id"]) for each in admin.describe_cluster()["brokers"]]
        asked = [ConfigResource(ConfigResourceType.BROKER, broker, setting) for broker in brokers]
        told = admin.describe_configs(asked, config_filter="all")["broker"] if brokers else {}
        return bool(told) and all(told[each][_MAKES_TOPICS]["value"] == "true" for each in brokers)
    except (KafkaError, ValueError, KeyError, TypeError):
        return False


def _described(admin: Any, names: Sequence[str]) -> Sequence[Mapping[str, Any]]:
    try:
        found: Sequence[Mapping[str, Any]] = admin.describe_topics(list(names))
    except ValueError:
        # A broker names operations that kafka-python does not know yet: what is there is all that it tells.
        there = set(admin.list_topics())
        return [{"name": name, "error_code": 0 if name in there else _UNKNOWN_TOPIC} for name in names]
    return found


def _group(admin: Any, config: KafkaConfig) -> Iterator[str]:
    try:
        admin.describe_groups([config.group])
    except GroupAuthorizationFailedError:
        yield from _no_group(config)
    except (KafkaError, ValueError):
        # A group that nobody has joined yet has no coordinator; a broker that does not tell what is allowed
        # answers with a number that kafka-python takes for operations it does not know.
        return


def _no_group(config: KafkaConfig) -> Iterator[str]:
    yield (
        f"{who(config)} may not READ the group {config.group} (kafka.group); grant it: "
        f"{grant(config, 'Read', 'group', config.group)}"
    )


def _allows(operations: Collection[str] | None, operation: str) -> bool:
    # A broker that does not tell is believed to allow it.
    return not operations or operation in operations
