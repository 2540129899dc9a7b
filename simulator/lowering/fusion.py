"""Which ops a machine fuses: what it places on one unit, where that unit can join them."""

import hashlib
from dataclasses import dataclass, field
from functools import cached_property

from simulator.hardware.soc import Hardware
from simulator.hardware.unit import HOST
from simulator.lowering.backends.backend import Backend, backends_of
from simulator.lowering.lower import Carry, programs_on
from simulator.lowering.outline import Outline, outline_of
from simulator.lowering.placement import place
from simulator.timing.compiled import compiled_on, is_compiled
from simulator.trace.op import Op
from simulator.trace.passes.fuse import Fuse
from simulator.trace.trace import Step


@dataclass(frozen=True)
class UnitJoining:
    """Joins ops that the rules place on one unit: riders of products under "epilogue", of any head
    under "chains".
    """

    key: str  # of the outline
    outline: Outline = field(repr=False, compare=False)

    def joins(self, head: Op, rider: Op) -> bool:
        """Return whether `rider` can follow `head` in one piece of work on this machine."""
        runtime, backends = self.outline.runtime, self._backends
        compiled = compiled_on(self.outline.cpu, runtime)
        if not head.gemms and runtime.fusion != "chains":
            return False
        units = {place(runtime, backends, head, gemm).unit for gemm in head.gemms}
        units = units or {self._unit_of(head)}
        unit = next(iter(units))
        if len(units) > 1 or (not head.gemms and self._unit_of(rider) != unit):
            return False
        if unit == HOST:  # where what compiling costs is known, so is what stays eager
            return not head.gemms and (compiled is None or is_compiled(compiled, head))
        return backends[unit].fuses(head, rider)

    def recomputes(self, head: Op) -> bool:
        """Return whether a norm reads what leads to it in each of its scans: compiled loops do."""
        compiled = compiled_on(self.outline.cpu, self.outline.runtime)
        return not head.gemms and is_compiled(compiled, head) and self._unit_of(head) == HOST

    def copies(self, step: Step) -> tuple[int, ...]:
        """Return the bytes of copies, op by op, of a cold step or a steady one: the larger."""
        programs = programs_on(self.outline)
        cold, after = programs.of(step, Carry(), None)
        steady, _ = programs.of(step, after, None)
        return tuple(map(max, zip(cold.copies, steady.copies, strict=True)))

    def _unit_of(self, op: Op) -> str:
        takers = {name: each for name, each in self._backends.items() if each.takes_ops}
        return place(self.outline.runtime, takers, op, None).unit

    @cached_property
    def _backends(self) -> dict[str, Backend]:
        return backends_of(self.outline)


def fusion_of(hardware: Hardware) -> tuple[Fuse, ...]:
    """Return the pass that fuses for `hardware`, if it fuses."""
    if hardware.runtime.fusion == "none":
        return ()
    outline = outline_of(hardware)
    key = hashlib.sha256(repr(outline.key).encode()).hexdigest()
    return (Fuse.everywhere(UnitJoining(key, outline)),)
