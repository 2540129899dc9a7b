"""From which size on a product is worth offloading."""

import pytest

from simulator.hardware.unit import ACCELERATOR, HOST
from simulator.lowering.lower import Carry, Lowering
from simulator.machine.step import run_step
from simulator.probes.break_even import PHASES, break_even, break_even_table, linear_layer
from simulator.timing.sharing import sharing_of
from tests.builders import machine

FEW = range(32, 257, 32)


def phase_ps(hardware, n, phase, unit):
    """Return the attributed time of a phase of one steady step, all products on `unit`."""
    step, lowering = linear_layer(n), Lowering(hardware)
    _, carry = lowering.lower(step, Carry(), (unit,) * len(step.ops))
    tasks, _ = lowering.lower(step, carry, (unit,) * len(step.ops))
    run = run_step(tasks, "in_order", sharing=sharing_of(hardware))
    return sum(ps for task, ps in zip(tasks, run.attributed_ps, strict=True) if task.phase == phase)


@pytest.mark.parametrize("phase", PHASES)
def test_offloading_wins_from_there_on_and_not_just_before(phase):
    hardware = machine()
    least = break_even(hardware, FEW)[phase]
    wins = {
        n: phase_ps(hardware, n, phase, ACCELERATOR) < phase_ps(hardware, n, phase, HOST)
        for n in FEW
    }
    assert all(won for n, won in wins.items() if n >= least)
    assert not wins.get(least - FEW.step, False)


def test_copies_never_make_smaller_products_worth_it():
    without = break_even(machine(), FEW)
    with_copies = break_even(machine(runtime__copies="in_out"), FEW)
    assert all(without[phase] <= with_copies[phase] for phase in PHASES)


def test_what_costs_nothing_to_hand_over_is_worth_it_sooner():
    sizes = range(8, 65, 8)
    dear = break_even(machine(), sizes)
    cheap = break_even(machine(accelerator__precision="fp32", runtime__launch="0 us"), sizes)
    assert all(cheap[phase] <= dear[phase] for phase in PHASES)
    assert sum(cheap.values()) < sum(dear.values())


def test_an_accelerator_slower_than_the_cpu_is_never_worth_it():
    hardware = machine(accelerator__rows=1, accelerator__cols=1)
    assert break_even_table(hardware, FEW).count("never") == 6


def test_without_an_accelerator_nothing_is_worth_offloading():
    assert set(break_even(machine("cpu-only"), FEW).values()) == {None}
