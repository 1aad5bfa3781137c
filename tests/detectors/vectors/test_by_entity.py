from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from anomalyd.detectors.vectors.by_entity import EntityArrays

EACH = [
    {"level": np.arange(3.0), "shown": np.ones((2, 4), np.float16), "slot": np.int64(5)},
    {"level": -np.arange(3.0), "shown": np.zeros((0, 4), np.float16), "slot": np.int64(7)},
    {"level": np.full(3, 0.5), "slot": np.int64(9)},
]


def stored(tensors: dict[str, Tensor], count: int = 3) -> EntityArrays:
    return EntityArrays.restore(tensors, "usual", count)


def assert_are(found: EntityArrays) -> None:
    assert found.count == len(EACH)
    for e, arrays in enumerate(EACH):
        own = found.at(e)
        assert own.keys() == arrays.keys()
        for name, array in arrays.items():
            assert own[name].dtype == np.asarray(array).dtype
            np.testing.assert_array_equal(own[name], array)


def test_they_come_back_as_they_were_whatever_their_shapes() -> None:
    given = EntityArrays.of(EACH)
    assert_are(given)
    assert_are(stored(given.tensors("usual")))


def test_a_name_is_stored_once_however_many_entities_there_are() -> None:
    assert (
        len(EntityArrays.of(EACH).tensors("usual")) == len(EntityArrays.of(EACH * 50).tensors("usual")) == 6
    )


def test_what_is_asked_for_lies_where_the_tensors_lie() -> None:
    tensors = EntityArrays.of(EACH).tensors("usual")
    found = stored(tensors)
    tensors["usual.values.level"][4] = 8.0
    assert found.get(1, "level")[1] == 8.0


def test_earlier_versions_stored_a_tensor_for_each_name_of_each_entity() -> None:
    old = {
        f"usual.{e}.{name}": torch.from_numpy(np.array(array))
        for e, arrays in enumerate(EACH)
        for name, array in arrays.items()
    }
    assert_are(stored({**old, "usually.0.level": torch.zeros(1), "network.weight": torch.zeros(1)}))


def test_they_are_stacked_with_one_more_where_all_are_of_one_shape() -> None:
    given = EntityArrays.of(EACH)
    stacked = given.stacked_with("level", np.full(3, 7.0))
    np.testing.assert_array_equal(stacked, [*(each["level"] for each in EACH), [7.0] * 3])
    with pytest.raises(ValueError, match="differ in shape"):
        given.stacked_with("shown", np.ones((2, 4), np.float16))
    np.testing.assert_array_equal(EntityArrays.of([]).stacked_with("level", np.ones(2)), [[1.0, 1.0]])


def test_what_does_not_fit_together_is_refused() -> None:
    with pytest.raises(ValueError, match="'level' differ in type"):
        EntityArrays.of([EACH[0], {"level": np.zeros(3, np.float32)}])
    tensors = EntityArrays.of(EACH).tensors("usual")
    with pytest.raises(ValueError, match="4 entities"):
        stored(tensors, 4)
    with pytest.raises(ValueError, match="does not hold"):
        stored({**tensors, "usual.values.level": torch.zeros(8, dtype=torch.float64)})
    with pytest.raises(KeyError, match=r"shapes\.level"):
        stored({name: each for name, each in tensors.items() if name != "usual.shapes.level"})
    with pytest.raises(KeyError):
        stored({})
    with pytest.raises(KeyError, match="shown"):
        EntityArrays.of(EACH).get(2, "shown")
