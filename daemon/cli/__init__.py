"""The command `anomalyd`: what a person starts.

Each group of commands has a module of its own, and only that of the command given is imported: what the
others import (Kafka's client, the models, the configuration) takes a second, and `anomalyd ask` has no use
for it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from anomalyd import __version__

COMMANDS: dict[str, tuple[str, ...]] = {
    "init": ("init",),
    "operate": ("run", "check-config", "replay"),
    "doctor": ("doctor",),
    "learning.train": ("train",),
    "learning.tune": ("tune",),
    "learning.models": ("models",),
    "read": ("reports", "dashboard"),
    "converse": ("ask", "chat", "answers"),
    "tools": ("demo", "agent", "simulate", "broker", "version"),
    "learning.evaluate": ("evaluate",),
    "feedback": ("tell", "outline", "adaptations"),
    "maintain": ("maintenance",),
    "flags": ("flags", "compare"),
    "learning.neurons": ("neurons",),
    "deploy": ("deploy",),
    "learning.reader": ("train-reader", "evaluate"),
    "learning.assistant": ("evaluate",),
    "learning.explanations": ("evaluate",),
    "store": ("store",),
    "dead_letters": ("dlq",),
}
"""Module -> its commands, in the order in which the help lists them."""


def application(arguments: Sequence[str] | None = None) -> typer.Typer:
    """Give the command line: with the command that `arguments` begin with, or with all."""
    app = typer.Typer(
        name="anomalyd",
        help="Watch a physics experiment and the computing under it: find anomalies in Kafka streams, "
        "explain them, keep reports.",
        no_args_is_help=True,
        add_completion=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_nothing)  # else the only command of an application takes the application's place
    first = arguments[0] if arguments else ""
    modules = [module for module, names in COMMANDS.items() if first in names] or list(COMMANDS)
    if first == "--version":
        modules = []
    for module in modules:
        import_module(f"anomalyd.daemon.cli.{module}").add_to(app)
    return app


def _say_version(asked: bool) -> None:
    if asked:
        typer.echo(f"anomalyd {__version__}")
        raise typer.Exit


def _nothing(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say the version.")
    ] = False,
) -> None:
    """Do nothing before a command."""


def main() -> None:
    """Run the command; an error made on purpose is one clear line and exit status 2."""
    # Small models are up to 170 times slower on two threads; read by torch when it is first imported.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    from anomalyd.errors import AnomalydError

    try:
        application(sys.argv[1:])()
    except AnomalydError as error:
        print(f"anomalyd: {error}", file=sys.stderr)
        raise SystemExit(2) from None
    except BrokenPipeError:
        # Somebody reads only the first lines (`| head`); Python would complain once more while ending.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
