"""The "1X CNN" for CIFAR-10 with which training accelerators on FPGAs are compared."""

from collections import OrderedDict

from torch import nn

from workloads.models.model import Model


def cnn1x_cifar10() -> nn.Sequential:
    """Return 16C3-16C3-P-32C3-32C3-P-64C3-64C3-P-FC10: 82,330 parameters, 9.9 MMAC an image.

    From Venkataramanaiah et al., "Automatic compiler based FPGA accelerator for CNN training",
    FPL 2019, as EF-Train trains it (ACM TODAES 27(5), 2022, table 7). The structure is recalled,
    not read there, but what EF-Train measured agrees with it, and not with 2X or 4X:

    * 58.39 MFLOP of convolutions an image, 2 (3 x 9,879,552 - 442,368), as the first one has no
      dgrad; 58.45 with the linear layer. Table 7: 14.32 ms x 4.08 GFLOPS = 58.43 on one board,
      2.08 ms x 28.15 GFLOPS = 58.55 on another.
    * 16 x 16 MACs take 46,080 cycles for an image's forward pass and 36,864 for its dgrad, so for
      a batch of 128 5.90 M and 4.72 M. Bars of figure 19: 5.9 M and 4.85 M, read from the plot.

    ReLU, 2 x 2 max pooling and cross entropy are recalled too; no figure tells.
    """
    layers: list[tuple[str, nn.Module]] = []
    inputs, number = 3, 0
    for stage, width in enumerate((16, 32, 64), start=1):
        for _ in range(2):
            number += 1
            layers.append((f"conv{number}", nn.Conv2d(inputs, width, 3, padding=1)))
            layers.append((f"relu{number}", nn.ReLU(inplace=True)))
            inputs = width
        layers.append((f"pool{stage}", nn.MaxPool2d(2)))
    layers += [("flatten", nn.Flatten()), ("fc", nn.Linear(64 * 4 * 4, 10))]
    return nn.Sequential(OrderedDict(layers))


# EF-Train's table 7 has a batch of 128.
CNN1X = (
    Model("cnn1x_cifar10", "the 1X CNN on CIFAR-10", cnn1x_cifar10, (3, 32, 32), 10, 128),
)  # fmt: skip
"""The 1X CNN; 2X and 4X have two and four times its channels."""
