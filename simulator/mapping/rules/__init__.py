"""Mappings that are not searched for: a machine's own rule, or one that is prescribed as text."""

from simulator.mapping.rule import MappingRule
from simulator.mapping.rules.ef_train import EfTrain
from simulator.mapping.rules.gemmini import Gemmini
from simulator.mapping.rules.moca import Moca
from simulator.mapping.rules.square_tiles import SquareTiles
from simulator.mapping.rules.text import prescribed

__all__ = ["RULES", "prescribed"]

RULES: dict[str, MappingRule] = {
    "ef_train": EfTrain(), "gemmini": Gemmini(), "moca": Moca(), "square_tiles": SquareTiles(),
}  # fmt: skip
"""Values of `accelerator.mapping` that are no search."""
