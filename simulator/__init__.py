"""What does training a network cost on a CPU, an inference accelerator and one shared DRAM?

>>> from simulator import simulate
>>> result = simulate("edge-16x16", "lenet_digits")
>>> result.total["energy_j"] > 0
True
"""

TYPE_CHECKING = False  # as typing.TYPE_CHECKING, whose import doubles the start-up time
if TYPE_CHECKING:
    from simulator.counterfactuals import explain
    from simulator.errors import Infeasible, InputError
    from simulator.hardware import Hardware, load_hardware
    from simulator.interactive.run import simulate
    from simulator.results.result import Result
    from simulator.sweeps.api import sweep
    from simulator.trace.parts import TracePart, crossing, part
    from simulator.trace.storage import load_trace
    from simulator.trace.trace import Trace
    from simulator.uncertainty.api import intervals

__all__ = [
    "Hardware",
    "Infeasible",
    "InputError",
    "Result",
    "Trace",
    "TracePart",
    "crossing",
    "explain",
    "intervals",
    "load_hardware",
    "load_trace",
    "part",
    "simulate",
    "sweep",
]

# Imported on first use, so that one room does not load the others and their libraries.
_HOMES = {
    "Hardware": "simulator.hardware",
    "Infeasible": "simulator.errors",
    "InputError": "simulator.errors",
    "Result": "simulator.results.result",
    "Trace": "simulator.trace.trace",
    "TracePart": "simulator.trace.parts",
    "crossing": "simulator.trace.parts",
    "explain": "simulator.counterfactuals",
    "intervals": "simulator.uncertainty.api",
    "load_hardware": "simulator.hardware",
    "load_trace": "simulator.trace.storage",
    "part": "simulator.trace.parts",
    "simulate": "simulator.interactive.run",
    "sweep": "simulator.sweeps.api",
}


def __getattr__(name: str) -> object:
    from importlib import import_module  # noqa: PLC0415 - as above

    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
