"""What several commands ask for alike."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.kafka.folded_log import FoldedLog

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
DEFAULT_CONFIG = Path("anomalyd.yaml")


def store_url(config: Path, store: str | None) -> str:
    """Give the URL of the report store: as said, or as the configuration says."""
    return store if store is not None else load_config(config).store.url.get_secret_value()


def log_to_stderr(level: int = logging.INFO) -> None:
    """Log plain lines to standard error."""
    logging.basicConfig(
        stream=sys.stderr, level=level, format="%(asctime)s %(levelname)s %(name)s: %(message)s", force=True
    )
    # kafka-python tells of every connection and every metadata answer.
    logging.getLogger("kafka").setLevel(max(level, logging.WARNING))
    for handler in logging.getLogger().handlers:
        handler.addFilter(FoldedLog())
    logging.getLogger("alembic").setLevel(max(level, logging.WARNING))
