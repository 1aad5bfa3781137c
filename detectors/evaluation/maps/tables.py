"""The figures of map detectors: as tables in Markdown, and as `results.json`."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np

from anomalyd.detectors.evaluation.maps.faults import LIMIT, Alarms, MapRow
from anomalyd.detectors.evaluation.maps.normal_maps import NormalFigures
from anomalyd.detectors.evaluation.maps.sequences import SequenceRow
from anomalyd.detectors.evaluation.tables import markdown


def write_rows(rows: Sequence[MapRow], file: Path) -> None:
    """Write `results.json`: a list of rows; what is undefined is null."""
    plain = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in asdict(row).items()}
        for row in rows
    ]
    file.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")


def faults_table(rows: Sequence[MapRow]) -> str:
    """Give a line for each fault, count level and detector: means over seeds, with their spread."""
    groups: dict[tuple[str, float, float, float, str], list[MapRow]] = {}
    for row in rows:
        key = (row.fault, row.strength, row.noise, row.mean_counts, row.detector)
        groups.setdefault(key, []).append(row)
    return markdown(
        [
            "fault",
            "factor",
            "noise",
            "counts",
            "detector",
            "AUC",
            "of limit",
            "FDR at 99 %",
            "true cells",
            "IoU",
        ],
        [
            [
                fault,
                f"{strength:g}" if math.isfinite(strength) else "-",
                f"{noise:g}",
                f"{counts:.3g}",
                detector,
                _spread([r.auc for r in some]),
                _share(some) if detector != LIMIT else "1",
                _spread([r.fdr_at_99 for r in some]),
                _spread([r.true_cells_highlighted for r in some]),
                _spread([r.iou for r in some]),
            ]
            for (fault, strength, noise, counts, detector), some in groups.items()
        ],
    )


def alarms_table(alarms: Sequence[Alarms]) -> str:
    """Give the share of normal maps above score 1 beside what was wanted, by count level."""
    groups: dict[tuple[str, float, float], list[Alarms]] = {}
    for a in alarms:
        groups.setdefault((a.detector, a.noise, a.mean_counts), []).append(a)
    return markdown(
        ["detector", "noise", "counts", "wanted", "realised"],
        [
            [
                detector,
                f"{noise:g}",
                f"{counts:g}",
                f"{some[0].wanted:g}",
                f"{np.mean([a.realised for a in some]):.4f}",
            ]
            for (detector, noise, counts), some in groups.items()
        ],
    )


def sequences_table(rows: Sequence[SequenceRow]) -> str:
    """Give false alarms per 1,000 lumisections, and the delay of each fault in lumisections."""
    return markdown(
        ["detector", "fault", "factor", "counts", "found", "delay (LS)", "false alarms / 1,000 LS"],
        [
            [
                r.detector,
                r.fault,
                f"{r.strength:g}",
                f"{r.mean_counts:g}",
                f"{r.found:.2f}",
                f"{r.delay:.1f}" if math.isfinite(r.delay) else "-",
                f"{r.false_alarms:.2f}",
            ]
            for r in rows
        ],
    )


def normal_table(rows: Sequence[NormalFigures]) -> str:
    """Give the figures of simulated normal maps, one line for each group of elements."""
    return markdown(
        ["elements", "number", "counts of a cell", "spread", "chi2 / ndf", "dead cells", "units, relative"],
        [
            [
                r.group,
                f"{r.elements}",
                f"{r.counts:.1f}",
                f"{r.spread:.1f}",
                f"{r.chi2:.3f}",
                f"{100 * r.dead:.2f} %",
                " ".join(f"{u:.3f}" for u in r.units) or "-",
            ]
            for r in rows
        ],
    )


def _share(rows: Sequence[MapRow]) -> str:
    """Give (AUC - .5) / (limit - .5)."""
    shares = [(r.auc - 0.5) / (r.limit_auc - 0.5) for r in rows if r.limit_auc > 0.5]
    return _spread(shares) if shares else "-"


def _spread(values: Sequence[float]) -> str:
    finite = [v for v in values if math.isfinite(v)]
    if not finite:
        return "-"
    if len(finite) == 1:
        return f"{finite[0]:.3f}"
    return f"{np.mean(finite):.3f} ± {np.std(finite, ddof=1):.3f}"
