"""The command init: a configuration made of what is in a broker's topics."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from anomalyd.errors import ConfigError

if TYPE_CHECKING:
    from anomalyd.daemon.learning.topic_survey import TopicSurvey

_NAMED = 5


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("init")(init)


def init(
    bootstrap: Annotated[
        list[str] | None, typer.Option("--bootstrap", "-b", help="Brokers, host:port; localhost:9092.")
    ] = None,
    config: Annotated[
        Path | None,
        typer.Option("--config", "-c", help="Take brokers and login from this file.", dir_okay=False),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="The file to write.", dir_okay=False)] = Path(
        "anomalyd.yaml"
    ),
    topic: Annotated[
        list[str] | None, typer.Option(help="Only these topics; all that are there by default.")
    ] = None,
) -> None:
    """Look at a broker's topics, and write a commented configuration for what is in them."""
    from anomalyd.daemon.config.config import KafkaConfig, load_config
    from anomalyd.daemon.kafka.newest_records import newest_records
    from anomalyd.daemon.learning.topic_survey import surveys as survey_all

    if out.exists():
        raise ConfigError(f"{out} is there already; give another --out, or move it away")
    kafka = (
        load_config(config).kafka
        if config
        else KafkaConfig(bootstrap_servers=bootstrap or ["localhost:9092"])
    )
    surveys: list[TopicSurvey] = []
    for name, (records, found) in survey_all(partial(newest_records, kafka), topic).items():
        if name.startswith("anomalyd-"):
            continue  # what anomalyd writes itself
        if found is None:
            what = f"{len(records)} messages that no format reads" if records else "no messages"
            typer.echo(f"{name}: {what}: left out")
        else:
            typer.echo(f"{name}: {_described(found)}")
            surveys.append(found)
    if not surveys:
        raise ConfigError(
            "no topic holds messages of a format that is known; docs/formats.md describes them, and "
            "`anomalyd demo` shows what it looks like"
        )
    out.write_text(configuration(kafka.bootstrap_servers, surveys), encoding="utf-8")
    load_config(out)
    typer.echo(f"wrote {out}; `anomalyd check-config` says what it means, `anomalyd run` starts with it")


def configuration(servers: Sequence[str], surveys: Sequence[TopicSurvey]) -> str:
    """Write a configuration of what was found, with comments that say what it was."""
    lines = [
        "# Written by `anomalyd init` after what lay in the topics; every setting stands in docs/config.md.",
        "kafka:",
        f"  bootstrap_servers: [{', '.join(_quoted(server) for server in servers)}]",
        "  # security: {protocol: SASL_SSL, username: anomalyd, password: '${PASSWORD}', ca_file: ca.pem}",
        "  start: trained  # days that a model was trained on are not scored again; earliest: they are",
        "",
        "inputs:",
    ]
    for found in surveys:
        lines += [f"  # {_described(found)}", f"  - topic: {found.topic}", f"    format: {found.format}"]
        if found.interval_s is not None and found.format not in ("json", "npy") and found.interval_s > 10:
            lines.append(f"    grid_s: {round(found.interval_s):.1f}  # as often as it is measured")
        if found.counters:
            lines.append(f"    # taken as rates, since they count up: {_some(found.counters)}")
    lines += ["", "detectors:"]
    for is_map, name in ((False, "metrics"), (True, "maps")):
        entities = sorted({e for found in surveys if found.is_map is is_map for e in found.entities})
        if entities:
            lines += [
                f"  # {len(entities)} entities seen: {_some(entities)}",
                f"  - name: {name}",
                f"    samples: {name}",
                '    entities: ["*"]',
            ]
    lines += ["", "store:", "  url: sqlite:///anomalyd.db", "  models: models", ""]
    return "\n".join(lines)


def _described(found: TopicSurvey) -> str:
    what = "maps" if found.is_map else f"{found.metrics} metrics"
    every = f", one every {found.interval_s:g} s" if found.interval_s is not None else ""
    bad = f"; {found.unread} of {found.records} messages cannot be read" if found.unread else ""
    return f"{found.format}, {found.counted_entities}, {what}{every}{bad}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
