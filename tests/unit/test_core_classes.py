"""Classes of cores: what a description takes from them, and what their kernels cost, by hand."""

import pytest

from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.hardware.shipped import core_classes
from simulator.lowering.cache import Transfers
from simulator.lowering.works import Templates
from simulator.timing.kernels import KernelCost, kernel_of, kernel_ps
from simulator.timing.products import product_ps, products_ps
from simulator.timing.shares import WHOLE
from simulator.timing.stretches import StretchBound, Stretched
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role
from tests.builders import StepBuilder

GHZ = {"cpu.clock": "1 GHz"}


def pi(**costs):
    """The CPU of a Raspberry Pi 4 at 1 GHz, some of its costs set."""
    return load_hardware(
        "raspberry-pi-4", GHZ | {f"cpu.costs.{k}": v for k, v in costs.items()}
    ).cpu


def op(name, kind, *shapes, outputs=1, dtype="float32"):
    builder = StepBuilder()
    tensors = [builder.tensor(*shape, dtype=dtype) for shape in shapes]
    cut = len(tensors) - outputs
    return Op(f"aten.{name}.default", kind, Phase.FORWARD, "", (*tensors[:cut],), (*tensors[cut:],))


def test_classes_of_cores():
    assert core_classes() == ["in-order", "out-of-order", "wide"]


@pytest.mark.parametrize("core", core_classes())
def test_every_cost_of_a_class_has_a_source_and_a_guess_has_a_range(core):
    known = load_hardware("cpu-only", {"cpu.core": core}).constants
    costs = {each.path: each for each in known if each.path.startswith("cpu.costs.")}
    assert all(each.source for each in costs.values())
    assert all(each.is_uncertain for each in costs.values() if each.kind in ("guess", "fitted"))


def test_another_class_replaces_all_costs_and_what_is_known_of_them():
    ours, other = load_hardware("cpu-only"), load_hardware("cpu-only", {"cpu.core": "wide"})
    assert other.cpu.costs == load_hardware("host").cpu.costs != ours.cpu.costs
    again = load_hardware(ours, {"cpu.core": "wide"})
    assert again.cpu == other.cpu
    norms = [each.value for each in again.constants if each.path == "cpu.costs.norm"]
    assert norms == [other.cpu.costs.norm]


def test_a_description_says_more_than_its_class(tmp_path):
    text = """
cpu:
  core: out-of-order
  costs: {norm: 3 cycles}  # measured
  cores: 1
  clock: 1 GHz
  simd: 16 B
  simd_pipes: 1
  gemm_efficiency: 50 %
  bandwidth_per_core: 1 GB/s
  op_overhead: 1 kcycles
  view_overhead: 1 kcycles
  energy_per_cycle: 1 pJ
  static_power: 1 mW
interconnect: {width: 16 B, clock: 1 GHz}
dram: {preset: LPDDR4-3200_x32_1ch, capacity: 1 GiB}
runtime: {issue: in_order, launch: 0 us, synchronise: 0 us}
technology: {node: 16 nm}
"""
    path = tmp_path / "own.yaml"
    path.write_text(text)
    soc = load_hardware(path)
    assert soc.cpu.costs.norm == 3000  # millicycles
    assert soc.cpu.costs.erf == load_hardware("raspberry-pi-4").cpu.costs.erf
    assert not [
        each for each in soc.constants if each.path == "cpu.costs.norm" and each.is_uncertain
    ]


def test_an_unknown_class_is_told_with_those_that_there_are():
    with pytest.raises(InputError, match="no class of cores 'in-ordre'; did you mean in-order"):
        load_hardware("cpu-only", {"cpu.core": "in-ordre"})


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("gelu", OpKind.TRANSCENDENTAL, KernelCost("erf")),
        ("sigmoid_", OpKind.TRANSCENDENTAL, KernelCost("exponential")),
        ("_foreach_sqrt", OpKind.TRANSCENDENTAL, KernelCost("division")),
        ("div", OpKind.ELEMENTWISE, KernelCost("division")),
        ("add", OpKind.ELEMENTWISE, KernelCost("elementwise")),
        ("native_layer_norm", OpKind.NORM, KernelCost("norm", 1000)),
    ],
)
def test_kernels_by_name(name, kind, expected):
    assert kernel_of(op(name, kind, (8,), (8,))) == expected


