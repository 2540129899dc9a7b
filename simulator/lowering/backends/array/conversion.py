"""What the driver of an accelerator does on the CPU to bring operands there and results back.

A driver of compiled code has a loop for each thing to do; one that is written in the framework's
own ops (`eager`) has each of them dispatched.
"""

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from simulator.activity import Stage
from simulator.hardware.precision import FORMATS
from simulator.lowering.backends.array.call import ArrayCall, bytes_of, others_of
from simulator.lowering.binding import Binding, Site
from simulator.timing.kernels import between_products
from simulator.trace.accesses import Access, whole
from simulator.trace.op import Tensor

# Vector operations per element of the conversions, counted from the arithmetic they do.
RANGE_OPS = 1  # maximum of absolute values
ROUND_OPS = 3  # scale, round, clamp
COPY_OPS = 1


def conversion_ops(precision: str) -> int:
    """Return the vector operations per element of a conversion to this format."""
    scales = FORMATS[precision].takes_range or FORMATS[precision].block
    return RANGE_OPS + ROUND_OPS if scales else COPY_OPS


class Conversion(Protocol):
    """Appends to a step what the CPU does around the GEMMs that are offloaded."""

    def quantise(self, site: Site, tensor: Tensor, precision: str, token: int) -> None:
        """Append the conversion of `tensor` to `precision`, into `token`."""

    def lay_out(
        self, site: Site, stage: Stage, elements: int, bits: int, buffers: tuple[Access, Access]
    ) -> None:
        """Append what copies so many elements of `bits` each into the array's order, from the first
        of two `buffers` into the second.
        """

    def restore(self, call: ArrayCall, token: int) -> None:
        """Append what brings the array's outputs in `token` back: scale them, sum the slices of
        several passes and what overlaps, add a bias, write the tensor.
        """

    def between(self, call: ArrayCall, token: int, waits: Sequence[int]) -> Access:
        """Append what a fused op does to a temporary between two GEMMs (a softmax, gates), and
        return where the array reads it. It follows what writes `waits`.
        """


class CompiledLoops:
    """A loop for each thing to do, within the op that the framework has dispatched."""

    def __init__(self, binding: Binding) -> None:
        """Append to `binding`."""
        self._binding = binding

    def quantise(self, site: Site, tensor: Tensor, precision: str, token: int) -> None:
        """To 8 bits or fewer, or integers: find the range, then scale and round, so that the source
        is read twice; blocks with scales of their own are read once. To other floats: a cast.
        """
        source = Access(tensor.storage, tensor.bytes)
        target = Access(token, FORMATS[precision].size(tensor.elements))
        reads = [source, source] if FORMATS[precision].takes_range else [source]
        cost = conversion_ops(precision)
        loop = _ElementLoop(Stage.QUANTISE, tensor.elements, tensor.bits, cost)
        self._append(site, loop, reads, target)

    def lay_out(
        self, site: Site, stage: Stage, elements: int, bits: int, buffers: tuple[Access, Access]
    ) -> None:
        """Read an element, write an element."""
        source, target = buffers
        self._append(site, _ElementLoop(stage, elements, bits, 1), [source], target)

    def restore(self, call: ArrayCall, token: int) -> None:
        """Scale and sum in one loop; what the array scaled on its way out is summed alone."""
        target, passes, site = call.target, call.placement.passes, call.site
        assert target is not None, "temporaries are not restored"
        raw = [Access(token, bytes_of(call.made, call.out_bits))] * passes
        written, others = Access(target.storage, target.bytes), others_of(call.op)
        scales = not call.by_unit
        if call.is_summed:
            stage = Stage.COL2IM if call.layout.fold_back else Stage.REDUCE
            # Sums begin with the bias instead of 0, which costs a read and no operation.
            loop = _ElementLoop(stage, call.made, call.out_bits, passes + scales)
            self._append(site, loop, [*raw, *whole(others)], written)
            return
        # Every further pass is a multiply-add, or without scales an addition.
        cost = passes - (not scales) + len(others)
        stage = Stage.DEQUANTISE if scales else Stage.REDUCE
        loop = _ElementLoop(stage, target.elements, target.bits, cost)
        self._append(site, loop, [*raw, *whole(others)], written)

    def between(self, call: ArrayCall, token: int, waits: Sequence[int]) -> Access:
        """Convert on the way, in the same loop."""
        elements = call.made
        raw = Access(token, bytes_of(elements, call.out_bits))
        size = bytes_of(elements, call.operand_bits(-1))
        ready = Access(self._binding.token(size), size)
        reads, binding = [raw] * call.placement.passes, self._binding
        transfers = binding.cache.touch(reads, [ready])
        kernel = between_products(call.op.name)
        work = binding.requests.kernel(Stage.OP, kernel, elements, transfers)
        binding.append(work, call.site, (raw.token, *waits), (ready.token,))
        return ready

    def _append(
        self,
        site: Site,
        loop: "_ElementLoop",
        reads: Sequence[Access],
        target: Access,
    ) -> None:
        binding = self._binding
        transfers = binding.cache.touch(reads, [target])
        work = binding.requests.pass_over(
            loop.stage, loop.elements, loop.bits, transfers, loop.ops_per_element
        )
        tokens = dict.fromkeys(access.token for access in reads)
        binding.append(work, site, tokens, (target.token,))


class _ElementLoop(NamedTuple):
    """A loop over so many elements of `bits` each."""

    stage: Stage
    elements: int
    bits: int
    ops_per_element: int
