"""Commands of the operator's word: tell, outline, adaptations list, adaptations show, adaptations undo."""

from __future__ import annotations

import getpass
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from time import monotonic, sleep
from typing import Annotated

import typer

from anomalyd.daemon.cli.options import DEFAULT_CONFIG, Json, MaybeConfig, StoreUrl, print_json, store_url
from anomalyd.errors import AnomalydError, QuestionError
from anomalyd.near_names import nearest as nearest_to
from anomalyd.reports.adaptation import Adaptation
from anomalyd.reports.cases.outline import Outline
from anomalyd.reports.feedback import OperatorFeedback
from anomalyd.reports.queries import Queries, Selection
from anomalyd.reports.storage.store import Store
from anomalyd.verdict import Verdict

Who = Annotated[str | None, typer.Option(help="Whose word it is; the login name by default.")]
Reason = Annotated[str, typer.Option(help="Why: it stands in the report.")]
Wait = Annotated[
    float, typer.Option(min=0.0, help="Wait so many seconds for the daemon to say what came of it.")
]

_LOOK_S = 0.2

adaptations = typer.Typer(
    help="What the detectors took for the new normal, and what operators said: list, show, undo.",
    no_args_is_help=True,
)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("tell")(tell)
    app.command("outline")(outline)
    app.add_typer(adaptations, name="adaptations")


def tell(
    entity: Annotated[str, typer.Argument(help="The entity, as it stands in reports.")],
    word: Annotated[Verdict, typer.Argument(help="What it does now is normal, or it is broken.")],
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    detector: Annotated[
        str | None, typer.Option(help="Only this detector; all that score the entity by default.")
    ] = None,
    since: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Since when (ISO 8601 with a zone); by default since the open incident began, else now.",
        ),
    ] = None,
    who: Who = None,
    reason: Reason = "",
    wait: Wait = 10.0,
) -> None:
    """Tell the daemon what an entity does: normal (learn it, close the report) or broken (keep alerting)."""
    began = None if since is None else _moment(since)
    url = store_url(config, store)
    with _reading(url) as queries:
        detectors = _detectors(queries, entity, detector)
    with _writing(url) as writer:
        numbers = [
            writer.ledger.record_word(each, entity, word, since=began, who=_who(who), reason=reason)
            for each in detectors
        ]
    with _reading(url) as queries:
        wanted = Selection(ids=tuple(map(str, numbers)))

        def applied() -> bool:
            return all(each.applied is not None for each in queries.words(wanted))

        _wait_for(applied, wait)
        for each in reversed(queries.words(wanted)):
            typer.echo(f"word {each.id}, {each.detector} on {each.entity}: {_word_outcome(each)}")


@adaptations.command("list")
def list_adaptations(
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    entity: Annotated[list[str] | None, typer.Option(help="Only these entities (shell patterns).")] = None,
    detector: Annotated[list[str] | None, typer.Option(help="Only these detectors.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many of each.")] = 50,
    as_json: Json = False,
) -> None:
    """List what the detectors adapted to and what operators said, the latest first."""
    selection = Selection(entities=tuple(entity or ()), detectors=tuple(detector or ()))
    with _reading(store_url(config, store)) as queries:
        found, said = queries.adaptations(selection, limit), queries.words(selection, limit)
    if as_json:
        print_json({"adaptations": [asdict(a) for a in found], "words": [asdict(w) for w in said]})
        return
    for adaptation in found:
        typer.echo(adaptation_line(adaptation))
    for word in said:
        typer.echo(word_line(word))
    if not found and not said:
        typer.echo("no adaptations, and nobody said anything")


@adaptations.command("show")
def show_adaptation(
    adaptation_id: Annotated[
        str, typer.Argument(metavar="ID", help="The adaptation's id, or its first letters.")
    ],
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    as_json: Json = False,
) -> None:
    """Show one adaptation: what was assumed, when, and whether it can be undone."""
    with _reading(store_url(config, store)) as queries:
        found = queries.adaptation(adaptation_id)
    if as_json:
        print_json(asdict(found))
        return
    typer.echo(adaptation_line(found))
    typer.echo(f"model {found.model}, recorded {_utc(found.recorded)}")
    typer.echo(_undo_outcome(found))


@adaptations.command("undo")
def undo_adaptation(
    adaptation_id: Annotated[
        str, typer.Argument(metavar="ID", help="The adaptation's id, or its first letters.")
    ],
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    who: Who = None,
    reason: Reason = "",
    wait: Wait = 10.0,
) -> None:
    """Take an adaptation back, and what the detector adapted to of that entity after it."""
    url = store_url(config, store)
    with _reading(url) as queries:
        found = queries.adaptation(adaptation_id)
        with _writing(url) as writer:
            writer.ledger.request_undo(found.id, who=_who(who), reason=reason)
        _wait_for(lambda: queries.adaptation(found.id).undo_outcome != "", wait)
        typer.echo(_undo_outcome(queries.adaptation(found.id)))


