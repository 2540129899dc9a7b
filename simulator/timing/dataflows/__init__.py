"""How an array computes a product: one object for each dataflow, by the name that hardware uses."""

from simulator import extensions
from simulator.hardware.dataflow import GROUP
from simulator.timing.dataflows.dataflow import Accesses, Axes, Dataflow, Dims
from simulator.timing.dataflows.input_stationary import InputStationary
from simulator.timing.dataflows.output_stationary import OutputStationary
from simulator.timing.dataflows.weight_stationary import WeightStationary

__all__ = ["DATAFLOWS", "IS", "OS", "WS", "Accesses", "Axes", "Dataflow", "Dims", "dataflow_of"]

WS, OS, IS = WeightStationary(), OutputStationary(), InputStationary()
DATAFLOWS: dict[str, Dataflow] = {each.name: each for each in (WS, OS, IS)}
"""Those built in; other packages register theirs as entry points."""


def dataflow_of(name: str) -> Dataflow:
    """Return the dataflow called `name`, of which hardware has checked that there is one."""
    dataflow: Dataflow | None = DATAFLOWS.get(name) or extensions.load(GROUP, name)
    assert dataflow is not None, "checked with the description"
    return dataflow
