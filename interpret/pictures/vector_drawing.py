"""The picture of an explained metric vector: shares of the blame, and the course of the first causes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
from matplotlib.axes import Axes
from numpy.typing import NDArray

from anomalyd.interpret.attribution import Attribution
from anomalyd.interpret.pictures.page import Format, noted, page, panel, rendered
from anomalyd.interpret.pictures.palette import DARK, Theme, fitted, fonts
from anomalyd.reports.units import human

_BARS, _FEWEST = 12, 3
_SERIES = 4
_BAND = 2.0
"""Usual widths on either side of what was expected that the band shows."""

_Numbers = NDArray[np.float64]


def draw_vector(
    features: Sequence[str],
    values: NDArray[np.float32],
    expectation: NDArray[np.float32],
    error: NDArray[np.float32],
    attribution: Attribution | None,
    history: NDArray[np.float32],
    history_times: NDArray[np.float64],
    time: float,
    title: str,
    note: str = "",
    *,
    width: NDArray[np.float32] | None = None,
    onset: float | None = None,
    causes: Sequence[str] = (),
    form: Format = "png",
    theme: Theme = DARK,
) -> bytes:
    """Draw a metric vector: the metrics most to blame as bars, and the course of the first four causes.

    `features` (F,) names; `values`, `expectation`, `width` (F,) in the metrics' units; `error` (F,) in usual
    widths; `history` (h, F) at `history_times` (h,), seconds since the epoch, is the course from before the
    `onset` to what came after the sample at `time`. `causes` are always drawn, in their order, before what
    the attribution blames most. Without an attribution the bars show |error|. NaN: missing. `note`: what
    stands below the title, before the method.
    """
    blame = _wide(np.abs(error) if attribution is None else attribution.values)
    drawn, worst = _chosen(features, blame, causes)
    figure = page(title, noted(note, attribution), theme, title_width=0.66)
    room = max(len(worst), _FEWEST) / _BARS  # few metrics become neither fat bars nor an empty panel
    bars = figure.add_gridspec(1, 1, left=0.19, right=0.36, top=0.84, bottom=0.84 - 0.75 * room)
    series = figure.add_gridspec(_SERIES, 1, left=0.7, right=0.975, top=0.84, bottom=0.09, hspace=0.62)
    _bars(figure.add_subplot(bars[0]), features, worst, blame, values, expectation, error, attribution, theme)
    times, course = _with_sample(history_times, history, time, values)
    zero = time if onset is None else onset
    per_unit, unit = _unit(float(np.ptp(times)) if len(times) else 0.0)
    for row, f in enumerate(drawn):
        axes = figure.add_subplot(series[row])
        _series(
            axes,
            (times - zero) / per_unit,
            _wide(course[:, f]),
            float(expectation[f]),
            float("nan") if width is None else float(width[f]),
            ((time - zero) / per_unit, float(values[f])),
            onset is not None,
            features[f],
            theme,
        )
        if row == len(drawn) - 1:
            since = f"the onset at {_clock(zero)} UTC" if onset is not None else "the sample"
            axes.set_xlabel(f"{unit} from {since}", color=theme.quiet, fontsize=9)
    figure.text(0.7, 0.945, "● explained sample", color=theme.observed, fontsize=9.5)
    figure.text(0.975, 0.945, "╌ expected before the onset", color=theme.expected, fontsize=9.5, ha="right")
    return rendered(figure, form, theme)


def drawn_metrics(
    features: Sequence[str], blame: NDArray[np.float32], causes: Sequence[str]
) -> tuple[str, ...]:
    """Name the metrics whose course is drawn."""
    return tuple(features[f] for f in _chosen(features, _wide(blame), causes)[0])


def whole_shares(blame: _Numbers) -> NDArray[np.int64]:
    """Give each part's share of what raises the score in whole percent; together they are 100 (or 0).

    What lowers it, or is missing, has none. The largest remainders are rounded up (Hamilton's method).
    """
    raising = np.clip(np.nan_to_num(blame), 0.0, None)
    top = float(raising.max(initial=0.0))
    if top <= 0:
        return np.zeros(len(blame), dtype=np.int64)
    exact = 100.0 * (raising / top) / float((raising / top).sum())
    found = np.floor(exact).astype(np.int64)
    found[np.argsort(found - exact, kind="stable")[: 100 - int(found.sum())]] += 1
    return found


def _chosen(features: Sequence[str], blame: _Numbers, causes: Sequence[str]) -> tuple[list[int], list[int]]:
    """Give the metrics whose course is drawn, and those that get a bar, worst first."""
    order = np.argsort(-np.nan_to_num(blame, nan=-np.inf), kind="stable")
    known = order[np.isfinite(blame[order])]
    worst = [int(f) for f in (known if len(known) else order)]
    first = [features.index(cause) for cause in causes if cause in features][:_SERIES]
    # What has no part in it tells nobody anything.
    worst = [f for f in worst if blame[f] != 0 or f in first] or worst
    drawn = [*first, *(f for f in worst if f not in first)][:_SERIES]
    barred = [f for f in worst if f in worst[:_BARS] or f in first]
    while len(barred) > _BARS:
        barred.remove(next(f for f in reversed(barred) if f not in first))
    return drawn, barred


def _bars(
    axes: Axes,
    features: Sequence[str],
    worst: list[int],
    blame: _Numbers,
    values: NDArray[np.float32],
    expectation: NDArray[np.float32],
    error: NDArray[np.float32],
    attribution: Attribution | None,
    theme: Theme,
) -> None:
    """Draw one bar a metric, worst on top, and a small table at the right of it."""
    panel(axes, theme)
    rows = np.arange(len(worst))
    lengths = np.nan_to_num(blame[worst])
    shares = whole_shares(blame)
    axes.barh(
        rows, lengths, height=0.62, color=[theme.observed if b >= 0 else theme.expected for b in lengths]
    )
    axes.set_yticks(
        rows,
        [fitted(features[f], 16.4) for f in worst],
        parse_math=False,
        color=theme.text,
        family=list(fonts()),
    )
    axes.set_ylim(max(len(worst), _FEWEST) - 0.5, -0.5)
    axes.axvline(0, color=theme.quiet, linewidth=0.8)
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter(lambda value, _: human(value))
    axes.set_xlabel(
        "part of the raw score" if attribution else "departure from normal [usual widths]",
        color=theme.quiet,
        fontsize=9,
    )
    share = [f"{shares[f]} %" if attribution else "" for f in worst]
    left_over = 100 - int(shares[worst].sum()) if attribution and shares.any() else 0
    columns = (
        (1.22, "share" if attribution else "", share, theme.text),
        (1.68, "observed", [human(float(values[f]), features[f]) for f in worst], theme.observed),
        (2.14, "expected", [human(float(expectation[f]), features[f]) for f in worst], theme.expected),
        (2.5, "", [_sigmas(float(error[f])) for f in worst], theme.text),
    )
    place = axes.get_yaxis_transform()
    for x, heading, cells, colour in columns:
        axes.text(x, -0.65, heading, color=theme.quiet, fontsize=9, ha="right", transform=place)
        for row, cell in enumerate(cells):
            axes.text(x, row, cell, color=colour, fontsize=9, ha="right", va="center", transform=place)
    if left_over:
        axes.text(
            1.06,
            len(worst) - 0.2,
            f"and {left_over} % by others",
            color=theme.quiet,
            fontsize=9,
            ha="left",
            transform=place,
        )


def _series(
    axes: Axes,
    times: _Numbers,
    course: _Numbers,
    expected: float,
    width: float,
    sample: tuple[float, float],
    onset: bool,
    name: str,
    theme: Theme,
) -> None:
    """Draw the course of one metric, what was expected of it, the onset and the explained sample."""
    panel(axes, theme)
    if np.isfinite(expected) and np.isfinite(width):
        low, high = expected - _BAND * width, expected + _BAND * width
        axes.axhspan(low, high, color=theme.expected, alpha=0.18, linewidth=0)
    if np.isfinite(expected):
        axes.axhline(expected, color=theme.expected, linewidth=1.2, linestyle=(0, (4, 3)))
    if onset:
        # The word stands under the axis of the panel: over it is the metric's name, however long it is.
        axes.axvline(0, color=theme.text, linewidth=0.9, linestyle=(0, (1, 2)))
        axes.text(
            0.0, 0.02, " onset ", color=theme.text, fontsize=8, ha="left", va="bottom", alpha=0.9,
            transform=axes.get_xaxis_transform(), zorder=4,
            bbox={"facecolor": theme.panel, "alpha": 0.75, "linewidth": 0, "pad": 0.5},
        )  # fmt: skip
    axes.plot(times, course, color=theme.quiet, linewidth=1.1, marker=".", markersize=2.5)
    axes.plot(*sample, color=theme.observed, marker="o", markersize=6, linestyle="none", clip_on=False)
    axes.set_title(
        fitted(name, 26),
        color=theme.text,
        fontsize=9.5,
        loc="left",
        pad=3,
        parse_math=False,
        family=list(fonts()),
    )
    axes.locator_params(axis="y", nbins=3)
    axes.locator_params(axis="x", nbins=6)
    axes.yaxis.set_major_formatter(lambda value, _: human(value, name))


def _with_sample(
    times: NDArray[np.float64], rows: NDArray[np.float32], time: float, values: NDArray[np.float32]
) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
    """Give the course with the sample in it."""
    if time in times:
        return times, rows
    place = int(np.searchsorted(times, time))
    return np.insert(times, place, time), np.insert(rows, place, values, axis=0)


def _wide(numbers: NDArray[np.float32]) -> _Numbers:
    """Give float64: a range of float32 may overflow float32."""
    return numbers.astype(np.float64)


def _sigmas(error: float) -> str:
    if not np.isfinite(error):
        return ""
    size = abs(error)
    return f"{error:+.1f} σ" if size < 100 else f"{error:+.0f} σ" if size < 1e5 else f"{error:+.0e} σ"


def _clock(time: float) -> str:
    return f"{datetime.fromtimestamp(time, UTC):%Y-%m-%d %H:%M:%S}"


def _unit(span_s: float) -> tuple[float, str]:
    """Choose the unit of a time axis: seconds in it, and its name."""
    if span_s < 300:
        return 1.0, "seconds"
    return (60.0, "minutes") if span_s < 18_000 else (3600.0, "hours")
