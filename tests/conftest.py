"""Options that all tests share, and the surroundings that they run in."""

import gc
import os
import shutil
import tempfile

import hypothesis
import pytest

# No test is about seconds. `make test` tries few examples, the same each time, so that what it says
# is about the change at hand; `make test-all` tries many, others each time.
hypothesis.settings.register_profile("trainsoc", deadline=None, max_examples=40, derandomize=True)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=400)
hypothesis.settings.load_profile("trainsoc")

HOME = "TRAINSOC_TESTS_HOME"
"""The variable by which workers of xdist know the home folder that the first process made."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --regenerate, which writes golden numbers instead of comparing with them, and --fuzz."""
    parser.addoption("--regenerate", action="store_true", help="write the golden numbers anew")
    parser.addoption("--fuzz", type=int, default=0, help="changed inputs of each kind to try")


def pytest_configure(config: pytest.Config) -> None:
    """Give tests, workers and child processes one empty home folder, and one thread each.

    The folder holds pattern costs, which all of them share, and caches of libraries: a run depends
    on none before it and leaves nothing behind. With several threads, torch and BLAS spend more
    time waiting for each other than on layers as small as these, and may add in another order.
    """
    if HOME not in os.environ:
        os.environ[HOME] = tempfile.mkdtemp(prefix="trainsoc-home-")
        config.add_cleanup(_leave)
    os.environ["HOME"] = os.environ[HOME]
    for name in ("TRAINSOC_CACHE", "XDG_CACHE_HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME"):
        os.environ.pop(name, None)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each child compiles what it imports
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"
    # Memos and captures that tests share are large: to scan them every 700 new objects takes long.
    gc.set_threshold(100_000, 20, 20)


def _leave() -> None:
    shutil.rmtree(os.environ.pop(HOME), ignore_errors=True)
