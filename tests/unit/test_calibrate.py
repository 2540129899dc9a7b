# ruff: noqa: E402 - without torch nothing here can be imported
"""From fake measurements to a description that loads: fits recover what made them."""

import errno

import pytest

torch = pytest.importorskip("torch")

from simulator.hardware import load_hardware
from simulator.hardware.cpu import ProductSpeeds
from simulator.timing.cores import product_names
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, Tensor
from workloads.calibrate.benches import tiny
from workloads.calibrate.compiled import CallFit, CompiledFindings, LoopFit, terms
from workloads.calibrate.description import Findings, describe
from workloads.calibrate.dispatch import Overheads, overheads
from workloads.calibrate.fit import (
    KernelFit,
    ProductFit,
    fastest_mac,
    fit_kernel,
    fit_product,
    fit_stream,
    least_deviations,
    positive_least_squares,
)
from workloads.calibrate.graphs import synthetic_graphs
from workloads.calibrate.groups import groups
from workloads.calibrate.loops import eager_ops, layer_benches
from workloads.calibrate.machine import Host, this_host
from workloads.calibrate.measure import TimedOp, operation, seconds
from workloads.calibrate.watch import Load

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


MACHINE = Host("Fake CPU", 2, 2 * 10**9, 32, 4 * 2**20, 2**33, "2.13", "2026-01-01")
BEGIN = {"forward": 50_000_000, "backward": 0, "optimizer": 0}
PRODUCT = ProductFit(1e6, 50.0, 500.0, 100.0)
IDLE = Load(0.99, 1.02, 0.5, 4)


def tensor(elements):
    return Tensor(0, "float32", (elements,), (1,))


def elementwise(elements, ps):
    x = tensor(elements)
    name = "aten.relu.default"
    return TimedOp(Op(name, OpKind.ELEMENTWISE, Phase.OTHER, "", (x,), (x,)), ps)


def test_least_squares_recovers_positive_terms():
    terms = [(1.0, n, n * n) for n in (1, 2, 5, 9)]
    times = [3 * a + 2 * b + 0.5 * c for a, b, c in terms]
    assert positive_least_squares(terms, times) == pytest.approx([3, 2, 0.5])


def test_a_term_that_would_be_negative_is_left_out():
    terms = [(1.0, n) for n in (1, 2, 5, 9)]
    found = positive_least_squares(terms, [10 - n for n in (1, 2, 5, 9)])
    assert found[1] == 0
    assert found[0] > 0


def test_a_stream_is_found_beneath_the_calls():
    called = 2_000_000
    found = fit_stream([elementwise(n, called + 8 * n * 25) for n in (50_000, 10**6)], called)
    assert found == pytest.approx(25)


def test_a_kernel_is_found_beneath_calls_and_traffic():
    called, per_byte = 2_000_000, 25.0
    times = {n: called + 1_000_000 + n * 70 + 8 * n * 25 for n in (100, 100_000, 10**6)}
    found = fit_kernel([elementwise(n, ps) for n, ps in times.items()], per_byte, called)
    assert found.call == pytest.approx(1_000_000, rel=0.01)
    assert found.element == pytest.approx(70, rel=0.01)


def test_a_kernel_that_moves_faster_than_others_has_a_rate_of_its_own():
    called = 2_000_000
    times = {n: called + 8 * n * 20 for n in (100, 100_000, 10**6)}
    found = fit_kernel([elementwise(n, ps) for n, ps in times.items()], 25.0, called)
    assert (found.call, found.element) == (0, 0)
    assert found.per_byte == pytest.approx(20, rel=0.01)


