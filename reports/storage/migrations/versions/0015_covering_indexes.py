"""Indexes that hold everything a count asks for, so that it reads no whole reports."""

from alembic import op

revision = "0015"
down_revision = "0014"

_COUNTED = ("closed", "last", "status", "severity", "seen_by", "peak")


def upgrade() -> None:
    op.drop_index("ix_reports_onset", "reports")
    op.drop_index("ix_reports_entity", "reports")
    op.create_index("ix_reports_onset", "reports", ["onset", *_COUNTED, "entity", "run", "id"])
    op.create_index("ix_reports_entity", "reports", ["entity", "onset", *_COUNTED, "run", "id"])
