"""What handing GEMMs to the accelerator takes: convert, lay out, launch, compute, restore."""

from collections.abc import Iterable, Sequence

from simulator.activity import Stage
from simulator.hardware.accelerator import ArrayInterface
from simulator.hardware.precision import FORMATS
from simulator.lowering.backends.array.call import ArrayCall, bytes_of, call_of
from simulator.lowering.backends.array.conversion import CompiledLoops, Conversion
from simulator.lowering.backends.array.eager import EagerOps
from simulator.lowering.backends.array.handover import Handover, Move
from simulator.lowering.backends.array.vector import VectorLoops
from simulator.lowering.backends.coherence import past_cache
from simulator.lowering.binding import Binding, Site, storages
from simulator.lowering.keeping import OnChip
from simulator.lowering.outline import UnitOutline
from simulator.lowering.placement import Placement
from simulator.lowering.requests import WorkRequest
from simulator.trace.accesses import Access
from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.trace.trace import phase_of


class ArrayStages:
    """Appends the stages of offloaded GEMMs to a step."""

    def __init__(
        self, binding: Binding, unit: str, outline: UnitOutline, engines: Iterable[WorkRequest]
    ) -> None:
        """Append to `binding` calls of the array called `unit`; its `engines` exist already."""
        assert isinstance(outline.interface, ArrayInterface), "the outline is an array's"
        self.engines = set(engines)
        self._unit, self._array, self._costs = unit, outline.interface, outline.driver
        self._binding = binding
        self._handover = Handover(binding, outline.driver)
        self._requests = binding.requests
        conversions, vector = outline.driver.conversions, outline.interface.vector
        self._by_unit = conversions == "unit"
        self._vector = VectorLoops(binding, unit, vector) if vector else None
        self._by_vector = conversions == "vector" and self._vector is not None
        self._conversion: Conversion = (
            EagerOps(binding) if conversions == "eager" else CompiledLoops(binding)
        )
        if self._by_vector and self._vector:
            self._conversion = self._vector
        self._temporaries: list[Access] = []  # of the op under way, from GEMM to GEMM

    @property
    def leaves_rest(self) -> bool:
        """Whether the driver dispatches what an op does beside its GEMMs on its own."""
        return self._costs.conversions == "eager"

    def add(self, index: int, op: Op, placed: Sequence[tuple[Gemm | None, Placement]]) -> None:
        """Append the GEMMs of one op: all are launched before the first result is awaited,
        unless results are copied or given another shape, which waits for each. Without GEMMs,
        append the op on the vector unit.

        The op's eager dispatch is paid with the first launch.
        """
        self._temporaries = []
        dispatch_ps = self._requests.dispatch_ps(op)
        if not op.gemms:
            self._op(index, op, dispatch_ps)
            return
        raw: list[tuple[ArrayCall, int]] = []
        for gemm, placement in placed:
            assert gemm is not None, "the op has GEMMs"
            site = Site(index, phase_of(op, gemm.role), op.layer)
            call = call_of(
                site, op, gemm, placement, self._array,
                by_unit=self._by_unit, by_vector=self._by_vector,
            )  # fmt: skip
            token = self._compute(call, dispatch_ps)
            dispatch_ps = 0
            if call.target is None:
                self._between(call, token)
            elif call.is_raw:
                raw.append((call, token))
        for call, token in raw:
            self._conversion.restore(call, token)

    def _op(self, index: int, op: Op, dispatch_ps: int) -> None:
        """Append an op on the vector unit."""
        assert self._vector is not None, "placement chose a vector unit"
        site = Site(index, op.phase, op.layer)
        launch = self._binding.driver(Stage.LAUNCH, dispatch_ps + self._costs.launch, site)
        self._vector.op(index, op, launch)
        if self._requests.outline.runtime.issue == "synchronous":
            for storage in storages(op.outputs):
                self._binding.await_completion(storage, site)

    def _compute(self, call: ArrayCall, dispatch_ps: int) -> int:
        """Append the stages up to the GEMM itself and return the token that it writes.

        The driver launches the call when its operands are ready, or before where the unit brings
        them into its precision itself.
        """
        binding, site = self._binding, call.site
        launch_ps, launch = dispatch_ps + self._costs.launch, None
        if self._by_vector and self._vector:
            launch = self._vector.launch = binding.driver(Stage.LAUNCH, launch_ps, site)
        operands = [self._operand(call, which) for which in (call.gemm.a, call.gemm.b)]
        operands = self._handover.replicate(call, operands)
        operands = self._unfold(call, operands)
        if min(call.gemm.a, call.gemm.b) < 0:
            operands += self._temporaries
        operands = self._handover.load(call, operands)
        reads = [operand.token for operand in operands if operand]
        target, raw = call.target, call.is_raw
        if not raw:
            reads += storages(call.others)  # a bias is loaded into the accumulator
        size = call.placement.passes * bytes_of(call.made, call.out_bits)
        result = target.storage if target and not raw else binding.token(size)
        back = self._way_back(call)
        tokens = [*(binding.token(size) for _ in back), result]
        token = tokens[0]
        result_access = Access(token, bytes_of(call.gemm.result_elements, call.out_bits))
        on_chip = self._touched(call, operands, result_access)
        outside = [None if each and each.token in on_chip.loads else each for each in operands]
        cached, flush = past_cache(binding, site, outside, result_access)
        work = self._requests.array_gemm(
            call.gemm, call.layout, call.placement, call.out_bits, cached, call.operands,
            call.epilogue_beside(on_chip.loads), _resident(operands, token, on_chip),
        )  # fmt: skip
        self._build(work, site)
        if launch is None:
            launch = binding.driver(Stage.LAUNCH, launch_ps, site)
        random, written = call.op.random, (token, *call.written)
        binding.cache.drop(call.written)
        binding.append(work, site, reads, written, after=(flush, launch), random=random)
        if self._requests.outline.runtime.issue == "synchronous":
            binding.await_completion(token, site)
        for move, source, destination in zip(back, tokens, tokens[1:], strict=False):
            binding.append(move(source, destination), site, (source,), (destination,))
        return result

    def _touched(
        self, call: ArrayCall, operands: Sequence[Access | None], result: Access
    ) -> OnChip:
        """Return what of a call is on chip. Temporaries of its op and what it reads of fewer
        elements are not.
        """
        a_and_b = [each for each in operands[:2] if each]
        memory = [Access(each.token, 0) for each in operands[2:] if each]
        ridden = call.epilogue_reads
        memory += [Access(t.storage, 0) for t in call.others if t not in ridden]
        whole = [Access(tensor.storage, tensor.bytes) for tensor in ridden]
        further = [Access(storage, 0) for storage in call.written]
        reads = (*a_and_b, *whole, *memory)
        return self._binding.keeping.touch(self._unit, reads, (result, *further))

    def _way_back(self, call: ArrayCall) -> list[Move]:
        """Return what makes the work, from token to token, between the array and its result."""
        target, size = call.target, bytes_of(call.made, call.out_bits)
        moves = self._handover.back(size)
        if target is None or not self._puts_back(call):
            return moves
        each_ps = self._per_weight(call)

        def put_back(source: int, destination: int) -> WorkRequest:
            return self._rearrange(Access(source, size), Access(destination, size), target, each_ps)

        return [*moves, put_back]

    def _build(self, work: WorkRequest, site: Site) -> None:
        first_call = self._costs.first_call
        if first_call and work not in self.engines:
            self._binding.driver(Stage.BUILD, first_call, site)
            self.engines.add(work)

    def _operand(self, call: ArrayCall, which: int) -> Access | None:
        """Return an operand in the array's precision and layout, made only once."""
        if which < 0:
            return None
        tensor = call.op.inputs[which]
        ready = Access(tensor.storage, tensor.bytes)
        if call.converts(which) and not call.by_unit:
            ready = self._quantised(call, which)
        if not self._array.transposer and _is_transposed(tensor):
            ready = self._transposed(call, which, ready)
        if which == call.gemm.b and call.gemm.role is not Role.WGRAD:
            ready = self._in_order(call, tensor, ready)
        return ready

    def _quantised(self, call: ArrayCall, which: int) -> Access:
        """Return a copy in the array's format. Blocks lie along the reduction, which is another
        axis of a tensor in each role, so that each has a copy of its own.
        """
        tensor, precision, site = call.op.inputs[which], call.operand_format(which), call.site
        number_format = FORMATS[precision]
        axis = (call.gemm.role,) if number_format.block else ()
        size = number_format.size(tensor.elements)
        token = self._binding.copy(
            (Stage.QUANTISE, precision, *axis), tensor, tensor.storage, size,
            lambda token: self._conversion.quantise(site, tensor, precision, token),
        )  # fmt: skip
        return Access(token, size)

    def _transposed(self, call: ArrayCall, which: int, source: Access) -> Access:
        tensor, bits = call.op.inputs[which], call.operand_bits(which)
        size, site = bytes_of(tensor.elements, bits), call.site

        def transpose(token: int) -> None:
            buffers = source, Access(token, size)
            self._conversion.lay_out(site, Stage.TRANSPOSE, tensor.elements, bits, buffers)

        kind = Stage.TRANSPOSE, tensor.shape, tensor.strides
        return Access(self._binding.copy(kind, tensor, source.token, size, transpose), size)

    def _in_order(self, call: ArrayCall, tensor: Tensor, source: Access) -> Access:
        """Return weights in the array's order, where the CPU must bring them into it."""
        each_ps = self._per_weight(call)
        if not each_ps:
            return source

        def rearrange(token: int) -> None:
            work = self._rearrange(source, Access(token, source.size), tensor, each_ps)
            self._binding.append(work, call.site, (source.token,), (token,))

        kind = Stage.REARRANGE, call.gemm.role
        copy = self._binding.copy(kind, tensor, source.token, source.size, rearrange)
        return Access(copy, source.size)

    def _per_weight(self, call: ArrayCall) -> int:
        """Return the CPU's time per weight between its order and the array's."""
        if call.gemm.conv is None:
            return 0
        return self._costs.rearrange.per_element(call.gemm.role)

    def _puts_back(self, call: ArrayCall) -> bool:
        """Return whether the array leaves a gradient of weights in its own order."""
        wgrad = call.gemm.role is Role.WGRAD and call.target is not None
        return wgrad and self._per_weight(call) > 0

    def _rearrange(
        self, source: Access, target: Access, tensor: Tensor, each_ps: int
    ) -> WorkRequest:
        transfers = self._binding.cache.touch([source], [target])
        return self._requests.rearrange(tensor.elements, transfers, each_ps)

    def _unfold(self, call: ArrayCall, reads: list[Access | None]) -> list[Access | None]:
        """Write out the im2col matrix on the CPU where the hardware does not do it."""
        which, gemm = call.layout.unfold, call.gemm
        if which is None:
            return reads
        bits = call.operand_bits(gemm.b if which else gemm.a)
        elements = gemm.batch * gemm.k * (gemm.n if which else gemm.m)
        size = bytes_of(elements, bits)
        matrix = Access(self._binding.token(size), size)
        # A temporary that no tensor holds is read where it was written, at the size it has there.
        source = reads[which] or Access(self._binding.token(0), size)
        self._conversion.lay_out(call.site, Stage.IM2COL, elements, bits, (source, matrix))
        return [matrix if position == which else read for position, read in enumerate(reads)]

    def _between(self, call: ArrayCall, token: int) -> None:
        waits = [temporary.token for temporary in self._temporaries]
        self._temporaries.append(self._conversion.between(call, token, waits))


def _resident(operands: Sequence[Access | None], token: int, on_chip: OnChip) -> frozenset[str]:
    """Return which of "a", "b" and "c" stay on chip."""
    names = zip("ab", operands, strict=False)
    loads = {name for name, each in names if each and each.token in on_chip.loads}
    return frozenset(loads | ({"c"} if token in on_chip.stores else set()))


def _is_transposed(tensor: Tensor) -> bool:
    return len(tensor.strides) >= 2 and tensor.strides[-1] != 1 and tensor.strides[-2] == 1
