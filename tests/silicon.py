"""Energies predicted from sourced prices beside those that chips and boards were measured to take.

No constant is fitted on any of these rows. What a chip is made of comes from its publications
(`tests/reference/energy`); all prices are those of its node. `python -m tests.silicon` prints the
table.

Choices among sources that were made with rows in sight: registers priced as Eyeriss's authors
normalise them instead of by CACTI continued to 24 bytes (its layers came out at -39 to -5 %, the
first worst), its buses without routers (+27 % for the last layer), the Pi's voltage at 1.8 GHz (HPL
at -23 % without it), that 65 nm follows Stillmaker and Baas from 45 nm, serial links at 5 pJ/bit
(TPU v4i at -34 and -25 % at the ends of their range), writes in rails' traffic
(`tests.silicon_memory`), and when GAP9's cores work (`tests.silicon_tiny`). TPU v3 and v4 and the
full rate of GAP9's engine came last, and changed nothing.
"""

from functools import cache

from simulator import simulate
from simulator.activity import (
    ARRAY_CYCLES,
    ARRAY_MACS,
    CPU_BYTES,
    CPU_CYCLES,
    CPU_VECTORS,
    DRAM_ACTIVATES,
    DRAM_READ_BURSTS,
    DRAM_READ_BYTES,
    INTERCONNECT_BYTES,
    SCRATCHPAD_READS,
    SCRATCHPAD_WRITES,
    SUM_READS,
    SUM_WRITES,
    VECTOR_OPS,
    Action,
    Counts,
)
from simulator.energy import prices, tables
from simulator.energy.account import Account
from simulator.energy.boundary import Boundary
from simulator.energy.overheads import at_node
from simulator.hardware import Hardware, load_hardware
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.operating import OperatingPoint
from simulator.hardware.precision import PRECISION_BITS
from simulator.hardware.unit import ACCELERATOR
from tests.silicon_eyeriss import eyeriss, eyeriss_traffic
from tests.silicon_memory import lpddr4, rails
from tests.silicon_row import (
    ASLEEP,
    AWAKE,
    CORE_HIGH,
    CORE_LOW,
    REFERENCE,
    SECOND,
    SiliconRow,
    core_pj,
    read_table,
    three,
    watts,
)
from tests.silicon_tiny import tiny

_VECTOR = ("lanes", "pipes", "operands")
_PEAK = "at its peak"
_IDLE = "clocks that run on, of which those of arrays are a part, and leakage of a hot chip"


def table() -> list[SiliconRow]:
    """Return all rows; the training step of the Raspberry Pi takes some seconds."""
    return [
        *chips(),
        *idle_chips(),
        *eyeriss(),
        *eyeriss_traffic(),
        hpl(),
        training_step(),
        *lpddr4(),
        *rails(),
        *tiny(),
    ]


def chips() -> list[SiliconRow]:
    """Return the power of arrays at their peak: each element busy in each cycle."""
    return [_chip(row) for row in read_table("silicon_chips")]


def idle_chips() -> list[SiliconRow]:
    """Return the power of arrays that do nothing, their memory ready, where it was measured."""
    return [_idle_chip(row) for row in read_table("silicon_chips") if row["idle"]]


def blocks(chip: str) -> dict[str, float]:
    """Return what each component of a chip takes at its peak, in the unit of its row."""
    (row,) = (row for row in read_table("silicon_chips") if row["chip"] == chip)
    hardware = _machine(row)
    array, account = hardware.accelerator, prices(hardware, Boundary(row["boundary"])).within
    assert array is not None, "the base has one"
    counts = _peak_counts(hardware, row)
    spent = account.by_component_aj(counts, SECOND, AWAKE)
    whole = {name: aj / 1e18 for name, aj in spent.items() if aj}
    action = Action(ACCELERATOR, ARRAY_MACS)
    arithmetic = counts[action] * account.dynamic_aj[action] / 1e18
    beside = _beside(row)[0] * float(array.supply_ratio) ** 2 * array.clock / 10**12
    whole |= {"arithmetic": arithmetic, "array": whole["array"] - arithmetic, "beside": beside}
    return {name: power / _rate(row, array) for name, power in whole.items() if power}


