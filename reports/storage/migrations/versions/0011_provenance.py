"""What a report was made with: version of the code, hash of the configuration, its last record."""

from alembic import op
from sqlalchemy import Column, Text

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    for name in ("code_version", "config_hash", "until"):
        op.add_column("reports", Column(name, Text))
