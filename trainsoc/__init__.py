"""The way into the program: a name that nobody's project has, unlike those of our packages."""

import os
import sys

from trainsoc.border import OwnFinder


def main() -> None:
    """Run the command line with our own packages, whatever PYTHONPATH has of the same names."""
    os.environ.pop("TRAINSOC_CHILDREN", None)  # a capture inside a captured script
    sys.meta_path.insert(0, OwnFinder())
    from simulator.cli import main as command_line  # noqa: PLC0415 - found from here on

    command_line()
