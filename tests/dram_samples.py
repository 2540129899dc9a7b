"""Takes anew the DRAM samples that ship: `python -m tests.dram_samples`, or `make samples`.

They are what the bundled traces ask for, on every bundled machine, and on `edge-16x16` with arrays
of several sizes and every DRAM preset.
"""

import os
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from shutil import copy
from tempfile import TemporaryDirectory
from typing import Any

from simulator.errors import Infeasible
from simulator.hardware import load_hardware
from simulator.hardware.shipped import IDEAL, dram_presets, hardware_names
from simulator.pattern_store import SHIPPED
from simulator.replay import Replay, as_trace
from simulator.trace.storage import BUNDLED

TRACES = sorted(path.stem for path in BUNDLED.glob("*.trace"))
ARRAYS = ((4, 4), (8, 8), (8, 16), (16, 8), (16, 16), (16, 32), (32, 16), (32, 32), (64, 64))


def sampled_presets() -> list[str]:
    """Return the DRAM presets that have banks to sample."""
    return [name for name in dram_presets() if name != IDEAL]


def machines() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the machines whose samples ship, as names and settings."""
    for name in hardware_names():
        yield name, {}
    for preset, (rows, cols) in product(sampled_presets(), ARRAYS):
        settings = {"accelerator.rows": rows, "accelerator.cols": cols}
        yield "edge-16x16", {"dram.preset": preset, **settings}


def regenerate() -> None:
    """Run all machines with an empty cache, and ship the samples that it holds afterwards."""
    for path in SHIPPED.glob("*.json"):
        path.unlink()
    with TemporaryDirectory() as cache:
        os.environ["TRAINSOC_CACHE"] = cache
        for (name, settings), trace in product(machines(), TRACES):
            hardware = load_hardware(name, {"dram.capacity": "64 GiB", **settings})
            try:
                Replay(hardware, as_trace(trace)).run()
            except Infeasible as error:
                print(f"{name}: no samples for {trace}: {error}")
        for path in Path(cache).rglob("dram-*.json"):
            copy(path, SHIPPED)


if __name__ == "__main__":
    regenerate()
