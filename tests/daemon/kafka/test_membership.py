"""What an earlier life left in the group is ended, and a broker that cannot do it stops nobody."""

from __future__ import annotations

from typing import Any

import pytest
from kafka.admin import MemberToRemove
from kafka.errors import GroupAuthorizationFailedError, UnsupportedVersionError

from anomalyd.daemon.config.config import KafkaConfig
from anomalyd.daemon.kafka.membership import end_earlier_membership


class FakeAdmin:
    def __init__(self) -> None:
        self.removed: list[tuple[str, Any]] = []
        self.refusal: Exception | None = None
        self.closed = 0

    def __call__(self, **_: Any) -> FakeAdmin:
        return self

    def remove_group_members(self, group: str, members: list[Any]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.removed += [(group, member) for member in members]

    def close(self) -> None:
        self.closed += 1


def test_our_own_member_is_removed_and_nobody_else() -> None:
    admin = FakeAdmin()
    end_earlier_membership(KafkaConfig(group="g", instance_id="d1"), admin_factory=admin)
    assert admin.removed == [("g", MemberToRemove(group_instance_id="d1"))]
    assert admin.closed == 1


def test_a_dynamic_member_left_nothing_behind() -> None:
    admin = FakeAdmin()
    end_earlier_membership(KafkaConfig(group="g"), admin_factory=admin)
    assert (admin.removed, admin.closed) == ([], 0)


def test_a_consumer_that_was_given_up_is_removed_by_its_number() -> None:
    admin = FakeAdmin()
    end_earlier_membership(KafkaConfig(group="g"), "number 1", admin)
    assert admin.removed == [("g", MemberToRemove(member_id="number 1"))]
    assert admin.closed == 1


@pytest.mark.parametrize("refusal", [UnsupportedVersionError("old"), GroupAuthorizationFailedError("g")])
def test_a_broker_that_cannot_do_it_stops_nobody(refusal: Exception) -> None:
    admin = FakeAdmin()
    admin.refusal = refusal
    end_earlier_membership(KafkaConfig(group="g", instance_id="d1"), admin_factory=admin)
    assert admin.closed == 1
