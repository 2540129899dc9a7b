"""A step's operations become tasks: work for a unit, bound to tensors and ordered by them."""

from collections.abc import Iterable
from dataclasses import dataclass

from simulator.activity import Stage, Task, Unit, Work
from simulator.hardware.soc import PRECISION_BITS, Hardware
from simulator.lowering.placement import Placement, place
from simulator.lowering.works import Templates
from simulator.timing.cores import OPS_PER_ELEMENT
from simulator.trace.op import Gemm, Op, OpKind, Phase, Role, Tensor
from simulator.trace.trace import Hazards, Step, phase_of
from simulator.units import ceil_div


@dataclass(frozen=True, slots=True)
class Carry:
    """What one step leaves to the next: the engines that are built."""

    engines: frozenset[Work] = frozenset()


class Lowering:
    """Lowers steps for one SoC; shapes seen before are not lowered again."""

    def __init__(self, hardware: Hardware) -> None:
        """Lower for `hardware`."""
        self.hardware = hardware
        self._templates = Templates(hardware)

    def lower(self, step: Step, carry: Carry) -> tuple[tuple[Task, ...], Carry]:
        """Return the tasks of `step` in program order, and what carries over to the next step.

        Raises Infeasible when the hardware cannot run an operation.
        """
        binding = _Binding(self._templates, step, carry)
        for index, op in enumerate(step.ops):
            binding.add(index, op)
        return tuple(binding.tasks), Carry(frozenset(binding.engines))


