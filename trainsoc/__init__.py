"""What does training a network cost on a CPU, an inference accelerator and one shared DRAM?

>>> import trainsoc
>>> run = trainsoc.simulate("edge-16x16", "lenet_digits", baseline="cpu-only")
>>> run.verdict.speedup > 1
True

The name of the product, which no other project has, for all that Python can ask of it; `main` is
the command line. Everything is imported at first use: `import trainsoc` takes milliseconds.
"""

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, whose import doubles the start-up time
if TYPE_CHECKING:
    from typing import Any

    from simulator.errors import Infeasible, InputError
    from simulator.hardware import Hardware, load_hardware
    from simulator.interactive.figures import plot
    from simulator.interactive.names import names
    from simulator.interactive.recording import capture
    from simulator.interactive.run import RunResult, simulate
    from simulator.interactive.scenario import PlayResult, play
    from simulator.sweeps.api import sweep
    from simulator.trace.network import network
    from simulator.trace.parts import TracePart, crossing, part
    from simulator.trace.storage import load_trace, save_trace
    from simulator.trace.trace import Trace
    from simulator.uncertainty.api import intervals

    __version__: str

__all__ = [
    "Hardware",
    "Infeasible",
    "InputError",
    "PlayResult",
    "RunResult",
    "Trace",
    "TracePart",
    "__version__",
    "capture",
    "crossing",
    "intervals",
    "load_hardware",
    "load_trace",
    "names",
    "network",
    "part",
    "play",
    "plot",
    "save_trace",
    "simulate",
    "sweep",
]

_OF_SIMULATOR = (
    "Hardware", "Infeasible", "InputError", "Trace", "TracePart", "crossing", "intervals",
    "load_hardware", "load_trace", "part", "simulate", "sweep",
)  # fmt: skip
_HOMES = dict.fromkeys(_OF_SIMULATOR, "simulator") | {
    "RunResult": "simulator.interactive.run",
    "PlayResult": "simulator.interactive.scenario",
    "capture": "simulator.interactive.recording",
    "names": "simulator.interactive.names",
    "network": "simulator.trace.network",
    "play": "simulator.interactive.scenario",
    "plot": "simulator.interactive.figures",
    "save_trace": "simulator.trace.storage",
}


def main() -> None:
    """Run the command line on our own packages, even if PYTHONPATH has others of these names."""
    import os  # noqa: PLC0415 - `import trainsoc` shall cost nothing
    import sys  # noqa: PLC0415

    from trainsoc.border import OwnFinder  # noqa: PLC0415

    os.environ.pop("TRAINSOC_CHILDREN", None)  # set if a captured script runs trainsoc
    sys.meta_path.insert(0, OwnFinder())
    from simulator.cli import main as command_line  # noqa: PLC0415 - importable from here on

    command_line()


def __getattr__(name: str) -> object:
    if name == "__version__":
        return _of("simulator.code", "version_of")("trainsoc")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}{_near(name)}")
    value = globals()[name] = _of(_HOMES[name], name)
    return value


def __dir__() -> list[str]:
    return [*__all__, "main"]


def _of(module: str, name: str) -> "Any":
    """Return what a module of ours has under a name."""
    import sys  # noqa: PLC0415
    from importlib import import_module  # noqa: PLC0415

    try:
        return getattr(import_module(module), name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != "simulator":
            raise
        place = getattr(sys.modules.get("simulator"), "__path__", ["nowhere"])
        raise ImportError(
            f"another package named simulator ({next(iter(place))}) hides that of trainsoc: "
            "start where it is not on the path"
        ) from None


def _near(name: str) -> str:
    from difflib import get_close_matches  # noqa: PLC0415

    close = get_close_matches(name, _HOMES, 1)
    return f"; did you mean {close[0]}?" if close else ""
