"""A DSP: its arithmetic in closed form, its cache, its calls, and changes of sides."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from simulator.activity import CPU_CYCLES, DSP_BYTES, DSP_MACS, DSP_PS, Action, Stage
from simulator.energy import prices
from simulator.errors import InputError
from simulator.hardware import load_hardware
from simulator.lowering.chain import cheapest
from simulator.lowering.lower import Carry, Lowering
from simulator.placing import choices
from simulator.replay import Replay
from simulator.timing.dsp import BatchedProduct, batched, product_time
from simulator.trace.op import Conv, Op, OpKind, Phase, Role, convolution
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder, machine, one_step_trace

NAME = "dsp"
RATE, MHZ = 256, 500
PS_PER_CYCLE = 10**6 // MHZ
CALL_PS = 3_000_000
SWITCH_PS = 25 * 10**9
DESCRIPTION = {
    "kind": "dsp", "clock": f"{MHZ} MHz", "vector": "128 B", "macs": {"int8": RATE},
    "cache": {"size": "1 MiB", "bandwidth": "64 TB/s", "miss_bandwidth": "0.5 GB/s"},
    "call": "3 us", "batch": {"images": 32, "free": 4}, "kinds": ["elementwise"],
    "energy_per_mac": "2 pJ", "energy_per_byte": "3 pJ", "active_power": "4 W",
    "static_power": "5 mW", "port": {"width": "64 B"},
    "driver": {"launch": "2 us", "synchronise": "1 us", "switch": "25 ms"},
}  # fmt: skip


def board(folder, changes=(), **further):
    """Return the CPU of the default SoC, without a cache, beside a DSP."""
    raw = load_hardware("cpu-only", {"cpu.llc.size": "0 B"}).as_text()
    raw["dram"].pop("device", None)
    raw["units"] = {NAME: DESCRIPTION | further}
    path = folder / "dsp.yaml"
    with path.open("w") as file:
        YAML().dump(raw, file)
    return load_hardware(path, changes)


@pytest.fixture
def part(tmp_path):
    return board(tmp_path).units[NAME]


def convolved(images, side, channels=64, filters=64, *, bits=8):
    """Return a 3 x 3 convolution forward, with its padding."""
    pixels = side * side
    return BatchedProduct(
        images, pixels, images * pixels, filters, 9 * channels, channels * pixels * bits // 8,
        9 * channels * filters * bits // 8, filters * pixels, summed=False, bits=bits,
    )  # fmt: skip


def step_of(*roles, images=2, dtype="int8"):
    """Return a step with a convolution in these roles, 64 channels of 8 x 8 pixels."""
    conv = Conv(images, 64, 64, (8, 8), (8, 8), (3, 3), (1, 1), (1, 1), (1, 1))
    builder = StepBuilder()
    x, y = (builder.tensor(images, 64, 8, 8, dtype=dtype) for _ in range(2))
    w = builder.tensor(64, 64, 3, 3, dtype=dtype, kind=StorageKind.PARAMETER, name="c.weight")
    other = {Role.FORWARD: w, Role.DGRAD: w, Role.WGRAD: x}
    for role in roles:
        shape = (64, 64, 3, 3) if role is Role.WGRAD else (images, 64, 8, 8)
        inputs = (x if role is Role.FORWARD else y, other[role])
        out = builder.tensor(*shape, dtype=dtype)
        phase = Phase.FORWARD if role is Role.FORWARD else Phase.DGRAD
        gemms = (convolution(conv, role),)
        builder.ops.append(Op("aten.conv", OpKind.GEMM, phase, "c", inputs, (out,), gemms))
    return builder.step()


def lowered(hardware, step, units=None):
    return Lowering(hardware).lower(step, Carry(), units)[0]


def stages(tasks, unit=None):
    return [t.work.stage.value for t in tasks if unit in (None, t.work.unit)]


@pytest.mark.parametrize(
    ("filters", "channels", "lanes", "taps"), [(64, 64, 64, 576), (33, 3, 64, 28), (1, 5, 32, 48)]
)
def test_a_product_that_fits_takes_its_vector_instructions(part, filters, channels, lanes, taps):
    """32 sums a register, four products to each of them in an instruction."""
    time = product_time(part, convolved(2, 8, channels, filters), RATE)
    macs = 2 * 64 * lanes * taps
    assert time == (-(-macs // RATE) * PS_PER_CYCLE, 0, CALL_PS, macs, time.cache_bytes, 0)


def test_large_batches_are_filled_up(part):
    issued = [product_time(part, convolved(n, 4), RATE).macs_issued for n in (1, 4, 5, 32, 33)]
    one = issued[0]
    assert issued == [one, 4 * one, 32 * one, 32 * one, 64 * one]


@given(st.integers(1, 64), st.sampled_from([4, 8, 16, 32]))
@settings(deadline=None, max_examples=50)
def test_what_does_not_fit_misses_in_proportion(images, side):
    part = load_hardware("mandheling-xiaomi10", {"units.dsp.rescaling.mode": "static"}).units[NAME]
    part = part.model_copy(update={"split": False})
    time = product_time(part, convolved(images, side), RATE)
    computed = images if images <= 4 else -(-images // 32) * 32
    tensor = computed * 64 * side * side
    in_use = 2 * tensor + 576 * 64 // 2  # input, result, the weights of one register of two
    accesses = max(tensor * 9 * 2, tensor + 576 * 64) + tensor  # all operands once at least
    share = max(0.0, 1 - 2**20 / in_use)
    assert time.cache_bytes == accesses
    assert time.missed_bytes == pytest.approx(share * accesses, abs=1)
    assert time.stall_ps == pytest.approx(time.missed_bytes / 0.53e9 * 1e12, rel=1e-6)


def test_a_second_pass_writes_reads_and_writes_sums(part):
    dynamic = part.model_copy(update={"rescaling": replaced(part.rescaling, mode="dynamic")})
    product = convolved(2, 8)
    once, twice = (product_time(each, product, RATE) for each in (part, dynamic))
    results = 2 * 64 * 64
    assert twice.cache_bytes - once.cache_bytes == 2 * 4 * results
    cycles = 2 * 4 * results // 128  # the largest is sought in one pass, scaled in the other
    assert twice.vector_ps - once.vector_ps == cycles * PS_PER_CYCLE


def replaced(part, **fields):
    return part.model_copy(update=fields)


@pytest.mark.parametrize("permille", [0, 60, 1000])
def test_adaptive_scales_are_a_mean_of_both(part, permille):
    def time(mode):
        scales = replaced(part.rescaling, mode=mode, passes=permille)
        return product_time(replaced(part, rescaling=scales), convolved(64, 16), RATE).ps

    mean = ((1000 - permille) * time("static") + permille * time("dynamic")) / 1000
    assert time("adaptive") == pytest.approx(mean, abs=3)


@given(st.integers(1, 64), st.sampled_from([8, 16, 32]), st.booleans())
@settings(deadline=None, max_examples=40)
def test_a_batch_is_cut_where_it_takes_least(images, side, summed):
    part = load_hardware("mandheling-xiaomi10").units[NAME]
    whole = replaced(part, split=False)
    product = replaced_product(convolved(images, side), summed)

    def cut(size):
        parts = [size] * (images // size) + ([images % size] if images % size else [])
        return sum(product_time(whole, product._replace(images=n), RATE).ps for n in parts)

    best = min(map(cut, range(1, images + 1)))
    assert product_time(part, product, RATE).ps == best


def replaced_product(product, summed):
    """Return it, or the weight gradient with operands of the same size."""
    if not summed:
        return product
    k = product.images * product.rows
    return product._replace(m=64, n=576, k=k, shared=0, results=64 * 576, summed=True)


def test_products_of_a_trace_are_cut_by_images():
    forward, wgrad = step_of(Role.FORWARD, Role.WGRAD, images=8).ops
    assert batched(forward, forward.gemms[0], 8) == convolved(8, 8)
    found = batched(wgrad, wgrad.gemms[0], 8)
    assert (found.images, found.rows, found.each) == (8, 64, 2 * 64 * 64)
    assert found.of(3) == (64, 576, 3 * 64)
    assert found.result_elements(3) == 64 * 576


def test_groups_multiply_each_for_itself(part):
    """A depthwise convolution fills one register for each channel."""
    conv = Conv(1, 64, 64, (8, 8), (8, 8), (3, 3), (1, 1), (1, 1), (1, 1), groups=64)
    op = replace(step_of(Role.FORWARD, images=1).ops[0], gemms=(convolution(conv),))
    time = product_time(part, batched(op, op.gemms[0], 8), RATE)
    assert time.macs_issued == 64 * 64 * 32 * 12


# What it takes


def test_it_takes_integers_that_it_knows(tmp_path):
    builder = StepBuilder()
    for dtype in ("int8", "int16", "float32"):
        builder.elementwise(builder.tensor(4, 4, dtype=dtype))
    pool = replace(builder.ops[0], kind=OpKind.POOL)
    builder.ops.append(pool)
    hardware = board(tmp_path)
    units = [t.work.unit for t in lowered(hardware, builder.step()) if t.work.stage is Stage.OP]
    assert units == [NAME, NAME, "cpu", "cpu"]
    for dtype, unit in (("int8", NAME), ("int16", "cpu"), ("float32", "cpu")):
        tasks = lowered(hardware, step_of(Role.FORWARD, dtype=dtype))
        assert [t.work.unit for t in tasks if t.work.stage is Stage.GEMM] == [unit]


def test_an_op_takes_its_bytes_at_a_register_a_cycle(tmp_path):
    builder = StepBuilder()
    builder.elementwise(builder.tensor(512, 256, dtype="int8"))
    (task,) = [t for t in lowered(board(tmp_path), builder.step()) if t.work.unit == NAME]
    assert task.work.compute_ps == CALL_PS + 2 * 512 * 256 // 128 * PS_PER_CYCLE
    assert task.work.counts.dram_bytes == 2 * 512 * 256


# Calls, graphs and orders


def test_a_call_is_a_launch_and_a_kernel_that_a_synchronous_host_awaits(tmp_path):
    step = step_of(Role.FORWARD)
    assert stages(lowered(board(tmp_path), step)) == ["launch", "switch", "gemm"]
    awaited = board(tmp_path, {"runtime.issue": "synchronous"})
    assert stages(lowered(awaited, step)) == ["launch", "switch", "gemm", "synchronise"]


@pytest.mark.parametrize(("graphs", "built"), [("kept", [1, 0]), ("each_step", [2, 2])])
def test_graphs_are_built_once_or_for_every_call(tmp_path, graphs, built):
    driver = DESCRIPTION["driver"] | {"first_call": "80 ms"}
    lowering = Lowering(board(tmp_path, graphs=graphs, driver=driver))
    step, carry, found = step_of(Role.FORWARD, Role.FORWARD), Carry(), []
    for _ in range(2):
        tasks, carry = lowering.lower(step, carry)
        found.append(stages(tasks).count("build"))
    assert found == built


@pytest.mark.parametrize("on", ["unit", "host"])
def test_gradients_need_operands_in_another_order(tmp_path, on):
    orders = {"rotate": {"unit": "8 ns", "host": "2 ns"}, "rotate_on": on}
    orders |= {"transpose": {"unit": "6 ns", "host": "1 ns"}, "transpose_on": on}
    tasks = lowered(board(tmp_path, layouts=orders), step_of(Role.FORWARD, Role.DGRAD, Role.WGRAD))
    ordered = [(i, t) for i, t in enumerate(tasks) if t.work.stage is Stage.REARRANGE]
    gemms = [t for t in tasks if t.work.stage is Stage.GEMM]
    assert {t.work.unit for _, t in ordered} == {NAME if on == "unit" else "cpu"}
    each = {"unit": (8, 6), "host": (2, 1)}[on]
    elements = (64 * 64 * 9, 2 * 64 * 64)
    expected = [1000 * ns * n for ns, n in zip(each, elements, strict=True)]
    assert [t.work.compute_ps for _, t in ordered] == expected
    for (index, _), gemm in zip(ordered, gemms[1:], strict=True):
        assert index in gemm.waits


# Changes of sides


def chain(*names):
    """Return a step of ops in a row, each of which reads what the one before wrote."""
    builder = StepBuilder()
    tensor = builder.tensor(8, 8, dtype="int8")
    for _ in names:
        tensor = builder.elementwise(tensor)
    return builder.step()


@pytest.mark.parametrize(
    ("units", "switches"),
    [("cc", 0), ("d", 1), ("ddd", 1), ("dc", 2), ("cdc", 2), ("dcd", 3), ("dccdc", 4)],
)
def test_each_change_of_sides_is_paid_once(tmp_path, units, switches):
    placed = [{"c": "cpu", "d": NAME}[each] for each in units]
    tasks = lowered(board(tmp_path), chain(*units), placed)
    found = [t for t in tasks if t.work.stage is Stage.SWITCH]
    assert len(found) == switches
    assert all(t.work.overhead_ps == SWITCH_PS and t.work.unit == "cpu" for t in found)


def test_a_host_that_needs_nothing_of_the_other_side_goes_on_beside_it(tmp_path):
    builder = StepBuilder()
    builder.elementwise(builder.elementwise(builder.tensor(8, 8, dtype="int8")))
    builder.elementwise(builder.tensor(8, 8, dtype="int8"))
    units = [NAME, NAME, "cpu"]
    tasks = lowered(board(tmp_path), builder.step(), units)
    assert stages(tasks).count("switch") == 1


def test_one_change_brings_back_all_results(tmp_path):
    builder = StepBuilder()
    made = [builder.elementwise(builder.tensor(8, 8, dtype="int8")) for _ in range(3)]
    for tensor in made:
        builder.elementwise(tensor)
    tasks = lowered(board(tmp_path), builder.step(), [NAME] * 3 + ["cpu"] * 3)
    back = [i for i, t in enumerate(tasks) if t.work.stage is Stage.SWITCH][1]
    last = max(i for i, t in enumerate(tasks) if t.work.unit == NAME)
    assert stages(tasks).count("switch") == 2
    assert last in tasks[back].waits


def test_any_unit_can_have_a_switch():
    builder = StepBuilder()
    builder.elementwise(builder.gemm(64, 64, 64))
    with_switch = lowered(machine(runtime__switch="1 ms"), builder.step())
    without = lowered(machine(), builder.step())
    assert stages(with_switch).count("switch") == 2
    assert [s for s in stages(with_switch) if s != "switch"] == stages(without)


def test_a_search_does_not_come_back_for_a_view(tmp_path):
    """Each op alone is cheaper on the host than a switch, all of them are not."""
    builder = StepBuilder()
    tensor = builder.tensor(4096, 4096, dtype="int8")
    for _ in range(40):
        tensor = builder.elementwise(tensor)
        view = replace(builder.ops[-1], name="aten.view.default", kind=OpKind.VIEW)
        builder.ops.append(replace(view, inputs=(tensor,), outputs=(tensor,)))
    fast = {"vector": "1 KiB", "port": {"width": "1 KiB"}}
    hardware = board(tmp_path, {"dram.preset": "ideal"}, **fast)
    lowering, step = Lowering(hardware), builder.step()
    found = choices(step, lowering, (NAME,))
    op, view = found[:2]
    assert 0 < op.host - op.others[NAME].stay < SWITCH_PS
    assert view.others[NAME] == (view.host, SWITCH_PS, SWITCH_PS)
    assert cheapest(found) == (NAME,) * len(step.ops)
    tasks = lowered(hardware, step, cheapest(found))
    assert stages(tasks).count("switch") == 1


# Accounts


def test_actions_are_priced_and_macs_kept(tmp_path):
    hardware = board(tmp_path, polls=2)
    tasks = lowered(hardware, step_of(Role.FORWARD))
    (work,) = [t.work for t in tasks if t.work.stage is Stage.GEMM]
    macs = 2 * 64 * 64 * 576
    assert (work.counts.macs, work.counts.macs_issued) == (macs, macs)
    assert work.counts[Action(NAME, DSP_MACS)] == macs
    active_ps = work.counts[Action(NAME, DSP_PS)]
    assert active_ps == work.compute_ps == macs // RATE * PS_PER_CYCLE + CALL_PS
    polled = active_ps * 2 * hardware.cpu.clock / 1e12
    assert work.counts[CPU_CYCLES] == pytest.approx(polled, abs=1)
    cost = prices(hardware)
    expected = {DSP_MACS: 2_000_000, DSP_BYTES: 3_000_000, DSP_PS: 4_000_000}
    assert {what: cost.dynamic_aj[Action(NAME, what)] for what in expected} == expected
    assert cost.static_uw[NAME] == 5_000


@pytest.mark.parametrize("fidelity", ["flow", "tile"])
def test_a_run_has_its_time_and_energy_by_name(tmp_path, fidelity):
    builder = StepBuilder()
    builder.elementwise(builder.elementwise(builder.tensor(64, 64, dtype="int8")))
    result = Replay(board(tmp_path), one_step_trace(builder), (), fidelity).run()
    each_ps = CALL_PS + 2 * 64 * 64 // 128 * PS_PER_CYCLE
    assert result.total[f"{NAME}_busy_s"] == pytest.approx(2 * each_ps / 1e12)
    assert result.total["energy_by_component_j"][NAME] > 4 * 2 * each_ps / 1e12


def test_a_dsp_that_multiplies_nothing_is_refused(tmp_path):
    with pytest.raises(InputError, match="macs: no format has a rate: give one, such as int8: 256"):
        board(tmp_path, macs={})
