"""How often it really alarms: over a day of event time, in bounded memory."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anomalyd.daemon.scoring.realised_rate import Figures, RealisedRate

DAY = 86_400.0
NAN = float("nan")


def test_before_anything_came_nothing_is_known() -> None:
    realised = RealisedRate()
    realised.scored("a", np.array([5.0]), np.array([NAN]))
    assert realised.figures() == Figures(None, 0, 0)


def test_a_share_of_the_judged_samples_is_above_one() -> None:
    realised = RealisedRate()
    realised.scored("a", np.arange(5.0), np.array([0.5, 1.0, 1.1, NAN, 7.0]))
    realised.opened(3.0)
    assert realised.figures() == Figures(0.5, 1, 1)


def test_what_is_older_than_a_day_no_longer_counts() -> None:
    realised = RealisedRate()
    realised.scored("a", np.array([0.0]), np.array([2.0]))
    realised.opened(0.0)
    realised.scored("b", np.array([DAY - 900.0]), np.array([0.0]))
    assert realised.figures() == Figures(0.5, 1, 2)
    realised.scored("b", np.array([DAY]), np.array([0.0]))
    assert realised.figures() == Figures(0.0, 0, 1)
    realised.scored("a", np.array([1.0]), np.array([2.0]))  # an old one that comes late
    assert realised.figures().rate == 0.0


_events = st.lists(st.tuples(st.integers(0, 400), st.booleans()), min_size=1, max_size=60)


@settings(deadline=None)  # other work on the machine is no failure
@given(_events, st.integers(1, 7))
def test_it_does_not_matter_how_samples_are_cut_into_stretches(
    events: list[tuple[int, bool]], size: int
) -> None:
    times = np.sort(np.array([1800.0 * quarter for quarter, _ in events]))
    scores = np.array([2.0 if alert else 0.0 for _, alert in events])
    whole, cut = RealisedRate(), RealisedRate()
    whole.scored("a", times, scores)
    for k in range(0, len(times), size):
        cut.scored("a", times[k : k + size], scores[k : k + size])
    assert cut.figures() == whole.figures()
    recent = times > times[-1] - DAY
    assert whole.figures().rate == pytest.approx(np.mean(scores[recent] > 1))


def test_memory_is_bounded_over_a_year_of_days() -> None:
    realised = RealisedRate()
    for day in range(365):
        realised.scored(f"host{day}", DAY * day + np.arange(0, DAY, 900.0), np.full(96, 2.0))
        realised.opened(DAY * day)
    held = [realised._samples, realised._alerts, realised._alarms, realised._entities]
    assert max(map(len, held)) <= 97
