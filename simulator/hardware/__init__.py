"""What a SoC is: frozen descriptions, read from YAML with units, each with a digest."""

from simulator.hardware.accelerator import Accelerator
from simulator.hardware.cpu import Cpu
from simulator.hardware.dram import Dram, DramDevice
from simulator.hardware.interconnect import Interconnect
from simulator.hardware.load import load_hardware
from simulator.hardware.runtime import Runtime
from simulator.hardware.soc import Hardware

__all__ = [
    "Accelerator",
    "Cpu",
    "Dram",
    "DramDevice",
    "Hardware",
    "Interconnect",
    "Runtime",
    "load_hardware",
]
