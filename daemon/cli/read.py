"""Commands that read the store: reports list, reports show, dashboard."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from anomalyd.daemon.cli.options import (
    DEFAULT_CONFIG,
    Json,
    MaybeConfig,
    StoreUrl,
    page_links,
    print_json,
    store_url,
)
from anomalyd.daemon.config.config import load_config
from anomalyd.daemon.terminal import incident_line, interpretation_lines
from anomalyd.errors import AnomalydError
from anomalyd.extras import extra
from anomalyd.near_names import did_you_mean
from anomalyd.reports.cases.propagation import related_incidents
from anomalyd.reports.queries import Order, Queries, Selection
from anomalyd.reports.report import Evidence, Explanation, Incident, Report, Severity, Status

reports = typer.Typer(help="List reports, or show one.", no_args_is_help=True)


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.add_typer(reports, name="reports")
    app.command("dashboard")(dashboard)


@reports.command("list")
def list_reports(
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    entity: Annotated[list[str] | None, typer.Option(help="Only these entities (shell patterns).")] = None,
    severity: Annotated[list[Severity] | None, typer.Option(help="Only these severities.")] = None,
    status: Annotated[Status | None, typer.Option(help="Only open, or only closed ones.")] = None,
    order: Annotated[Order, typer.Option(help="Which come first.")] = Order.LATEST,
    limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 50,
    as_json: Json = False,
) -> None:
    """List reports, one a line."""
    selection = Selection(
        entities=tuple(entity or ()),
        severities=tuple(severity or ()),
        statuses=() if status is None else (status,),
    )
    link = page_links(config, store)
    with _queries(config, store) as queries:
        found = queries.reports(selection, order=order, limit=limit)
        known = [] if found or not entity else queries.entities()
    if as_json:
        print_json([as_dict(report) | {"link": link(report.incident.id)} for report in found])
        return
    for report in found:
        typer.echo(" ".join(filter(None, (incident_line(report.incident), link(report.incident.id)))))
    if not found:
        typer.echo("; ".join(["no reports", *_unknown(entity or (), known)]))


def _unknown(patterns: Sequence[str], known: Sequence[str]) -> list[str]:
    """Say which patterns fit no entity that there is, and which one may have been meant."""
    return [
        f"no entity like {pattern!r} is known; {did_you_mean(pattern, known)}".rstrip("; ")
        for pattern in patterns
        if known and not fnmatch.filter(known, pattern)
    ]


@reports.command("show")
def show_report(
    report_id: Annotated[str, typer.Argument(metavar="ID", help="The report's id, or its first letters.")],
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    as_json: Json = False,
    plot: Annotated[
        Path | None,
        typer.Option(help="Write the picture of its explanation to this file, .png or .svg.", dir_okay=False),
    ] = None,
    method: Annotated[
        str | None, typer.Option(help="Which explanation to draw; the first by default.")
    ] = None,
    light: Annotated[bool, typer.Option("--light", help="Draw on a light page, to be printed.")] = False,
) -> None:
    """Show one report: what, where, since when, who saw it, and why."""
    with _queries(config, store) as queries:
        report = queries.report(report_id)
        explanations = queries.explanations(report.incident.id)
        evidence = queries.evidence(report.incident.id)
        interpretation = queries.cases.interpretation(report.incident.id)
        similar = queries.cases.similar(report.incident.id)
        found = None if store is not None else load_config(config)
        groups = {} if found is None else {g: list(p) for g, p in found.groups.items()}
        related = related_incidents(queries, report.incident, groups)
    link = None if found is None else found.dashboard.link(report.incident.id)
    if plot is not None:
        trust = interpretation.trust if interpretation is not None else {}
        _draw(plot, report.incident, evidence, explanations, method, trust, light=light)
    if as_json:
        made = None if interpretation is None else asdict(interpretation)
        more = {"similar": [asdict(case) for case in similar], "related": [asdict(each) for each in related]}
        print_json(
            as_dict(report) | {"link": link} | _why(evidence, explanations) | {"interpretation": made} | more
        )
        return
    typer.echo(incident_line(report.incident))
    typer.echo(report.narrative)
    typer.echo(_made_with(report))
    for line in interpretation_lines(interpretation, similar, related):
        typer.echo(line)
    for e in explanations:
        typer.echo(f"explained by {e.method} in {e.seconds:.2f} s" + ("" if e.complete else " (cut short)"))
    if not explanations:
        typer.echo(f"not explained: {report.explain_error or 'not yet'}")
    if plot is not None:
        typer.echo(f"picture: {plot}")
    if link is not None:
        typer.echo(link)


def _draw(
    file: Path,
    incident: Incident,
    evidence: Evidence | None,
    explanations: Sequence[Explanation],
    method: str | None,
    trust: Mapping[str, str],
    *,
    light: bool,
) -> None:
    """Write the picture of one explanation; `trust` is how far each method is to be trusted."""
    # matplotlib, which nothing else here needs
    from anomalyd.interpret.pictures.palette import DARK, LIGHT
    from anomalyd.interpret.pictures.picture import explains, picture

    chosen = [e for e in explanations if method in (None, e.method)]
    if not chosen:
        have = [e.method for e in explanations]
        raise AnomalydError(
            f"report {incident.id}: no such explanation to draw; {did_you_mean(method or '', have)}"
            f"there is: {', '.join(have) or 'none yet'}"
        )
    if evidence is None or not explains(chosen[0], evidence):
        raise AnomalydError(
            f"report {incident.id}: what {chosen[0].method} explains is no longer kept; "
            "there is nothing to draw"
        )
    told = trust.get(chosen[0].method, "")
    form: Literal["png", "svg"] = "svg" if file.suffix.lower() == ".svg" else "png"
    try:
        file.write_bytes(picture(incident, evidence, chosen[0], LIGHT if light else DARK, told, form))
    except OSError as error:
        raise AnomalydError(f"the picture cannot be written: {error}; name another file") from error


def _why(evidence: Evidence | None, explanations: Sequence[Explanation]) -> dict[str, Any]:
    """Give the evidence and the explanations of a report for JSON."""
    about: dict[str, Any] = {
        "explanations": [
            {"method": e.method, "seconds": e.seconds, "complete": e.complete, "values": e.values.tolist()}
            for e in explanations
        ]
    }
    if evidence is not None:
        about["evidence"] = {
            "time": evidence.time,
            "features": list(evidence.features),
            "values": evidence.values.tolist(),
            "expectation": evidence.expectation.tolist(),
            "error": evidence.error.tolist(),
        }
    return about


def dashboard(
    config: MaybeConfig = DEFAULT_CONFIG,
    store: StoreUrl = None,
    models: Annotated[
        Path | None,
        typer.Option(help="The folder of trained models, instead of the configuration's.", file_okay=False),
    ] = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="The port to listen on.")] = 8501,
) -> None:
    """Show the dashboard in a browser: it reads the store and the models, and writes what people say."""
    with extra("dashboard", "the dashboard"):
        import streamlit  # noqa: F401

    from anomalyd.dashboard.serve import serve

    settings = None
    if store is None:
        found = load_config(config)
        models = models or Path(found.store.models)
        settings = found.dashboard.settings(found.groups, found.assistant)
    raise SystemExit(serve(store_url(config, store), host=host, port=port, models=models, settings=settings))


def _made_with(report: Report) -> str:
    made = report.provenance
    return (
        f"made by anomalyd {made.code or '?'} with model {report.incident.model}, configuration "
        f"{made.configuration or '?'}, of {report.incident.source or '?'} to {made.until or '?'}"
    )


def as_dict(report: Report) -> dict[str, Any]:
    """Give a report for JSON."""
    return {
        **asdict(report.incident),
        "narrative": report.narrative,
        "revision": report.revision,
        "recorded": report.recorded,
        "explained_by": list(report.explained_by),
        "explain_error": report.explain_error,
        "adaptations": list(report.adaptations),
        "provenance": asdict(report.provenance),
    }


class _queries:  # noqa: N801 - reads as a function
    """A read-only look at the store, closed afterwards."""

    def __init__(self, config: Path, store: str | None) -> None:
        self._queries = Queries.open(store_url(config, store))

    def __enter__(self) -> Queries:
        return self._queries

    def __exit__(self, *_: object) -> None:
        self._queries.close()
