"""The vector unit of an accelerator: conversions of operands, and ops that it takes whole.

Both are commands in the accelerator's queue, so that a loop for an operand needs no launch of its
own.
"""

from collections.abc import Iterable, Sequence

from simulator.activity import Stage
from simulator.hardware.precision import FORMATS, format_of
from simulator.hardware.vector import VectorInterface
from simulator.lowering.backends.array.call import ArrayCall, bytes_of, others_of
from simulator.lowering.backends.array.conversion import COPY_OPS, conversion_ops
from simulator.lowering.backends.coherence import flushed
from simulator.lowering.binding import Binding, Site, storages
from simulator.lowering.cache import Transfers
from simulator.lowering.epilogue import SIMPLE, VectorLoop
from simulator.timing.kernels import KernelCost, between_products, dtype_of, kernel_of
from simulator.trace.accesses import Access, elements_of, loops_of, whole
from simulator.trace.op import Op, OpKind, Tensor
from simulator.units import ceil_div


class VectorLoops:
    """Appends loops of one vector unit to a step. A loop follows the launch of its call."""

    def __init__(self, binding: Binding, unit: str, vector: VectorInterface) -> None:
        """Append to `binding` what the vector unit of the accelerator `unit` does."""
        self._binding, self._unit, self._vector = binding, unit, vector
        self.launch: int | None = None
        """The task that launches the call under way."""

    def op(self, index: int, op: Op, launch: int | None) -> int:
        """Append all of `op` after its `launch`; return the task.

        A part of it that fits the unit's memory is read once.
        """
        binding, site = self._binding, Site(index, op.phase, op.layer)
        scans = [s for loop in loops_of(op) for s in loop.behind(self._vector.memory)]
        ends = [[Access(t.storage, t.bytes) for t in each] for each in (op.inputs, op.outputs)]
        on_chip = binding.keeping.touch(self._unit, *ends)
        reads, loaded = _apart([a for scan in scans for a in scan.reads], on_chip.loads)
        writes, stored = _apart([a for scan in scans for a in scan.writes], on_chip.stores)
        parts = [part for part in op.parts or (op,) if part.kind is not OpKind.VIEW]
        kernels = tuple((kernel_of(part), elements_of(part)) for part in parts)
        inputs = [access for access in whole(op.inputs) if access.token not in on_chip.loads]
        flush = flushed(binding, site, inputs, whole(op.outputs))
        out_bits = max(tensor.bits for tensor in op.outputs)
        resident = loaded, stored
        transfers, row = Transfers(reads, writes), _row(op.outputs)
        loop = VectorLoop(Stage.OP, kernels, transfers, out_bits, resident, row)
        work = binding.requests.vector_loop(self._unit, loop)
        return binding.append(
            work, site, storages(op.inputs), storages(op.outputs), after=(flush, launch)
        )

    def quantise(self, site: Site, tensor: Tensor, precision: str, token: int) -> None:
        """Convert as `CompiledLoops` do; what fits the unit's memory is read once."""
        source = Access(tensor.storage, tensor.bytes)
        target = Access(token, FORMATS[precision].size(tensor.elements))
        again = FORMATS[precision].takes_range and source.size > self._vector.memory
        kernels = [(_simple(conversion_ops(precision)), tensor.elements)]
        reads = [source, source] if again else [source]
        self._append(site, Stage.QUANTISE, kernels, reads, target)

    def lay_out(
        self, site: Site, stage: Stage, elements: int, bits: int, buffers: tuple[Access, Access]
    ) -> None:
        """Read an element, write an element."""
        source, target = buffers
        del bits  # lanes are for elements of any width
        self._append(site, stage, [(_simple(COPY_OPS), elements)], [source], target)

    def restore(self, call: ArrayCall, token: int) -> None:
        """Scale and sum what overlaps, or comes in several passes."""
        target, passes = call.target, call.placement.passes
        assert target is not None, "temporaries are not restored"
        stage = Stage.COL2IM if call.layout.fold_back else Stage.REDUCE
        others = whole(others_of(call.op))
        reads = [*[Access(token, bytes_of(call.made, call.out_bits))] * passes, *others]
        written = Access(target.storage, target.bytes)
        self._append(call.site, stage, [(_simple(passes + 1), call.made)], reads, written)

    def between(self, call: ArrayCall, token: int, waits: Sequence[int]) -> Access:
        """Convert on the way, in the same loop."""
        raw = Access(token, bytes_of(call.made, call.out_bits))
        size = bytes_of(call.made, call.operand_bits(-1))
        ready = Access(self._binding.token(size), size)
        kernels = [(between_products(call.op.name), call.made)]
        reads = [raw] * call.placement.passes
        self._append(call.site, Stage.OP, kernels, reads, ready, waits)
        return ready

    def _append(
        self,
        site: Site,
        stage: Stage,
        kernels: Sequence[tuple[KernelCost, int]],
        reads: Sequence[Access],
        target: Access,
        waits: Sequence[int] = (),
    ) -> None:
        binding = self._binding
        on_chip = binding.keeping.touch(self._unit, reads, [target])
        loads, loaded = _apart(reads, on_chip.loads)
        stores, stored = _apart([target], on_chip.stores)
        outside = [access for access in reads if access.token not in on_chip.loads]
        flush = flushed(binding, site, outside, [target])
        out_bits = ceil_div(8 * target.size, max(1, kernels[-1][1]))
        transfers, resident = Transfers(loads, stores), (loaded, stored)
        loop = VectorLoop(stage, tuple(kernels), transfers, out_bits, resident)
        work = binding.requests.vector_loop(self._unit, loop)
        tokens = dict.fromkeys([*(access.token for access in reads), *waits])
        binding.append(work, site, tokens, (target.token,), after=(flush, self.launch))


def _apart(accesses: Iterable[Access], on_chip: frozenset[int]) -> tuple[tuple[int, ...], int]:
    """Return the sizes of what moves, and the bytes of what stays on chip."""
    sizes = [(access.token in on_chip, access.size) for access in accesses if access.size]
    outside = tuple(size for stays, size in sizes if not stays)
    return outside, sum(size for stays, size in sizes if stays)


def _row(tensors: Iterable[Tensor]) -> int:
    """Return the bytes of the widest tensor along its contiguous dimension."""
    lines = [
        ceil_div(size * tensor.bits, 8)
        for tensor in tensors
        for size, stride in zip(tensor.shape, tensor.strides, strict=True)
        if stride == 1
    ]
    return max(lines, default=0)


def _simple(operations: int) -> KernelCost:
    return SIMPLE._replace(permille=1000 * operations)


def takes_whole(vector: VectorInterface, op: Op) -> bool:
    """Return whether a vector unit takes all of `op`, each part of a fused one."""
    parts = [part for part in op.parts or (op,) if part.kind is not OpKind.VIEW]
    large = elements_of(op) >= max(1, vector.min_elements)
    return large and all(_takes(vector, part) for part in parts)


def _takes(vector: VectorInterface, op: Op) -> bool:
    fits = op.kind.value in vector.ops and not op.random and not op.gemms
    return fits and bool(op.outputs) and computes(vector, op)


def computes(vector: VectorInterface, op: Op) -> bool:
    """Return whether a vector unit computes in the format of `op`."""
    return vector.computes(format_of(dtype_of(op)))
