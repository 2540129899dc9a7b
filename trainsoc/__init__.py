"""Entry point, under a name that no other project uses, unlike those of our packages."""

import os
import sys

from trainsoc.border import OwnFinder


def main() -> None:
    """Run the command line on our own packages, even if PYTHONPATH has others of these names."""
    os.environ.pop("TRAINSOC_CHILDREN", None)  # set if a captured script runs trainsoc
    sys.meta_path.insert(0, OwnFinder())
    from simulator.cli import main as command_line  # noqa: PLC0415 - importable from here on

    command_line()
