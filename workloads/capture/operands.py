"""How tensors and autograd nodes are written down on a tape."""

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
    """A sparse tensor: its shape, how many entries it has, and the tensors that hold them."""

    dtype: torch.dtype
    shape: tuple[int, ...]
    nnz: int
    parts: tuple[TensorWindow, ...]


class Ragged(NamedTuple):
    """A nested tensor without strides of its own: the size of each row, and all elements."""

    dtype: torch.dtype
    sizes: tuple[tuple[int, ...], ...]
    parts: tuple[TensorWindow, ...]


class Many(NamedTuple):
    """Stands before the `items` items of a list argument."""

    items: int


class AutogradNode(NamedTuple):
    """The autograd node that runs, by its `sequence` number relative to the tape's first one.

    A node that accumulates the gradient of a leaf names it by storage and parameter name.
    """

    sequence: int
    leaf: int = -1
    parameter: str = ""
    is_parameter: bool = False


NOWHERE = AutogradNode(-(1 << 62))
"""The node of backward work that belongs to none."""


def parts_of(tensor: Any) -> tuple[torch.Tensor, ...]:
    """Return the dense tensors that hold a sparse one."""
    if tensor.layout is torch.sparse_coo:
        return tensor._indices(), tensor._values()
    if tensor.layout in (torch.sparse_csr, torch.sparse_bsr):
        return tensor.crow_indices(), tensor.col_indices(), tensor.values()
    return tensor.ccol_indices(), tensor.row_indices(), tensor.values()