class _Binding:
    """One step being lowered: tasks so far, hazards, copies in the array's precision."""

    def __init__(self, templates: Templates, step: Step, carry: Carry) -> None:
        self.tasks: list[Task] = []
        self.engines = set(carry.engines)
        self._templates = templates
        self._hardware = templates.hardware
        self._hazards = Hazards()
        self._next_token = len(step.storages)
        self._copies: dict[int, dict[object, int]] = {}  # storage -> its converted copies
        self._unsynchronised: dict[int, int] = {}  # token -> accelerator task that wrote it
        self._scores: int | None = None  # temporary between the GEMMs of a fused attention

    def add(self, index: int, op: Op) -> None:
        """Lower one op."""
        if not op.gemms:
            self._plain(index, op)
            return
        placed = [(gemm, place(self._hardware, op, gemm)) for gemm in op.gemms]
        on_cpu = tuple(gemm for gemm, placement in placed if placement.unit is Unit.CPU)
        roles = dict.fromkeys(gemm.role for gemm in on_cpu)
        for role in roles:
            self._cpu_gemms(index, op, tuple(g for g in on_cpu if g.role is role))
        offloaded = [item for item in placed if item[1].unit is Unit.ACCELERATOR]
        self._scores = None
        dispatch_ps = self._hardware.cpu.op_overhead
        for gemm, placement in offloaded:
            token = self._offload(index, op, gemm, placement, dispatch_ps)
            dispatch_ps = 0
            if self._scores is None and _is_attention(op):
                self._scores = self._softmax_between(index, op, gemm, token)
        if offloaded or len(roles) > 1:
            self._left_over(index, op)

    def _plain(self, index: int, op: Op) -> None:
        reads, writes = _storages(op.inputs), _storages(op.outputs)
        work = self._templates.operation(op)
        if op.kind is OpKind.VIEW:
            self._append(work, index, op.phase, op.layer, (), ())
            return
        barrier = op.kind is OpKind.SYNC
        self._append(
            work, index, op.phase, op.layer, reads, writes, random=op.random, barrier=barrier
        )

    def _cpu_gemms(self, index: int, op: Op, gemms: tuple[Gemm, ...]) -> None:
        part = _part(op, gemms)
        work = self._templates.cpu_gemm(part, gemms)
        phase = phase_of(op, gemms[0].role)
        self._append(
            work, index, phase, op.layer, _storages(part.inputs), _storages(part.outputs),
            random=op.random,
        )  # fmt: skip

    def _offload(
        self, index: int, op: Op, gemm: Gemm, placement: Placement, dispatch_ps: int
    ) -> int:
        """Append the stages of one GEMM on the accelerator; return the token that it writes."""
        phase = phase_of(op, gemm.role)
        reads = [self._operand(index, op, phase, which, placement) for which in (gemm.a, gemm.b)]
        reads = self._unfold(index, op, phase, gemm, placement, reads)
        work = self._templates.array_gemm(gemm, placement)
        runtime = self._hardware.runtime
        if runtime.first_call and work not in self.engines:
            self._driver(Stage.BUILD, runtime.first_call, index, phase, op.layer)
            self.engines.add(work)
        launch = self._driver(Stage.LAUNCH, dispatch_ps + runtime.launch, index, phase, op.layer)
        target = op.outputs[gemm.c] if gemm.c >= 0 else None
        fold = self._folds_back(gemm)
        direct = target is not None and not placement.convert and not fold
        token = target.storage if direct and target else self._token()
        done = self._append(work, index, phase, op.layer, reads, (token,), after=launch)
        self._unsynchronised[token] = done
        if runtime.issue == "synchronous":
            self._synchronise(token, index, phase, op.layer)
        if not direct:
            self._restore(index, op, phase, gemm, placement, token, fold=fold)
        return token

    def _operand(
        self, index: int, op: Op, phase: Phase, which: int, placement: Placement
    ) -> int | None:
        """Return the token of an operand in the array's precision, converting it once."""
        if which < 0:
            return self._scores
        tensor = op.inputs[which]
        token = tensor.storage
        bits = PRECISION_BITS[placement.precision]
        if placement.convert:
            work = self._templates.quantise(tensor.elements, tensor.bits, bits)
            token = self._copy((Stage.QUANTISE, tensor.offset), work, index, op, phase, tensor)
        if not self._transposes() and _is_transposed(tensor):
            size = ceil_div(tensor.elements * bits, 8)
            work = self._templates.pass_over(
                Stage.TRANSPOSE, tensor.elements, bits, (size,), size, 1
            )
            token = self._copy(
                (Stage.TRANSPOSE, tensor.strides), work, index, op, phase, tensor, token
            )
        return token

    def _copy(
        self,
        key: object,
        work: Work,
        index: int,
        op: Op,
        phase: Phase,
        tensor: Tensor,
        source: int | None = None,
    ) -> int:
        """Return the token of a derived copy of `tensor`, made by `work` unless it still exists."""
        copies = self._copies.setdefault(tensor.storage, {})
        full_key = (key, tensor.elements)
        if full_key not in copies:
            token = self._token()
            read = tensor.storage if source is None else source
            self._append(work, index, phase, op.layer, (read,), (token,))
            copies[full_key] = token
        return copies[full_key]

    def _unfold(
        self,
        index: int,
        op: Op,
        phase: Phase,
        gemm: Gemm,
        placement: Placement,
        reads: list[int | None],
    ) -> list[int | None]:
        """Write out im2col matrices on the CPU where the hardware does not do it."""
        array, conv = self._hardware.accelerator, gemm.conv
        if conv is None or array is None or array.im2col == "hardware":
            return reads
        which = {Role.FORWARD: 0, Role.WGRAD: 1}.get(gemm.role)
        if conv.transposed:
            which = {Role.DGRAD: 0, Role.WGRAD: 1}.get(gemm.role)
        if which is None:
            return reads
        bits = PRECISION_BITS[placement.precision]
        elements = gemm.batch * gemm.k * (gemm.m if which == 0 else gemm.n)
        size = ceil_div(elements * bits, 8)
        work = self._templates.pass_over(Stage.IM2COL, elements, bits, (size,), size, 1)
        token = self._token()
        self._append(work, index, phase, op.layer, _known(reads[which : which + 1]), (token,))
        return [token if position == which else read for position, read in enumerate(reads)]

    def _folds_back(self, gemm: Gemm) -> bool:
        """Return whether overlapping outputs must be summed on the CPU (col2im)."""
        array, conv = self._hardware.accelerator, gemm.conv
        if conv is None or array is None:
            return False
        if conv.transposed:
            return gemm.role is Role.FORWARD
        by_gemm = array.dgrad == "col2im" or array.im2col == "software"
        return gemm.role is Role.DGRAD and by_gemm

    def _restore(
        self,
        index: int,
        op: Op,
        phase: Phase,
        gemm: Gemm,
        placement: Placement,
        token: int,
        *,
        fold: bool,
    ) -> None:
        """Bring accumulator values back: sum overlapping outputs, scale, write the tensor."""
        target = op.outputs[gemm.c] if gemm.c >= 0 else None
        writes = (target.storage,) if target else (self._token(),)
        out_bits, bits = 32, target.bits if target else 32
        if fold:
            elements = gemm.batch * gemm.m * gemm.n
            size = target.bytes if target else ceil_div(elements * bits, 8)
            source = ceil_div(elements * out_bits, 8) * placement.passes
            work = self._templates.pass_over(Stage.COL2IM, elements, out_bits, (source,), size, 1)
        else:
            elements = target.elements if target else gemm.batch * gemm.m * gemm.n
            work = self._templates.restore(elements, out_bits, bits, placement.passes)
        self._append(work, index, phase, op.layer, (token, *_others(op, gemm)), writes)

    def _softmax_between(self, index: int, op: Op, gemm: Gemm, token: int) -> int:
        """The softmax inside a fused attention, on the CPU, over the scores of the first GEMM."""
        elements = gemm.batch * gemm.m * gemm.n
        size = elements * 4
        ops_per_element = OPS_PER_ELEMENT[OpKind.SOFTMAX]
        work = self._templates.pass_over(Stage.OP, elements, 32, (size,), size, ops_per_element)
        scores = self._token()
        self._append(work, index, op.phase, op.layer, (token,), (scores,))
        return scores

    def _left_over(self, index: int, op: Op) -> None:
        """What the op computes besides its GEMMs: the bias gradient, on the CPU."""
        made = {gemm.c for gemm in op.gemms}
        rest = tuple(tensor for i, tensor in enumerate(op.outputs) if i not in made)
        if not rest or op.phase not in (Phase.DGRAD, Phase.WGRAD) or _is_attention(op):
            return
        sources = tuple(op.inputs[gemm.a] for gemm in op.gemms if gemm.a >= 0)[:1]
        reduction = Op(op.name, OpKind.REDUCTION, Phase.WGRAD, op.layer, sources, rest)
        self._plain(index, reduction)

    def _driver(
        self, stage: Stage, duration_ps: int, index: int, phase: Phase, layer: str
    ) -> int | None:
        if not duration_ps:
            return None
        return self._append(self._templates.driver(stage, duration_ps), index, phase, layer, (), ())

    def _synchronise(self, token: int, index: int, phase: Phase, layer: str) -> None:
        """Let the CPU learn that the accelerator has finished writing `token`."""
        done = self._unsynchronised.pop(token, None)
        duration = self._hardware.runtime.synchronise
        if done is not None and duration:
            work = self._templates.driver(Stage.SYNCHRONISE, duration)
            # It writes the token: whoever reads the result on the CPU comes after it.
            self._append(work, index, phase, layer, (), (token,), after=done)

    def _append(
        self,
        work: Work,
        index: int,
        phase: Phase,
        layer: str,
        reads: Iterable[int | None],
        writes: Iterable[int],
        *,
        after: int | None = None,
        random: bool = False,
        barrier: bool = False,
    ) -> int:
        reads, writes = _known(reads), tuple(writes)
        if work.unit is Unit.CPU and self._unsynchronised:
            for token in (*reads, *writes):
                if token in self._unsynchronised:
                    self._synchronise(token, index, phase, layer)
        position = len(self.tasks)
        waits = self._hazards.add(position, reads, writes, random=random, barrier=barrier)
        if after is not None and after not in waits:
            waits = tuple(sorted((*waits, after)))
        for token in writes:
            self._copies.pop(token, None)
        self.tasks.append(Task(work, index, phase, layer, waits))
        return position

    def _token(self) -> int:
        self._next_token += 1
        return self._next_token

    def _transposes(self) -> bool:
        array = self._hardware.accelerator
        return array is not None and array.transposer


