"""What does training a network cost on a CPU, an inference accelerator and one shared DRAM?

>>> from simulator import simulate
>>> result = simulate("edge-16x16", "lenet_digits")
>>> result.total["energy_j"] > 0
True
"""

from simulator.errors import Infeasible, InputError
from simulator.hardware import Hardware, load_hardware
from simulator.replay import simulate
from simulator.results.result import Result
from simulator.trace.storage import load_trace
from simulator.trace.trace import Trace

__all__ = [
    "Hardware",
    "Infeasible",
    "InputError",
    "Result",
    "Trace",
    "load_hardware",
    "load_trace",
    "simulate",
]
