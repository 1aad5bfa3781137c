"""A member of the consumer group: static or not, but without what an earlier life left in the group.

A static member that comes back within its session gets from Kafka the partitions it had, unasked
(KIP-345). They are wrong, and stay wrong until the next rebalance, if the configured topics have changed
meanwhile, or if it was killed between a first join, when the group's leader knew no partitions yet, and the
second that corrects it. So a daemon that starts ends the membership it left behind, and joins as a new
member: that costs one short rebalance. What remains of static membership is that a killed daemon need not
wait for its own session to end. Nor need a consumer that is given up because its connections fail, and so
cannot leave in order: the next one ends its membership.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from kafka.admin import KafkaAdminClient, MemberToRemove
from kafka.errors import KafkaError

from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.kafka.connection.connection import connect

_log = logging.getLogger(__name__)

_ANSWER_WITHIN_MS = 8_000
"""A connection that swallows what is sent, as behind a firewall, is given up then: kafka-python's 30 s are
too long for who has promised to go on within 15."""

_HEARTBEAT_MS = 1_000
"""Heartbeats also tell a member that its group rebalances; until the last one hears, all partitions wait."""

_FETCH_BYTES = 8 * 2**20
"""Most that one answer may hold, so that also a slow network brings it within that time."""

_REJOIN_WITHIN_MS = 30_000
"""How long others wait for a member that does not join again; a join that is swallowed is given up after 5 s
more. The source polls without a pause, however long a step takes."""


def member_id_of(consumer: Any) -> str | None:
    """Give the number that the group knows a consumer by; None while it has not joined."""
    return consumer.group_metadata().member_id or None


def end_earlier_membership(
    config: KafkaConfig,
    member_id: str | None = None,
    admin_factory: Callable[..., Any] = KafkaAdminClient,
) -> None:
    """Remove the member of our `instance_id`, or else that of the number `member_id`, from the group.

    A broker that cannot do it (it came with Kafka 2.3) or does not let us is left in peace: joining works.

    Raises:
        BrokerError: the brokers cannot be reached, or refuse the login.

    """
    if config.instance_id is not None:
        earlier = MemberToRemove(group_instance_id=config.instance_id)
    elif member_id is not None:
        earlier = MemberToRemove(member_id=member_id)
    else:
        return
    admin = connect(admin_factory, config)
    try:
        admin.remove_group_members(config.group, [earlier])
    except KafkaError as error:
        _log.debug("no earlier membership of %s to end: %s", config.group, error)
    finally:
        admin.close()


def group_consumer(consumer_factory: Callable[..., Any], config: KafkaConfig) -> Any:
    """Connect a consumer that is to be a member of the group; nothing is subscribed yet.

    Raises:
        BrokerError: the brokers cannot be reached, or refuse the login.

    """
    session_ms = int(config.session_timeout_s * 1000)
    return connect(
        consumer_factory,
        config,
        group_id=config.group,
        group_instance_id=config.instance_id,
        enable_auto_commit=False,
        # For offsets that retention has deleted; where to begin is decided by the source.
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        allow_auto_create_topics=False,
        metadata_max_age_ms=10_000,  # a topic that is made later, or grows, is noticed this soon
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=min(_HEARTBEAT_MS, session_ms // 3),
        max_poll_interval_ms=max(session_ms, _REJOIN_WITHIN_MS),
        max_poll_records=config.max_poll_records,
        fetch_max_bytes=_FETCH_BYTES,
        request_timeout_ms=_ANSWER_WITHIN_MS,
        reconnect_backoff_max_ms=5_000,
        metrics_enabled=False,
    )