def _part(op: Op, gemms: tuple[Gemm, ...]) -> Op:
    """Return the part of `op` that computes `gemms`: its operands and results alone."""
    if len(gemms) == len(op.gemms):
        return op
    used = sorted({which for gemm in gemms for which in (gemm.a, gemm.b) if which >= 0})
    made = sorted({gemm.c for gemm in gemms if gemm.c >= 0})
    inputs = tuple(op.inputs[i] for i in used)
    outputs = tuple(op.outputs[i] for i in made)
    return Op(op.name, op.kind, op.phase, op.layer, inputs, outputs)


def _others(op: Op, gemm: Gemm) -> tuple[int, ...]:
    """Return the storages that the op reads besides the GEMM's operands, such as a bias."""
    operands = {which for other in op.gemms for which in (other.a, other.b)} | {gemm.a, gemm.b}
    return tuple(t.storage for i, t in enumerate(op.inputs) if i not in operands)


def _storages(tensors: Iterable[Tensor]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(tensor.storage for tensor in tensors))


def _known(tokens: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(token for token in tokens if token is not None)


def _is_transposed(tensor: Tensor) -> bool:
    return len(tensor.strides) >= 2 and tensor.strides[-1] != 1 and tensor.strides[-2] == 1


def _is_attention(op: Op) -> bool:
    return "scaled_dot_product" in op.name
