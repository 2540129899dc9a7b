"""Eyeriss's layers of AlexNet: power at the measured time, and DRAM traffic.

Its dataflow, row-stationary, is none of ours. Its layers have a fixed mapping here: MACs, active
elements, zeros and cycles are those of its publication, what each MAC does to the registers of its
element follows from the dataflow, and DRAM traffic from the loops that its authors chose. So these
rows test prices, not the mapper.
"""

from collections.abc import Callable, Iterator
from math import ceil
from typing import NamedTuple

from simulator.energy import tables
from simulator.energy.overheads import clock_pj, overhead, register_pj_per_byte
from tests.silicon_row import SiliconRow, read_table


class _Loops(NamedTuple):
    """Eyeriss's mapping of a layer of AlexNet (Chen et al., JSSC 2017, table III, recalled).

    `block` output channels and `images` stay in its buffer; `strips` of output rows; `groups`. A
    kernel is `size` wide; `outputs` of one image in `channels` maps, `inputs` likewise.
    """

    size: int
    stride: int
    inputs: int
    in_channels: int
    outputs: int
    channels: int
    block: int
    images: int
    strip: int
    groups: int


_BATCH = 4
_LOOPS = {
    "CONV1": _Loops(11, 4, 227, 3, 55, 96, 96, 1, 7, 1),
    "CONV2": _Loops(5, 1, 31, 96, 27, 256, 64, 1, 27, 2),
    "CONV3": _Loops(3, 1, 15, 256, 13, 384, 64, 4, 13, 1),
    "CONV4": _Loops(3, 1, 15, 384, 13, 384, 64, 4, 13, 2),
    "CONV5": _Loops(3, 1, 15, 384, 13, 256, 64, 4, 13, 2),
}
_OUT_ZEROS = {"CONV1": 0.387, "CONV2": 0.725, "CONV3": 0.793, "CONV4": 0.776, "CONV5": 0.776}
"""Zeros in a layer's outputs: those of the next layer's inputs, of the last as of its own."""
_ELEMENTS, _CLOCK, _NODE = 168, 200e6, 65
_SPADS = 12 * 16 + 24 * 16 + 5 * 16
"""Register bits of an element: 12 inputs, 24 sums, and its pipeline (five words, a guess)."""
_SIDE_MM = 3.5  # of its core (JSSC 2017, recalled): a word crosses it once


def eyeriss() -> list[SiliconRow]:
    """Return the power of each layer of AlexNet at the measured time."""
    return [_eyeriss_power(row) for row in _eyeriss_layers()]


def _eyeriss_power(row: dict[str, str]) -> SiliconRow:
    mw = _eyeriss_mj(row, lambda _: 1.0) / float(row["total_latency_ms"]) * 1000
    ends = [
        _eyeriss_mj(row, lambda kind, end=end: _end(kind, end))
        / float(row["total_latency_ms"])
        * 1000
        for end in ("low", "high")
    ]
    return SiliconRow(
        "Eyeriss", f"AlexNet {row['layer']}", "mW", float(row["power_mw"]), mw, *ends, 0.25
    )


def _eyeriss_mj(row: dict[str, str], times: Callable[[str], float]) -> float:
    """Return the energy of a layer in mJ; an element skips MACs whose input is zero."""
    macs = float(row["macs_g"]) * 1e9
    useful = macs * (1 - float(row["zeros_in_ifmaps"].rstrip("%")) / 100)
    mac, word = tables.mac_pj("int16", _NODE), 2 * register_pj_per_byte(_NODE)
    busy, whole = (float(row[f"{name}_latency_ms"]) / 1000 for name in ("processing", "total"))
    clocked = int(row["active_pes"]) * busy + _ELEMENTS * whole * overhead("gated").value
    bank = tables.sram("itrs-lstp", _NODE, 108 * 1024, 64)
    buffered = (
        float(row["glb_accesses_mb"])
        * 1e6
        * (
            (bank.read_pj + bank.write_pj) / 16 * times("sram_access")
            + 8 * tables.wire_pj_per_bit_mm(_NODE) * _SIDE_MM * times("wire")
        )
    )
    control = 1 + overhead("control").value
    pj = (
        useful * (mac * times("mac") + 3 * word)  # weight, sum in, sum out
        + macs * word  # the input is read to be tested
        + macs / _LOOPS[row["layer"]].size * overhead("array_hop").value * mac
        + clocked * _CLOCK * clock_pj(_SPADS, _NODE) * control * times("clock")
        + buffered
    )
    return pj * 1e-9


def _end(kind: str, end: str) -> float:
    row = tables.spread(kind, "int16" if kind == "mac" else "")
    return row.low if end == "low" else row.high


def eyeriss_traffic() -> list[SiliconRow]:
    """Return the DRAM traffic of each layer of AlexNet."""
    return [
        SiliconRow("Eyeriss", f"AlexNet {row['layer']} DRAM", "MB", float(row["dram_accesses_mb"]),
                   *([_eyeriss_mb(row)] * 3), 0.15)
        for row in _eyeriss_layers()
    ]  # fmt: skip


def _eyeriss_mb(row: dict[str, str]) -> float:
    """Return the megabytes of a layer: inputs come once for each set of output channels that the
    buffer keeps, weights for each set of images and strip, outputs leave once. Inputs but the first
    layer's, and outputs, are coded by runs of zeros: 21 bits for a value that is none.
    """
    layer = _LOOPS[row["layer"]]
    zeros = float(row["zeros_in_ifmaps"].rstrip("%")) / 100
    strips = ceil(layer.outputs / layer.strip)
    overlap = ((layer.strip - 1) * layer.stride + layer.size) / (layer.strip * layer.stride)
    passes = ceil(layer.channels // layer.groups / layer.block)
    bare = layer.inputs - (2 * (layer.size // 2) if layer.stride == 1 else 0)  # without padding
    maps = bare**2 * layer.in_channels * 2 * _BATCH * passes
    maps *= overlap if strips > 1 else 1
    coded = 21 / 16 * (1 - zeros) if zeros > 0.01 else 1
    weights = layer.channels * layer.in_channels // layer.groups * layer.size**2 * 2
    out = layer.outputs**2 * layer.channels * 2 * _BATCH
    out *= min(1.0, 21 / 16 * (1 - _OUT_ZEROS[row["layer"]]))
    return (maps * coded + weights * (_BATCH // layer.images) * strips + out) / 1e6


def _eyeriss_layers() -> Iterator[dict[str, str]]:
    return (row for row in read_table("eyeriss_alexnet") if row["layer"] != "Total")
