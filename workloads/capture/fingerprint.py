"""What tells one network call from another, cheaply enough to be asked at every step."""

from collections.abc import Hashable, Iterable
from typing import Any

import torch


class Fingerprints:
    """Fingerprints of network calls; the list of a network's parameters is kept between calls."""

    def __init__(self) -> None:
        """Start without any network."""
        self._parameters: dict[int, list[torch.nn.Parameter]] = {}

    def forget(self) -> None:
        """Look for parameters anew: a new pass or a recorded step may follow a change of layers."""
        self._parameters.clear()

    def of(self, root: torch.nn.Module, inputs: Any) -> tuple[Hashable, ...]:
        """Return the network, its inputs' shapes and types, and the modes that it runs in."""
        parameters = self._parameters.get(id(root))
        if parameters is None:
            parameters = self._parameters[id(root)] = list(root.parameters())
        return (
            id(root),
            _shapes(inputs),
            tuple([parameter.requires_grad for parameter in parameters]),
            root.training,
            torch.is_grad_enabled(),
            _autocast(),
        )


def _shapes(value: Any) -> Hashable:
    if isinstance(value, torch.Tensor):
        return tuple(value.shape), value.dtype
    if isinstance(value, dict):
        return tuple((key, _shapes(item)) for key, item in value.items())
    if isinstance(value, Iterable) and not isinstance(value, str):
        return tuple(_shapes(item) for item in value)
    if isinstance(value, bool | int | str):
        return value
    return type(value).__name__


def _autocast() -> Hashable:
    return tuple(
        torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None
        for device in ("cpu", "cuda")
    )
