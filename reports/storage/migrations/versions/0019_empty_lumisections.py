"""How many elements of a lumisection count nothing; the bit of an element's name that says so is cleared."""

import numpy as np
import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"

_EMPTY = np.uint64(4)


def upgrade() -> None:
    op.add_column("lumisections", sa.Column("empty", sa.BigInteger, nullable=False, server_default="0"))
    elements = sa.table(
        "elements",
        sa.column("run", sa.BigInteger),
        sa.column("system", sa.Text),
        sa.column("lumisection", sa.BigInteger),
        sa.column("names", sa.LargeBinary),
    )
    c, connection = elements.c, op.get_bind()
    for run, system, lumisection, names in connection.execute(sa.select(elements)).fetchall():
        words = np.frombuffer(names, dtype="<u8") & ~_EMPTY
        here = (c.run == run) & (c.system == system) & (c.lumisection == lumisection)
        connection.execute(sa.update(elements).where(here).values(names=words.astype("<u8").tobytes()))
