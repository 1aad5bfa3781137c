"""Where to look for better parameters: what each kind of detector declares of itself."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields

from anomalyd.detectors.registry import detector_class
from anomalyd.errors import TrainingError


@dataclass(frozen=True, slots=True)
class Dimension:
    """One parameter: looked for from `least` to `most` (both may be taken), its default is `default`."""

    name: str
    default: float
    least: float
    most: float
    log: bool
    whole: bool


def search_space(kind: str) -> tuple[Dimension, ...]:
    """Give what may be tuned of a kind of detector.

    Raises:
        TrainingError: the kind is unknown, or declares nothing to tune.

    """
    known = detector_class(kind).parameters_class
    found = []
    for each in fields(known) if known is not None else ():
        tune = each.metadata.get("tune")
        if tune is not None:
            assert each.default is not MISSING
            whole = isinstance(each.default, int)
            low, high = tune
            found.append(Dimension(each.name, each.default, low, high, each.metadata["log"], whole))
    if not found:
        raise TrainingError(f"{kind!r} declares no parameter to tune")
    return tuple(found)
