"""Which elements were seen of each lumisection, so that none counts twice."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    op.create_table(
        "elements",
        sa.Column("run", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("system", sa.Text, primary_key=True),
        sa.Column("lumisection", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("names", sa.LargeBinary, nullable=False),
    )
