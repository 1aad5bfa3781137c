"""The first schema: reports with evidence, explanations and points; offsets, states, activity; the outbox."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "consumer_offsets",
        sa.Column("group", sa.Text, primary_key=True),
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("next", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "entity_states",
        sa.Column("detector", sa.Text, primary_key=True),
        sa.Column("entity", sa.Text, primary_key=True),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "activity",
        sa.Column("entity", sa.Text, primary_key=True),
        sa.Column("hour", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sample_kind", sa.Text, nullable=False),
        sa.Column("first", sa.Double, nullable=False),
        sa.Column("last", sa.Double, nullable=False),
        sa.Column("samples", sa.BigInteger, nullable=False),
    )
    op.create_index("ix_activity_last", "activity", ["last"])
    op.create_table(
        "outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), primary_key=True),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("key", sa.LargeBinary),
        sa.Column("value", sa.LargeBinary),
        sa.Column("headers", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "sent_positions",
        sa.Column("topic", sa.Text, primary_key=True),
        sa.Column("partition", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("offset", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "reports",
        sa.Column("id", sa.Text, primary_key=True),
        sa.Column("detector", sa.Text, nullable=False),
        sa.Column("entity", sa.Text, nullable=False),
        sa.Column("sample_kind", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("onset", sa.Double, nullable=False),
        sa.Column("last", sa.Double, nullable=False),
        sa.Column("closed", sa.Double),
        sa.Column("samples", sa.BigInteger, nullable=False),
        sa.Column("peak", sa.Double, nullable=False),
        sa.Column("peak_time", sa.Double, nullable=False),
        sa.Column("autoencoder", sa.Double),
        sa.Column("classical", sa.Double),
        sa.Column("seen_by", sa.Text, nullable=False),
        sa.Column("causes", sa.Text, nullable=False),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("run", sa.BigInteger),
        sa.Column("first_lumisection", sa.BigInteger),
        sa.Column("last_lumisection", sa.BigInteger),
        sa.Column("source", sa.Text, nullable=False),
        sa.Column("narrative", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("recorded", sa.Double, nullable=False),
        sa.Column("evidence_time", sa.Double),
        sa.Column("explained_for", sa.Double),
        sa.Column("explain_error", sa.Text, nullable=False),
    )
    for column in ("entity", "status", "onset"):
        op.create_index(f"ix_reports_{column}", "reports", [column])
    awaits_explanation = sa.text(
        "evidence_time IS NOT NULL AND (explained_for IS NULL OR explained_for != evidence_time)"
    )
    op.create_index(
        "ix_reports_awaits_explanation",
        "reports",
        ["onset"],
        sqlite_where=awaits_explanation,
        postgresql_where=awaits_explanation,
    )
    op.create_table(
        "evidence",
        _report_key(),
        sa.Column("blob", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "explanations",
        _report_key(),
        sa.Column("rank", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("evidence_time", sa.Double, nullable=False),
        sa.Column("attribution", sa.LargeBinary, nullable=False),
        sa.Column("seconds", sa.Double, nullable=False),
        sa.Column("complete", sa.Boolean, nullable=False),
        sa.Column("png", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "points",
        _report_key(),
        sa.Column("time", sa.Double, primary_key=True),
        sa.Column("autoencoder", sa.Double),
        sa.Column("classical", sa.Double),
    )


def _report_key() -> sa.Column[str]:
    return sa.Column("report", sa.Text, sa.ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True)
