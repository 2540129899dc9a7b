"""Microbenchmarks of the simulated machine, as one would measure a real one."""

from simulator.probes.array import probe_array
from simulator.probes.break_even import break_even_rows, break_even_table
from simulator.probes.cores import cpu_rows, cpu_table
from simulator.probes.memory import probe_memory

__all__ = [
    "break_even_rows", "break_even_table", "cpu_rows", "cpu_table", "probe_array", "probe_memory",
]  # fmt: skip
