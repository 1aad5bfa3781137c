"""Commands of quality flags: flags show, flags set, flags clear."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Annotated, Any

import typer

from anomalyd.daemon.cli.learning import compare
from anomalyd.daemon.cli.options import DEFAULT_CONFIG, Json, MaybeConfig, StoreUrl, print_json, store_url
from anomalyd.errors import QuestionError
from anomalyd.reports.quality import NO_BEAM, Flag, FlagRange, Override, golden
from anomalyd.reports.queries import Queries
from anomalyd.reports.storage.store import Store

Run = Annotated[int, typer.Argument(min=0, metavar="RUN", help="The run number.")]
System = Annotated[str, typer.Option(help="The detector system, as DT of DT/W0/MB1/S04, EB of EB+01.")]
First = Annotated[int, typer.Option("--from", min=0, help="First lumisection.")]
Last = Annotated[int, typer.Option("--to", min=0, help="Last lumisection, included.")]
Who = Annotated[str, typer.Option("--by", help="Your name.")]
Reason = Annotated[str, typer.Option(help="Why.")]


class _RunFirst(typer.core.TyperGroup):
    """`anomalyd flags 321909` is `anomalyd flags show 321909`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if args and args[0].isdigit():
            args = ["show", *args]
        return super().parse_args(ctx, args)


flags = typer.Typer(
    cls=_RunFirst,
    help="Quality flags of a run's lumisections: RUN shows them; set, clear: what a person knows better.",
    no_args_is_help=True,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(flags, name="flags")
    compare.add_to(app)


@flags.command("show")
def show(
    run: Run,
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    system: Annotated[list[str] | None, typer.Option(help="Only these detector systems.")] = None,
    as_golden: Annotated[
        bool, typer.Option("--golden", help='Only what is good in all: {"RUN": [[first, last], ...]}.')
    ] = False,
    as_json: Json = False,
) -> None:
    """Show the flags of a run: what counts, the machine's verdict, and who says otherwise."""
    with closing(Queries.open(store_url(config, store))) as queries:
        found = queries.flags(run)
    _refuse_unknown(run, system or (), found)
    chosen = {name: found[name] for name in system or found}
    if as_golden:
        typer.echo(json.dumps({str(run): [list(pair) for pair in golden(chosen)]}))
    elif as_json:
        print_json({name: [_plain(r) for r in ranges] for name, ranges in chosen.items()})
    else:
        for name, ranges in chosen.items():
            for each in ranges:
                typer.echo(_line(name, each))
        if not chosen:
            typer.echo(f"run {run}: no lumisection seen")


@flags.command("set")
def set_flag(
    run: Run,
    system: System,
    first: First,
    last: Last,
    flag: Annotated[Flag, typer.Option(help="What it is.")],
    who: Who,
    reason: Reason,
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
) -> None:
    """Set a flag; the machine's verdict stays beside it."""
    _say(Override(run, system, first, last, flag, who, reason), config, store)


@flags.command("clear")
def clear(
    run: Run,
    system: System,
    first: First,
    last: Last,
    who: Who,
    reason: Reason,
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
) -> None:
    """Take back what people said: the machine's verdict counts again."""
    _say(Override(run, system, first, last, None, who, reason), config, store)


def _say(override: Override, config: MaybeConfig, store: StoreUrl) -> None:
    url = store_url(config, store)
    with closing(Queries.open(url)) as queries:
        _refuse_unknown(override.run, [override.system], queries.flags(override.run))
    with closing(Store.open(url)) as writer:
        writer.flags.say(override)
    with closing(Queries.open(url)) as queries:
        for each in queries.flags(override.run).get(override.system, ()):
            typer.echo(_line(override.system, each))


def _refuse_unknown(run: int, systems: Sequence[str], found: Mapping[str, object]) -> None:
    # To set, too: a mistyped system would be one more that is good nowhere, and leave nothing golden.
    if missing := [name for name in systems if name not in found]:
        known = ", ".join(found) or "none"
        raise QuestionError(f"run {run} has no maps of {', '.join(missing)}; it has: {known}", tuple(found))


def _line(system: str, each: FlagRange) -> str:
    said = ""
    if each.override is not None:
        said = f"  (machine: {each.machine}; {each.override.who}: {each.override.reason})"
    what = f"{each.flag} ({NO_BEAM})" if each.flag is Flag.EMPTY else each.flag
    return f"{system:<8} {each.first:>6} to {each.last:<6} {what}{said}"


def _plain(each: FlagRange) -> dict[str, object]:
    override = each.override
    return {
        "first": each.first,
        "last": each.last,
        "flag": each.flag,
        "machine": each.machine,
        "by": override.who if override else None,
        "reason": override.reason if override else None,
        "recorded": override.recorded if override else None,
    }
