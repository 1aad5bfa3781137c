"""A trained model: weights, card and calibration, kept as a folder that is refused when it does not fit.

    model.safetensors   everything learnt
    model.json          the card, the calibration, the detector's configuration, and the sha256 of the weights

Nothing in the folder is ever executed: weights come from safetensors only, the kind from a whitelist.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from io import BufferedReader
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from anomalyd.detectors import threshold
from anomalyd.detectors.calibration import Calibration
from anomalyd.detectors.detector import (
    Adaptation,
    Detector,
    RawScores,
    SampleKind,
    SeriesWindow,
    State,
    split,
)
from anomalyd.detectors.registry import detector_class, kinds
from anomalyd.errors import ModelDamaged, ModelMismatch, ModelMissing
from anomalyd.total import Total
from anomalyd.verdict import Verdict

FORMAT = 1
"""Version of the folder's layout; another one is refused."""

WEIGHTS, CARD = "model.safetensors", "model.json"

_NOTHING: State = {}

_RETRAIN = "train it again, or restore the folder from a copy"


STARTING = "starting"
"""Among the figures of a card: that the model was trained on none of the user's data."""


@dataclass(frozen=True, slots=True)
class Card:
    """What a model is and where it comes from.

    `features` (F,) names the metrics of a vector (empty for maps); `shapes` gives the shape of one sample of
    each entity it was trained on. `trained_from`, `trained_to`: first and last event time of the `samples`
    training samples, `created`: wall-clock time, all in seconds since the epoch. `alarms_per_day`: the wanted
    false alarms per entity and day that the calibration's rate was made of, None if the rate itself was
    wanted. `figures`: how training went
    (losses, the share of held-out samples above 1, seconds), as far as it is known.
    """

    kind: str
    sample_kind: SampleKind
    features: tuple[str, ...]
    shapes: Mapping[str, tuple[int, ...]]
    trained_from: float
    trained_to: float
    samples: int
    data_sha256: str
    code_version: str
    seed: int
    parameters: Mapping[str, Any]
    created: float
    alarms_per_day: float | None = None
    figures: Mapping[str, float] = field(default_factory=dict)

    @property
    def entities(self) -> tuple[str, ...]:
        """The entities it was trained on."""
        return tuple(self.shapes)


# Not frozen: one is made of each row, and a frozen one takes five times as long. Nothing writes to it.
@dataclass(slots=True)
class Scores:
    """What one model says of a window of n samples; `...` is F or R, C.

    `score` (n,): calibrated, above 1 is an alert, NaN where it cannot tell. `raw`, `error`, `expectation`,
    `contribution`, `state`, `adaptations`, `signed`, `learning`, `totals`: as in `RawScores`; `signed` is
    always there, and the totals' `otherwise` calibrated.
    """

    score: NDArray[np.float64]
    raw: NDArray[np.float64]
    error: NDArray[np.float32]
    expectation: NDArray[np.float32]
    contribution: NDArray[np.float32]
    state: State
    adaptations: tuple[Adaptation, ...] = ()
    signed: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, dtype=np.float32))
    learning: bool = False
    totals: tuple[tuple[int, Total], ...] = ()