def test_a_product_is_found_by_macs_and_smallest_dimension():
    samples = []
    for m, n, k in ((8, 8, 8), (200, 100, 50), (64, 500, 300), (900, 20, 700), (400, 400, 400)):
        gemm = Gemm(Role.FORWARD, 1, m, n, k, 0, 1, 0)
        given = (tensor(m * k), tensor(k * n))
        size = 4 * (m * k + k * n + m * n)
        ps = 1e6 + gemm.macs * (50 + 500 / min(m, n, k)) + 100 * size
        name = "aten.mm.default"
        made = Op(name, OpKind.GEMM, Phase.OTHER, "", given, (tensor(m * n),), (gemm,))
        samples.append(TimedOp(made, round(ps) + 2_000_000))
    found = fit_product(samples, 2_000_000, 8, 1.0)
    assert found.call == pytest.approx(1e6, rel=0.01)
    assert found.per_mac == pytest.approx(50, rel=0.01)
    assert found.half == 10
    assert found.per_byte == pytest.approx(100, rel=0.01)


def test_one_outlier_does_not_move_least_deviations():
    terms = [(1.0, n) for n in (1, 2, 5, 9, 20, 40)]
    times = [3 + 2 * n for _, n in terms]
    times[2] /= 4
    assert least_deviations(terms, times) == pytest.approx([3, 2], rel=0.05)
    assert positive_least_squares(terms, times) != pytest.approx([3, 2], rel=0.1)


def test_arithmetic_that_explains_nothing_is_as_fast_as_the_fastest_sample():
    by_bytes = [product_sample(n, lambda _, n=n: 12 * n * n * 10) for n in (32, 64, 128, 256)]
    floor = fastest_mac(by_bytes, 0, 8)
    assert floor == pytest.approx(12 * 10 / 256)
    found = fit_product(by_bytes, 0, 8, floor)
    assert found.per_mac == floor
    assert 0 < found.per_byte < 10


def product_sample(n, ps_of):
    gemm = Gemm(Role.FORWARD, 1, n, n, n, 0, 1, 0)
    x = tensor(n * n)
    made = Op("aten.mm.default", OpKind.GEMM, Phase.OTHER, "", (x, x), (x,), (gemm,))
    return TimedOp(made, round(ps_of(gemm.macs)))


def test_what_a_fused_operation_does_in_two_roles_is_two_calls():
    roles = (Role.FORWARD, Role.DGRAD)
    samples = []
    for n in (16, 32, 48, 64):
        x = tensor(n * n)
        gemms = tuple(Gemm(role, 1, n, n, n, 0, 1, 0) for role in roles)
        made = Op("aten.fused", OpKind.GEMM, Phase.OTHER, "", (x,), (x,), gemms)
        samples.append(TimedOp(made, round(2 * 10**6 + 2 * n**3 * 50)))
    found = fit_product(samples, 0, 8, 1.0)
    assert (found.call, found.per_mac) == (
        pytest.approx(1e6, rel=0.02),
        pytest.approx(50, rel=0.02),
    )


def findings(product=PRODUCT, **others):
    products = {"gemm": product, "convolution": PRODUCT, "convolution_wgrad": PRODUCT}
    given = {
        "called_ps": 2_000_000,
        "overheads": Overheads(5_000_000, 3_000_000, 2_000_000, 700_000, BEGIN),
        "per_byte": 25.0,
        "first_touch_per_s": 4e9,
        "kinds": {OpKind.ELEMENTWISE: KernelFit(0, 20.4), OpKind.COPY: KernelFit(1e6, 0)},
        "operations": {"exp": KernelFit(0, 80)},
        "products": {"float32": products, "bfloat16": {"gemm": ProductFit(1e6, 5.0, 0, 0)}},
        "copied_per_s": 12e9,
        "copied_together_per_s": 18e9,
        "parallel_ps": 3_000_000,
        "parallel_efficiency": 0.5,
        "load": IDLE,
    }
    return Findings(**(given | others))


