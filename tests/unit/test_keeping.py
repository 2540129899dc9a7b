"""What stays in a scratchpad from op to op: correct, within its capacity, and free of traffic."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.activity import Stage
from simulator.errors import InputError
from simulator.lowering.keeping import Keeping, OnChip, UnitTouch, plan_of
from simulator.lowering.lower import Carry, Lowering
from simulator.mapping.memories import demand
from simulator.mapping.shape import GemmShape, Widths
from simulator.timing.dataflows import Dims
from simulator.trace.accesses import Access
from simulator.trace.op import Phase, Role
from simulator.trace.trace import StorageKind
from tests.builders import StepBuilder, machine

UNIT = "accelerator"
NPU = "edge-16x16-npu"
EXACT = {
    "cpu__llc__size": "0 B", "accelerator__precision": "fp32", "accelerator__scratchpad": "4 MiB",
    "accelerator__accumulator": "4 MiB",
}  # fmt: skip
SIZE = 4 * 64 * 64


@st.composite
def touched_steps(draw):
    """Random touches of eight tensors of fixed sizes by an accelerator and the CPU."""
    sizes = draw(st.lists(st.integers(1, 9), min_size=8, max_size=8))
    some = st.lists(st.integers(0, 7), max_size=3, unique=True)
    touches = []
    for _ in range(draw(st.integers(1, 14))):
        unit = draw(st.sampled_from([UNIT, UNIT, "cpu"]))
        reads, writes = draw(some), draw(st.lists(st.integers(0, 7), max_size=1))
        each = [[Access(t, sizes[t] if unit == UNIT else 0) for t in ts] for ts in (reads, writes)]
        touches.append(UnitTouch(unit, *map(tuple, each)))
    return touches, sizes


@given(touched_steps(), st.integers(0, 20), st.frozensets(st.integers(0, 7)))
def test_every_read_finds_the_last_write_where_the_plan_says(case, capacity, lasting):
    """A machine with a memory and a scratchpad, step by step; and no load or store too many."""
    touches, sizes = case
    plan = plan_of(touches, {UNIT: capacity}, lasting)
    memory, scratchpad, newest = dict.fromkeys(range(8), -1), {}, dict.fromkeys(range(8), -1)
    number = 0
    for index, (unit, reads, writes) in enumerate(touches):
        on_chip = OnChip()
        if unit == UNIT:
            on_chip = plan.get(number, on_chip)
            number += 1
        for token, _ in reads:
            place = scratchpad if token in on_chip.loads else memory
            assert place[token] == newest[token]
            scratchpad[token] = newest[token] if unit == UNIT else scratchpad.get(token)
        for token, _ in writes:
            newest[token] = index
            if unit == UNIT:
                scratchpad[token] = index
            if token not in on_chip.stores:
                memory[token] = index
        assert on_chip.loads <= {token for token, _ in reads}
        assert on_chip.stores <= {token for token, _ in writes}
    assert all(memory[token] == newest[token] for token in lasting)
    assert _most_bytes(touches, plan, sizes) <= capacity


def _most_bytes(touches, plan, sizes):
    """Return the most bytes on chip at once: of each tensor from the touch before a free load, or
    from its unstored write, to its last free load.
    """
    own = [index for index, touch in enumerate(touches) if touch.unit == UNIT]
    live = [set() for _ in touches]
    for number, on_chip in plan.items():
        at = own[number]
        for token in on_chip.loads:
            users = [
                index
                for index in range(at)
                if any(a.token == token for a in (*touches[index].reads, *touches[index].writes))
                and touches[index].unit == UNIT
            ]
            for index in range(users[-1], at + 1):
                live[index].add(token)
        for token in on_chip.stores:
            live[at].add(token)
    return max((sum(sizes[token] for token in tokens) for tokens in live), default=0)


def test_what_spares_most_for_its_size_stays_first():
    """A tensor read three times goes before one read once; both do not fit."""
    often, once = Access(0, 8), Access(1, 8)
    touches = [
        UnitTouch(UNIT, (), (once,)),
        UnitTouch(UNIT, (), (often,)),
        *[UnitTouch(UNIT, (often,), ())] * 3,
        UnitTouch(UNIT, (once,), ()),
    ]
    plan = plan_of(touches, {UNIT: 12}, frozenset())
    assert plan[1].stores == plan[2].loads == plan[4].loads == {0}
    assert 0 not in plan
    both = plan_of(touches, {UNIT: 16}, frozenset())
    assert both[0].stores == both[5].loads == {1}


def test_nothing_is_recorded_where_nothing_keeps():
    keeping = Keeping({})
    assert keeping.touch(UNIT, [Access(0, 8)], []) == OnChip()
    assert keeping.touches == []


def gemms(builder, **overrides):
    hardware = machine(NPU, runtime__fusion="none", **EXACT, **overrides)
    tasks, _ = Lowering(hardware).lower(builder.step(), Carry())
    return [task.work for task in tasks if task.work.stage is Stage.GEMM]


def chain():
    """Two products of 64 x 64 in a row."""
    builder = StepBuilder()
    builder.gemm(64, 64, 64, a=builder.gemm(64, 64, 64))
    return builder


@pytest.mark.parametrize(("keep", "between"), [("0 B", SIZE), ("8 KiB", SIZE), ("16 KiB", 0)])
def test_a_result_that_stays_costs_no_dram_byte(keep, between):
    first, second = gemms(chain(), accelerator__keep=keep)
    assert first.counts.dram_read_bytes == 2 * SIZE
    assert first.counts.dram_write_bytes == between
    assert second.counts.dram_read_bytes == SIZE + between
    assert second.counts.dram_write_bytes == SIZE


@pytest.mark.parametrize(("resident", "tiles", "beside_weights"), [
    ("", 2 * 64 * 64, 64 * 64), ("a", 64 * 64, 0), ("b", 64 * 64, 64 * 64), ("ab", 0, 0),
])  # fmt: skip
def test_what_stays_takes_no_room_of_tiles(resident, tiles, beside_weights):
    """One tile of int8; what goes into a weight buffer takes room there all the same."""
    shape = GemmShape(1, Dims(64, 64, 64), Widths(8, 32), resident=frozenset(resident))
    (whole,) = shape.space(machine(NPU).accelerator).mappings((64, 64, 64))
    assert demand(shape, whole, weight_buffer=False) == (tiles, 4 * 64 * 64, 0)
    assert demand(shape, whole, weight_buffer=True) == (beside_weights, 4 * 64 * 64, 64 * 64)
    assert shape.space(machine(NPU).accelerator).needs((64, 64, 64)).operands == tiles


def test_a_result_that_the_cpu_reads_is_stored_and_stays():
    builder = StepBuilder()
    made = builder.gemm(64, 64, 64)
    builder.gemm(64, 64, 64, a=made)
    builder.elementwise(made)
    first, second = gemms(
        builder, accelerator__keep="16 KiB", accelerator__vector__min_elements=10**9
    )
    assert first.counts.dram_write_bytes == SIZE
    assert second.counts.dram_read_bytes == SIZE


def test_weights_stay_from_forward_to_backward():
    builder = StepBuilder()
    builder.gemm(64, 64, 64)
    weight = builder.ops[0].inputs[1]
    gradient = builder.tensor(64, 64)
    builder.gemm(64, 64, 64, a=gradient, phase=Phase.DGRAD, role=Role.DGRAD)
    operands = (gradient, weight)
    builder.ops[1] = builder.ops[1].__class__(
        "aten.mm.default", builder.ops[1].kind, Phase.DGRAD, "fc", operands,
        builder.ops[1].outputs, builder.ops[1].gemms,
    )  # fmt: skip
    forward, backward = gemms(builder, accelerator__keep="16 KiB")
    assert forward.counts.dram_read_bytes == 2 * SIZE
    assert backward.counts.dram_read_bytes == SIZE


def test_gradients_are_left_to_the_next_step():
    builder = StepBuilder()
    made = builder.gemm(64, 64, 64)
    builder.storages[made.storage] = builder.storages[made.storage].__class__(
        SIZE, StorageKind.GRADIENT
    )
    builder.gemm(64, 64, 64, a=made)
    first, second = gemms(builder, accelerator__keep="16 KiB")
    assert first.counts.dram_write_bytes == SIZE
    assert second.counts.dram_read_bytes == SIZE


def test_tiles_need_room():
    with pytest.raises(InputError, match=r"keep of 262144 B leaves no room .* keep less"):
        machine(NPU, accelerator__keep="256 KiB")
