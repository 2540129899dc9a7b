"""Writes the findings of a calibration as a YAML description, every number with its origin."""

from dataclasses import dataclass

from simulator.trace.op import DTYPE_BITS, OpKind, Role
from simulator.units import PS_PER_S
from workloads.calibrate.dispatch import Overheads
from workloads.calibrate.fit import KernelFit, ProductFit, ProductFits
from workloads.calibrate.machine import Machine

_PIPES = 2
_NAMES = {OpKind.COPY: "copies"}
_ROLES = {
    Role.FORWARD: "convolution",
    Role.DGRAD: "convolution_dgrad",
    Role.WGRAD: "convolution_wgrad",
}


@dataclass
class Findings:
    """What was measured: times in ps, rates per second, fits of kernels and products."""

    called_ps: int
    overheads: Overheads
    per_byte: float
    first_touch_per_s: float
    kinds: dict[OpKind, KernelFit]
    operations: dict[str, KernelFit]
    products: dict[str, ProductFits]
    copied_per_s: float
    parallel_ps: float = 0.0
    parallel_efficiency: float = 1.0


def described(machine: Machine, findings: Findings, took_s: float) -> str:
    """Return the description in the form of `hwconfigs`."""
    clock = effective_clock(machine, findings)
    parts = [
        _head(machine, took_s),
        _cpu(machine, findings, clock),
        _kernels(machine, findings, clock),
        _rest(machine, findings),
    ]
    return "\n".join(parts)


def effective_clock(machine: Machine, findings: Findings) -> int:
    """Return the clock in Hz: that of the system, or faster if products prove it too slow."""
    own = findings.products["float32"]
    fits = [own.gemm, *own.convolutions.values()]
    fastest = max(PS_PER_S / fit.per_mac for fit in fits) / (machine.lanes * _PIPES)
    return max(machine.clock, -(-round(fastest) // 10**6) * 10**6)


def _head(machine: Machine, took_s: float) -> str:
    return f"""\
# Measured by trainsoc calibrate on {machine.date}, in {took_s:.0f} s, on {machine.model},
# {machine.threads} thread(s), eager PyTorch {machine.torch}, fp32 but for `dtypes`. Medians of
# repeated calls, the least of two rounds, on operands outside the first caches; results are kept
# for a while, as a training step keeps them. Terms by least squares of relative errors, positive.
name: host
description: {machine.model}, {machine.threads} thread(s), as calibrated on {machine.date}
"""


def _cpu(machine: Machine, findings: Findings, clock: int) -> str:
    told = "as the system tells" if clock == machine.clock else "the least that explains products"
    rate, over = 1e12 / findings.per_byte, findings.overheads
    gemm = findings.products["float32"].gemm
    lines = [
        "cpu:",
        f"  cores: {machine.threads}  # threads of PyTorch",
        f"  clock: {clock // 10**6} MHz  # {told}",
        f"  simd: {machine.simd} B  # as the system tells",
        f"  simd_pipes: {_PIPES}  # guess; only its product with efficiencies counts",
        f"  gemm_efficiency: {_efficiency(gemm, machine.lanes, clock)}  # measured, large fp32",
        f"  bandwidth_per_core: {_rate(findings.copied_per_s)}  # measured, large copy",
        f"  op_overhead: {_cycles(findings.called_ps, clock)}  # measured, a call from Python",
        f"  view_overhead: {_cycles(over.view, clock)}  # measured",
        "  energy_per_cycle: 0 pJ  # not measured",
        "  static_power: 0 mW  # not measured",
    ]
    if machine.cache:
        lines += [
            "  llc:",
            f"    size: {machine.cache // 1024} KiB  # as the system tells",
            f"    bandwidth: {_rate(rate * machine.threads)}  # measured, one core x threads",
        ]
    lines += ["  dispatch:  # measured, networks of tiny tensors"]
    for phase in ("forward", "backward", "optimizer"):
        lines.append(f"    {phase}: {_cycles(getattr(over, phase), clock)}  # measured")
    lines += ["    begin:  # after other work has used the caches"]
    for phase, ps in over.begin.items():
        lines.append(f"      {phase}: {_cycles(ps, clock)}  # measured")
    return "\n".join(lines)


def _kernels(machine: Machine, findings: Findings, clock: int) -> str:
    lines = [
        "  kernels:  # measured",
        f"    stream: {_rate(1e12 / findings.per_byte)}  # measured",
        f"    first_touch: {_rate(findings.first_touch_per_s)}  # measured",
        f"    parallel_overhead: {_cycles(findings.parallel_ps, clock)}  # measured",
        f"    parallel_efficiency: {_percent(findings.parallel_efficiency)}  # measured",
    ]
    for kind, fit in sorted(findings.kinds.items()):
        lines.append(f"    {_NAMES.get(kind, kind.value)}: {_kernel(fit)}")
    lines += _products(findings.products["float32"], machine.lanes, clock, "    ")
    lines.append("    dtypes:  # measured")
    for dtype, fits in findings.products.items():
        if dtype != "float32":
            lanes = machine.lanes * DTYPE_BITS["float32"] // DTYPE_BITS[dtype]
            lines += [f"      {dtype}:", *_products(fits, lanes, clock, "        ")]
    lines.append("    operations:  # measured")
    lines += [f"      {name}: {_kernel(fit)}" for name, fit in sorted(findings.operations.items())]
    return "\n".join(lines) + "\n"


def _rest(machine: Machine, findings: Findings) -> str:
    rate = _rate(findings.copied_per_s * machine.threads)
    return f"""\
interconnect:
  width: 64 B  # wide: memory alone limits
  clock: 100 GHz  # likewise

dram:
  preset: ideal
  capacity: {machine.memory // 2**20} MiB  # as the system tells
  bandwidth: {rate}  # measured, one core copying x threads: a guess beyond one thread

runtime:
  issue: synchronous  # one operation at a time, as eager PyTorch does
  launch: 0 us  # unused without an accelerator
  synchronise: 0 us  # unused without an accelerator

technology:
  node: 7 nm  # not measured; energy is none of this description's answers
"""


def _kernel(fit: KernelFit) -> str:
    own = f", stream: {_rate(1e12 / fit.per_byte)}" if fit.per_byte else ""
    return f"{{call: {round(fit.call)} ps, element: {round(fit.element)} ps{own}}}"


def _products(fits: ProductFits, lanes: int, clock: int, indent: str) -> list[str]:
    named = {"gemm": fits.gemm} | {_ROLES[role]: fit for role, fit in fits.convolutions.items()}
    return [f"{indent}{name}: {_product(fit, lanes, clock)}" for name, fit in named.items()]


def _product(fit: ProductFit, lanes: int, clock: int) -> str:
    words = [
        f"call: {round(fit.call)} ps",
        f"efficiency: {_efficiency(fit, lanes, clock)}",
        f"half: {fit.half}",
    ]
    words += [f"bandwidth: {_rate(1e12 / fit.per_byte)}"] if fit.per_byte > 0 else []
    return f"{{{', '.join(words)}}}"


def _efficiency(fit: ProductFit, lanes: int, clock: int) -> str:
    return _percent(PS_PER_S / fit.per_mac / (lanes * _PIPES * clock))


def _percent(share: float) -> str:
    return f"{max(1, round(1000 * share)) / 10:.1f} %"


def _cycles(ps: float, clock: int) -> str:
    return f"{round(ps * clock / PS_PER_S)} cycles"


def _rate(per_s: float) -> str:
    return f"{max(1, round(per_s / 10**6))} MB/s"
