"""Tells calls of a module apart by their inputs, without looking at ops and without side effects.

Only types, shapes and element types count. No code of the program runs: no iterator advances, no
property is computed.
"""

from collections.abc import Hashable, Iterator
from contextlib import suppress
from types import MemberDescriptorType
from typing import Any

import torch

_PLAIN = (bool, str, type(None))
_LIMIT = 256
"""Items of one input that count; the types of the rest do not."""


def fingerprint(inputs: Any) -> Hashable:
    """Return shapes and types of all tensors and arrays in a module's inputs."""
    return tuple(_leaves(inputs))


def shapes_of(inputs: Any) -> Hashable:
    """Return the fingerprint of inputs, fast for the common single tensor."""
    if inputs.__class__ is tuple and len(inputs) == 1 and inputs[0].__class__ is torch.Tensor:
        try:
            return tuple(inputs[0].shape)
        except RuntimeError:  # a nested tensor has no strides
            pass
    return fingerprint(inputs)


def rows_of(inputs: Any) -> int | None:
    """Return the first size of the first tensor in a network's inputs, None without tensors."""
    for leaf in _leaves(inputs):
        if isinstance(leaf, tuple):
            return leaf[0][0] if leaf[0] else 1
    return None


def modes(root: torch.nn.Module) -> Hashable:
    """Return the training modes of a network's modules."""
    return (
        tuple([parameter.requires_grad for parameter in root.parameters()]),
        root.training,
        torch.is_grad_enabled(),
        *(
            torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
            for device in ("cpu", "cuda")
        ),
    )


def _leaves(value: Any) -> Iterator[Any]:
    """Yield the types and sizes in a nested value; each container once, even if it
    contains itself.
    """
    pending, visited = [value], set()
    for _ in range(_LIMIT):
        if not pending:
            return
        item = pending.pop()
        if isinstance(item, torch.Tensor):
            yield _tensor(item)
        elif type(item) is int or type(item) is float:
            yield type(item)
        elif isinstance(item, _PLAIN):
            yield item
        elif type(item).__module__ == "numpy" and type(item).__name__ == "ndarray":
            yield item.shape, item.dtype
        elif id(item) not in visited:
            visited.add(id(item))
            yield type(item)
            pending += reversed(_inside(item))


def _tensor(tensor: torch.Tensor) -> Hashable:
    try:
        return tuple(tensor.shape), tensor.dtype
    except RuntimeError:  # a nested tensor has no shape
        return (tensor.numel(),), tensor.dtype


def _inside(value: Any) -> list[Any]:
    """Return the items of a container or the attributes of an object, as stored.

    A subclass may override any method, so only those of the built-in type are called.
    """
    if isinstance(value, tuple):
        return list(tuple.__iter__(value))
    if isinstance(value, list):
        return list(list.__iter__(value))
    if isinstance(value, dict):
        return [item for pair in dict.items(value) for item in pair]
    if isinstance(value, torch.nn.Module | type) or callable(value):
        return []
    try:
        return list(object.__getattribute__(value, "__dict__").values())
    except AttributeError:
        return _slots(value)


def _slots(value: Any) -> list[Any]:
    """Return the values of an object's slots."""
    members = (m for each in type(value).__mro__ for m in vars(each).values())
    values = []
    for member in members:
        if isinstance(member, MemberDescriptorType):
            with suppress(AttributeError):  # not set yet
                values.append(member.__get__(value))
    return values
