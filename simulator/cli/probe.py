"""The verbs under `probe`, which measure one part of the simulated machine."""

import json
from pathlib import Path
from typing import Annotated

import typer

from simulator.cli.arguments import (
    FidelityOption,
    HardwareArg,
    JsonOption,
    MaxTilesOption,
    SetOption,
    WorkersOption,
    one_of,
)
from simulator.cli.terminal import progress


def array(
    hardware: HardwareArg,
    shapes: Annotated[Path, typer.Argument(help="CSV with m,n,k or a convolution's columns")],
    out: Annotated[Path, typer.Option("-o", "--out", help="CSV to write")],
    overrides: SetOption = None,
    fidelity: FidelityOption = "flow",
    max_tiles: MaxTilesOption = None,
) -> None:
    """Time single GEMMs on the accelerator, from launch to the last byte stored.

    Optional columns: batch, groups, role (forward, dgrad, wgrad), scratchpad_bytes,
    accumulator_bytes, and mapping: loops over tiles such as "L3[WIO] K4 - L2[WI] K16X - L1[O] C8 -
    L0[W] P16", or tile sizes R_S_q_p_C_K_b.

    Example: trainsoc probe array edge-16x16 shapes.csv -o cycles.csv
    """
    from simulator.hardware.load import load_hardware
    from simulator.machine.soc import FIDELITIES
    from simulator.machine.step import MOST_TILES
    from simulator.probes import probe_array

    one_of("--fidelity", fidelity, FIDELITIES)
    soc = load_hardware(hardware, overrides or [])
    rows = probe_array(soc, shapes, out, fidelity, max_tiles or MOST_TILES)
    print(f"{rows} shapes in {out}")


def memory(
    hardware: HardwareArg,
    patterns: Annotated[Path, typer.Argument(help="CSV with the columns pattern,params")],
    out: Annotated[Path, typer.Option("-o", "--out", help="CSV to write")],
    overrides: SetOption = None,
    workers: WorkersOption = None,
) -> None:
    """Run access patterns on the memory alone, command by command.

    A row has a pattern such as seq_read, random_read or tile_read, and its parameters as a JSON
    object. The output adds bandwidth_gbps, row_hit_rate and pj_per_bit.

    Example: trainsoc probe memory edge-16x16 patterns.csv -o bandwidth.csv
    """
    from simulator.hardware.load import load_hardware
    from simulator.probes import probe_memory

    soc = load_hardware(hardware, overrides or [])
    rows = probe_memory(soc, patterns, out, workers, progress)
    print(f"{rows} patterns in {out}")


def offload(
    hardware: HardwareArg, overrides: SetOption = None, as_json: JsonOption = False
) -> None:
    """Print the matrix size above which offloading pays, with and without copies.

    GEMMs are n x n x n, of a linear layer's forward, dgrad and wgrad, for n up to 512.

    Example: trainsoc probe offload edge-16x16
    """
    from simulator.hardware.load import load_hardware
    from simulator.probes import break_even_rows, break_even_table

    soc = load_hardware(hardware, overrides or [])
    if as_json:
        print(json.dumps({"hardware": soc.name, "break_even": break_even_rows(soc)}, indent=1))
        return
    print(break_even_table(soc), end="")


def cpu(hardware: HardwareArg, overrides: SetOption = None, as_json: JsonOption = False) -> None:
    """Print what microbenchmarks would measure on the CPU, on one core and on all.

    Large GEMMs as in HPL, loops over memory as in LMBench and STREAM, to compare a description
    with a board. Bytes count reads and writes.

    Example: trainsoc probe cpu raspberry-pi-4
    """
    from simulator.hardware.load import load_hardware
    from simulator.probes import cpu_rows, cpu_table

    soc = load_hardware(hardware, overrides or [])
    if as_json:
        print(json.dumps({"hardware": soc.name, "cpu": cpu_rows(soc)}, indent=1))
        return
    print(cpu_table(soc), end="")
