from __future__ import annotations

import numpy as np
import pytest

from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.maps.reference import References, learn_reference
from anomalyd.detectors.maps.simulate.faults import DeadBlock
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError

CHAMBER = "DT/W-2/MB1/S04"


def pulls(simulator: ElementSimulator, reference) -> np.ndarray:
    """How far the learnt rates are from the true ones, in their own Poisson errors."""
    true = simulator.profile / simulator.profile[reference.usable].mean()
    error = np.sqrt(true / reference.exposure)
    return ((reference.profile - true) / np.maximum(error, 1e-9))[reference.usable]


def test_the_profile_is_the_true_one_within_its_errors_and_dead_wires_are_known():
    simulator = ElementSimulator(CHAMBER, 3, 20.0)
    reference, kept = learn_reference(simulator.maps(range(40)))
    assert kept.all()
    assert np.array_equal(reference.usable, simulator.chamber.mask() & ~simulator.dead)
    assert pulls(simulator, reference).std() == pytest.approx(1, abs=0.1)
    # 40 maps of 20 counts at the luminosity of a fresh fill
    seen = [simulator.luminosity(ls) * 20 for ls in range(40)]
    assert reference.exposure == pytest.approx(sum(seen), rel=0.03)
    assert (reference.lowest, reference.highest) == pytest.approx((min(seen), max(seen)), rel=0.1)


def test_faulty_maps_among_the_training_are_left_out():
    simulator = ElementSimulator(CHAMBER, 3, 20.0)
    maps = simulator.maps(range(40))
    faulty = [3, 4, 5, 30]
    maps[faulty] = simulator.maps(faulty, DeadBlock((1, 2, 3, 4), 10, 25))
    reference, kept = learn_reference(maps)
    assert np.flatnonzero(~kept).tolist() == faulty
    assert abs(pulls(simulator, reference).mean()) < 0.2


def test_masked_cells_do_not_bias_the_profile():
    simulator = ElementSimulator(CHAMBER, 3, 20.0)
    maps = simulator.maps(range(40))
    maps[:30, 2, 5:15] = np.nan
    maps[:, 7, 3] = np.nan
    reference, _ = learn_reference(maps)
    assert not reference.usable[7, 3]
    true = simulator.profile / simulator.profile[reference.usable].mean()
    assert reference.profile[2, 5:15].mean() == pytest.approx(true[2, 5:15].mean(), rel=0.05)


@pytest.mark.parametrize("maps", [np.ones((4, 3, 5)), np.zeros((20, 3, 5)), np.full((20, 3, 5), np.nan)])
def test_too_little_gives_no_reference(maps):
    assert learn_reference(maps.astype(np.float32)) is None
    with pytest.raises(TrainingError, match="longer history"):
        References.fit(TrainingSet({"a": Series(np.arange(len(maps)), maps)}), "zero-cells")


def test_vectors_are_refused_as_training():
    with pytest.raises(TrainingError, match="maps are"):
        References.fit(TrainingSet({"a": Series(np.arange(9.0), np.ones((9, 3), np.float32))}), "zero-cells")


@pytest.fixture(scope="module")
def references() -> References:
    chambers = [ElementSimulator(f"DT/W-2/{name}", 1, 30.0) for name in ("MB1/S01", "MB1/S02", "MB4/S13")]
    series = {s.chamber.entity: Series(np.arange(20.0), s.maps(range(20))) for s in chambers}
    return References.fit(TrainingSet(series), "zero-cells")[0]


def test_an_element_never_seen_gets_the_mean_of_its_shape(references):
    fallback = references.of("DT/W-2/MB1/S03", (12, 57))
    own = [references.of(f"DT/W-2/MB1/S0{i}", (12, 57)) for i in (1, 2)]
    assert fallback.origin == "shape"
    both = own[0].usable & own[1].usable
    assert fallback.profile[both] == pytest.approx((own[0].profile + own[1].profile)[both] / 2, rel=0.01)
    assert fallback.exposure == own[0].exposure + own[1].exposure


def test_a_shape_never_seen_gets_a_stretched_profile_or_a_flat_one(references):
    stretched = references.of("new", (12, 40))
    assert stretched.origin == "other"
    assert stretched.profile.shape == (12, 40)
    assert stretched.profile.mean() == pytest.approx(1)
    assert stretched.profile[0].mean() > stretched.profile[5].mean()  # SL1 is brighter than SL2
    assert (references.of("new", (3, 40)).profile == 1).all()


@pytest.mark.parametrize(
    ("entity", "shape"),
    [("DT/W-2/MB1/S01", (12, 56)), ("new", (13, 57)), ("new", (12, 73)), ("new", (7,)), ("new", (1, 2, 3))],
)
def test_maps_of_a_wrong_shape_are_refused(references, entity, shape):
    with pytest.raises(ModelMismatch):
        references.of(entity, shape)


def test_restored_references_are_the_same(references):
    restored = References.restore(references.tensors(), references.config())
    for entity in ("DT/W-2/MB1/S01", "DT/W-2/MB4/S13"):
        shape = references.of(entity, (12, 57) if "MB1" in entity else (8, 72)).profile.shape
        a, b = references.of(entity, shape), restored.of(entity, shape)
        assert np.array_equal(a.profile, b.profile)
        assert np.array_equal(a.usable, b.usable)
        assert (a.exposure, a.lowest, a.highest) == (b.exposure, b.lowest, b.highest)


@pytest.mark.parametrize("broken", ["missing", "entities", "shape"])
def test_damaged_references_are_refused(references, broken):
    tensors, config = references.tensors(), references.config()
    if broken == "missing":
        del tensors["reference.usable"]
    elif broken == "entities":
        config = {"entities": {"a": [12, 57]}}
    else:
        config = {"entities": {entity: [99, 57] for entity in config["entities"]}}
    with pytest.raises(ModelDamaged, match="train again"):
        References.restore(tensors, config)
