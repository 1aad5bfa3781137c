"""What operators said of entities, and what detectors adapted to, with the states before it."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "words",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("detector", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("word", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("since", sa.Double),
        sa.Column("until", sa.Double),
        sa.Column("recorded", sa.Double, nullable=False),
        sa.Column("applied", sa.Double),
        sa.Column("outcome", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "adaptations",
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("id", sa.Text, nullable=False, unique=True),
        sa.Column("detector", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("time", sa.Double, nullable=False),
        sa.Column("what", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("recorded", sa.Double, nullable=False),
        sa.Column("undo_asked", sa.Double),
        sa.Column("undo_by", sa.Text, nullable=False),
        sa.Column("undo_reason", sa.Text, nullable=False),
        sa.Column("undone", sa.Double),
        sa.Column("undo_outcome", sa.Text, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_adaptations_entity", "adaptations", ["entity", "detector", "time"])
    asked = sa.text("undo_asked IS NOT NULL")
    op.create_index(
        "ix_adaptations_undo_asked",
        "adaptations",
        ["undo_asked"],
        sqlite_where=asked,
        postgresql_where=asked,
    )
    op.create_table(
        "states_before",
        sa.Column(
            "adaptation",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            sa.ForeignKey("adaptations.number", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