def _rate(row: dict[str, str], array: Accelerator) -> float:
    """Return what the power is told by: TMAC/s, of W per TMAC/s = pJ/MAC, or nothing."""
    return array.elements * array.clock / 10**12 if row["unit"] == "pJ/MAC" else 1.0


def _idle_chip(row: dict[str, str]) -> SiliconRow:
    return _idle(row, Counts())


def ungated_chips() -> list[SiliconRow]:
    """Return the same if the clocks of their arrays ran on."""
    rows = [row for row in read_table("silicon_chips") if row["idle"]]
    cycles = Action(ACCELERATOR, ARRAY_CYCLES)
    clocked = [Counts({cycles: _peak_counts(_machine(row), row)[cycles]}) for row in rows]
    return [_idle(row, counts) for row, counts in zip(rows, clocked, strict=True)]


def _idle(row: dict[str, str], counts: Counts) -> SiliconRow:
    priced = prices(_machine(row), Boundary(row["boundary"]))
    ends = three(priced, lambda account: watts(account, counts, AWAKE))
    return SiliconRow(row["chip"], "idle", "W", float(row["idle"]), *ends, 0.3, _IDLE)


def _chip(row: dict[str, str]) -> SiliconRow:
    hardware = _machine(row)
    array, priced = hardware.accelerator, prices(hardware, Boundary(row["boundary"]))
    assert array is not None, "the base has one"
    counts = _peak_counts(hardware, row)
    ends = three(priced, lambda account: watts(account, counts, AWAKE))
    supply = float(array.supply_ratio) ** 2 * array.clock / 10**12
    beside = [each * supply for each in _beside(row)]
    value, low, high = ((a + b) / _rate(row, array) for a, b in zip(ends, beside, strict=True))
    measured = float(row["measured"])
    return SiliconRow(
        row["chip"], _PEAK, row["unit"], measured, value, low, high, 0.3, row["missing"]
    )


def _machine(row: dict[str, str]) -> Hardware:
    parts = ("rows", "cols", "arrays", "dot_width", "precision", "clock", "scratchpad")
    settings = {f"accelerator.{name}": row[name] for name in (*parts, "accumulator")}
    settings |= {
        "technology.node": f"{row['node_nm']} nm",
        "technology.sram_cell": row["sram_cell"],
        "dram.preset": row["dram"],
        "dram.capacity": "8 GiB",
        "cpu.static_power": "0 mW",  # none of the chip's
    }
    if row["serial_gbps"]:
        settings["technology.serial"] = f"{row['serial_gbps']} Gb/s"
    if row["vector_lanes"]:
        settings |= {f"accelerator.vector.{name}": row[f"vector_{name}"] for name in _VECTOR}
    base = "edge-16x16-npu" if row["vector_lanes"] else "edge-16x16"
    return _at_voltage(load_hardware(base, settings), row)


def _at_voltage(hardware: Hardware, row: dict[str, str]) -> Hardware:
    """Return the chip at its supply voltage, where that is not the one of the tables."""
    array = hardware.accelerator
    if array is None or not row["voltage"]:
        return hardware
    point = OperatingPoint.model_validate({"clock": row["clock"], "voltage": row["voltage"]})
    at = {"operating_points": (point,), "voltage": int(row["table_millivolts"])}
    return hardware.model_copy(update={"accelerator": array.model_copy(update=at)})


def _peak_counts(hardware: Hardware, row: dict[str, str]) -> Counts:
    """Return what happens in a second: operands enter each row, sums pass each column, and each
    lane of a vector unit computes.
    """
    array, device = hardware.accelerator, hardware.dram.device
    assert array is not None, "the base has one"
    operand = PRECISION_BITS[array.precision] // 8
    sums = array.arrays * array.cols * 4 * array.clock
    own = {
        ARRAY_MACS: array.elements * array.clock,
        ARRAY_CYCLES: array.elements * array.clock,
        SCRATCHPAD_READS: array.arrays * array.rows * array.dot_width * operand * array.clock,
        SCRATCHPAD_WRITES: round(_amount(row, "buffer_bytes") * array.clock),
        SUM_READS: sums,
        SUM_WRITES: sums,
    }
    if array.vector:
        own[VECTOR_OPS] = array.vector.lanes * array.vector.pipes * array.clock
    counts = {Action(ACCELERATOR, what): amount for what, amount in own.items()}
    granule, page = (device.granule, device.row) if device else (1, 1)
    return Counts(counts | _read(round(float(row["traffic_gbps"]) * 10**9), granule, page))


