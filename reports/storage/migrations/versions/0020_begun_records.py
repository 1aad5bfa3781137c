"""Up to where records were begun together. Attempts of before do not say: a step takes up to 4000 records."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"


def upgrade() -> None:
    op.add_column("attempts", sa.Column("next_offset", sa.BigInteger, nullable=False, server_default="0"))
    attempts = sa.table("attempts", sa.column("offset"), sa.column("next_offset"))
    op.execute(attempts.update().values(next_offset=attempts.c.offset + 4000))
