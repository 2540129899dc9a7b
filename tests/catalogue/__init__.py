"""A catalogue of small training set-ups that between them use what PyTorch trains with.

`setup(name)` builds one, the same at every call; `setup(name).train(k)` trains k steps and returns
their losses. Whoever wants to look at forward, backward and optimizer apart hands in `part`, which
is called with one of these words and returns the context in which that part then runs.
"""

from tests.catalogue.entries import CATALOGUE, IMAGES, TOKENS, setup
from tests.catalogue.training import Setup

__all__ = ["CATALOGUE", "IMAGES", "TOKENS", "Setup", "setup"]
