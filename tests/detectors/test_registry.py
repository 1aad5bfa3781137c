from __future__ import annotations

import pytest

from anomalyd.detectors.detector import Detector
from anomalyd.detectors.registry import autoencoder_kinds, classical_baseline, detector_class, kinds
from anomalyd.errors import TrainingError


@pytest.mark.parametrize("kind", kinds())
def test_every_kind_is_a_detector_that_says_so_itself(kind: str) -> None:
    found = detector_class(kind)
    assert issubclass(found, Detector)
    assert found.kind == kind


@pytest.mark.parametrize("kind", autoencoder_kinds())
def test_an_autoencoder_and_its_peer_look_at_the_same_samples(kind: str) -> None:
    assert detector_class(kind).sample_kind == detector_class(classical_baseline(kind)).sample_kind


def test_an_unknown_kind_names_the_known_ones() -> None:
    with pytest.raises(TrainingError, match=r"'os\.system'.*vector-autoencoder.*map-classical"):
        detector_class("os.system")
    with pytest.raises(TrainingError, match=r"median-distance.*vector-autoencoder"):
        classical_baseline("median-distance")


@pytest.mark.parametrize("kind", kinds())
def test_a_detector_that_takes_an_operators_word_says_so(kind: str) -> None:
    found = detector_class(kind)
    takes = {found.apply_feedback is not Detector.apply_feedback, found.undo is not Detector.undo}
    assert takes == {found.adaptive}
