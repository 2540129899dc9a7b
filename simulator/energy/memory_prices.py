"""What the memory spends, and the chip's side of it: commands, states, controller and interface.

Currents of a preset are its datasheet's. Silicon draws less: each kind of current is taken as
measured, or all by `technology.dram_typical`; the datasheet is the upper end.
"""

from simulator.activity import (
    DRAM_ACTIVATES,
    DRAM_READ_BURSTS,
    DRAM_READ_BYTES,
    DRAM_WRITE_BURSTS,
    DRAM_WRITE_BYTES,
    INTERCONNECT_BYTES,
    Action,
)
from simulator.energy import tables
from simulator.energy.account import StatePower
from simulator.energy.factors import Factors
from simulator.energy.overheads import at_node, phy_pj_per_byte, phy_static_mw
from simulator.hardware.dram import DramDevice
from simulator.hardware.soc import Technology

_AJ_PER_PJ = 10**6
_UW_PER_MW = 10**3


def interconnect_aj(technology: Technology, times: Factors) -> dict[Action, int]:
    """Return the price of a byte that crosses the die between a master and the DRAM controller:
    eight wires and a router.
    """
    node, scaling = technology.node, technology.scaling
    wire = tables.wire_pj_per_bit_mm(node, scaling) * tables.interconnect_mm()
    byte = 8 * wire * times("wire") + at_node("noc", node, scaling) * times("noc")
    return {INTERCONNECT_BYTES: round(byte * _AJ_PER_PJ)}


def memory_aj(
    device: DramDevice | None, technology: Technology, times: Factors
) -> dict[Action, int]:
    """Return the prices of commands, which the memory pays, and of bytes, which controller and
    interface do. A burst pays its granule in the core and on the bus.
    """
    if device is None:
        actions = (DRAM_ACTIVATES, DRAM_READ_BURSTS, DRAM_WRITE_BURSTS)
        return dict.fromkeys((DRAM_READ_BYTES, DRAM_WRITE_BYTES, *actions), 0)
    energy, bits = device.energy, 8 * device.granule
    byte = phy_pj_per_byte(device) * times("phy")
    byte += at_node("controller", technology.node, technology.scaling) * times("controller")
    command_aj = {
        DRAM_ACTIVATES: energy.activate,
        DRAM_READ_BURSTS: energy.read + energy.io_read * bits,
        DRAM_WRITE_BURSTS: energy.write + energy.io_write * bits,
    }
    commands = {action: round(aj * times(action.key)) for action, aj in command_aj.items()}
    return dict.fromkeys((DRAM_READ_BYTES, DRAM_WRITE_BYTES), round(byte * _AJ_PER_PJ)) | commands


def memory_uw(device: DramDevice | None, times: Factors) -> tuple[int, StatePower]:
    """Return what all channels draw even in self-refresh, and beside it in standby and clocked.

    A preset that does not tell a state draws in it what it draws in the next livelier one.
    """
    if device is None:
        return 0, (0, 0)
    energy, interval_ps = device.energy, device.timing.tREFI * device.period / 1000
    refresh = energy.refresh / interval_ps * times("dram_refresh")  # 1 aJ per ps is 1 uW
    standby = energy.standby * times("dram_standby")
    down = _state(energy.power_down, "dram_power_down", times, standby)
    asleep = _state(energy.self_refresh, "dram_self_refresh", times, down + refresh)
    floor, clocked, awake = (
        round(device.channels * power) for power in (asleep, down + refresh, standby + refresh)
    )
    return floor, (awake - clocked, clocked - floor)


def _state(power: int | None, factor: str, times: Factors, livelier: float) -> float:
    return livelier if power is None else min(livelier, power * times(factor))


def interface_uw(device: DramDevice | None, times: Factors) -> StatePower:
    """Return what the chip's interface draws in the states of its memory: off in self-refresh."""
    if device is None:
        return 0, 0
    return 0, round(phy_static_mw(device) * _UW_PER_MW * times("phy"))
