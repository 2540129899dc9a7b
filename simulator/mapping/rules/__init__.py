"""Mappings that are not searched for: a machine's own rule, or one that is given as text."""

from collections.abc import Callable, Iterable

from simulator.hardware.accelerator import Accelerator
from simulator.mapping.nest import Mapping
from simulator.mapping.rules.ef_train import ef_train
from simulator.mapping.rules.gemmini import gemmini
from simulator.mapping.rules.square_tiles import square_tiles
from simulator.mapping.rules.text import given
from simulator.mapping.sums import Shape

__all__ = ["RULES", "given"]

Rule = Callable[[Accelerator, Shape], Iterable[Mapping]]

RULES: dict[str, Rule] = {
    "ef_train": ef_train, "gemmini": gemmini, "square_tiles": square_tiles,
}  # fmt: skip
"""A rule yields the mappings that the machine would consider; the fastest of them is taken.

Where it yields none, the mapper searches.
"""