@dataclass(frozen=True, slots=True)
class Model:
    """A fitted detector with its calibration and its card."""

    card: Card
    detector: Detector
    calibration: Calibration

    def score(self, windows: Sequence[SeriesWindow]) -> list[Scores]:
        """Score windows of different entities in one batch, one `Scores` for each, in order.

        Raises:
            ModelMismatch: values of a shape this model was not trained for.

        """
        follows = self.calibration.follows
        parts = [threshold.parted(window.state) for window in windows] if follows else []
        own = (
            [
                SeriesWindow(window.entity, window.times, window.values, state, window.exposure)
                for window, (state, _) in zip(windows, parts, strict=True)
            ]
            if follows
            else windows
        )
        raws = self.detector.score(own)
        if not raws:
            return []
        # All rows at once: a window may be a single row, of each of a thousand entities.
        raw = np.concatenate([each.raw for each in raws])
        counts = [len(each.raw) for each in raws]
        states, levels = [each.state for each in raws], list[float]()
        if follows:
            heights = self.calibration.heights(raw).tolist()
            times = np.concatenate([window.times for window in windows]).tolist()
            end = 0
            for w, (count, (_, before)) in enumerate(zip(counts, parts, strict=True)):
                begin, end = end, end + count
                own_levels, course = threshold.follow_heights(
                    self.calibration, times[begin:end], heights[begin:end], before
                )
                levels += own_levels
                states[w] = threshold.combined(states[w], course)
        calibrated = self.calibration(raw, np.array(levels) if follows else 1.0)
        return [
            Scores(
                own,
                each.raw,
                each.error,
                each.expectation,
                each.contribution,
                state,
                each.adaptations,
                signed,
                each.learning,
                self._calibrated(each.totals) if each.totals else (),
            )
            for own, each, state, signed in zip(
                split(calibrated, counts), raws, states, _signed(raws, counts), strict=True
            )
        ]

    def _calibrated(self, totals: Sequence[tuple[int, Total]]) -> tuple[tuple[int, Total], ...]:
        """Calibrate what maps would score with another total."""
        scores = self.calibration(np.array([each.otherwise for _, each in totals]), 1.0).tolist()
        return tuple((k, replace(each, otherwise=s)) for (k, each), s in zip(totals, scores, strict=True))

    @property
    def adaptive(self) -> bool:
        """Whether its idea of normal or its threshold follows the entity: `told` and `undo` change them."""
        return self.calibration.follows or self.detector.adaptive

    def apply_feedback(self, state: State, word: Verdict, since: float, now: float) -> State:
        """Take an operator's word, as `Detector.apply_feedback`, with the detector and with the threshold.

        What a detector learns as normal its threshold need not learn, too.
        """
        own, followed = threshold.parted(state)
        itself = self.detector.adaptive and word is Verdict.NORMAL
        if self.calibration.follows and followed and not itself:
            followed = threshold.apply_feedback(self.calibration, followed, word)
        return {**self.detector.apply_feedback(own, word, since, now), **followed}

    def undo(self, state: State, before: State) -> State:
        """Undo an adaptation, as `Detector.undo`, and put back the threshold if it was a part of it."""
        (own, followed), (own_before, followed_before) = threshold.parted(state), threshold.parted(before)
        return {**self.detector.undo(own, own_before), **(followed_before or followed)}

    def check(self, *, features: Sequence[str] = (), sample_kind: SampleKind = "vector") -> None:
        """See that samples of this kind, with these metrics in this order, are what it was trained for.

        Raises:
            ModelMismatch: they are not; the text names the metrics that are missing or new.

        """
        if sample_kind != self.card.sample_kind:
            raise ModelMismatch(
                f"model {self.card.kind!r} was trained on {self.card.sample_kind} samples, not on "
                f"{sample_kind} samples; use a detector of the other kind"
            )
        given, known = tuple(features), self.card.features
        if given != known:
            missing, new = sorted(set(known) - set(given)), sorted(set(given) - set(known))
            how = "; ".join(
                f"{what} {', '.join(names[:5])}{' ...' if len(names) > 5 else ''}"
                for what, names in (("missing:", missing), ("not known to it:", new))
                if names
            )
            raise ModelMismatch(
                f"model {self.card.kind!r} was trained on {len(known)} metrics, these are {len(given)} "
                f"({how or 'the same in another order'}); train it again for them"
            )


def _signed(raws: Sequence[RawScores], counts: Sequence[int]) -> list[NDArray[np.float32]]:
    """Give the contributions of windows of so many rows, signed; of vectors of all of them at once."""
    if raws[0].contribution.ndim != 2 or any(each.signed is not None for each in raws):
        return [
            np.copysign(each.contribution, each.error) if each.signed is None else each.signed
            for each in raws
        ]
    whole = np.copysign(
        np.concatenate([each.contribution for each in raws]), np.concatenate([each.error for each in raws])
    )
    return split(whole, counts)


def joined(parts: Sequence[Scores], state: State) -> Scores:
    """Put the scores of consecutive parts of a window together; `state` is remembered after them."""
    return Scores(
        np.concatenate([part.score for part in parts]),
        np.concatenate([part.raw for part in parts]),
        np.concatenate([part.error for part in parts]),
        np.concatenate([part.expectation for part in parts]),
        np.concatenate([part.contribution for part in parts]),
        state,
        tuple(each for part in parts for each in part.adaptations),
        np.concatenate([part.signed for part in parts]),
    )


