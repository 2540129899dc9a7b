"""Vision transformers of the size "tiny": 192 wide, 3 heads, 12 blocks.

Structure of Dosovitskiy et al., "An Image is Worth 16x16 Words", ICLR 2021; size of Touvron et al.,
"Training data-efficient image transformers", ICML 2021 (DeiT-Ti, table 1).
"""

import torch
from torch import nn

from workloads.models.model import Model
from workloads.models.transformer import TransformerBlock

_WIDTH, _HEADS, _LAYERS = 192, 3, 12


class VitBlock(TransformerBlock):
    """A block whose feed-forward layer is four times as wide, with GELU."""

    def __init__(self) -> None:
        """Start with random weights."""
        super().__init__(_WIDTH, _HEADS, causal=False)
        self.mlp = nn.Sequential(
            nn.Linear(_WIDTH, 4 * _WIDTH), nn.GELU(), nn.Linear(4 * _WIDTH, _WIDTH)
        )

    def feed_forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return [batch, tokens, width]."""
        y: torch.Tensor = self.mlp(x)
        return y


class VitTiny(nn.Module):
    """Patches, class token and positions; blocks; a linear classifier of the class token."""

    def __init__(self, size: int = 224, patch: int = 16, classes: int = 1000) -> None:
        """Create the network for images of `size` x `size` pixels, a multiple of `patch`."""
        super().__init__()
        self.patches = nn.Conv2d(3, _WIDTH, patch, stride=patch)
        self.token = nn.Parameter(torch.zeros(1, 1, _WIDTH))
        self.positions = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, _WIDTH))
        self.blocks = nn.Sequential(*(VitBlock() for _ in range(_LAYERS)))
        self.norm = nn.LayerNorm(_WIDTH)
        self.head = nn.Linear(_WIDTH, classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the class scores [N, classes] of images [N, 3, size, size]."""
        patches = self.patches(x).flatten(2).transpose(1, 2)
        tokens = torch.cat((self.token.expand(len(x), -1, -1), patches), dim=1)
        features = self.norm(self.blocks(tokens + self.positions))
        scores: torch.Tensor = self.head(features[:, 0])
        return scores


# DeiT's batch of 1024 (table 9) on 8 GPUs.
VITS = (Model("vit_tiny", "ViT-tiny (DeiT-Ti) on ImageNet", VitTiny, (3, 224, 224), 1000, 128),)
"""The vision transformers on offer."""
