"""Outlines of faults on maps, as operators draw them."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    op.create_table(
        "outlines",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("recorded", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_outlines_report", "outlines", ["report"])
