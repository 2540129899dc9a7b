"""Quantisation-aware training: int8 products, and fp32 master weights that SGD updates.

From Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018, arXiv:1712.05877: weights and activations are rounded
in the forward pass, gradients pass straight through to the fp32 weights. Choices: gradients of
activations are rounded to int8 too, so that all three products are of integers; scales are the
largest magnitude of each tensor, taken in each step, symmetric; every layer is rounded.
"""

from torch import nn

from simulator.trace.passes.treatment import Treatment
from workloads.capture import treat
from workloads.recipes.methods.rounding import QuantisedLayer, replace_all
from workloads.recipes.methods.setup import Options, Setup, plain

BITS = 8
TREATMENT = Treatment(BITS, BITS, BITS, master=True)


def prepare(model: nn.Module, options: Options) -> Setup:
    """Round the operands of every product."""
    for layer in replace_all(model, lambda layer: QuantisedLayer(layer, BITS)):
        treat(layer, TREATMENT, "qat")
    return plain(model, options)
