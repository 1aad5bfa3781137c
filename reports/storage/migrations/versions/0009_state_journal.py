"""What is remembered: snapshots with a journal, tracks of incidents, and the intake's own table.

The detectors begin their states anew, for those of earlier versions are of models that are trained again. The
open incidents, up to when each entity was scored, and what the intake remembers are carried over.
"""

import json
import struct
from typing import Any

import msgspec
import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    connection = op.get_bind()
    before = connection.execute(sa.text("SELECT detector, entity, state FROM entity_states")).all()
    op.drop_table("entity_states")
    states = op.create_table(
        "entity_states",
        sa.Column("detector", sa.Text, primary_key=True),
        sa.Column("entity", sa.Text, primary_key=True),
        sa.Column("model", sa.Text, nullable=False),
        sa.Column("until", sa.Double, nullable=False),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "state_journal",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer, "sqlite"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("detector", sa.Text, nullable=False),
        sa.Column("recorded", sa.Double, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    tracks = op.create_table(
        "incident_tracks",
        sa.Column("detector", sa.Text, primary_key=True),
        sa.Column("entity", sa.Text, primary_key=True),
        sa.Column("track", sa.LargeBinary, nullable=False),
    )
    intake = op.create_table(
        "intake_states",
        sa.Column("stage", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("state", sa.LargeBinary, nullable=False),
    )
    for detector, entity, blob in before:
        if detector in _INTAKE:
            stage, record = _INTAKE[detector](bytes(blob))
            op.bulk_insert(intake, [{"stage": stage, "key": entity, "state": msgspec.msgpack.encode(record)}])
            continue
        about, evidence = _track_of(bytes(blob))
        if about is None or about["newest"] is None:
            continue  # nothing of it can be read, and nothing is lost but what the detectors had learnt
        key = {"detector": detector, "entity": entity}
        op.bulk_insert(states, [{**key, "model": "", "until": about["newest"], "state": _EMPTY}])
        if about["incident"] is not None:
            track = {name: about[name] for name in ("opened", "quiet", "incident")}
            names = "time", "autoencoder", "classical"
            track["points"] = [dict(zip(names, point, strict=True)) for point in about["points"]]
            track |= {"version": 1, "evidence": evidence, "notes": about.get("notes", [])}
            op.bulk_insert(tracks, [{**key, "track": msgspec.msgpack.encode(track)}])


_EMPTY = struct.pack("<Q", 40) + b'{"__metadata__":{"version":"1"}}'.ljust(40)


def _track_of(blob: bytes) -> tuple[dict[str, Any] | None, bytes | None]:
    """Read the course of an incident, and its evidence if it is not opened yet, out of safetensors."""
    try:
        (length,) = struct.unpack_from("<Q", blob)
        header = json.loads(blob[8 : 8 + length])
        about = json.loads(header["__metadata__"]["json"])
        if "evidence" not in header or about["opened"]:
            return about, None
        begin, end = header["evidence"]["data_offsets"]
        return about, blob[8 + length + begin : 8 + length + end]
    except (struct.error, ValueError, KeyError, TypeError):
        return None, None


def _align(blob: bytes) -> tuple[str, dict[str, Any]]:
    (released,) = struct.unpack_from("<d", blob)
    counters = msgspec.msgpack.decode(blob[8:]) if len(blob) > 8 else {}
    return "align", {"version": 1, "released": released, "counters": counters}


def _presence(blob: bytes) -> tuple[str, dict[str, Any]]:
    vectors, metrics = msgspec.msgpack.decode(blob)
    return "presence", {"version": 1, "vectors": vectors, "metrics": metrics}


def _told(blob: bytes) -> tuple[str, dict[str, Any]]:
    return "told", {"version": 1, "before": int(blob)}


_INTAKE = {"@align": _align, "@presence": _presence, "@told": _told}
