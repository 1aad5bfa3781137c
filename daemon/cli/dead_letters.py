"""Commands of dead letters: dlq list, dlq show, dlq replay."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, ConfigFile, Json, print_json
from anomalyd.daemon.config.config import Config, load_config
from anomalyd.daemon.kafka.dead_letter_replay import StoredLetter, read_letters, replay
from anomalyd.errors import AnomalydError, ConfigError

dlq = typer.Typer(
    help="Messages that could not be used: list them, look at one, send them again once that is mended.",
    no_args_is_help=True,
)

Reasons = Annotated[list[str] | None, typer.Option("--reason", help="Only those of these reasons.")]
Topics = Annotated[list[str] | None, typer.Option("--topic", help="Only those that came from these topics.")]


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(dlq, name="dlq")


@dlq.command("list")
def list_letters(
    config: ConfigFile = DEFAULT_CONFIG,
    reason: Reasons = None,
    topic: Topics = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the newest.")] = 50,
    as_json: Json = False,
) -> None:
    """List dead letters, one a line, and how many there are of each reason."""
    found = _chosen(load_config(config), reason, topic)
    if as_json:
        print_json([_about(letter) for letter in found[-limit:]])
        return
    for letter in found[-limit:]:
        typer.echo(_plain(f"{letter.id:<10} {letter.reason:<10} {letter.origin}  {letter.text}"))
    counts = Counter(letter.reason for letter in found)
    typer.echo(", ".join(f"{n} {name}" for name, n in counts.most_common()) or "no dead letters")


@dlq.command("show")
def show(
    id_: Annotated[str, typer.Argument(metavar="ID", help="The letter's PARTITION/OFFSET, as listed.")],
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: Json = False,
) -> None:
    """Show one dead letter: why, where from, and the message as it was."""
    (letter,) = _named(_chosen(load_config(config), None, None), [id_])
    if as_json:
        print_json(_about(letter) | {"value": _text(letter.value), "headers": _headers(letter)})
        return
    part = "" if letter.part is None else f", {letter.part} of it"
    why = f"{letter.reason}: {letter.text}\nfrom {letter.origin}{part}"
    typer.echo(_plain(f"{why}, key {_text(letter.key)}"))
    for name, value in _headers(letter).items():
        typer.echo(_plain(f"header {name}: {value}"))
    typer.echo(_text(letter.value) or "no value")


@dlq.command("replay")
def replay_letters(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID]...", help="Which, by PARTITION/OFFSET.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    reason: Reasons = None,
    topic: Topics = None,
    everything: Annotated[bool, typer.Option("--all", help="All of them.")] = False,
) -> None:
    """Send dead letters to the topics they came from once more, as they were.

    What is mended by then is scored as if it had come now: of an entity that has sent newer samples since it
    counts as late. What is not becomes a dead letter again.
    """
    if not (ids or reason or topic or everything):
        raise typer.BadParameter("say which: IDs, --reason, --topic, or --all", param_hint="ID")
    loaded = load_config(config)
    found = _chosen(loaded, reason, topic)
    chosen = _named(found, ids) if ids else found
    typer.echo(f"{replay(loaded.kafka, chosen)} messages sent again")


def _chosen(config: Config, reasons: list[str] | None, topics: list[str] | None) -> list[StoredLetter]:
    if config.output.dead_letter_topic is None:
        raise ConfigError("output.dead_letter_topic is null: dead letters are only counted, not kept")
    return [
        letter
        for letter in read_letters(config.kafka, config.output.dead_letter_topic)
        if (not reasons or letter.reason in reasons) and (not topics or letter.topic in topics)
    ]


def _named(letters: list[StoredLetter], ids: list[str]) -> list[StoredLetter]:
    by_id = {letter.id: letter for letter in letters}
    if missing := [id_ for id_ in ids if id_ not in by_id]:
        raise AnomalydError(f"there is no dead letter {missing[0]}; `anomalyd dlq list` names them")
    return [by_id[id_] for id_ in ids]


def _about(letter: StoredLetter) -> dict[str, object]:
    names = ("id", "reason", "text", "origin", "part", "timestamp")
    return {name: getattr(letter, name) for name in names} | {"key": _text(letter.key)}


def _headers(letter: StoredLetter) -> dict[str, str]:
    return {name: _text(value) for name, value in letter.headers}


def _text(value: bytes | None) -> str:
    return "" if value is None else _plain(value.decode(errors="backslashreplace"))


def _plain(text: str) -> str:
    """Make control characters do nothing on a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else f"\\x{ord(c):02x}" for c in text)
