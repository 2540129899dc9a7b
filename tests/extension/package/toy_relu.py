"""A unit that takes ReLU and its gradient, as a package outside `simulator` would add it."""

from pydantic import Field, PositiveInt

from simulator.activity import Action, Stage
from simulator.energy.prices import Costs
from simulator.hardware.unit import BoardUnit
from simulator.lowering.backends.backend import OpBackend
from simulator.trace.accesses import elements_of
from simulator.units import Attojoules, Clock, Hertz, Microwatts, ceil_div

_OPS = {"relu", "relu_", "threshold_backward"}


class ReluUnit(BoardUnit):
    """Lanes that each take one element per cycle."""

    lanes: PositiveInt
    clock: Hertz = Field(gt=0)
    energy: Attojoules = Field(ge=0, description="of one element")
    static_power: Microwatts = Field(ge=0)


class ReluBackend(OpBackend):
    """Which ops the unit takes, and what they cost it."""

    description = ReluUnit

    def accepts(self, op):
        return op.base_name in _OPS

    def key(self, op):
        return op.base_name, op.sizes

    def work(self, op, transfers, templates):
        part, elements = self.part, elements_of(op)
        compute_ps = Clock(part.clock).cycles_to_ps(ceil_div(elements, part.lanes))
        actions = {Action(self.unit, "lane_ops"): elements}
        return templates.streamed(self.unit, Stage.OP, compute_ps, transfers, actions)

    @staticmethod
    def costs(unit, part, _technology):
        return Costs({Action(unit, "lane_ops"): part.energy}, {unit: part.static_power})
