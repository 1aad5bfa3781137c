"""The SQL schema, the same in SQLite and PostgreSQL. A change here needs a revision in `migrations`."""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    and_,
    or_,
)

from anomalyd.reports.report import SeenBy, Severity, Status
from anomalyd.reports.storage.column_types import EnumText, Lines, Real, Score, Whole
from anomalyd.verdict import Verdict

metadata = MetaData()

consumer_offsets = Table(
    "consumer_offsets",
    metadata,
    Column("group", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("next", BigInteger, nullable=False),
)

entity_states = Table(
    "entity_states",
    metadata,
    Column("detector", Text, primary_key=True),
    Column("entity", Text, primary_key=True),
    Column("model", Text, nullable=False),
    Column("until", Real, nullable=False),  # event time of the newest row in it
    Column("state", LargeBinary, nullable=False),
)

state_journal = Table(
    "state_journal",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=False),
    Column("detector", Text, nullable=False),
    Column("recorded", Real, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

incident_tracks = Table(
    "incident_tracks",
    metadata,
    Column("detector", Text, primary_key=True),
    Column("entity", Text, primary_key=True),
    Column("track", LargeBinary, nullable=False),
)

intake_states = Table(
    "intake_states",
    metadata,
    Column("stage", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("state", LargeBinary, nullable=False),
)

reports = Table(
    "reports",
    metadata,
    Column("id", Text, primary_key=True),
    Column("detector", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("sample_kind", Text, nullable=False),
    Column("severity", EnumText(Severity), nullable=False),
    Column("status", EnumText(Status), nullable=False, index=True),
    Column("onset", Real, nullable=False),
    Column("last", Real, nullable=False),
    Column("closed", Real),
    Column("samples", Whole, nullable=False),
    Column("peak", Real, nullable=False),
    Column("peak_time", Real, nullable=False),
    Column("autoencoder", Score),
    Column("classical", Score),
    Column("seen_by", EnumText(SeenBy), nullable=False),
    Column("causes", Lines, nullable=False),
    Column("model", Text, nullable=False),
    Column("run", Whole),
    Column("first_lumisection", Whole),
    Column("last_lumisection", Whole),
    Column("source", Text, nullable=False),
    # Up to here the columns are the fields of Incident.
    Column("narrative", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("recorded", Real, nullable=False),
    Column("evidence_time", Real),  # up to where the stored evidence goes
    Column("explained_for", Real),  # the one that was explained, or could not be
    Column("explain_error", Text, nullable=False),
    Column("code_version", Text),
    Column("config_hash", Text),
    Column("until", Text),  # topic/partition/offset
)

# Counts read these two instead of the reports, whose narratives and causes are ten times as long.
_counted = ("closed", "last", "status", "severity", "seen_by", "peak")
Index("ix_reports_onset", *(reports.c[name] for name in ("onset", *_counted, "entity", "run", "id")))
Index("ix_reports_entity", *(reports.c[name] for name in ("entity", "onset", *_counted, "run", "id")))

awaits_explanation = and_(
    reports.c.evidence_time.is_not(None),
    or_(reports.c.explained_for.is_(None), reports.c.explained_for != reports.c.evidence_time),
)
# The explainer asks every second or so; without this index it would read every report each time.
Index(
    "ix_reports_awaits_explanation",
    reports.c.onset,
    sqlite_where=awaits_explanation,
    postgresql_where=awaits_explanation,
)


def _report_key() -> Column[Any]:
    return Column("report", Text, ForeignKey("reports.id", ondelete="CASCADE"), primary_key=True)


evidence = Table("evidence", metadata, _report_key(), Column("blob", LargeBinary, nullable=False))

explanations = Table(
    "explanations",
    metadata,
    _report_key(),
    Column("rank", Integer, primary_key=True, autoincrement=False),
    Column("method", Text, nullable=False),
    Column("evidence_time", Real, nullable=False),
    Column("attribution", LargeBinary, nullable=False),
    Column("seconds", Real, nullable=False),
    Column("complete", Boolean, nullable=False),
)

interpretations = Table("interpretations", metadata, _report_key(), Column("body", Text, nullable=False))

points = Table(
    "points",
    metadata,
    _report_key(),
    Column("time", Real, primary_key=True),
    Column("autoencoder", Real),
    Column("classical", Real),
)

activity = Table(
    "activity",
    metadata,
    Column("entity", Text, primary_key=True),
    Column("hour", Integer, primary_key=True, autoincrement=False),  # of `last`, since the epoch
    Column("sample_kind", Text, nullable=False),
    Column("first", Real, nullable=False),
    Column("last", Real, nullable=False, index=True),
    Column("samples", Whole, nullable=False),
)

lumisections = Table(
    "lumisections",
    metadata,
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("system", Text, primary_key=True),
    Column("lumisection", BigInteger, primary_key=True, autoincrement=False),
    *(Column(name, Whole, nullable=False) for name in ("seen", "judged", "alerting")),
    Column("empty", Whole, nullable=False, server_default="0"),
)

run_summaries = Table(
    "run_summaries",
    metadata,
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("ended", Real, nullable=False),
    Column("maps", Whole, nullable=False),
    Column("summary", Text, nullable=False),
)

elements = Table(
    "elements",
    metadata,
    Column("run", BigInteger, primary_key=True, autoincrement=False),
    Column("system", Text, primary_key=True),
    Column("lumisection", BigInteger, primary_key=True, autoincrement=False),
    Column("names", LargeBinary, nullable=False),
)

flags = Table(
    "flags",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("run", BigInteger, nullable=False, index=True),
    Column("system", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("last", BigInteger, nullable=False),
    Column("flag", Text),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recorded", Real, nullable=False),
    sqlite_autoincrement=True,
)

daemon_status = Table(
    "daemon_status",
    metadata,
    Column("instance", Text, primary_key=True),
    Column("seen", Real, nullable=False),
    Column("body", Text, nullable=False),
)

comparisons = Table(
    "comparisons",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    *(Column(name, Text, nullable=False) for name in ("detector", "candidate", "old", "who", "outcome")),
    Column("asked", Real, nullable=False),
    Column("begun", Real),
    Column("ended", Real),
    sqlite_autoincrement=True,
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("topic", Text, nullable=False),
    Column("key", LargeBinary),
    Column("value", LargeBinary),
    Column("headers", LargeBinary, nullable=False),
    sqlite_autoincrement=True,  # a number that is never used twice, even when the table was empty
)

sent_positions = Table(
    "sent_positions",
    metadata,
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, nullable=False),
)

publisher = Table(
    "publisher",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("holder", Text, nullable=False),
    Column("beat", BigInteger, nullable=False),
)

attempts = Table(
    "attempts",
    metadata,
    Column("group", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("partition", Integer, primary_key=True, autoincrement=False),
    Column("offset", BigInteger, primary_key=True, autoincrement=False),
    Column("count", Integer, nullable=False),
    Column("next_offset", BigInteger, nullable=False, server_default="0"),
)

words = Table(
    "words",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("detector", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("word", EnumText(Verdict), nullable=False),
    Column("who", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("since", Real),
    Column("until", Real),
    Column("recorded", Real, nullable=False),
    Column("applied", Real),
    Column("outcome", Text, nullable=False),
    sqlite_autoincrement=True,
)

adaptations = Table(
    "adaptations",
    metadata,
    Column("number", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),  # in order of happening
    Column("id", Text, nullable=False, unique=True),
    Column("detector", Text, nullable=False),
    Column("entity", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("time", Real, nullable=False),
    Column("what", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("recorded", Real, nullable=False),
    Column("undo_asked", Real),
    Column("undo_by", Text, nullable=False),
    Column("undo_reason", Text, nullable=False),
    Column("undone", Real),
    Column("undo_outcome", Text, nullable=False),
    sqlite_autoincrement=True,
)
Index("ix_adaptations_entity", adaptations.c.entity, adaptations.c.detector, adaptations.c.time)

# The daemon asks every two seconds; without this index it would read every adaptation each time.
_asked = adaptations.c.undo_asked.is_not(None)
Index("ix_adaptations_undo_asked", adaptations.c.undo_asked, sqlite_where=_asked, postgresql_where=_asked)

awaits_undo = and_(_asked, adaptations.c.undo_outcome == "")

# Apart from what is read often: a state may hold megabytes.
states_before = Table(
    "states_before",
    metadata,
    Column(
        "adaptation",
        BigInteger().with_variant(Integer, "sqlite"),
        ForeignKey("adaptations.number", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("state", LargeBinary, nullable=False),
)

maintenance = Table(
    "maintenance",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("detector", Text, nullable=False),
    Column("entities", Lines, nullable=False),
    Column("since", Real, nullable=False),
    Column("until", Real, nullable=False),
    Column("reason", Text, nullable=False),
    Column("recorded", Real, nullable=False),
    sqlite_autoincrement=True,
)

samples = Table(
    "samples",
    metadata,
    Column("id", Text, primary_key=True),
    Column("entity", Text, nullable=False),
    Column("sample_kind", Text, nullable=False),
    Column("first", Real, nullable=False),
    Column("last", Real, nullable=False, index=True),
    Column("samples", Whole, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

remarks = Table(
    "remarks",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("report", Text, nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("recorded", Real, nullable=False),
    sqlite_autoincrement=True,
)

outlines = Table(
    "outlines",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("report", Text, nullable=False, index=True),
    Column("who", Text, nullable=False),
    Column("body", Text, nullable=False),
    Column("recorded", Real, nullable=False),
    sqlite_autoincrement=True,
)

canaries = Table(
    "canaries",
    metadata,
    Column("detector", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("sent", Real, nullable=False),
    Column("latency_s", Real, nullable=False),
    Column("score", Real),
    Column("right", Boolean, nullable=False),
)

answer_feedback = Table(
    "answer_feedback",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("verdict", Text, nullable=False),
    Column("question", Text, nullable=False),
    Column("understood", Text, nullable=False),
    Column("answer", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("recorded", Real, nullable=False),
    sqlite_autoincrement=True,
)
