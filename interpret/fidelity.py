"""How faithful an explanation is: what the score does when parts of the input are put back to the expected.

A score is asked as a function of which parts (metrics, cells) are as observed and which as expected. On that:
- deletion and insertion area (Petsiuk, Das and Saenko, "RISE", BMVC 2018), beside random orders;
- infidelity (Yeh et al., "On the (in)fidelity and sensitivity of explanations", NeurIPS 2019), by captum;
- sensitivity, the largest change of the explanation when the input moves a little (ibid.), by captum.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from captum.metrics import infidelity as captum_infidelity
from captum.metrics import sensitivity_max
from numpy.typing import NDArray
from torch import Tensor

from anomalyd.detectors.detector import Encoded, Explainable
from anomalyd.interpret.rescoring import Rescoring

Kept = NDArray[np.bool_]
ScoreOf = Callable[[Kept], NDArray[np.float64]]
"""Gives the raw scores (N,) where the parts kept (N, P) are as observed, and the others as expected."""

_STEPS = 12
"""Points of a deletion or insertion curve."""


def score_of_metrics(rescoring: Rescoring) -> ScoreOf:
    """Give the score of a sample of metrics as a function of which are as observed."""
    return lambda kept: rescoring.scores_without([np.flatnonzero(~row) for row in kept])


def score_of_cells(detector: Explainable, encoded: Encoded) -> ScoreOf:
    """Give the score of a map as a function of which of its cells (R * C) are as observed."""
    place = encoded.feature.clamp(min=0).flatten()

    def scores(kept: Kept) -> NDArray[np.float64]:
        as_observed = torch.from_numpy(kept)[:, place].reshape(len(kept), *encoded.inputs.shape[1:])
        variants = torch.where(as_observed, encoded.inputs, encoded.baseline)
        several = tuple(each.expand(len(kept), *each.shape[1:]) for each in encoded.context)
        with torch.no_grad():
            found = detector.forward(variants, *several)
        return found.double().numpy()

    return scores


def deletion_area(
    score: ScoreOf, values: NDArray[np.float32], order: NDArray[np.int64] | None = None
) -> float:
    """Give the mean of the score, 1 as observed and 0 as expected, while parts are put back.

    Those that the attribution `values` blames most go first, or in an `order` (P,).
    """
    return _area(score, values, order, put_back=True)


def insertion_area(
    score: ScoreOf, values: NDArray[np.float32], order: NDArray[np.int64] | None = None
) -> float:
    """Give the mean of the score, as `deletion_area`, while parts as observed are added one by one."""
    return _area(score, values, order, put_back=False)


def better_than_random(score: ScoreOf, values: NDArray[np.float32], tries: int = 8, seed: int = 0) -> float:
    """Give the share of random orders that have a larger deletion area than this one."""
    rng = np.random.default_rng(seed)
    own = deletion_area(score, values)
    parts = _order(values)
    others = [deletion_area(score, values, rng.permutation(parts)) for _ in range(tries)]
    return float(np.mean([other > own for other in others]))


def infidelity(score: ScoreOf, values: NDArray[np.float32], samples: int = 32, seed: int = 0) -> float:
    """Give how badly an attribution foretells what the score loses when random parts are put back.

    As a share of the mean square of those losses: 0 foretells all, 1 nothing. The attribution is taken times
    its best factor first, for not every method is in units of the score.
    """
    rng = np.random.default_rng(seed)
    present = np.isfinite(values.ravel())
    blame = torch.from_numpy(np.nan_to_num(values.ravel()).astype(np.float32))[None]
    lost: list[float] = []

    def forward(kept: Tensor) -> Tensor:
        found = score(kept.numpy() > 0.5)
        return torch.from_numpy(found.astype(np.float32))

    def perturb(kept: Tensor) -> tuple[Tensor, Tensor]:
        share = rng.uniform(0.05, 0.5, (len(kept), 1))
        gone = torch.from_numpy((rng.uniform(size=kept.shape) < share) & present).float()
        lost.extend(((forward(kept) - forward(kept - gone)) ** 2).tolist())
        return gone, kept - gone

    whole = torch.ones_like(blame)
    missed = float(
        captum_infidelity(forward, perturb, whole, blame, n_perturb_samples=samples, normalize=True)
    )
    scale = float(np.mean(lost)) if lost else 0.0
    return missed / scale if scale > 0 else float("nan")


def sensitivity(
    explained: Callable[[NDArray[np.float32]], NDArray[np.float32]],
    values: NDArray[np.float32],
    radius: float,
    samples: int = 4,
) -> float:
    """Give the largest relative change of an explanation when the sample moves by up to a `radius`.

    `explained` gives the attribution of a sample of the shape of `values`.
    """

    def again(moved: Tensor | tuple[Tensor, ...]) -> tuple[Tensor]:
        batch = moved if isinstance(moved, Tensor) else moved[0]
        found = [np.nan_to_num(explained(each.numpy())) for each in batch]
        return (torch.from_numpy(np.stack(found)),)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        found = sensitivity_max(
            again, (torch.from_numpy(values)[None],), perturb_radius=radius, n_perturb_samples=samples
        )
    return float(found)


def _order(values: NDArray[np.float32]) -> NDArray[np.int64]:
    flat = values.ravel()
    order = np.argsort(-np.nan_to_num(flat, nan=-np.inf), kind="stable")
    found: NDArray[np.int64] = order[np.isfinite(flat[order])]
    return found


def _area(
    score: ScoreOf, values: NDArray[np.float32], order: NDArray[np.int64] | None, *, put_back: bool
) -> float:
    parts = _order(values) if order is None else order
    kept = np.ones((_STEPS + 2, values.size), dtype=np.bool_)
    kept[1, parts] = False
    # Denser at the beginning, where a good order has done its work.
    counts = np.unique(np.ceil(len(parts) * np.linspace(0, 1, _STEPS + 1)[1:] ** 2).astype(int))
    for row, count in enumerate(counts, 2):
        kept[row, parts[:count] if put_back else parts[count:]] = False
    scores = np.nan_to_num(score(kept[: len(counts) + 2]))
    fall = scores[0] - scores[1]
    if fall <= 0:
        return float("nan")
    course = np.concatenate([[1.0 if put_back else 0.0], (scores[2:] - scores[1]) / fall])
    return float(np.trapezoid(course, np.concatenate([[0.0], counts / len(parts)])))
