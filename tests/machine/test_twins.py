"""Every schedule that a description can name has an event-driven twin."""

from typing import get_args

from simulator.hardware.accelerator import Accelerator, Dma
from simulator.machine.schedules import TWINS
from simulator.timing.schedules import schedule_of
from tests.builders import machine


def choices(part, name):
    return get_args(part.model_fields[name].annotation)


def test_every_schedule_has_a_twin_and_every_twin_a_schedule():
    starts = {
        type(schedule_of(machine(accelerator__schedule=schedule,
                                 accelerator__dma__streams=streams).accelerator))
        for schedule in choices(Accelerator, "schedule")
        for streams in choices(Dma, "streams")
    }  # fmt: skip
    assert starts == set(TWINS)