def _beside(row: dict[str, str]) -> tuple[float, float, float]:
    """Return what a cycle takes, in pJ at the tables' voltage, of blocks that a description has no
    place for: a buffer of weights, one of all arrays behind a network of routers, small cores that
    control; and at both ends of the prices.
    """
    node, cell = int(row["node_nm"]), row["sram_cell"]
    sram = sum(
        _amount(row, f"{name}_bytes") * _read_pj(cell, node, _amount(row, f"{name}_kib"))
        for name in ("weights", "buffer")
    )
    routed = _amount(row, "buffer_bytes") * _amount(row, "hops") * at_node("noc", node)
    cores = _amount(row, "cores") * core_pj(node)
    access, noc = tables.spread("sram_access"), tables.spread("noc")
    return (
        sram + routed + cores,
        sram * access.low + routed * noc.low + cores * CORE_LOW,
        sram * access.high + routed * noc.high + cores * CORE_HIGH,
    )


def _read_pj(cell: str, node: int, kib: float) -> float:
    if not kib:
        return 0.0
    bank = tables.sram(cell, node, round(kib * 1024), 64)
    return bank.read_pj * 8 / bank.width_bits


def _amount(row: dict[str, str], name: str) -> float:
    return float(row[name] or 0)


def _read(size: int, granule: int, row: int) -> dict[Action, int]:
    return {
        INTERCONNECT_BYTES: size,
        DRAM_READ_BYTES: size,
        DRAM_READ_BURSTS: size // granule,
        DRAM_ACTIVATES: size // row,
    }


_PI, _HPL_FLOPS = "raspberry-pi-4", 17.09e9
_HPL_BYTES = 2e9  # a guess: bytes per second of HPL on four A72, its blocks in L2


def hpl() -> SiliconRow:
    """Return the power over idle, at the wall, of HPL on four Cortex-A72 at 1.8 GHz: every core
    active, a vector instruction for every four operations of fp64.
    """
    priced = prices(load_hardware(_PI, {"cpu.clock": "1.8 GHz"}), Boundary.BOARD)
    traffic = _read(round(_HPL_BYTES), 64, 4096)
    active = {CPU_CYCLES: round(4 * 1.8e9), CPU_VECTORS: round(_HPL_FLOPS / 4)}
    counts = Counts(active | {CPU_BYTES: round(_HPL_BYTES)} | traffic)
    ends = three(priced, lambda account: watts(account, counts, AWAKE) - _idle_w(account))
    return SiliconRow("Raspberry Pi 4", "HPL over idle", "W", 6, *ends, 0.2)


@cache
def training_step() -> SiliconRow:
    """Return the joules above idle of a training step of ResNet-18, batch 16, at the wall.

    40 J is derived: 10.92 s as measured, at 6.4 W under load less 2.7 W idle.
    """
    trace = REFERENCE / "cpu" / "traces" / "resnet18.trace"
    result = simulate(_PI, trace, boundary=Boundary.BOARD)
    whole, steps = result.whole, sum(record.count for record in result.records)
    seconds = whole.latency_s

    def above_idle(account: Account) -> float:
        spent = account.energy_aj(whole.counts, whole.tally.latency_ps, whole.tally.states) / 1e18
        return (spent - _idle_w(account) * seconds) / steps

    ends = three(result.prices, above_idle)
    return SiliconRow("Raspberry Pi 4", "ResNet-18 step over idle", "J", 40, *ends, 0.3)


def _idle_w(account: Account) -> float:
    return watts(account, Counts(), ASLEEP)


def main() -> None:
    """Print the table."""
    for row in table():
        inside = "" if abs(row.error) <= row.goal else f"  beyond {row.goal:.0%}  {row.why}"
        print(
            f"{row.chip:24} {row.what:28} {row.measured:8.3g} {row.predicted:8.3g} {row.unit:7}"
            f" ({row.low:.3g} .. {row.high:.3g}) {row.error:+.0%}{inside}"
        )


if __name__ == "__main__":
    main()
