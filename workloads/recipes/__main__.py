"""Captures recipes: python -m workloads.recipes NAME... [--regenerate]."""

import argparse
from pathlib import Path

from simulator.trace.storage import BUNDLED, save_trace
from simulator.trace.trace import Trace
from workloads.recipes import RECIPES, recipe


def capture_recipe(name: str, **options: int) -> Trace:
    """Run a recipe under capture, with options for its `train`; return the trace."""
    from workloads.capture import capture  # noqa: PLC0415 - torch takes seconds to import

    train = recipe(name).train
    with capture(name=name) as recording:
        train(**options)
    return recording.trace


def main() -> None:
    """Capture the recipes named on the command line, or all, into trace files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", default=list(RECIPES), metavar="NAME")
    parser.add_argument("--epochs", type=int, help="passes over the training set")
    parser.add_argument("--batch-size", type=int, help="images per step")
    target = parser.add_mutually_exclusive_group()
    target.add_argument("-o", "--output", type=Path, default=Path(), help="folder for the traces")
    target.add_argument("--regenerate", action="store_true", help="replace the bundled traces")
    options = parser.parse_args()
    options_by_name = {"epochs": options.epochs, "batch_size": options.batch_size}
    chosen = {key: value for key, value in options_by_name.items() if value is not None}
    folder = BUNDLED if options.regenerate else options.output
    for name in options.names:
        trace = capture_recipe(name, **chosen)
        path = folder / f"{name}.trace"
        save_trace(trace, path)
        print(f"{path}: {len(trace.steps)} distinct steps, {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
