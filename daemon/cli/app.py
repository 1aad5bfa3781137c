"""All commands, joined; each group of them in a file of its own."""

from __future__ import annotations

import typer

from anomalyd.daemon.cli import (
    converse,
    dead_letters,
    deploy,
    doctor,
    feedback,
    flags,
    init,
    maintain,
    operate,
    read,
    store,
    tools,
)
from anomalyd.daemon.cli.learning import evaluate, reader, train, tune

app = typer.Typer(
    name="anomalyd",
    help="Watch a physics experiment and the computing under it: find anomalies in Kafka streams, explain "
    "them, keep reports.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
init.add_to(app)
operate.add_to(app)
doctor.add_to(app)
train.add_to(app)
tune.add_to(app)
read.add_to(app)
converse.add_to(app)
tools.add_to(app)
evaluate.add_to(app)
feedback.add_to(app)
maintain.add_to(app)
flags.add_to(app)
deploy.add_to(app)
reader.add_to(app)
store.add_to(app)
dead_letters.add_to(app)
