"""Ethos-U55 with 128 MACs beside what its PMU counts, network by network. MACs with pruned weights
are multiplied like others; Vela's compression of weights is not modelled.

`python -m tests.ethos_u55` prints cycles and beats. Nothing is fitted. Predictions are sums over
the convolutions, one after the other; residual sums and pools of MobileNetV2 are left out, some
0.25 M cycles at Vela's rates.
"""

from collections.abc import Callable, Mapping
from functools import cache

from simulator.hardware import load_hardware
from tests.reference import rows
from tests.validation import CONV, Pair, probe

BEAT = 8  # bytes
FLASH = 1  # byte per cycle: 0.5 GB/s at 500 MHz, Vela's Ethos_U55_High_End_Embedded


@cache
def layers(network: str) -> list[dict[str, str]]:
    """Return the probe's rows for the layers of a network."""
    shapes = rows("array/ethos_u55_layers.csv")
    columns = (*CONV, "groups")
    own = [{name: row[name] for name in columns} for row in shapes if row["network"] == network]
    return probe(load_hardware("ethos-u55-128"), own)


def cycles() -> tuple[Pair, ...]:
    """Return active cycles, counted and predicted."""
    return _pairs("npu_active_cycles", lambda each: int(each["total_cycles"]))


def reads() -> tuple[Pair, ...]:
    """Return beats read from SRAM; the flash's weights come to it by DMA first."""
    return _pairs("axi0_read_beats", lambda each: int(each["dram_read_bytes"]) // BEAT)


def behind_flash() -> tuple[Pair, ...]:
    """Return active cycles if no layer were faster than its weights leave the flash: what lacks."""
    return _pairs(
        "npu_active_cycles",
        lambda each: max(int(each["total_cycles"]), _weights(each) // FLASH),
    )


def _pairs(column: str, of_layer: Callable[[Mapping[str, str]], int]) -> tuple[Pair, ...]:
    return tuple(
        Pair(row["model"], int(row[column]), sum(map(of_layer, layers(row["network"]))))
        for row in rows("array/ethos_u55_pmu.csv")
    )


def _weights(layer: Mapping[str, str]) -> int:
    """Return the bytes of a layer's weights."""
    filters, channels = int(layer["num_filters"]), int(layer["channels"])
    return filters * channels // int(layer["groups"]) * int(layer["filt_h"]) * int(layer["filt_w"])


if __name__ == "__main__":
    columns = {"cycles": cycles, "beats read": reads, "cycles, behind the flash": behind_flash}
    for title, pairs in columns.items():
        for each in pairs():
            print(
                f"{title:25} {each.name:18} {each.measured:11,.0f} {each.predicted:11,.0f} "
                f"{100 * each.error:+.0f} %"
            )