def test_a_description_loads_and_says_what_was_measured(tmp_path):
    path = tmp_path / "host.yaml"
    path.write_text(describe(MACHINE, findings(), 60))
    host = load_hardware(path)
    assert host.accelerator is None
    assert host.cpu.cores == 2
    assert host.cpu.clock == 2 * 10**9
    assert host.cpu.dispatch.forward == 10_000
    assert host.cpu.dispatch.begin.forward == 100_000
    assert host.cpu.kernels.elementwise.element == 20
    assert host.cpu.kernels.gemm.half == 10
    assert host.cpu.kernels.dtypes["bfloat16"].gemm.efficiency == 3125  # 200 of 32 x 2 GMAC/s
    assert host.cpu.kernels.dtypes["bfloat16"].convolution is None
    assert host.cpu.kernels.convolution_dgrad is None
    assert host.dram.bandwidth == 18 * 10**9  # of both threads
    assert host.cpu.bandwidth_per_core == 12 * 10**9
    assert host.cpu.llc.bandwidth == 60 * 10**9  # 40 of one thread, and half of it more
    assert host.cpu.kernels.parallel_overhead == 6000
    assert host.cpu.kernels.parallel_efficiency == 500
    assert "2026-01-01" in path.read_text()
    assert "Fake CPU" in path.read_text()


def test_a_clock_that_is_too_slow_for_its_products_is_corrected(tmp_path):
    path = tmp_path / "host.yaml"
    path.write_text(describe(MACHINE, findings(ProductFit(0, 10.0, 0, 0)), 60))
    host = load_hardware(path)
    assert host.cpu.clock == 6250 * 10**6
    assert host.cpu.gemm_efficiency == 1000


def test_a_description_says_how_each_kernel_scales_and_what_was_left_out(tmp_path):
    path = tmp_path / "host.yaml"
    told = findings(
        ProductFit(1e6, 50.0, 500.0, 100.0, 0.75),
        operations={"exp": KernelFit(0, 80, 0.0, 0.25), "sort": KernelFit(0, 80, 0.0, 0.0)},
        load=Load(0.7, 1.02, 0.5, 4),
        left_out=("attention", "float16 products"),
    )
    path.write_text(describe(MACHINE, told, 60))
    kernels = load_hardware(path).cpu.kernels
    assert kernels.gemm.parallel_efficiency == 750
    assert kernels.convolution.parallel_efficiency is None
    shares = {name: k.parallel_efficiency for name, k in kernels.operations.items()}
    assert shares == {"exp": 250, "sort": 0}
    text = path.read_text()
    assert "Left out for lack of time: attention, float16 products." in text
    assert "this one got 70 % of a core" in text
    assert "DISTURBED" in text


def test_without_other_dtypes_a_description_loads(tmp_path):
    path = tmp_path / "host.yaml"
    path.write_text(describe(MACHINE, findings(products={"float32": {"gemm": PRODUCT}}), 60))
    assert load_hardware(path).cpu.kernels.dtypes == {}
    assert "DISTURBED" not in path.read_text()
    assert "Left out" not in path.read_text()


def test_every_bench_is_one_operation_that_is_no_view():
    alone = [group for group in groups([1]) if group.dtype == "float32"]
    ops = [operation(bench) for group in alone for bench in group.benches]
    kinds = {op.kind for op in ops}
    assert {OpKind.GEMM, OpKind.NORM, OpKind.POOL, OpKind.SOFTMAX, OpKind.RANDOM} <= kinds
    products = {product_names(op, op.gemms[0])[0] for op in ops if op.gemms}
    assert products == set(ProductSpeeds.model_fields)
    assert all(bench.macs == sum(g.macs for g in op.gemms) for bench, op in zip(
        (bench for group in alone for bench in group.benches), ops, strict=True
    ))  # fmt: skip


def test_what_is_measured_here_is_plausible():
    assert 1e-8 < seconds(tiny()) < 1e-2
    found = overheads(lambda _: 0.0)
    assert 10**4 < found.view < 10**9
    assert min(found.forward, found.backward, found.optimizer) > 10**5
    assert max(found.begin.values()) > 10**6


def test_a_product_no_longer_than_a_call_is_not_the_fastest():
    """A call that was measured too long would else leave it no time at all."""

    def product(side, ps):
        gemm = Gemm(Role.FORWARD, 1, side, side, side, 0, 1, 2)
        matrix = Tensor(0, "float32", (side, side), (side, 1))
        op = Op("aten.mm", OpKind.GEMM, Phase.OTHER, "", (matrix, matrix), (matrix,), (gemm,))
        return TimedOp(op, ps)

    samples = [product(24, 3_000_000), product(100, 24_000_000)]
    assert fastest_mac(samples, 4_000_000, 8) == 20


