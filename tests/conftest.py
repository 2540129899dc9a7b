"""Options that all tests share."""

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --regenerate, which writes golden numbers instead of comparing with them, and --fuzz."""
    parser.addoption("--regenerate", action="store_true", help="write the golden numbers anew")
    parser.addoption("--fuzz", type=int, default=0, help="changed inputs of each kind to try")
