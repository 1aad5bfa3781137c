from __future__ import annotations

import numpy as np
import pytest
import torch

from anomalyd.detectors.calibration import fit_calibration
from anomalyd.detectors.detector import Series, TrainingSet
from anomalyd.detectors.maps.autoencoder.autoencoder import MapAutoencoder
from anomalyd.detectors.maps.simulate.faults import (
    FAULT_KINDS,
    DeadBlock,
    DeadLayer,
    DeadRegion,
    HotWires,
    LowEfficiency,
    LowVoltage,
    random_fault,
)
from anomalyd.detectors.maps.simulate.simulation import ElementSimulator
from anomalyd.errors import ModelDamaged, ModelMismatch, TrainingError

CHAMBER = "DT/W-2/MB1/S04"


@pytest.fixture(scope="module")
def bright_threshold(bright, bright_autoencoder) -> float:
    return fit_calibration(bright.normal(bright_autoencoder), 1e-3).threshold


@pytest.fixture(scope="module")
def dim_threshold(dim, dim_autoencoder) -> float:
    return fit_calibration(dim.normal(dim_autoencoder), 1e-3).threshold


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_every_kind_of_fault_is_found_at_50_counts(bright, bright_autoencoder, bright_threshold, kind):
    def draw(simulator, rng):
        # A hot wire that was dead before cannot be seen: draw until some of its cells live.
        while True:
            fault = random_fault(kind, simulator.chamber, rng)
            if (fault.cells(simulator.chamber) & ~simulator.dead).any():
                return fault

    assert (bright.faulty(bright_autoencoder, draw) > bright_threshold).all()


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_most_faults_are_found_at_12_counts(dim, dim_autoencoder, dim_threshold, kind):
    raw = dim.faulty(dim_autoencoder, lambda s, rng: random_fault(kind, s.chamber, rng))
    assert (raw > dim_threshold).mean() >= 0.9


@pytest.mark.parametrize(
    "fault",
    [
        DeadRegion(2, 10, 12),
        LowVoltage(9, 0.7),
        LowVoltage(9, 0.02),
        LowEfficiency((1, 2, 3, 4), 15, 34, 0.8),
    ],
)
def test_hard_cases_are_found_at_50_counts(bright, bright_autoencoder, bright_threshold, fault):
    assert (bright.faulty(bright_autoencoder, lambda s, rng: fault) > bright_threshold).all()


def test_normal_maps_hardly_alarm(bright, bright_autoencoder, bright_threshold):
    fresh = np.concatenate(
        [
            bright.score(bright_autoencoder, s.maps(range(700, 740)), name).raw
            for name, s in bright.simulators.items()
        ]
    )
    assert (fresh > bright_threshold).mean() <= 0.01


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_luminosity_is_not_an_anomaly(bright, bright_autoencoder, bright_threshold, factor):
    other = ElementSimulator(CHAMBER, 1, 50.0 * factor)  # the same chamber in another light
    raw = bright.score(bright_autoencoder, other.maps(range(40)), CHAMBER).raw
    assert (raw > bright_threshold).mean() <= 0.03
    assert np.median(raw) == pytest.approx(np.median(bright.normal(bright_autoencoder)), abs=0.5)


def test_scores_mean_the_same_for_every_chamber(bright, bright_autoencoder):
    medians = [
        np.median(bright.score(bright_autoencoder, s.maps(range(500, 540)), name).raw)
        for name, s in bright.simulators.items()
    ]
    assert max(medians) - min(medians) < 0.6


def test_a_chamber_that_is_off_altogether_is_not_taken_for_no_beam(
    bright, bright_autoencoder, bright_threshold
):
    off = np.where(np.isfinite(bright.simulators[CHAMBER].map(0)), 0, np.nan).astype(np.float32)
    assert bright.score(bright_autoencoder, off[None], CHAMBER).raw[0] > 10 * bright_threshold


def test_maps_without_beam_in_the_training_are_normal(bright):
    maps = bright.simulators[CHAMBER].maps(range(30))
    maps[10:15] *= 0
    detector = MapAutoencoder.fit(TrainingSet({CHAMBER: Series(np.arange(30.0), maps)}), {"steps": 5})
    raw = bright.score(detector, maps, CHAMBER).raw
    assert raw[10:15].max() <= raw[15:].max()


def test_a_new_dead_wire_alone_is_no_fault_but_three_in_a_row_are(
    bright, bright_autoencoder, bright_threshold
):
    simulator = bright.simulators[CHAMBER]
    living = np.flatnonzero(~simulator.dead[1, :40]).tolist()
    alone, row = simulator.map(600), simulator.map(600)
    alone[1, living[5]] = 0
    alone[6, 20] = 0
    row[1, 20:23] = 0
    raw = bright.score(bright_autoencoder, np.stack([simulator.map(600), alone, row]), CHAMBER).raw
    assert raw[1] < raw[0] + 0.5
    assert raw[1] < bright_threshold < raw[2]


