"""What handing GEMMs to the accelerator takes: convert, lay out, launch, compute, restore."""

from collections.abc import Sequence
from dataclasses import dataclass

from simulator.activity import Stage, Work
from simulator.hardware.soc import PRECISION_BITS, Accelerator
from simulator.lowering.binding import Binding, Site, known
from simulator.lowering.layout import Layout, layout
from simulator.lowering.placement import Placement
from simulator.timing.cores import between_ops
from simulator.trace.op import Gemm, Op, Role, Tensor
from simulator.trace.trace import phase_of
from simulator.units import ceil_div


@dataclass(frozen=True, slots=True)
class _Request:
    """One GEMM to offload, where it belongs, and how it is laid out."""

    site: Site
    op: Op
    gemm: Gemm
    placement: Placement
    layout: Layout

    @property
    def target(self) -> Tensor | None:
        """The tensor that holds the result, unless that is a temporary."""
        return self.op.outputs[self.gemm.c] if self.gemm.c >= 0 else None


class Offload:
    """Appends the stages of offloaded GEMMs to a step."""

    def __init__(self, binding: Binding, engines: frozenset[Work]) -> None:
        """Append to `binding`; `engines` are built already."""
        self.engines = set(engines)
        self._binding = binding
        self._templates = binding.templates
        self._hardware = binding.templates.hardware
        self._temporaries: list[int] = []  # of the op under way, from GEMM to GEMM

    def add(self, index: int, op: Op, placed: Sequence[tuple[Gemm, Placement]]) -> None:
        """Append the GEMMs of one op: all are launched before the first result is awaited.

        The op's eager dispatch is paid with the first launch.
        """
        self._temporaries = []
        dispatch_ps = self._templates.dispatch_ps
        raw: list[tuple[_Request, int]] = []
        for gemm, placement in placed:
            site = Site(index, phase_of(op, gemm.role), op.layer)
            request = _Request(site, op, gemm, placement, layout(gemm, self._array))
            token = self._compute(request, dispatch_ps)
            dispatch_ps = 0
            if request.target is None:
                self._between(request, token)
            elif self._is_raw(request):
                raw.append((request, token))
        for request, token in raw:
            self._restore(request, token)

    def _compute(self, request: _Request, dispatch_ps: int) -> int:
        """Append the stages up to the GEMM itself and return the token that it writes."""
        binding, runtime, site = self._binding, self._hardware.runtime, request.site
        reads = [self._operand(request, which) for which in (request.gemm.a, request.gemm.b)]
        reads = self._unfold(request, reads)
        target, raw = request.target, self._is_raw(request)
        work = self._templates.array_gemm(request.gemm, request.placement, self._out_bits(request))
        self._build(work, site)
        launch = binding.driver(Stage.LAUNCH, dispatch_ps + runtime.launch, site)
        if min(request.gemm.a, request.gemm.b) < 0:
            reads += self._temporaries
        if not raw:
            reads += _others(request.op)  # a bias is loaded into the accumulator
        result = target.storage if target and not raw else binding.token()
        back = self._put_back(request)
        token = binding.token() if back else result
        random = request.op.random
        binding.append(work, site, reads, (token,), after=(launch,), random=random)
        if runtime.issue == "synchronous":
            binding.notice(token, site)
        if back:
            binding.append(back, site, (token,), (result,))
        return result

    def _is_raw(self, request: _Request) -> bool:
        """Return whether the array's output is not yet the result."""
        if request.target is None or request.layout.fold_back or request.placement.passes > 1:
            return True
        same = self._array.accumulator_precision == "fp32" and request.target.bits == 32
        return request.placement.convert and not same

    def _out_bits(self, request: _Request) -> int:
        if self._is_raw(request) or request.target is None:
            return PRECISION_BITS[self._array.accumulator_precision]
        return request.target.bits

    def _build(self, work: Work, site: Site) -> None:
        first_call = self._hardware.runtime.first_call
        if first_call and work not in self.engines:
            self._binding.driver(Stage.BUILD, first_call, site)
            self.engines.add(work)

    def _operand(self, request: _Request, which: int) -> int | None:
        """Return the token of an operand in the array's precision and layout, made only once."""
        if which < 0:
            return None
        tensor, site = request.op.inputs[which], request.site
        token, precision = tensor.storage, request.placement.precision
        if request.placement.convert:
            work = self._templates.convert(tensor.elements, tensor.bits, precision)
            token = self._binding.copy(Stage.QUANTISE, work, site, tensor)
        if not self._array.transposer and _is_transposed(tensor):
            bits = PRECISION_BITS[precision]
            size = ceil_div(tensor.elements * bits, 8)
            work = self._templates.pass_over(
                Stage.TRANSPOSE, tensor.elements, bits, (size,), size, 1
            )
            key = (Stage.TRANSPOSE, tensor.shape, tensor.strides)
            token = self._binding.copy(key, work, site, tensor, token)
        each_ps = self._per_weight(request)
        if each_ps and which == request.gemm.b and request.gemm.role is not Role.WGRAD:
            bits = PRECISION_BITS[precision]
            work = self._templates.rearrange(tensor.elements, bits, each_ps)
            order = (Stage.REARRANGE, request.gemm.role)
            token = self._binding.copy(order, work, site, tensor, token)
        return token

    def _per_weight(self, request: _Request) -> int:
        """Return the CPU's time per weight between its order and the array's."""
        if request.gemm.conv is None:
            return 0
        return self._hardware.runtime.rearrange.per_element(request.gemm.role)

    def _put_back(self, request: _Request) -> Work | None:
        """Return the CPU's work on a gradient of weights that the array leaves in its own order."""
        each_ps, target = self._per_weight(request), request.target
        if request.gemm.role is not Role.WGRAD or not each_ps or target is None:
            return None
        return self._templates.rearrange(target.elements, self._out_bits(request), each_ps)

    def _unfold(self, request: _Request, reads: list[int | None]) -> list[int | None]:
        """Write out the im2col matrix on the CPU where the hardware does not do it."""
        which, gemm = request.layout.unfold, request.gemm
        if which is None:
            return reads
        bits = PRECISION_BITS[request.placement.precision]
        elements = gemm.batch * gemm.k * (gemm.n if which else gemm.m)
        index = gemm.b if which else gemm.a
        source = request.op.inputs[index].elements if index >= 0 else elements
        work = self._templates.pass_over(
            Stage.IM2COL, elements, bits, (ceil_div(source * bits, 8),),
            ceil_div(elements * bits, 8), 1,
        )  # fmt: skip
        token = self._binding.token()
        self._binding.append(work, request.site, known(reads[which : which + 1]), (token,))
        return [token if position == which else read for position, read in enumerate(reads)]

    def _restore(self, request: _Request, token: int) -> None:
        """Bring raw outputs back: sum overlapping ones, scale, add a bias, write the tensor."""
        target, gemm, passes = request.target, request.gemm, request.placement.passes
        assert target is not None, "temporaries are not restored"
        raw_bits = PRECISION_BITS[self._array.accumulator_precision]
        if request.layout.fold_back:
            products = gemm.batch * gemm.m * gemm.n
            reads = (ceil_div(products * raw_bits, 8),) * passes
            work = self._templates.pass_over(
                Stage.COL2IM, products, raw_bits, reads, target.bytes, 1 + passes
            )
        else:
            added = [tensor.bytes for tensor in _other_tensors(request.op)]
            work = self._templates.restore(target.elements, raw_bits, target.bits, passes, added)
        reads_tokens = (token, *_others(request.op))
        self._binding.append(work, request.site, reads_tokens, (target.storage,))

    def _between(self, request: _Request, token: int) -> None:
        """What a fused op does to a temporary between two GEMMs, on the CPU: a softmax, gates."""
        gemm, placement = request.gemm, request.placement
        elements = gemm.batch * gemm.m * gemm.n
        raw = ceil_div(elements * PRECISION_BITS[self._array.accumulator_precision], 8)
        ready = ceil_div(elements * PRECISION_BITS[placement.precision], 8)
        cost = between_ops(request.op.name)
        reads = (raw,) * placement.passes
        work = self._templates.pass_over(Stage.OP, elements, 32, reads, ready, cost)
        temporary = self._binding.token()
        self._binding.append(work, request.site, (token, *self._temporaries), (temporary,))
        self._temporaries.append(temporary)

    @property
    def _array(self) -> Accelerator:
        array = self._hardware.accelerator
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
