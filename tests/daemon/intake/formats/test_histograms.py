from __future__ import annotations

import numpy as np
import pytest

from anomalyd.daemon.intake.parsing.histograms import counts_of
from anomalyd.errors import DecodeError

NAN = np.nan


def cells(*rows: list[float]) -> np.ndarray:
    return np.array(rows, dtype=np.float32)


def test_counts_stay_as_they_are() -> None:
    maps = cells([1, 2, NAN], [0, 5, 7])
    np.testing.assert_array_equal(counts_of(maps, {}), maps)


def test_an_efficiency_is_judged_by_what_failed() -> None:
    passed, tried = cells([95, 80, 0]), cells([100, 100, NAN])
    np.testing.assert_array_equal(counts_of(passed, {"denominator": tried}), cells([5, 20, NAN]))
    ratio = cells([0.95, 0.8, 1.0])
    np.testing.assert_allclose(
        counts_of(ratio, {"entries": cells([100, 100, 10])}), cells([5, 20, 0]), atol=1e-4
    )


def test_weights_are_as_many_counts_as_make_their_error() -> None:
    """A hundred entries of weight 2.5 are worth a hundred counts."""
    np.testing.assert_allclose(
        counts_of(cells([250.0, 0.0]), {"sumw2": cells([625.0, 0.0])}), cells([100.0, 0.0])
    )
    np.testing.assert_allclose(counts_of(cells([10.0]), {"variance": cells([0.5])}), cells([50.0]))


@pytest.mark.parametrize(
    ("maps", "beside", "what"),
    [
        (cells([0.2, 0.8]), {}, "no whole number.*denominator.*sumw2.*variance"),
        (cells([1, -2]), {}, r"map\[0\]\[1\]: -2 is negative"),
        (cells([NAN, NAN]), {}, "every cell is masked"),
        (cells([1, 2]), {"sumw2": cells([1])}, "needs as many"),
        (cells([1, 2]), {"sumw2": cells([1, 0])}, r"sumw2\[0\]\[1\]: 0 stands.*sum of the squared weights"),
        (cells([1, -2]), {"sumw2": cells([1, 4])}, r"map\[0\]\[1\]: -2 is a negative sum of weights.*null"),
        (cells([1, 2]), {"sumw2": cells([1, -1])}, r"sumw2\[0\]\[1\]"),
        (cells([2, 3]), {"denominator": cells([2, 2])}, r"map\[0\]\[1\]: 3 is larger than its denominator"),
        (cells([0.5, 1.5]), {"entries": cells([2, 2])}, r"map\[0\]\[1\]: 1.5 is above 1.*needs variance"),
        (cells([1]), {"entries": cells([2]), "sumw2": cells([2])}, "one of them at most"),
    ],
)
def test_what_is_no_histogram_of_counts_is_refused_with_what_it_needs(maps, beside, what) -> None:
    with pytest.raises(DecodeError, match=what):
        counts_of(maps, beside)


def test_counts_of_means_vary_as_counts_do():
    rng = np.random.default_rng(0)
    mean, variance = (
        np.full((20_000, 1), 10.0, dtype=np.float32),
        np.full((20_000, 1), 0.04, dtype=np.float32),
    )
    drawn = (mean + rng.normal(0, 0.2, mean.shape)).astype(np.float32)
    found = counts_of(drawn, {"variance": variance})
    assert found.var() / found.mean() == pytest.approx(1, abs=0.05)
