"""What was seen of each lumisection, and the quality flags that people set."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.create_table(
        "lumisections",
        sa.Column("run", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("lumisection", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("seen", sa.BigInteger, nullable=False),
        sa.Column("judged", sa.BigInteger, nullable=False),
        sa.Column("alerting", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "flags",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("run", sa.BigInteger, nullable=False, index=True),
        sa.Column("system", sa.Text, nullable=False),
        sa.Column("first", sa.BigInteger, nullable=False),
        sa.Column("last", sa.BigInteger, nullable=False),
        sa.Column("flag", sa.Text),
        sa.Column("who", sa.Text, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("recorded", sa.Double, nullable=False),
        sqlite_autoincrement=True,
    )