@pytest.mark.parametrize(
    "fault",
    [
        DeadRegion(3, 10, 19),
        DeadBlock((1, 2, 3, 4, 9, 10, 11, 12), 16, 32),
        DeadLayer(5),
        LowEfficiency((5, 6, 7, 8), 20, 44, 0.6),
        LowVoltage(),
        HotWires(11, 30, 31, 6.0),
    ],
    ids=lambda f: f.kind,
)
def test_blame_lies_on_the_faulty_cells(bright, bright_autoencoder, fault):
    simulator = bright.simulators[CHAMBER]
    scores = bright.score(bright_autoencoder, simulator.map(800, fault)[None], CHAMBER)
    blame = np.nan_to_num(scores.contribution[0])
    shown = blame >= 0.5 * blame.max()
    truth = fault.cells(simulator.chamber) & ~simulator.dead
    assert (shown & truth).sum() / (shown | truth).sum() > 0.85
    sign = np.sign(fault.factor - 1)
    assert (sign * scores.error[0][truth]).mean() > 1
    # Expected is what the chamber would have sent, not what it sent.
    usual = simulator.expected(800)[truth].sum()
    assert scores.expectation[0][truth].sum() == pytest.approx(usual, rel=0.06)


def test_error_is_in_units_of_its_scatter_and_nan_where_missing(bright, bright_autoencoder):
    simulator = bright.simulators[CHAMBER]
    maps = simulator.maps(range(500, 540))
    maps[:, 2, 10:14] = np.nan
    scores = bright.score(bright_autoencoder, maps, CHAMBER)
    missing = np.isnan(maps)
    for values in (scores.error, scores.expectation, scores.contribution):
        assert values.shape == maps.shape
        assert values.dtype == np.float32
        assert np.array_equal(np.isnan(values), missing)
    assert scores.error[~missing].std() == pytest.approx(1, abs=0.05)
    assert (scores.contribution[~missing] >= 0).all()
    assert scores.state == {}


def test_masked_cells_are_no_fault_and_hide_no_other(bright, bright_autoencoder, bright_threshold):
    simulator = bright.simulators[CHAMBER]
    masked, both = simulator.map(610), simulator.map(610, DeadLayer(11))
    masked[4:8] = np.nan
    both[4:8] = np.nan
    nothing = np.full_like(masked, np.nan)
    raw = bright.score(bright_autoencoder, np.stack([masked, both, nothing]), CHAMBER).raw
    assert raw[0] < bright_threshold < raw[1]
    assert np.isnan(raw[2])


def test_an_element_never_seen_is_judged_by_its_shape(bright, bright_autoencoder, bright_threshold):
    new = ElementSimulator("DT/W-2/MB1/S09", 1, 50.0)
    raw = bright.score(bright_autoencoder, new.maps(range(20)), new.chamber.entity).raw
    broken = np.stack([new.map(i, DeadRegion(3, 10, 25)) for i in range(20)])
    assert np.isfinite(raw).all()
    faulty = bright.score(bright_autoencoder, broken, new.chamber.entity).raw
    assert faulty.min() > max(raw.max(), bright_threshold)


def test_an_element_of_another_shape_is_judged_too(bright, bright_autoencoder):
    rng = np.random.default_rng(0)
    plain = rng.poisson(30, (2, 12, 50)).astype(np.float32)
    plain[1, 4:8, 10:30] = 0
    raw = bright.score(bright_autoencoder, plain, "elsewhere").raw
    assert raw[1] > raw[0] + 5


@pytest.mark.parametrize("shape", [(1, 12, 56), (1, 6), (1, 12, 57, 1)])
def test_another_shape_of_a_known_element_is_refused(bright, bright_autoencoder, shape):
    with pytest.raises(ModelMismatch):
        bright.score(bright_autoencoder, np.ones(shape, np.float32), CHAMBER)


def test_scores_do_not_depend_on_how_a_stream_is_cut(bright, bright_autoencoder):
    names = list(bright.simulators)[-3:]
    maps = {n: bright.simulators[n].maps(range(30, 37)) for n in names}
    whole = bright_autoencoder.score([bright.window(maps[n], n) for n in names])
    for name, together in zip(names, whole, strict=True):
        single = [bright.score(bright_autoencoder, m[None], name) for m in maps[name]]
        assert np.concatenate([s.raw for s in single]) == pytest.approx(together.raw, rel=1e-4)
        errors = np.concatenate([s.error for s in single])
        np.testing.assert_allclose(errors, together.error, rtol=1e-3, atol=1e-4)


def test_nothing_to_score_gives_nothing(bright, bright_autoencoder):
    assert bright_autoencoder.score([]) == []
    assert len(bright.score(bright_autoencoder, np.empty((0, 12, 57), np.float32), CHAMBER).raw) == 0


