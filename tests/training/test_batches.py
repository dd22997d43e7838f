"""What data may be trained on, and the batches that are made of them."""

from typing import Any

import numpy as np
import pytest

from digits.training.batches import Data, ShuffledBatches
from digits.types import Array

X, T = np.zeros((1, 784), np.float32), np.zeros(1, int)


def test_parts_may_be_missing_but_for_images_to_train_on() -> None:
    data = Data(X, T)
    assert [len(x) for x, _ in data.parts().values()] == [1, 0, 0]
    assert data.x_validation.shape == data.x_test.shape == (0, 784)
    lists: list[Any] = [X.tolist(), T.tolist()]
    assert [array.shape for array in Data(*lists).parts()["train"]] == [X.shape, T.shape]
    with pytest.raises(ValueError, match="at least 1 image to train on; received 0"):
        Data(X[:0], T[:0])


def test_images_and_labels_go_together_and_are_numbers() -> None:
    for none in (T[:0], np.array(None)):
        with pytest.raises(ValueError, match="1 labels, one for each validation image; received 0"):
            Data(X, T, X, none)
    with pytest.raises(ValueError, match="received nan in sample 0"):
        Data(X, T, X, T, np.full((1, 784), np.nan), T)
    with pytest.raises(
        ValueError, match=r"array of training images; .*generator.*: join .*concatenate"
    ):
        Data((row for row in X), None)  # type: ignore[arg-type]


def test_batches_are_shuffled_and_augmented() -> None:
    def augment(x: Array, rng: np.random.Generator) -> Array:
        return x + 1

    x, t = np.zeros((250, 784)), np.arange(250)
    plain, augmented = ShuffledBatches(x, t, seed=0), ShuffledBatches(x, t, augment=augment)
    assert len(augmented) == 3
    assert [len(t) for _, t in augmented.epoch(1)] == [100, 100, 50]
    for (before, labels), (after, same) in zip(plain.epoch(1), augmented.epoch(1), strict=True):
        np.testing.assert_array_equal(before + 1, after)
        np.testing.assert_array_equal(labels, same)
    assert [len(t) for _, t in plain.epoch(1, start=2)] == [50]
    assert next(iter(plain.epoch(0)))[1].tolist() != next(iter(plain.epoch(1)))[1].tolist()
    with pytest.raises(ValueError, match="a batch size"):
        ShuffledBatches(x, t, 0)
