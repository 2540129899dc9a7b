"""The baseline: fp32, SGD with momentum."""

from torch import nn

from workloads.recipes.methods.setup import Options, Setup, plain


def prepare(model: nn.Module, options: Options) -> Setup:
    """Train the network as it is."""
    return plain(model, options)
