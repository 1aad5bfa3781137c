"""A report as one HTML file that needs nothing else: for the logbook, or a ticket."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape

from anomalyd.dashboard.incident import tables
from anomalyd.dashboard.style import MARK, facts_table, numbers_table
from anomalyd.dashboard.wording import moment
from anomalyd.interpret.pictures.palette import LIGHT
from anomalyd.reports.remark import Remark
from anomalyd.reports.report import Evidence, Explanation, Report

_CSS = f"""
body {{ font: 16px/1.5 system-ui, sans-serif; color: {LIGHT.text}; background: {LIGHT.background};
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; overflow-wrap: anywhere; }}
img {{ max-width: 100%; height: auto; }}
td, th {{ padding: .15rem .9rem .15rem 0; vertical-align: top; text-align: left; }}
td:first-child, th {{ color: {LIGHT.quiet}; font-weight: 400; }}
.told {{ white-space: pre-line; }}
@media print {{ body {{ margin: 0; }} figure {{ break-inside: avoid; }} }}
"""


def as_html(
    report: Report,
    evidence: Evidence | None,
    explanations: Sequence[Explanation],
    pictures: Sequence[tuple[str, bytes]],
    remarks: Sequence[Remark],
    elsewhere: Sequence[str],
    address: str,
) -> str:
    """Write a report as a page. `pictures`: (caption, PNG); `elsewhere`: what started then, in words."""
    i = report.incident
    parts = [
        f"<h1>{escape(i.entity)}: {escape(MARK[i.severity])}, {escape(i.status.value)}</h1>",
        f'<p class="told">{escape(report.narrative)}</p>',
        f'<p><a href="{escape(address, quote=True)}">{escape(address)}</a></p>',
        facts_table([*tables.facts(report), *tables.provenance(report, evidence)]),
    ]
    if evidence is not None and evidence.causes:
        parts += ["<h2>Causes</h2>", numbers_table(tables.causes(evidence))]
    for caption, png in pictures:
        data = base64.b64encode(png).decode("ascii")
        parts.append(
            f'<figure><img alt="{escape(caption, quote=True)}" src="data:image/png;base64,{data}">'
            f"<figcaption>{escape(caption)}</figcaption></figure>"
        )
    for explanation in explanations:
        if tables.fits(explanation.values, explanation.evidence_time, evidence):
            rows = tables.blame(explanation.values, evidence, None)
            parts += [f"<h2>By {escape(explanation.method)}</h2>", numbers_table(rows)]
    if elsewhere:
        parts.append("<h2>At the same time elsewhere</h2><ul>")
        parts += [f"<li>{escape(each)}</li>" for each in elsewhere]
        parts.append("</ul>")
    if remarks:
        parts.append("<h2>What people wrote</h2><ul>")
        parts += [
            f"<li>{escape(f'{moment(r.recorded)} UTC, {r.who}, {r.kind.value}: {r.text}')}</li>"
            for r in remarks
        ]
        parts.append("</ul>")
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'\">"
        f"<title>{escape(i.entity)} {escape(i.id)}</title><style>{_CSS}</style></head>"
        f"<body>{''.join(parts)}</body></html>"
    )