def test_a_batch_norm_takes_statistics_in_training_alone():
    training = op("native_batch_norm", OpKind.NORM, (4, 8), (8,), (4, 8), (8,), (8,), outputs=3)
    evaluation = op("native_batch_norm", OpKind.NORM, (4, 8), (8,), (4, 8), (0,), (0,), outputs=3)
    assert kernel_of(training) == KernelCost("norm", 2000)
    assert kernel_of(evaluation) == KernelCost("elementwise")


def test_elements_go_over_the_cores():
    cpu = pi(erf="50 cycles")
    gelu = op("gelu", OpKind.TRANSCENDENTAL, (100_000,), (100_000,))
    assert kernel_ps(cpu, gelu, 100_000, 4) == 100_000 * 50 * 1000 // 4


def test_floats_that_the_cores_lack_are_converted():
    cpu = pi(elementwise="1 cycles", narrow_conversion="3 cycles")
    wide, narrow = (
        op("add", OpKind.ELEMENTWISE, (1000,), (1000,), dtype=dtype)
        for dtype in ("float32", "bfloat16")
    )
    assert kernel_ps(cpu, wide, 1000, 1) == 1000 * 1000
    assert kernel_ps(cpu, narrow, 1000, 1) == 4 * 1000 * 1000


def test_a_product_is_arithmetic_packing_and_threads():
    cpu = pi(product_pack="2 cycles", product_fork="5 kcycles")
    m, n, k = 128, 64, 256
    arithmetic = m * n * k * 1000 * 1000 // (4 * 4 * cpu.gemm_efficiency)  # 4 lanes on 4 cores
    packing = 2 * (m * k + k * n + m * n) * 1000 // 4
    assert product_ps(cpu, m, n, k) == pytest.approx(arithmetic + packing + 5 * 10**6, abs=2)


def test_a_small_product_stays_on_one_core():
    cpu = pi(product_pack="0 cycles", product_fork="5 kcycles")
    assert 64**3 == 4 * 65536  # OpenBLAS's threshold, beyond which it splits
    expected = 64**3 * 1000 * 1000 // (4 * cpu.gemm_efficiency)
    assert product_ps(cpu, 64, 64, 64) == pytest.approx(expected, abs=2)
    split = 64 * 64 * 65 * 1000 * 1000 // (4 * 4 * cpu.gemm_efficiency) + 5 * 10**6
    assert product_ps(cpu, 64, 64, 65) == pytest.approx(split, abs=2)


def test_products_of_a_batch_are_calls_in_turn():
    cpu = pi(inner_dispatch="3 kcycles")
    one, batch = (Gemm(Role.FORWARD, count, 32, 32, 32, 0, 1, 0) for count in (1, 48))
    alone = products_ps(cpu, "mm", (one,), "float32")
    assert products_ps(cpu, "bmm", (batch,), "float32") == 48 * (alone + 2 * 3 * 10**6)


def test_a_vector_times_a_matrix_has_nothing_to_pack():
    cpu = pi(elementwise="0.5 cycles")
    gemm = Gemm(Role.FORWARD, 1, 1000, 1, 1000, 0, 1, 0)
    assert products_ps(cpu, "mv", (gemm,), "float32") == 10**6 * 500 // 4


def test_stretches_follow_each_other_and_each_is_bound_by_itself():
    progress = Stretched(10, [StretchBound(100, 40), StretchBound(30, 60), StretchBound(5, 0)])
    assert progress.channel_ps == 100
    assert progress.duration_ps(WHOLE) == 10 + 100 + 60 + 5
    assert progress.duration_ps(WHOLE // 4) == 10 + 160 + 240 + 5


def test_stores_that_miss_fetch_their_lines_where_the_cores_allocate_on_writes():
    """1 MiB read and 1 MiB written are 2 MiB of reads, at the same rate of the core."""
    size = 2**20
    add = op("add", OpKind.ELEMENTWISE, (size // 4,), (size // 4,))
    counts, ends = {}, {}
    for allocates in (False, True):
        settings = {"cpu.write_allocate": allocates, "cpu.cores": 1}
        templates = Templates(load_hardware("raspberry-pi-4", settings))
        work = templates.operation(add, Transfers((size,), (size,)), 0, 0)
        counts[allocates] = work.counts.dram_read_bytes, work.counts.dram_write_bytes
        ends[allocates] = work.progress.duration_ps(WHOLE)
    assert counts == {False: (size, size), True: (2 * size, size)}
    assert ends[False] == ends[True]
