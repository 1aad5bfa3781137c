"""What several commands ask for alike."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from anomalyd.reports.json_values import without_nan

ConfigFile = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration file.", show_default=True, dir_okay=False)
]
MaybeConfig = Annotated[
    Path, typer.Option("--config", "-c", help="The configuration file; it names the store.", dir_okay=False)
]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", help="The report store's URL, instead of a configuration (sqlite:///file.db)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DEFAULT_CONFIG = Path("anomalyd.yaml")


class _JsonLines(logging.Formatter):
    """A record as one line of JSON: time (ISO 8601, UTC), level, logger, message, and exception if any."""

    def format(self, record: logging.LogRecord) -> str:
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return json.dumps(told)


def store_url(config: Path, store: str | None) -> str:
    """Give the URL of the report store: as said, or as the configuration says."""
    if store is not None:
        return store
    from anomalyd.daemon.config.config import load_config  # takes longer than many a command

    return load_config(config, parameters=False).store.url.get_secret_value()


def page_links(config: Path, store: str | None) -> Callable[[str], str | None]:
    """Give what gives the address of a report's page: None with a store alone, or no `dashboard.url`."""
    if store is not None:
        return lambda report_id: None
    from anomalyd.daemon.config.config import load_config

    return load_config(config, parameters=False).dashboard.link


def log_to_stderr(level: int = logging.INFO, *, as_json: bool = False) -> None:
    """Log to standard error: plain lines, or a JSON object a line."""
    from anomalyd.daemon.kafka.connection.folded_log import FoldedLog

    handler = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s")
    handler.setFormatter(_JsonLines() if as_json else plain)
    handler.addFilter(FoldedLog())
    logging.basicConfig(level=level, handlers=[handler], force=True)
    # kafka-python tells of every connection and every metadata answer.
    logging.getLogger("kafka").setLevel(max(level, logging.WARNING))
    # And of each of its own steps that a busy machine held up for 0.1 s.
    logging.getLogger("kafka.net.selector").setLevel(max(level, logging.ERROR))
    logging.getLogger("alembic").setLevel(max(level, logging.WARNING))


def print_json(about: Any) -> None:
    """Print JSON, with null for every NaN and infinity."""
    typer.echo(json.dumps(without_nan(about), indent=2, allow_nan=False))
