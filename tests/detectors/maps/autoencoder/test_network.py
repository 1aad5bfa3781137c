from __future__ import annotations

import pytest
import torch
from torch import nn

from anomalyd.detectors.maps.autoencoder.network import MapNetwork


@pytest.mark.parametrize("shape", [(1, 1), (3, 15), (9, 18)])
def test_folded_the_correction_is_the_same(shape: tuple[int, int]) -> None:
    torch.manual_seed(0)
    network = MapNetwork(4).eval()
    nn.init.normal_(network.correction.weight)
    code = torch.randn(3, 4, *shape)
    rows, columns = 4 * shape[0] - 1, 4 * shape[1] - 3
    layer_by_layer = network.corrected(code, (rows, columns))
    with torch.no_grad():
        at_once = network.corrected(code, (rows, columns), folded=True)
    assert at_once.shape == (3, rows, columns)
    torch.testing.assert_close(at_once, layer_by_layer.detach())
