"""The demo: capture, replay, plot and timeline of one small network."""

from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.capture import CaptureOptions, capture_to
from simulator.cli.results import draw, save_timeline
from simulator.cli.run import RunOptions, run_and_report


def demo(
    out: Annotated[Path, typer.Option("-o", "--out", help="folder for the results")] = Path("demo"),
    epochs: Annotated[
        int, typer.Option(min=1, max=10_000, help="epochs of training to capture")
    ] = 8,
) -> None:
    """Train LeNet on handwritten digits, capture it, replay it, draw the results.

    Example: trainsoc demo -o demo
    """
    trace = out / "lenet_digits.trace"
    options = CaptureOptions(target="lenet_digits", out=trace, steps="1-2")
    capture_to(options, ["--epochs", str(epochs)])
    run_and_report(RunOptions("edge-16x16", str(trace), out, baseline="cpu-only"))
    figures = draw([out])
    save_timeline(out, out / "timeline.json")
    print(f"\nFigures: {', '.join(str(path) for path in figures)}")
    print(f"Timeline of one step, for ui.perfetto.dev: {out / 'timeline.json'}")
