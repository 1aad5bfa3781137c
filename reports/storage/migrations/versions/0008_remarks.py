"""Comments and acknowledgements on reports, and what users said of answers."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

_ID = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "remarks",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("report", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("recorded", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_remarks_report", "remarks", ["report"])
    op.create_table(
        "answer_feedback",
        sa.Column("id", _ID, primary_key=True),
        sa.Column("verdict", sa.Text, nullable=False),
        sa.Column("question", sa.Text, nullable=False),
        sa.Column("understood", sa.Text, nullable=False),
        sa.Column("answer", sa.Text, nullable=False),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("note", sa.Text, nullable=False),
        sa.Column("recorded", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
