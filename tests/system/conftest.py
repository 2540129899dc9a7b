"""What tests of the whole program share."""

import os

import pytest

from tests.system.forked import Server


@pytest.fixture(scope="session")
def server():
    """A process that has imported torch, copied for each command line that captures a script."""
    if not hasattr(os, "fork"):
        pytest.skip("there are no copies of processes here")
    server = Server()
    yield server
    server.close()
