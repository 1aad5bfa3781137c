"""The summaries of runs that ended; of those that were seen before, none is told."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    op.create_table(
        "run_summaries",
        sa.Column("run", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("ended", sa.Double, nullable=False),
        sa.Column("maps", sa.BigInteger, nullable=False),
        sa.Column("summary", sa.Text, nullable=False),
    )
    op.execute(
        "INSERT INTO run_summaries (run, ended, maps, summary) "
        "SELECT run, 0, SUM(seen), '' FROM lumisections GROUP BY run"
    )
