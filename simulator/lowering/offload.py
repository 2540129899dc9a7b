"""What handing GEMMs to the accelerator takes: convert, lay out, launch, compute, restore."""

from collections.abc import Sequence

from simulator.activity import Stage
from simulator.hardware.accelerator import Accelerator
from simulator.hardware.precision import PRECISION_BITS, accumulator_of
from simulator.lowering.asked import Asked
from simulator.lowering.binding import Binding, Site
from simulator.lowering.cache import Moved
from simulator.lowering.handover import Handover, Move
from simulator.lowering.placement import Placement, is_readable
from simulator.lowering.request import Request, bytes_of, request_of
from simulator.timing.kernels import between_products
from simulator.trace.accesses import Access, whole
from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.trace.trace import phase_of

# Vector operations per element of the conversions, counted from the arithmetic they do.
_RANGE_OPS = 1  # maximum of absolute values
_ROUND_OPS = 3  # scale, round, clamp
_SCALE_OPS = 1
_COPY_OPS = 1


class Offload:
    """Appends the stages of offloaded GEMMs to a step."""

    def __init__(self, binding: Binding, engines: frozenset[Asked]) -> None:
        """Append to `binding`; `engines` are built already."""
        self.engines = set(engines)
        self._binding = binding
        self._handover = Handover(binding)
        self._asking = binding.asking
        self._outline = binding.asking.outline
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
            request = request_of(site, op, gemm, placement, self._array)
            token = self._compute(request, dispatch_ps)
            dispatch_ps = 0
            if request.target is None:
                self._between(request, token)
            elif self._is_raw(request):
                raw.append((request, token))
        for request, token in raw:
            self._restore(request, token)

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
        target, raw = request.target, self._is_raw(request)
        if not raw:
            reads += _others(request.op)  # a bias is loaded into the accumulator
        result = target.storage if target and not raw else binding.token()
        back = self._way_back(request)
        tokens = [*(binding.token() for _ in back), result]
        token = tokens[0]
        cached, flush = self._through_cache(request, operands, token)
        work = self._asking.array_gemm(
            request.gemm, request.placement, self._out_bits(request), cached
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
        target, size = request.target, bytes_of(request.made, self._out_bits(request))
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
            size = bytes_of(gemm.made, self._out_bits(request))
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

    def _is_raw(self, request: Request) -> bool:
        """Return whether the array's output is not yet the result."""
        summed = request.layout.fold_back or request.parts > 1
        if request.target is None or summed or request.placement.passes > 1:
            return True
        same = self._summed_in(request) == "fp32" and request.target.bits == 32
        return request.placement.convert and not same

    def _out_bits(self, request: Request) -> int:
        if self._is_raw(request) or request.target is None:
            return PRECISION_BITS[self._summed_in(request)]
        return request.target.bits

    def _summed_in(self, request: Request) -> str:
        return accumulator_of(request.placement.precision)

    def _build(self, work: Asked, site: Site) -> None:
        first_call = self._outline.runtime.first_call
        if first_call and work not in self.engines:
            self._binding.driver(Stage.BUILD, first_call, site)
            self.engines.add(work)

    def _operand(self, request: Request, which: int) -> Access | None:
        """Return an operand in the array's precision and layout, made only once."""
        if which < 0:
            return None
        tensor, site = request.op.inputs[which], request.site
        precision, binding = request.placement.precision, self._binding
        ready = Access(tensor.storage, tensor.bytes)
        if request.placement.convert and not is_readable(tensor.dtype, precision):
            source, size = ready, bytes_of(tensor.elements, PRECISION_BITS[precision])
            token = binding.copy(
                (Stage.QUANTISE, precision), tensor, source.token, site,
                lambda token: self._convert(tensor, precision, source, Access(token, size)),
            )  # fmt: skip
            ready = Access(token, size)
        if not self._array.transposer and _is_transposed(tensor):
            before, bits = ready, PRECISION_BITS[precision]
            size = bytes_of(tensor.elements, bits)
            token = binding.copy(
                (Stage.TRANSPOSE, tensor.shape, tensor.strides), tensor, before.token, site,
                lambda token: self._pass(
                    Stage.TRANSPOSE, tensor.elements, bits, [before], [Access(token, size)], 1
                ),
            )  # fmt: skip
            ready = Access(token, size)
        each_ps = self._per_weight(request)
        if each_ps and which == request.gemm.b and request.gemm.role is not Role.WGRAD:
            found = ready
            token = binding.copy(
                (Stage.REARRANGE, request.gemm.role), tensor, found.token, site,
                lambda token: self._rearrange(found, Access(token, found.size), tensor, each_ps),
            )  # fmt: skip
            ready = Access(token, found.size)
        return ready

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

    def _convert(self, tensor: Tensor, precision: str, source: Access, target: Access) -> Asked:
        """Return the CPU's conversion of a tensor to `precision`.

        To integers: find the range, then scale and round, so that the source is read twice. To
        floats: a cast.
        """
        rounds = precision.startswith("int")
        reads = [source, source] if rounds else [source]
        cost = _RANGE_OPS + _ROUND_OPS if rounds else _COPY_OPS
        return self._pass(Stage.QUANTISE, tensor.elements, tensor.bits, reads, [target], cost)

    def _pass(
        self,
        stage: Stage,
        elements: int,
        bits: int,
        reads: Sequence[Access],
        writes: Sequence[Access],
        ops_per_element: int,
    ) -> Asked:
        moved = self._binding.cache.touch(reads, writes)
        return self._asking.pass_over(stage, elements, bits, moved, ops_per_element)

    def _unfold(self, request: Request, reads: list[Access | None]) -> list[Access | None]:
        """Write out the im2col matrix on the CPU where the hardware does not do it."""
        which, gemm = request.layout.unfold, request.gemm
        if which is None:
            return reads
        bits = PRECISION_BITS[request.placement.precision]
        elements = gemm.batch * gemm.k * (gemm.n if which else gemm.m)
        source, matrix = reads[which], Access(self._binding.token(), bytes_of(elements, bits))
        # A temporary that no tensor holds is read where it was written, at the size it has there.
        read = [source] if source else [Access(self._binding.token(), matrix.size)]
        work = self._pass(Stage.IM2COL, elements, bits, read, [matrix], 1)
        waits = [source.token] if source else []
        self._binding.append(work, request.site, waits, (matrix.token,))
        return [matrix if position == which else read for position, read in enumerate(reads)]

    def _restore(self, request: Request, token: int) -> None:
        """Bring raw outputs back: sum overlapping ones, scale, add a bias, write the tensor.

        The slices of several passes are summed on the way.
        """
        target, passes = request.target, request.placement.passes
        assert target is not None, "temporaries are not restored"
        raw_bits = PRECISION_BITS[self._summed_in(request)]
        written = [Access(target.storage, target.bytes)]
        if request.layout.fold_back or request.parts > 1:
            stage = Stage.COL2IM if request.layout.fold_back else Stage.REDUCE
            reads = [Access(token, bytes_of(request.made, raw_bits))] * passes
            work = self._pass(stage, request.made, raw_bits, reads, written, 1 + passes)
        else:
            added = whole(_other_tensors(request.op))
            reads = [Access(token, bytes_of(target.elements, raw_bits))] * passes + [*added]
            cost = _SCALE_OPS * passes + len(added)
            work = self._pass(Stage.DEQUANTISE, target.elements, target.bits, reads, written, cost)
        reads_tokens = (token, *_others(request.op))
        self._binding.append(work, request.site, reads_tokens, (target.storage,))

    def _between(self, request: Request, token: int) -> None:
        """What a fused op does to a temporary between two GEMMs, on the CPU: a softmax, gates."""
        gemm, placement = request.gemm, request.placement
        elements = gemm.made
        raw = Access(token, bytes_of(elements, PRECISION_BITS[self._summed_in(request)]))
        size = bytes_of(elements, PRECISION_BITS[placement.precision])
        ready = Access(self._binding.token(), size)
        moved = self._binding.cache.touch([raw] * placement.passes, [ready])
        kernel = between_products(request.op.name)
        work = self._binding.asking.kernel(Stage.OP, kernel, elements, moved)
        reads = (token, *(temporary.token for temporary in self._temporaries))
        self._binding.append(work, request.site, reads, (ready.token,))
        self._temporaries.append(ready)

    @property
    def _array(self) -> Accelerator:
        array = self._outline.accelerator
        assert array is not None, "placement chose an accelerator"
        return array


def _other_tensors(op: Op) -> list[Tensor]:
    """Return what the op reads besides its GEMMs' operands, such as a bias."""
    operands = {which for gemm in op.gemms for which in (gemm.a, gemm.b)}
    return [tensor for i, tensor in enumerate(op.inputs) if i not in operands]


def _others(op: Op) -> list[int]:
    return [tensor.storage for tensor in _other_tensors(op)]


def _is_transposed(tensor: Tensor) -> bool:
    return len(tensor.strides) >= 2 and tensor.strides[-1] != 1 and tensor.strides[-2] == 1
