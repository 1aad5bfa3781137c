"""All commands, each group of them in a module of its own; only that of the command given is imported.

What the others import (Kafka's client, the models, the configuration) takes a second that `anomalyd ask` and
`anomalyd reports` have no use for.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import typer

COMMANDS: dict[str, tuple[str, ...]] = {
    "init": ("init",),
    "operate": ("run", "check-config"),
    "doctor": ("doctor",),
    "learning.train": ("train",),
    "learning.tune": ("tune",),
    "read": ("reports", "dashboard"),
    "converse": ("ask", "chat", "answers"),
    "tools": ("demo", "agent", "simulate", "broker", "version"),
    "learning.evaluate": ("evaluate",),
    "feedback": ("tell", "adaptations"),
    "maintain": ("maintenance",),
    "flags": ("flags", "compare"),
    "deploy": ("deploy",),
    "learning.reader": ("train-reader", "evaluate"),
    "learning.assistant": ("evaluate",),
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
    for module in modules:
        import_module(f"anomalyd.daemon.cli.{module}").add_to(app)
    return app


def _nothing() -> None:
    """Do nothing before a command."""


def __getattr__(name: str) -> typer.Typer:
    """Give `app`, all commands, to whoever asks for it (the tests, and the documentation of the commands)."""
    if name == "app":
        globals()["app"] = application()
        return globals()["app"]  # type: ignore[no-any-return]
    raise AttributeError(name)