def save_model(model: Model, folder: Path) -> None:
    """Write a model into a folder (made if needed); both files are on the disk when this returns.

    Neither is ever written over: whoever loaded what was there before goes on reading that.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = save({name: tensor.contiguous() for name, tensor in model.detector.tensors().items()})
    card = {
        "format": FORMAT,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "card": asdict(model.card),
        "calibration": asdict(model.calibration),
        "config": model.detector.config(),
    }
    text = json.dumps({**card, "sha256": _sha256_of(card)}, indent=1, allow_nan=False)
    for name, content in ((WEIGHTS, weights), (CARD, text.encode())):
        unfinished = folder / f".{name}.unfinished"
        with unfinished.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(folder / name)


def load_model(folder: Path) -> Model:
    """Load a model that `save_model` wrote.

    What was learnt stays in the file, which is mapped into memory: of many entities only what is looked at is
    read, and the system may let go of it again. The file must not be written to while the model lives;
    deleted it may be.

    Raises:
        ModelMissing: the folder or one of its files is not there.
        ModelMismatch: it was written in another format or is of a kind this version does not know.
        ModelDamaged: truncated, edited, or not what it says.

    """
    written = _written(folder)
    if _sha256_in(folder / WEIGHTS) != written.get("weights_sha256"):
        raise ModelDamaged(
            f"{folder / WEIGHTS}: truncated or damaged, its sha256 is not the one on the card; {_RETRAIN}"
        )
    try:
        card, calibration = _card(written["card"]), Calibration(**written["calibration"])
        if card.kind not in kinds():
            raise ModelMismatch(
                f"{folder / CARD}: unknown kind of detector {card.kind!r}; known: {', '.join(kinds())}"
            )
        detector = detector_class(card.kind).restore(load_file(folder / WEIGHTS), written["config"])
    except (KeyError, TypeError, ValueError, OSError, SafetensorError) as error:
        raise ModelDamaged(f"{folder}: its parts do not fit together ({error}); {_RETRAIN}") from error
    return Model(card, detector, calibration)


def read_card(folder: Path) -> tuple[Card, Calibration, str]:
    """Read a model's card and calibration, and the sha256 of its weights, which are not looked at.

    Raises:
        ModelMissing: there is no card.
        ModelMismatch: it was written in another format.
        ModelDamaged: it is not what it says.

    """
    written = _written(folder)
    try:
        return _card(written["card"]), Calibration(**written["calibration"]), str(written["weights_sha256"])
    except (KeyError, TypeError, AttributeError) as error:
        raise ModelDamaged(f"{folder / CARD}: something is missing ({error}); {_RETRAIN}") from error


def _written(folder: Path) -> dict[str, Any]:
    """Read what stands on a card, whole and unchanged."""
    text = _read(folder / CARD)
    try:
        written: dict[str, Any] = json.loads(text)
        given = written.pop("sha256")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise ModelDamaged(f"{folder / CARD}: not a model card; {_RETRAIN}") from None
    if written.get("format") != FORMAT:
        raise ModelMismatch(
            f"{folder / CARD}: format {written.get('format')!r}, this version reads format {FORMAT}; "
            "train it again with this version"
        )
    if given != _sha256_of(written):
        raise ModelDamaged(f"{folder / CARD}: edited or damaged, its sha256 does not match; {_RETRAIN}")
    return written


def _read(path: Path) -> bytes:
    with _opened(path) as file:
        return file.read()


def _sha256_in(path: Path) -> str:
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    try:
        with path.open("rb") as file:
            yield file
    except FileNotFoundError:
        raise ModelMissing(f"{path}: there is no such file; train a model first") from None
    except OSError as error:
        raise ModelDamaged(f"{path}: cannot be read: {error}") from error


def _card(written: dict[str, Any]) -> Card:
    shapes = {entity: tuple(shape) for entity, shape in written["shapes"].items()}
    return Card(**{**written, "features": tuple(written["features"]), "shapes": shapes})


def _sha256_of(card: Mapping[str, Any]) -> str:
    """Hash a card in one spelling, so that laying the file out anew does not matter, but a value does."""
    return hashlib.sha256(json.dumps(card, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