COMPILED = CompiledFindings(
    CallFit({"forward": 250e6, "backward": 200e6}, {"forward": 2e6, "backward": 4e6}, 1.5e6, 2.5e6),
    LoopFit({"gelu": KernelFit(0, 1200.4)}, {OpKind.ELEMENTWISE: KernelFit(0, 180)}, 9000.2, 1000),
    {"convolution": 0.5, "depthwise": 0.9},
)


def test_a_description_says_what_compiling_costs(tmp_path):
    path = tmp_path / "host.yaml"
    path.write_text(describe(MACHINE, findings(compiled=COMPILED), 60))
    host = load_hardware(path)
    code = host.cpu.compiled
    assert (code.forward.call, code.forward.tensor) == (500_000, 4_000)
    assert (code.backward.call, code.backward.tensor) == (400_000, 8_000)
    assert (code.kernel, code.extern) == (3000, 5000)
    assert (code.mask_write, code.mask_read) == (9000, 1000)
    assert code.kernels.elementwise.element == 180
    assert code.kernels.operations["gelu"].element == 1200
    eager, turned = host.cpu.kernels.convolution, code.kernels.convolution
    assert (turned.call, turned.half) == (eager.call // 2, eager.half)
    assert turned.efficiency == 2 * eager.efficiency
    assert code.kernels.depthwise is None  # eagerly it was not measured
    assert load_hardware(path, {"runtime.fusion": "chains"}).cpu.compiled == code


def test_synthetic_graphs_tell_all_costs_of_calls_apart():
    costs = [250.0, 200.0, 2.0, 4.0, 1.5, 2.5]
    rows = [
        terms(which, contents)
        for graph in synthetic_graphs()
        for which, contents in enumerate((graph.forward, graph.backward))
    ]
    times = [sum(a * b for a, b in zip(row, costs, strict=True)) for row in rows]
    assert positive_least_squares(rows, times) == pytest.approx(costs)


def test_synthetic_graphs_have_the_parameters_and_products_that_they_say():
    for graph in synthetic_graphs():
        model = graph.make()
        assert len(list(model.parameters())) == graph.forward.tensors == graph.backward.tensors
        products = sum(isinstance(module, torch.nn.Linear) for module in model.modules())
        assert products == graph.forward.externs
        assert graph.backward.externs == max(0, 2 * products - 1)


def test_every_layer_bench_has_the_ops_that_it_names():
    for bench in layer_benches():
        ops = eager_ops(bench)
        assert {bench.forward, bench.backward} - {""} <= ops.keys()


def test_without_a_compiler_compiled_is_refused(monkeypatch, tmp_path, capsys):
    from simulator.cli.exits import exit_code

    monkeypatch.setattr("shutil.which", lambda _: None)
    assert exit_code(["calibrate", "-o", str(tmp_path / "host.yaml"), "--compiled"]) == 2
    assert "there is no C++ compiler for torch.compile" in capsys.readouterr().err


def test_this_machine_is_described():
    here = this_host(3)
    assert here.threads == 3
    assert here.clock >= 10**8
    assert here.simd in (16, 32, 64)
    assert here.model


def test_a_full_disk_loses_nothing_that_was_measured(tmp_path, monkeypatch, capsys):
    from simulator.cli.exits import exit_code
    from simulator.trace import storage

    out, spare = tmp_path / "host.yaml", tmp_path / "spare"
    out.write_text("as it was")
    spare.mkdir()
    put = storage.put

    def full(path, data, **how):
        if path == out:
            raise OSError(errno.ENOSPC, "full")
        put(path, data, **how)

    monkeypatch.setattr("workloads.calibrate.calibrate", lambda *_, **__: "cpu: measured")
    monkeypatch.setattr("tempfile.tempdir", str(spare))
    monkeypatch.setattr(storage, "put", full)
    assert exit_code(["calibrate", "-o", str(out)]) == 2
    (kept,) = spare.iterdir()
    assert f"what was measured is in {kept}" in capsys.readouterr().err
    assert (kept.read_text(), out.read_text()) == ("cpu: measured", "as it was")
