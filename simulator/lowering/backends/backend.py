"""What a unit beside the host is to lowering: which work it takes, and the stages of a call.

A package adds a kind of unit by an entry point of the group `trainsoc.units`, which leads to a
subclass of `OpBackend`, or to any other class of this form. Nothing outside a backend asks which
kind its unit is.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, Protocol

from simulator import extensions
from simulator.activity import Stage, Work
from simulator.hardware.part import Part
from simulator.hardware.runtime import Driver
from simulator.hardware.soc import Technology
from simulator.hardware.unit import GROUP, BoardUnit
from simulator.lowering.backends.array import ArrayBackend
from simulator.lowering.backends.cluster import ClusterBackend
from simulator.lowering.backends.coherence import flushed
from simulator.lowering.backends.dsp import DspBackend
from simulator.lowering.backends.measured import MeasuredBackend
from simulator.lowering.binding import Binding, Site, storages
from simulator.lowering.cache import Transfers
from simulator.lowering.outline import Outline, UnitOutline
from simulator.lowering.placement import Placement
from simulator.lowering.requests import WorkRequest
from simulator.lowering.works import Templates
from simulator.trace.accesses import Access
from simulator.trace.op import Gemm, Op


class Stages(Protocol):
    """Appends the calls of one unit to one step."""

    engines: set[WorkRequest]
    """What has been built for calls so far, and need not be built again."""

    @property
    def leaves_rest(self) -> bool:
        """Whether the driver dispatches what an op does beside its GEMMs on its own."""

    def add(self, index: int, op: Op, placed: Sequence[tuple[Any, Placement]], /) -> None:
        """Append the call of op `index` of the step: its GEMMs, or None for the op itself, each
        with its placement.
        """


class Backend(Protocol):
    """One unit of a board."""

    by_rule: ClassVar[bool]
    """Whether it takes work only that a rule or a search of placements gives it."""

    @property
    def takes_ops(self) -> bool:
        """Whether it may take ops that are no GEMMs."""

    @property
    def driver(self) -> Driver:
        """What handing work to it costs the host."""

    def takes(self, op: Op, gemm: Gemm | None) -> Placement | None:
        """Return how it runs `gemm` of `op`, or without one all of `op`; None if it does not."""

    def fuses(self, head: Op, rider: Op) -> bool:
        """Return whether it can run `rider` in one piece of work with `head`, both placed there."""

    def stages(self, binding: Binding, engines: Iterable[WorkRequest]) -> Stages:
        """Return what appends its calls to the step of `binding`; `engines` exist already."""


class OpBackend(ABC):
    """A unit that takes whole ops: the host launches it, then it reads operands from memory,
    computes, and writes results.

    A subclass names its description, and says which ops it takes, what an op costs it, and what its
    actions cost.
    """

    description: ClassVar[type[BoardUnit]]
    takes_ops: ClassVar[bool] = True
    by_rule: ClassVar[bool] = False

    def __init__(self, unit: str, outline: UnitOutline) -> None:
        """Lower for the unit of this name."""
        self.unit, self._outline = unit, outline

    @property
    def driver(self) -> Driver:
        """What handing work to it costs the host."""
        return self._outline.driver

    @property
    def part(self) -> Part:
        """The description of the unit."""
        assert isinstance(self._outline.interface, Part), "only arrays show an interface"
        return self._outline.interface

    def takes(self, op: Op, gemm: Gemm | None) -> Placement | None:
        """Return where `op` runs if the unit takes it; GEMMs it leaves to others."""
        if gemm is not None or op.gemms or not self.accepts(op):
            return None
        return Placement(self.unit, "")

    def fuses(self, head: Op, rider: Op) -> bool:  # noqa: ARG002 - what a unit can do by default
        """Return that it takes ops one by one; a subclass that fuses computes `Op.parts`."""
        return False

    def stages(self, binding: Binding, engines: Iterable[WorkRequest]) -> "OpStages":
        """Return what appends its calls to the step of `binding`."""
        return OpStages(self, binding, engines)

    @abstractmethod
    def accepts(self, op: Op) -> bool:
        """Return whether the unit takes `op`, which has no GEMMs."""

    @abstractmethod
    def key(self, op: Op) -> tuple[object, ...]:
        """Return all of `op` that its work depends on."""

    @abstractmethod
    def work(self, op: Op, transfers: Transfers, templates: Templates) -> Work:
        """Return the work that `op` is for the unit; its `transfers` go past the cache."""

    @staticmethod
    @abstractmethod
    def costs(unit: str, part: Any, technology: Technology) -> Any:
        """Return the `energy.prices.Costs` of the unit's actions, its name the component."""


class OpStages:
    """The calls of a unit that takes whole ops."""

    leaves_rest = False

    def __init__(
        self, backend: OpBackend, binding: Binding, engines: Iterable[WorkRequest]
    ) -> None:
        """Append calls of `backend` to `binding`."""
        self.engines = set(engines)
        self._backend, self._binding = backend, binding

    def add(self, index: int, op: Op, _placed: Sequence[tuple[Any, Placement]], /) -> None:
        """Append a launch, which pays the dispatch of `op`, and the op on its unit."""
        backend, binding = self._backend, self._binding
        requests, site = binding.requests, Site(index, op.phase, op.layer)
        reads = [Access(tensor.storage, tensor.bytes) for tensor in op.inputs]
        writes = [Access(tensor.storage, tensor.bytes) for tensor in op.outputs]
        flush = flushed(binding, site, reads, writes)
        transfers = Transfers(_sizes(reads), _sizes(writes))
        key = ("op", backend.unit, *backend.key(op), transfers)
        work = requests.once(backend.unit, key, lambda on: backend.work(op, transfers, on))
        launch_ps = requests.dispatch_ps(op) + backend.driver.launch
        launch = binding.driver(Stage.LAUNCH, launch_ps, site)
        binding.append(work, site, storages(op.inputs), storages(op.outputs), after=(flush, launch))


def _sizes(accesses: Iterable[Access]) -> tuple[int, ...]:
    return tuple(access.size for access in accesses)


def backends_of(outline: Outline) -> dict[str, Backend]:
    """Return the backend of every unit beside the host, by name."""
    return {name: _backend(name, unit) for name, unit in outline.units.items()}


_BUILT_IN: Mapping[str, Callable[[str, UnitOutline], Backend]] = {
    "array": ArrayBackend,
    "cpu": ClusterBackend,
    "measured": MeasuredBackend,
    "dsp": DspBackend,
}


def _backend(name: str, outline: UnitOutline) -> Backend:
    built_in = _BUILT_IN.get(outline.kind)
    if built_in is not None:
        return built_in(name, outline)
    kind = extensions.load(GROUP, outline.kind)
    assert kind is not None, "its description was found by its kind"
    backend: Backend = kind(name, outline)
    return backend
