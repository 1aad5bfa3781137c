"""Methods that go back through a network: for what captum knows they give what captum gives."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from captum.attr import Deconvolution, DeepLift, GuidedBackprop, IntegratedGradients
from torch import nn
from torch.nn import functional

from anomalyd.detectors.detector import Encoded
from anomalyd.interpret.analytical.deconvolution import deconvolution
from anomalyd.interpret.analytical.deep_lift import deep_lift
from anomalyd.interpret.analytical.guided_backpropagation import guided_backpropagation
from anomalyd.interpret.analytical.integrated_gradients import integrate
from anomalyd.interpret.budget import Budget

PRESENT = np.ones(6, dtype=bool)
OURS = {
    "guided": (guided_backpropagation, GuidedBackprop),
    "deconvolution": (deconvolution, Deconvolution),
    "deep-lift": (deep_lift, DeepLift),
}


class Module(nn.Module):
    """A network whose activations are modules, which captum knows."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layers = nn.Sequential(
            nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 1), nn.Softplus()
        )

    def forward(self, inputs):
        return self.layers(inputs)[:, 0]


class AsFunctions:
    """The same with functions for modules, or with another activation."""

    def __init__(self, network, activation=functional.relu):
        self.layers, self.activation = network.layers, activation

    def forward(self, inputs, *context):
        hidden = self.activation(self.layers[0](inputs))
        return functional.softplus(self.layers[4](self.activation(self.layers[2](hidden))))[:, 0]


def sample():
    torch.manual_seed(2)
    inputs, baseline = torch.randn(1, 6), 0.1 * torch.randn(1, 6)
    return Encoded(inputs, baseline, (), torch.arange(6))


def values(method, detector, encoded):
    return method(detector, encoded, PRESENT, Budget(9.0, time.monotonic)).values


@pytest.mark.filterwarnings("ignore::UserWarning")  # captum says that it sets hooks and gradients
@pytest.mark.parametrize("name", OURS)
def test_it_is_captums_where_captum_has_it(name):
    network, encoded = Module(), sample()
    ours, theirs = OURS[name]
    if name == "deep-lift":
        # Softplus is no bend that the scores here have.
        network.layers[5] = nn.Identity()
        theirs = theirs(network).attribute(encoded.inputs, encoded.baseline)
        detector = Module()
        detector.layers[5] = nn.Identity()
    else:
        theirs = theirs(network).attribute(encoded.inputs) * (encoded.inputs - encoded.baseline)
        detector = AsFunctions(Module())
    expected = theirs.detach().numpy()[0]
    assert np.abs(expected).max() > 1e-3
    np.testing.assert_allclose(values(ours, detector, encoded), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("activation", [functional.gelu, functional.silu, torch.relu, torch.tanh])
def test_deep_lift_adds_up_for_functions_that_captum_does_not_know(activation):
    network, encoded = Module(), sample()
    detector = AsFunctions(network, activation)
    detector.forward = lambda inputs: network.layers[4](
        activation(network.layers[2](activation(network.layers[0](inputs))))
    )[:, 0].square()
    with torch.no_grad():
        change = float(detector.forward(encoded.inputs) - detector.forward(encoded.baseline))
    assert values(deep_lift, detector, encoded).sum() == pytest.approx(change, rel=1e-3)


def test_guided_backpropagation_sees_functions_that_captum_does_not_know():
    network, encoded = Module(), sample()
    plain = encoded.inputs.clone().requires_grad_()
    detector = AsFunctions(network, functional.gelu)
    (slope,) = torch.autograd.grad(detector.forward(plain).sum(), plain)
    found = values(guided_backpropagation, detector, encoded)
    assert not np.allclose(found, (slope * (encoded.inputs - encoded.baseline)).numpy()[0])


@pytest.mark.parametrize("steps", [8, 32, 64])
def test_integrated_gradients_are_captums(steps):
    network, encoded = Module(), sample()
    plain = IntegratedGradients(network).attribute(
        encoded.inputs, baselines=encoded.baseline, n_steps=steps, method="gausslegendre"
    )
    assert torch.allclose(integrate(network, encoded, steps), plain, atol=1e-5)
