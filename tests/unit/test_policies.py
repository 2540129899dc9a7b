"""Tables of policies have a row for every value that a description takes, and no other."""

from typing import get_args

import pytest

from simulator.hardware.accelerator import Accelerator, Dma
from simulator.mapping.layout import _DGRADS, IM2COL
from simulator.mapping.objectives import OBJECTIVES
from simulator.mapping.rules import RULES
from simulator.mapping.tensor_layout import LAYOUTS
from simulator.timing.dataflows.phases import OVERLAPS, STRUCTURES
from simulator.timing.dma import STREAMS
from simulator.timing.schedules import SCHEDULES

TABLES = [
    (Accelerator, "overlap", OVERLAPS),
    (Accelerator, "structure", STRUCTURES),
    (Accelerator, "schedule", SCHEDULES),
    (Accelerator, "mapping", OBJECTIVES | RULES),
    (Accelerator, "im2col", IM2COL),
    (Accelerator, "layout", LAYOUTS),
    (Accelerator, "dgrad", _DGRADS),
    (Dma, "streams", STREAMS),
]


@pytest.mark.parametrize(("part", "setting", "table"), TABLES, ids=lambda value: str(value)[:20])
def test_a_table_has_a_row_for_every_value(part, setting, table):
    assert set(table) == set(get_args(part.model_fields[setting].annotation))
