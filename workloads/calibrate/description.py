"""Writes the results of a calibration as a YAML description, each number with its origin."""

from dataclasses import dataclass

from simulator.trace.op import DTYPE_BITS, OpKind
from simulator.trace.op_kinds import KIND_FACTS
from simulator.units import BANDWIDTH, FREQUENCY, PS_PER_S, RATIO, SIZE
from workloads.calibrate.compiled import CompiledFindings
from workloads.calibrate.dispatch import Overheads
from workloads.calibrate.fit import KernelFit, ProductFit
from workloads.calibrate.machine import Host
from workloads.calibrate.watch import Load

_PIPES = 2
# Products bound by arithmetic; others are bound by bytes or calls.
_ARITHMETIC = ("gemm", "convolution", "convolution_dgrad", "convolution_wgrad")
_MOST_EFFICIENT = 64.0  # of the vector units, as a description may say


@dataclass
class Findings:
    """Measured times in ps, rates per second, fits of kernels and products."""

    called_ps: int
    overheads: Overheads
    per_byte: float
    first_touch_per_s: float
    kinds: dict[OpKind, KernelFit]
    operations: dict[str, KernelFit]
    products: dict[str, dict[str, ProductFit]]
    copied_per_s: float  # by one core
    copied_together_per_s: float  # by all threads
    parallel_ps: float
    parallel_efficiency: float
    load: Load
    left_out: tuple[str, ...] = ()
    compiled: CompiledFindings | None = None


def describe(host: Host, findings: Findings, took_s: float) -> str:
    """Return the description in the form of `hwconfigs`."""
    clock = effective_clock(host, findings)
    parts = [
        _head(host, findings, took_s),
        _cpu(host, findings, clock),
        _kernels(host, findings, clock),
        *([_compiled(host, findings, findings.compiled, clock)] if findings.compiled else []),
        _rest(host, findings),
    ]
    return "\n".join(parts)


