"""What handing a GEMM to the accelerator takes: convert, lay out, launch, compute, restore."""

from collections.abc import Sequence

from simulator.activity import Stage, Work
from simulator.hardware.soc import PRECISION_BITS, Accelerator
from simulator.lowering.binding import Binding, Site, known
from simulator.lowering.placement import Placement
from simulator.timing.cores import OPS_PER_ELEMENT
from simulator.trace.op import Gemm, Op, OpKind, Role, Tensor
from simulator.trace.trace import phase_of
from simulator.units import ceil_div

# The operand that software im2col writes out: its position in (a, b).
_UNFOLDED = {Role.FORWARD: 0, Role.WGRAD: 1}
_UNFOLDED_TRANSPOSED = {Role.DGRAD: 0, Role.WGRAD: 1}


class Offload:
    """Appends the stages of offloaded GEMMs to a step."""

    def __init__(self, binding: Binding, engines: frozenset[Work]) -> None:
        """Append to `binding`; `engines` are built already."""
        self.engines = set(engines)
        self._binding = binding
        self._templates = binding.templates
        self._hardware = binding.templates.hardware
        self._scores: int | None = None  # temporary between the GEMMs of a fused attention

    def add(self, index: int, op: Op, placed: Sequence[tuple[Gemm, Placement]]) -> None:
        """Append the GEMMs of one op: all are launched before the first result is awaited.

        The op's eager dispatch is paid with the first launch.
        """
        self._scores = None
        dispatch_ps = self._hardware.cpu.op_overhead
        raw: list[tuple[Site, Gemm, Placement, int]] = []
        for gemm, placement in placed:
            site = Site(index, phase_of(op, gemm.role), op.layer)
            token = self._gemm(site, op, gemm, placement, dispatch_ps)
            dispatch_ps = 0
            if self._is_raw(gemm, placement):
                raw.append((site, gemm, placement, token))
            if self._scores is None and is_attention(op):
                self._scores = self._softmax(site, gemm, token)
        for site, gemm, placement, token in raw:
            self._restore(site, op, gemm, placement, token)

    def _gemm(self, site: Site, op: Op, gemm: Gemm, placement: Placement, dispatch_ps: int) -> int:
        """Append the stages up to the GEMM itself and return the token that it writes."""
        binding, runtime = self._binding, self._hardware.runtime
        reads = [self._operand(site, op, which, placement) for which in (gemm.a, gemm.b)]
        reads = self._unfold(site, gemm, placement, reads)
        work = self._templates.array_gemm(gemm, placement)
        self._build(work, site)
        launch = binding.driver(Stage.LAUNCH, dispatch_ps + runtime.launch, site)
        target = op.outputs[gemm.c] if gemm.c >= 0 else None
        raw = self._is_raw(gemm, placement)
        token = target.storage if target and not raw else binding.token()
        done = binding.append(work, site, reads, (token,), after=launch)
        binding.written_by_accelerator(token, done)
        if runtime.issue == "synchronous":
            binding.synchronise(token, site)
        return token

    def _build(self, work: Work, site: Site) -> None:
        first_call = self._hardware.runtime.first_call
        if first_call and work not in self.engines:
            self._binding.driver(Stage.BUILD, first_call, site)
            self.engines.add(work)

    def _operand(self, site: Site, op: Op, which: int, placement: Placement) -> int | None:
        """Return the token of an operand in the array's precision and layout, made only once."""
        if which < 0:
            return self._scores
        tensor, token = op.inputs[which], op.inputs[which].storage
        bits = PRECISION_BITS[placement.precision]
        if placement.convert:
            work = self._templates.quantise(tensor.elements, tensor.bits, bits)
            token = self._binding.copy(Stage.QUANTISE, work, site, tensor)
        if not self._array.transposer and _is_transposed(tensor):
            size = ceil_div(tensor.elements * bits, 8)
            work = self._pass(Stage.TRANSPOSE, tensor.elements, bits, size, size)
            key = (Stage.TRANSPOSE, tensor.strides)
            token = self._binding.copy(key, work, site, tensor, token)
        return token

    def _unfold(
        self, site: Site, gemm: Gemm, placement: Placement, reads: list[int | None]
    ) -> list[int | None]:
        """Write out the im2col matrix on the CPU where the hardware does not do it."""
        if gemm.conv is None or self._array.im2col == "hardware":
            return reads
        unfolded = _UNFOLDED_TRANSPOSED if gemm.conv.transposed else _UNFOLDED
        which = unfolded.get(gemm.role)
        if which is None:
            return reads
        bits = PRECISION_BITS[placement.precision]
        elements = gemm.batch * gemm.k * (gemm.n if which else gemm.m)
        size = ceil_div(elements * bits, 8)
        token = self._binding.token()
        work = self._pass(Stage.IM2COL, elements, bits, size, size)
        self._binding.append(work, site, known(reads[which : which + 1]), (token,))
        return [token if position == which else read for position, read in enumerate(reads)]

    def _is_raw(self, gemm: Gemm, placement: Placement) -> bool:
        """Return whether the array's output is not yet the result."""
        return placement.convert or self._folds_back(gemm)

    def _folds_back(self, gemm: Gemm) -> bool:
        """Return whether overlapping outputs must be summed on the CPU (col2im)."""
        if gemm.conv is None:
            return False
        if gemm.conv.transposed:
            return gemm.role is Role.FORWARD
        by_gemm = self._array.dgrad == "col2im" or self._array.im2col == "software"
        return gemm.role is Role.DGRAD and by_gemm

    def _restore(self, site: Site, op: Op, gemm: Gemm, placement: Placement, token: int) -> None:
        """Bring accumulator values back: sum overlapping outputs, scale, write the tensor."""
        target = op.outputs[gemm.c] if gemm.c >= 0 else None
        out_bits = PRECISION_BITS[self._array.accumulator_precision]
        bits = target.bits if target else 32
        products = gemm.batch * gemm.m * gemm.n
        if self._folds_back(gemm):
            source = ceil_div(products * out_bits, 8) * placement.passes
            size = target.bytes if target else ceil_div(products * bits, 8)
            work = self._pass(Stage.COL2IM, products, out_bits, source, size)
        else:
            elements = target.elements if target else products
            work = self._templates.restore(elements, out_bits, bits, placement.passes)
        writes = (target.storage if target else self._binding.token(),)
        self._binding.append(work, site, (token, *_others(op)), writes)

    def _softmax(self, site: Site, gemm: Gemm, token: int) -> int:
        """The softmax inside a fused attention, on the CPU, over the scores of the first GEMM."""
        elements = gemm.batch * gemm.m * gemm.n
        size, cost = elements * 4, OPS_PER_ELEMENT[OpKind.SOFTMAX]
        work = self._templates.pass_over(Stage.OP, elements, 32, (size,), size, cost)
        scores = self._binding.token()
        self._binding.append(work, site, (token,), (scores,))
        return scores

    def _pass(self, stage: Stage, elements: int, bits: int, source: int, target: int) -> Work:
        return self._templates.pass_over(stage, elements, bits, (source,), target, 1)

    @property
    def _array(self) -> Accelerator:
        array = self._hardware.accelerator
        assert array is not None, "placement chose an accelerator"
        return array


def is_attention(op: Op) -> bool:
    """Return whether `op` is a fused attention, whose softmax lies between its GEMMs."""
    return "scaled_dot_product" in op.name


def _others(op: Op) -> tuple[int, ...]:
    """Return the storages that the op reads besides its GEMMs' operands, such as a bias."""
    operands = {which for gemm in op.gemms for which in (gemm.a, gemm.b)}
    return tuple(tensor.storage for i, tensor in enumerate(op.inputs) if i not in operands)


def _is_transposed(tensor: Tensor) -> bool:
    return len(tensor.strides) >= 2 and tensor.strides[-1] != 1 and tensor.strides[-2] == 1
