"""Make the topics that are not there yet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kafka.admin import KafkaAdminClient
from kafka.errors import KafkaError, TopicAlreadyExistsError, for_code

from anomalyd.errors import BrokerError


def create_topics(bootstrap_servers: str | Sequence[str], topics: Mapping[str, int], **settings: Any) -> None:
    """Make topics (name -> number of partitions) and wait until each partition has a leader.

    A topic that is there already stays as it is, with the partitions it has. The replication factor is the
    broker's default. `settings` are further ones of kafka-python's admin client (security).

    Raises:
        BrokerError: the brokers cannot be reached, or refuse a topic.

    """
    if not topics:
        return
    where = bootstrap_servers if isinstance(bootstrap_servers, str) else ",".join(bootstrap_servers)
    wanted = {name: {"num_partitions": partitions} for name, partitions in topics.items()}
    try:
        admin = KafkaAdminClient(bootstrap_servers=bootstrap_servers, **settings)
    except KafkaError as error:
        raise BrokerError(f"no broker answers at {where}, or it refuses the login: {error}") from error
    try:
        answer = admin.create_topics(wanted, raise_errors=False)
        for topic in answer["topics"]:
            refusal = for_code(topic["error_code"])
            if topic["error_code"] != 0 and refusal is not TopicAlreadyExistsError:
                why = topic["error_message"] or refusal.description
                raise BrokerError(f"the broker at {where} refuses topic {topic['name']!r}: {why}")
        admin.wait_for_topics(list(topics))
    except KafkaError as error:
        raise BrokerError(f"the topics {', '.join(topics)} cannot be made at {where}: {error}") from error
    finally:
        admin.close()