def adaptation_line(adaptation: Adaptation) -> str:
    """Say an adaptation in one line: when, of whom, by which detector, what was assumed, its id."""
    undone = "" if adaptation.undone is None else f" (undone by {adaptation.undo_by or 'another undo'})"
    return (
        f"{_utc(adaptation.time)}  {adaptation.entity:<20} {adaptation.detector}: {adaptation.what}, "
        f"{adaptation.text}{undone}  [{adaptation.id}]"
    )


def word_line(word: OperatorFeedback) -> str:
    """Say a word in one line: when, of whom, for which detector, whose word, why, what came of it."""
    reason = f" ({word.reason})" if word.reason else ""
    return (
        f"{_utc(word.recorded)}  {word.entity:<20} {word.detector}: {word.who} said {word.word.value}"
        f"{reason}: {_word_outcome(word)}  [word {word.id}]"
    )


def _word_outcome(word: OperatorFeedback) -> str:
    return word.outcome if word.applied is not None else "waits; a running daemon takes it within seconds"


def _undo_outcome(adaptation: Adaptation) -> str:
    if adaptation.undo_outcome:
        return adaptation.undo_outcome
    if adaptation.undo_asked is not None:
        return "the undo waits; a running daemon takes it within seconds"
    if adaptation.undoable:
        return f"can be undone: anomalyd adaptations undo {adaptation.id}"
    return "cannot be undone: the state before it is not kept (any more)"


def _detectors(queries: Queries, entity: str, wanted: str | None) -> list[str]:
    """Name the detectors that a word is for.

    Raises:
        QuestionError: none of them scores this entity.

    """
    watching = queries.watchers(entity)
    if not watching:
        known = queries.entities()
        nearest = nearest_to(entity, known) or tuple(known[:3])
        if entity in known:
            raise QuestionError(
                f"no detector has scored {entity!r} yet; check `entities` in the configuration"
            )
        hint = f"the nearest are {', '.join(nearest)}" if nearest else "nothing was received yet"
        raise QuestionError(f"no entity {entity!r} is known; {hint}", nearest)
    if wanted is None:
        return watching
    if wanted not in watching:
        raise QuestionError(
            f"detector {wanted!r} does not score {entity!r}; these do: {', '.join(watching)}",
            tuple(watching),
        )
    return [wanted]


def _moment(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.timestamp()
    except ValueError:
        pass
    raise AnomalydError(f"--since {text!r}: expected a time with its zone, as in 2026-11-24T22:00:00+01:00")


def _who(given: str | None) -> str:
    if given is not None and given.strip():
        return given.strip()
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as in some containers
        raise AnomalydError("the login name is not known; say whose word it is with --who") from None


def _wait_for(condition: Callable[[], bool], seconds: float) -> None:
    deadline = monotonic() + seconds
    while not condition() and monotonic() < deadline:
        sleep(_LOOK_S)


def _utc(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}Z"


@contextmanager
def _reading(url: str) -> Iterator[Queries]:
    queries = Queries.open(url)
    try:
        yield queries
    finally:
        queries.close()


@contextmanager
def _writing(url: str) -> Iterator[Store]:
    store = Store.open(url)
    try:
        yield store
    finally:
        store.close()


def outline(
    report: Annotated[str, typer.Argument(help="The report's id, or its first letters.")],
    cell: Annotated[
        str, typer.Option(metavar="ROW,COL", help="A cell in the fault: its layer or row, and its column.")
    ],
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    who: Who = None,
    keep: Annotated[bool, typer.Option("--keep/--look", help="Keep it with the report, or look.")] = True,
    as_json: Json = False,
) -> None:
    """Outline the fault around one cell of a map: cells, hardware units, edges and its own odds.

    Rows carry the numbers people use (layers of a chamber), columns count from 1.
    """
    from anomalyd.interpret.maps.label import outline_of

    url = store_url(config, store)
    with closing(Queries.open(url)) as queries:
        found = queries.report(report)
        evidence = queries.evidence(found.incident.id)
    if evidence is None or evidence.values.ndim != 2:
        raise AnomalydError(f"report {found.incident.id}: no map is kept with it; only maps have cells")
    try:
        row, column = (int(part) for part in cell.split(","))
    except ValueError:
        raise typer.BadParameter(f"{cell!r} is not ROW,COL, as 9,31", param_hint="--cell") from None
    drawn = outline_of(found.incident, evidence, row, column, _who(who))
    if keep:
        with closing(Store.open(url)) as writer:
            drawn = writer.outlines.keep(drawn)
    if as_json:
        print_json(asdict(drawn))
        return
    for line in outline_lines(drawn):
        typer.echo(line)


def outline_lines(drawn: Outline) -> list[str]:
    """Say an outline in sentences."""
    told = [
        f"{drawn.text} ({drawn.seen:.0f} of {drawn.expected:.0f} in {len(drawn.cells)} cells)",
        f"log odds {drawn.nats:.1f}" + ("" if drawn.nats > 0 else ": no more than chance"),
    ]
    if drawn.units:
        told.append(f"hardware units: {', '.join(drawn.units)}")
    told += ["edge: " + " ".join(f"{c:g},{r:g}" for c, r in polygon) for polygon in drawn.polygons]
    return [*told, f"kept as label {drawn.id} by {drawn.who}"] if drawn.id else told
