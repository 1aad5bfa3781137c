from __future__ import annotations

import torch

from anomalyd.detectors.maps.autoencoder.network import MapNetwork
from anomalyd.detectors.maps.autoencoder.variational import VariationalMapNetwork


def inputs(n: int = 3):
    torch.manual_seed(1)
    expected = 10 + torch.rand(n, 12, 57)
    return torch.poisson(expected), expected, torch.ones(n, 12, 57), torch.full((n,), 0.1)


def untrained(network: MapNetwork) -> MapNetwork:
    torch.nn.init.normal_(network.correction.weight)
    return network.eval()


def test_the_code_is_drawn_in_training_only():
    network = untrained(VariationalMapNetwork(4))
    maps = inputs()
    with torch.no_grad():
        torch.testing.assert_close(network(*maps), network(*maps))
        chance = torch.Generator().manual_seed(2)
        (one, more), (two, _) = (network.learn(*maps, chance) for _ in range(2))
    assert not torch.allclose(one, two)
    assert float(more) > 0
    assert one.shape == (3, 12, 57)


def test_the_plain_network_learns_by_what_it_gives():
    network = untrained(MapNetwork(4))
    maps = inputs()
    with torch.no_grad():
        correction, more = network.learn(*maps, torch.Generator())
        torch.testing.assert_close(correction, network(*maps))
    assert float(more) == 0
