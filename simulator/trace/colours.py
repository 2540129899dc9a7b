"""Colours of figures by name: tables of facts name them, `views.plots.canvas` has their values."""

from typing import Literal

Colour = Literal[
    "blue", "orange", "green", "vermillion", "sky", "purple", "yellow", "black", "brown", "pink",
    "grey", "silver",
]  # fmt: skip
"""The palette of Okabe and Ito, two for what generates, and two greys for what matters least."""
