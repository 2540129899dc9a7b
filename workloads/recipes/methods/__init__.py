"""Training methods that really train, one file each; importing this imports no torch.

Each file has `prepare(model, options)`, which changes a plain network into one that the method
trains, and declares the method of each layer to a capture with `treat`.
"""

METHODS = {
    "fp32": "as it is, the baseline",
    "qat": "int8 products, fp32 master weights",
    "rct": "one copy of the weights in few bits, more where gradients get small",
    "frozen": "a frozen pretrained network, small adaptors that learn",
    "lowrank": "convolutions in two factors of low rank",
    "ternary": "weights of three values, int8 activations",
    "sparse": "weights with blocks of zeros",
}
"""Name and one line about each method."""