def effective_clock(host: Host, findings: Findings) -> int:
    """Return the clock in Hz: the system's, or a faster one if products prove it too slow."""
    own = findings.products["float32"]
    fits = [fit for name, fit in own.items() if name in _ARITHMETIC]
    fastest = max(PS_PER_S / fit.per_mac for fit in fits) / (host.lanes * _PIPES)
    return max(host.clock, -(-round(fastest) // 10**6) * 10**6)


def _head(host: Host, findings: Findings, took_s: float) -> str:
    load = findings.load
    lines = [
        f"Measured by trainsoc calibrate on {host.date}, in {took_s:.0f} s, on {host.model},",
        f"{host.threads} thread(s), eager PyTorch {host.torch}, fp32 but for `dtypes`.",
        "Medians of repeated calls, the least of several rounds, on operands outside the first",
        "caches; results are kept for a while, as a training step keeps them. Terms by least",
        "squares of relative errors, positive.",
        f"Other programs: this one got {100 * load.share:.0f} % of a core; the second round took",
        f"{load.spread:.2f} times as long as the better one, in the median.",
    ]
    if load.busy:
        lines.append("DISTURBED: the machine was busy. Measure again while it is idle.")
    if findings.left_out:
        lines.append(f"Left out for lack of time: {', '.join(findings.left_out)}.")
    head = "".join(f"# {line}\n" for line in lines)
    about = f"{host.model}, {host.threads} thread(s), as calibrated on {host.date}"
    return f"{head}name: host\ndescription: {about}\n"


def _cpu(host: Host, findings: Findings, clock: int) -> str:
    source = "as the system tells" if clock == host.clock else "the lowest that explains products"
    rate, over = 1e12 / findings.per_byte, findings.overheads
    gemm = findings.products["float32"]["gemm"]
    lines = [
        "cpu:",
        f"  cores: {host.threads}  # threads of PyTorch",
        f"  clock: {FREQUENCY.text(clock)}  # {source}",
        f"  simd: {SIZE.text(host.simd)}  # as the system tells",
        f"  simd_pipes: {_PIPES}  # guess; only its product with efficiencies counts",
        f"  gemm_efficiency: {_efficiency(gemm, host.lanes, clock)}  # measured, large fp32",
        f"  bandwidth_per_core: {_rate(findings.copied_per_s)}  # measured, large copy",
        f"  op_overhead: {_cycles(findings.called_ps, clock)}  # measured, a call from Python",
        f"  view_overhead: {_cycles(over.view, clock)}  # measured",
        "  energy_per_cycle: 0 pJ  # not measured",
        "  static_power: 0 mW  # not measured",
    ]
    if host.cache:
        lines += [
            "  llc:",
            f"    size: {SIZE.text(host.cache)}  # as the system tells",
            f"    bandwidth: {_rate(rate * _speed(host, findings))}  # measured, of all cores",
        ]
    lines += ["  dispatch:  # measured, networks of tiny tensors"]
    for phase in ("forward", "backward", "optimizer"):
        lines.append(f"    {phase}: {_cycles(getattr(over, phase), clock)}  # measured")
    lines += ["    begin:  # after other work has used the caches"]
    for phase, ps in over.begin.items():
        lines.append(f"      {phase}: {_cycles(ps, clock)}  # measured")
    return "\n".join(lines)


def _kernels(host: Host, findings: Findings, clock: int) -> str:
    lines = [
        "  kernels:  # measured",
        f"    stream: {_rate(1e12 / findings.per_byte)}  # measured",
        f"    first_touch: {_rate(findings.first_touch_per_s)}  # measured",
        f"    parallel_overhead: {_cycles(findings.parallel_ps, clock)}  # measured",
        f"    parallel_efficiency: {_percent(findings.parallel_efficiency)}  # measured",
    ]
    for kind, fit in sorted(findings.kinds.items()):
        lines.append(f"    {KIND_FACTS[kind].measured}: {_kernel(fit)}")
    lines += _products(findings.products["float32"], host.lanes, clock, "    ")
    others = {name: fits for name, fits in findings.products.items() if name != "float32"}
    lines += ["    dtypes:  # measured"] if others else []
    for dtype, fits in others.items():
        lanes = host.lanes * DTYPE_BITS["float32"] // DTYPE_BITS[dtype]
        lines += [f"      {dtype}:", *_products(fits, lanes, clock, "        ")]
    lines.append("    operations:  # measured")
    lines += [f"      {name}: {_kernel(fit)}" for name, fit in sorted(findings.operations.items())]
    return "\n".join(lines) + "\n"


def _compiled(host: Host, findings: Findings, code: CompiledFindings, clock: int) -> str:
    calls, loops = code.calls, code.loops
    lines = ["  compiled:  # measured, synthetic graphs under torch.compile (inductor)"]
    for part in ("forward", "backward"):
        each = _cycles(calls.call[part], clock), _cycles(calls.tensor[part], clock)
        lines.append(f"    {part}: {{call: {each[0]}, tensor: {each[1]}}}")
    lines += [
        f"    kernel: {_cycles(calls.kernel, clock)}  # measured",
        f"    extern: {_cycles(calls.extern, clock)}  # measured",
        f"    mask_write: {round(loops.mask_write)} ps  # measured",
        f"    mask_read: {round(loops.mask_read)} ps  # measured",
        "    kernels:  # measured, feature maps with channels last",
    ]
    for kind, fit in sorted(loops.kinds.items()):
        lines.append(f"      {KIND_FACTS[kind].measured}: {_kernel(fit)}")
    lines += _products(_scaled(findings, code.shares), host.lanes, clock, "      ")
    lines.append("      operations:  # measured")
    lines += [f"        {name}: {_kernel(fit)}" for name, fit in sorted(loops.operations.items())]
    return "\n".join(lines) + "\n"


def _scaled(findings: Findings, shares: dict[str, float]) -> dict[str, ProductFit]:
    """Return the fp32 products that take these shares of their eager time."""
    eager = findings.products["float32"]
    return {name: eager[name].at(share) for name, share in shares.items() if name in eager}


def _rest(host: Host, findings: Findings) -> str:
    rate = _rate(findings.copied_together_per_s)
    return f"""\
interconnect:
  width: 64 B  # wide: memory alone limits
  clock: 100 GHz  # likewise

dram:
  preset: ideal
  capacity: {SIZE.text(host.memory // 2**20 * 2**20)}  # as the system tells
  bandwidth: {rate}  # measured, large copy by all threads

runtime:
  issue: synchronous  # one operation at a time, as eager PyTorch does
  launch: 0 us  # unused without an accelerator
  synchronise: 0 us  # unused without an accelerator

technology:
  node: 7 nm  # not measured; energy is none of this description's answers
"""


def _speed(host: Host, findings: Findings) -> float:
    """Return how many times as fast as one thread all threads move data."""
    return 1 + (host.threads - 1) * findings.parallel_efficiency


def _kernel(fit: KernelFit) -> str:
    own = [f"stream: {_rate(1e12 / fit.per_byte)}"] if fit.per_byte else []
    words = [f"call: {round(fit.call)} ps", f"element: {round(fit.element)} ps", *own]
    return f"{{{', '.join([*words, *_parallel(fit)])}}}"


def _parallel(fit: KernelFit | ProductFit) -> list[str]:
    if fit.parallel is None:
        return []
    return [f"parallel_efficiency: {RATIO.text(round(1000 * fit.parallel))}"]


def _products(fits: dict[str, ProductFit], lanes: int, clock: int, indent: str) -> list[str]:
    return [f"{indent}{name}: {_product(fit, lanes, clock)}" for name, fit in fits.items()]


def _product(fit: ProductFit, lanes: int, clock: int) -> str:
    words = [
        f"call: {round(fit.call)} ps",
        f"efficiency: {_efficiency(fit, lanes, clock)}",
        f"half: {fit.half}",
    ]
    words += [f"bandwidth: {_rate(1e12 / fit.per_byte)}"] if fit.per_byte > 0 else []
    return f"{{{', '.join([*words, *_parallel(fit)])}}}"


def _efficiency(fit: ProductFit, lanes: int, clock: int) -> str:
    return _percent(min(_MOST_EFFICIENT, PS_PER_S / fit.per_mac / (lanes * _PIPES * clock)))


def _percent(share: float) -> str:
    return RATIO.text(max(1, round(1000 * share)))


def _cycles(ps: float, clock: int) -> str:
    return f"{round(ps * clock / PS_PER_S)} cycles"


def _rate(per_s: float) -> str:
    return BANDWIDTH.text(max(1, round(per_s / 10**6)) * 10**6)
