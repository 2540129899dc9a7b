"""Records of tensors and autograd nodes on a tape."""

from typing import Any, NamedTuple

import torch


class TensorWindow(NamedTuple):
    """A strided window on storage number `storage` of the tape, in elements."""

    storage: int
    dtype: torch.dtype
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int


class Sparse(NamedTuple):
    """A sparse tensor: shape, number of entries, and the dense tensors that hold them."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    nnz: int
    parts: tuple[TensorWindow, ...]


class Ragged(NamedTuple):
    """A nested tensor without strides: the size of each row, and all elements."""

    dtype: torch.dtype
    sizes: tuple[tuple[int, ...], ...]
    parts: tuple[TensorWindow, ...]


class Many(NamedTuple):
    """Precedes the `items` items of a list argument."""

    items: int


class AutogradNode(NamedTuple):
    """The autograd node that runs, by its `sequence` number relative to the tape's first one.

    A node that accumulates a leaf's gradient has the leaf's storage and parameter name.
    """

    sequence: int
    leaf: int = -1
    parameter: str = ""
    is_parameter: bool = False


NOWHERE = AutogradNode(-(1 << 62))
"""The node of backward work outside any node."""


def parts_of(tensor: Any) -> tuple[torch.Tensor, ...]:
    """Return the dense tensors of a sparse one."""
    if tensor.layout is torch.sparse_coo:
        return tensor._indices(), tensor._values()
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