def test_forward_gives_the_score_and_gradients(bright, bright_autoencoder):
    simulator = bright.simulators[CHAMBER]
    faulty = simulator.map(620, LowVoltage())
    faulty[1, 3] = np.nan
    scores = bright.score(bright_autoencoder, faulty[None], CHAMBER)
    encoded = bright_autoencoder.encode(bright.window(np.stack([simulator.map(1), faulty]), CHAMBER))
    inputs = encoded.inputs.clone().requires_grad_()
    score = bright_autoencoder.forward(inputs, *encoded.context)
    assert score.detach().numpy() == pytest.approx(scores.raw, rel=1e-4)
    score.sum().backward()
    gradient = inputs.grad[0]
    assert torch.isfinite(gradient).all()
    row = simulator.chamber.row_of(9)
    assert gradient[row, 5:40].mean() < 0  # fewer hits in layer 9: a higher score
    assert gradient[row].abs().sum() > 0.5 * gradient.abs().sum()
    normal = bright_autoencoder.forward(encoded.baseline, *encoded.context)
    assert float(normal) < 0.2 * float(score.detach())


def test_an_encoded_map_says_which_cell_each_input_is(bright, bright_autoencoder):
    simulator = bright.simulators[CHAMBER]
    drawn = simulator.map(3)
    drawn[1, 3] = np.nan
    encoded = bright_autoencoder.encode(bright.window(drawn[None], CHAMBER))
    assert encoded.inputs.shape == encoded.baseline.shape == (1, 12, 57)
    feature = encoded.feature.numpy()
    assert feature[0, 7] == 7
    assert feature[2, 5] == 2 * 57 + 5
    assert feature[1, 3] == -1
    assert (feature[np.isnan(drawn)] == -1).all()
    assert torch.isfinite(encoded.inputs).all()


def test_a_batch_of_inputs_is_scored_one_by_one(bright, bright_autoencoder):
    encoded = bright_autoencoder.encode(bright.window(bright.simulators[CHAMBER].maps([3]), CHAMBER))
    inputs = torch.cat([encoded.inputs, encoded.baseline, encoded.inputs])
    context = [c.expand(3, *c.shape[1:]) for c in encoded.context]
    scores = bright_autoencoder.forward(inputs, *context)
    assert scores.shape == (3,)
    assert float(scores[0]) == pytest.approx(float(scores[2]))
    assert float(scores[1]) < float(scores[0])


def test_the_same_data_and_seed_give_the_same_model(bright):
    training = bright.training(10)
    before = torch.random.get_rng_state()
    one, same, other = (MapAutoencoder.fit(training, {"steps": 5}, seed=s).tensors() for s in (3, 3, 4))
    assert torch.equal(before, torch.random.get_rng_state())
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["network.encode.0.weight"], other["network.encode.0.weight"])


def test_a_restored_model_scores_the_same(bright, bright_autoencoder):
    tensors = {name: t.clone() for name, t in bright_autoencoder.tensors().items()}
    restored = MapAutoencoder.restore(tensors, bright_autoencoder.config())
    maps = bright.simulators[CHAMBER].maps(range(5))
    a, b = (bright.score(d, maps, CHAMBER) for d in (bright_autoencoder, restored))
    assert np.array_equal(a.raw, b.raw)
    assert np.array_equal(a.contribution, b.contribution, equal_nan=True)


@pytest.mark.parametrize("broken", ["drift", "scan.price", "network.encode.0.weight", "channels", "entities"])
def test_a_damaged_model_is_refused(bright_autoencoder, broken):
    tensors, config = bright_autoencoder.tensors(), bright_autoencoder.config()
    if broken == "channels":
        config["parameters"]["channels"] = 5
    elif broken == "entities":
        del config["entities"]
    else:
        tensors[broken] = tensors[broken][..., :1]
    with pytest.raises(ModelDamaged, match="train again"):
        MapAutoencoder.restore(tensors, config)


def test_an_unknown_parameter_is_refused(bright):
    with pytest.raises(TrainingError, match="'layers'"):
        MapAutoencoder.fit(bright.training(6), {"layers": 3})


def test_training_shows_its_progress_and_the_network_helps(bright):
    shown = []
    MapAutoencoder.fit(
        bright.training(30),
        {"steps": 60},
        progress=lambda what, step, total, figures: shown.append((step, total, figures)),
    )
    assert [s for s, _, _ in shown] == list(range(1, 61))
    # Below 0: the corrected profiles are likelier than the plain ones.
    assert shown[-1][2]["loss"] < 0


def test_faults_in_the_training_data_are_still_found(bright, bright_threshold):
    series = dict(bright.training().series)
    maps = series[CHAMBER].values.copy()
    simulator = bright.simulators[CHAMBER]
    maps[20:24] = simulator.maps(range(20, 24), DeadBlock((1, 2, 3, 4), 10, 25))
    series[CHAMBER] = Series(series[CHAMBER].times, maps)
    detector = MapAutoencoder.fit(TrainingSet(series), {"steps": 20})
    raw = bright.score(detector, maps, CHAMBER).raw
    assert raw[20:24].min() > 5 * np.delete(raw, range(20, 24)).max()
