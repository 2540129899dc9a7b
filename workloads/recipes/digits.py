"""The handwritten digits of scikit-learn, as training and test images of any size."""

from typing import NamedTuple

import torch
from sklearn.datasets import load_digits
from torch.nn import functional
from torch.utils.data import DataLoader, TensorDataset

TEST_IMAGES = 360


class EpochReport(NamedTuple):
    """One epoch: mean training loss, and accuracy on the test set from 0 to 1."""

    epoch: int
    loss: float
    accuracy: float

    def __str__(self) -> str:
        """Return the line that a training script prints."""
        return f"epoch {self.epoch:3d}   loss {self.loss:.4f}   test accuracy {self.accuracy:.2%}"


def digits(
    size: int = 8, channels: int = 1, *, pad: int = 0, limit: int | None = None
) -> tuple[TensorDataset, TensorDataset]:
    """Return training and test sets of [channels, size, size] images and their labels.

    The 8 x 8 originals are enlarged to `size - 2 * pad` pixels, with `pad` dark ones around;
    `limit` keeps only the first images of each set.
    """
    source = load_digits()
    images = torch.tensor(source.images, dtype=torch.float32).unsqueeze(1) / 16
    labels = torch.tensor(source.target)
    # The set is ordered by writer: shuffle it, so that both parts have all writers.
    mixed = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images, labels = images[mixed], labels[mixed]
    inner = size - 2 * pad
    if inner != images.shape[-1]:
        images = functional.interpolate(images, inner, mode="bilinear", align_corners=False)
    images = functional.pad(images, [pad] * 4).repeat(1, channels, 1, 1)
    train, test = slice(0, -TEST_IMAGES), slice(-TEST_IMAGES, None)
    return (
        TensorDataset(images[train][:limit], labels[train][:limit]),
        TensorDataset(images[test][:limit], labels[test][:limit]),
    )


def loaders(
    train: TensorDataset, test: TensorDataset, batch_size: int
) -> tuple[DataLoader[tuple[torch.Tensor, ...]], DataLoader[tuple[torch.Tensor, ...]]]:
    """Return a shuffling loader of the training set and a plain one of the test set."""
    return (
        DataLoader(train, batch_size=batch_size, shuffle=True),
        DataLoader(test, batch_size=4 * batch_size),
    )
