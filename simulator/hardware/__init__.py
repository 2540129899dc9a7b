"""What a SoC is: frozen descriptions, read from YAML with units, each with a digest."""

from simulator.hardware.dram import DramDevice
from simulator.hardware.load import load_hardware
from simulator.hardware.soc import Accelerator, Cpu, Dram, Hardware, Interconnect, Runtime

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
