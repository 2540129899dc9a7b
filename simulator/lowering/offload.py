"""What handing GEMMs to the accelerator takes: convert, lay out, launch, compute, restore."""

from collections.abc import Sequence

from simulator.activity import Stage
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.precision import PRECISION_BITS
from simulator.lowering.asked import Asked
from simulator.lowering.binding import Binding, Site, storages
from simulator.lowering.cache import Moved
from simulator.lowering.driver import CompiledLoops, Driver
from simulator.lowering.eager import EagerOps
from simulator.lowering.handover import Handover, Move
from simulator.lowering.placement import Placement
from simulator.lowering.request import Request, bytes_of, others_of, request_of
from simulator.trace.accesses import Access
from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.trace.trace import phase_of


class Offload:
    """Appends the stages of offloaded GEMMs to a step."""

    def __init__(self, binding: Binding, engines: frozenset[Asked]) -> None:
        """Append to `binding`; `engines` are built already."""
        self.engines = set(engines)
        self._binding = binding
        self._handover = Handover(binding)
        self._asking = binding.asking
        self._outline = binding.asking.outline
        conversions = self._outline.runtime.conversions
        self._by_unit = conversions == "unit"
        self._driver: Driver = (
            EagerOps(binding) if conversions == "eager" else CompiledLoops(binding)
        )
        self._temporaries: list[Access] = []  # of the op under way, from GEMM to GEMM

    def add(self, index: int, op: Op, placed: Sequence[tuple[Gemm, Placement]]) -> None:
        """Append the GEMMs of one op: all are launched before the first result is awaited,
        unless results are copied or given another shape, which waits for each.

        The op's eager dispatch is paid with the first launch.
        """
        self._temporaries = []
        dispatch_ps = self._asking.dispatch_ps(op)
        raw: list[tuple[Request, int]] = []
        for gemm, placement in placed:
            site = Site(index, phase_of(op, gemm.role), op.layer)
            request = request_of(site, op, gemm, placement, self._array, by_unit=self._by_unit)
            token = self._compute(request, dispatch_ps)
            dispatch_ps = 0
            if request.target is None:
                self._between(request, token)
            elif request.is_raw:
                raw.append((request, token))
        for request, token in raw:
            self._driver.restore(request, token)

    def _compute(self, request: Request, dispatch_ps: int) -> int:
        """Append the stages up to the GEMM itself and return the token that it writes."""
        binding, runtime, site = self._binding, self._outline.runtime, request.site
        operands = [self._operand(request, which) for which in (request.gemm.a, request.gemm.b)]
        operands = self._handover.replicate(request, operands)
        operands = self._unfold(request, operands)
        if min(request.gemm.a, request.gemm.b) < 0:
            operands += self._temporaries
        operands = self._handover.load(request, operands)
        reads = [operand.token for operand in operands if operand]
        target, raw = request.target, request.is_raw
        if not raw:
            reads += storages(others_of(request.op))  # a bias is loaded into the accumulator
        result = target.storage if target and not raw else binding.token()
        back = self._way_back(request)
        tokens = [*(binding.token() for _ in back), result]
        token = tokens[0]
        cached, flush = self._through_cache(request, operands, token)
        work = self._asking.array_gemm(
            request.gemm, request.placement, request.out_bits, cached, request.in_memory
        )
        self._build(work, site)
        launch = binding.driver(Stage.LAUNCH, dispatch_ps + runtime.launch, site)
        random = request.op.random
        binding.append(work, site, reads, (token,), after=(flush, launch), random=random)
        if runtime.issue == "synchronous":
            binding.notice(token, site)
        for move, source, moved in zip(back, tokens, tokens[1:], strict=False):
            binding.append(move(source, moved), site, (source,), (moved,))
        return result

    def _way_back(self, request: Request) -> list[Move]:
        """Return what makes the work, from token to token, between the array and its result."""
        target, size = request.target, bytes_of(request.made, request.out_bits)
        moves = self._handover.back(size)
        if target is None or not self._puts_back(request):
            return moves
        each_ps = self._per_weight(request)

        def put_back(source: int, moved: int) -> Asked:
            return self._rearrange(Access(source, size), Access(moved, size), target, each_ps)

        return [*moves, put_back]

    def _through_cache(
        self, request: Request, operands: Sequence[Access | None], token: int
    ) -> tuple[frozenset[str], int | None]:
        """Return which of "a", "b", "c" a shared cache serves, or the task that flushes one that
        is not shared.
        """
        llc, cache = self._outline.cpu.llc, self._binding.cache
        named = {name: each for name, each in zip("ab", operands, strict=False) if each}
        if llc is not None and llc.shared:
            gemm = request.gemm
            size = bytes_of(gemm.result_elements, request.out_bits)
            there = cache.pass_through([*named.values()], [Access(token, size)])
            return frozenset(n for n, hit in zip((*named, "c"), there, strict=True) if hit), None
        cache.drop((token,))
        tokens = [operand.token for operand in operands if operand]
        return frozenset(), self._flush(tokens, request.site)

    def _flush(self, tokens: list[int], site: Site) -> int | None:
        """Write back what the cache alone has of the accelerator's operands."""
        dirty = self._binding.cache.clean(tokens)
        if not dirty:
            return None
        work = self._asking.pass_over(Stage.FLUSH, 0, 8, Moved((), (dirty,), dirty), 0)
        return self._binding.append(work, site, tokens, ())

    def _build(self, work: Asked, site: Site) -> None:
        first_call = self._outline.runtime.first_call
        if first_call and work not in self.engines:
            self._binding.driver(Stage.BUILD, first_call, site)
            self.engines.add(work)

    def _operand(self, request: Request, which: int) -> Access | None:
        """Return an operand in the array's precision and layout, made only once."""
        if which < 0:
            return None
        tensor = request.op.inputs[which]
        ready = Access(tensor.storage, tensor.bytes)
        if request.converts(which) and not request.by_unit:
            ready = self._quantised(request, tensor)
        if not self._array.transposer and _is_transposed(tensor):
            ready = self._transposed(request, which, ready)
        if which == request.gemm.b and request.gemm.role is not Role.WGRAD:
            ready = self._in_order(request, tensor, ready)
        return ready

    def _quantised(self, request: Request, tensor: Tensor) -> Access:
        precision, site = request.placement.precision, request.site
        token = self._binding.copy(
            (Stage.QUANTISE, precision), tensor, tensor.storage,
            lambda token: self._driver.quantise(site, tensor, precision, token),
        )  # fmt: skip
        return Access(token, bytes_of(tensor.elements, PRECISION_BITS[precision]))

    def _transposed(self, request: Request, which: int, source: Access) -> Access:
        tensor, bits = request.op.inputs[which], request.operand_bits(which)
        size, site = bytes_of(tensor.elements, bits), request.site

        def transpose(token: int) -> None:
            moved = source, Access(token, size)
            self._driver.lay_out(site, Stage.TRANSPOSE, tensor.elements, bits, moved)

        kind = Stage.TRANSPOSE, tensor.shape, tensor.strides
        return Access(self._binding.copy(kind, tensor, source.token, transpose), size)

    def _in_order(self, request: Request, tensor: Tensor, source: Access) -> Access:
        """Return weights in the array's order, where the CPU must bring them into it."""
        each_ps = self._per_weight(request)
        if not each_ps:
            return source

        def rearrange(token: int) -> None:
            work = self._rearrange(source, Access(token, source.size), tensor, each_ps)
            self._binding.append(work, request.site, (source.token,), (token,))

        kind = Stage.REARRANGE, request.gemm.role
        return Access(self._binding.copy(kind, tensor, source.token, rearrange), source.size)

    def _per_weight(self, request: Request) -> int:
        """Return the CPU's time per weight between its order and the array's."""
        if request.gemm.conv is None:
            return 0
        return self._outline.runtime.rearrange.per_element(request.gemm.role)

    def _puts_back(self, request: Request) -> bool:
        """Return whether the array leaves a gradient of weights in its own order."""
        wgrad = request.gemm.role is Role.WGRAD and request.target is not None
        return wgrad and self._per_weight(request) > 0

    def _rearrange(self, source: Access, target: Access, tensor: Tensor, each_ps: int) -> Asked:
        moved = self._binding.cache.touch([source], [target])
        return self._asking.rearrange(tensor.elements, moved, each_ps)

    def _unfold(self, request: Request, reads: list[Access | None]) -> list[Access | None]:
        """Write out the im2col matrix on the CPU where the hardware does not do it."""
        which, gemm = request.layout.unfold, request.gemm
        if which is None:
            return reads
        bits = request.operand_bits(gemm.b if which else gemm.a)
        elements = gemm.batch * gemm.k * (gemm.n if which else gemm.m)
        matrix = Access(self._binding.token(), bytes_of(elements, bits))
        # A temporary that no tensor holds is read where it was written, at the size it has there.
        source = reads[which] or Access(self._binding.token(), matrix.size)
        self._driver.lay_out(request.site, Stage.IM2COL, elements, bits, (source, matrix))
        return [matrix if position == which else read for position, read in enumerate(reads)]

    def _between(self, request: Request, token: int) -> None:
        waits = [temporary.token for temporary in self._temporaries]
        self._temporaries.append(self._driver.between(request, token, waits))

    @property
    def _array(self) -> Accelerator:
        array = self._outline.accelerator
        assert array is not None, "placement chose an accelerator"
        return array


def _is_transposed(tensor: Tensor) -> bool:
    return len(tensor.strides) >= 2 and tensor.strides[-1] != 1 and tensor.strides[-2] == 1
