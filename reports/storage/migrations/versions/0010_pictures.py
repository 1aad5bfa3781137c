"""Pictures are no longer stored: they are drawn from the evidence."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.drop_column("explanations", "png")
