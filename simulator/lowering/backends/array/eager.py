"""A driver written in the framework's own ops: each is dispatched, reads memory and writes it.

What such a driver does is a trace of its own: every op of it costs what it would in any trace.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from simulator.activity import Stage
from simulator.hardware.precision import FORMATS, PRECISION_BITS
from simulator.lowering.backends.array.call import ArrayCall, bytes_of, others_of
from simulator.lowering.binding import Binding, Site, storages
from simulator.timing.kernels import between_kind
from simulator.trace.accesses import Access, whole
from simulator.trace.kinds import listed_kind
from simulator.trace.op import Op, OpKind, Tensor

_DTYPES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}


class EagerOps:
    """An op of PyTorch for each thing to do; quantisation is symmetric, of whole tensors."""

    def __init__(self, binding: Binding) -> None:
        """Append to `binding`."""
        self._binding = binding

    def quantise(self, site: Site, tensor: Tensor, precision: str, token: int) -> None:
        """To integers `scale = x.abs().amax() / 127`, then `(x / scale).round().clamp_(-127, 127)
        .to(torch.int8)`: seven ops. To floats a cast.
        """
        made = _flat(token, tensor.elements, _dtype_of(precision))
        if not (FORMATS[precision].takes_range or FORMATS[precision].block):
            self._chain(site, Stage.QUANTISE, tensor, [_OpCall("_to_copy", made.dtype)], made)
            return
        scale = self._chain(
            site,
            Stage.QUANTISE,
            tensor,
            [_OpCall("abs"), _OpCall("amax", whole=True), _OpCall("div")],
        )
        steps = [_OpCall("div", others=(scale,)), _OpCall("round"), _OpCall("clamp")]
        self._chain(site, Stage.QUANTISE, tensor, [*steps, _OpCall("_to_copy", made.dtype)], made)

    def lay_out(
        self, site: Site, stage: Stage, elements: int, bits: int, buffers: tuple[Access, Access]
    ) -> None:
        """`contiguous()` of a transposed tensor, `unfold()` of a convolution's input."""
        source, target = buffers
        dtype = f"bits{bits}"
        read = _flat(source.token, source.size * 8 // bits, dtype)
        written = _flat(target.token, elements, dtype)
        self._op(site, stage, "clone" if stage is Stage.TRANSPOSE else "im2col", (read,), written)

    def restore(self, call: ArrayCall, token: int) -> None:
        """`raw.to(torch.float32) * scale`, slice by slice, then what overlaps is summed, or a bias
        is added.
        """
        target, site, others = call.target, call.site, others_of(call.op)
        assert target is not None, "temporaries are not restored"
        raw = _flat(token, call.made, _dtype_of(call.summed_in))
        if not call.is_summed:
            self._scale(call, raw, target.dtype, others, target)
            return
        value = self._scale(call, raw, target.dtype)
        folds = call.layout.fold_back
        stage, name = (Stage.COL2IM, "col2im") if folds else (Stage.REDUCE, "sum")
        self._op(site, stage, name, (value,), target)
        for each in others:
            self._op(site, Stage.DEQUANTISE, "add", (target, each), target)

    def between(self, call: ArrayCall, token: int, waits: Sequence[int]) -> Access:
        """Scale, compute, convert again."""
        site, precision = call.site, call.placement.precision
        dtype = call.op.outputs[0].dtype if call.op.outputs else "float32"
        raw = _flat(token, call.made, _dtype_of(call.summed_in))
        value = self._scale(call, raw, dtype)
        made = self._new(call.made, dtype)
        kind = between_kind(call.op.name)
        self._op(site, Stage.OP, call.op.base_name, (value,), made, waits, kind)
        if not call.placement.convert:
            return Access(made.storage, made.bytes)
        size = bytes_of(call.made, PRECISION_BITS[precision])
        ready = self._binding.token(size)
        self.quantise(site, made, precision, ready)
        return Access(ready, size)

    def _scale(
        self,
        call: ArrayCall,
        raw: Tensor,
        dtype: str,
        added: Sequence[Tensor] = (),
        into: Tensor | None = None,
    ) -> Tensor:
        """Append what makes numbers of `dtype` of the array's sums, and adds the slices of several
        passes and the tensors `added`; return the result.
        """
        passes, total = call.placement.passes, raw
        scaling = [] if raw.is_float else [_OpCall("mul")]
        casting = [_OpCall("_to_copy", dtype)] if raw.dtype != dtype else []
        for index in range(passes):
            calls = [*casting, *scaling, *([_OpCall("add", others=(total,))] if index else [])]
            last = index == passes - 1
            calls += [_OpCall("add", others=(each,)) for each in added] if last else []
            total = self._chain(call.site, Stage.DEQUANTISE, raw, calls, into if last else None)
        return total

    def _chain(
        self,
        site: Site,
        stage: Stage,
        source: Tensor,
        calls: Sequence["_OpCall"],
        into: Tensor | None = None,
    ) -> Tensor:
        """Append `calls`, each on what the one before made; the last writes `into` that tensor."""
        value = source
        for call in calls:
            elements = 1 if call.whole else value.elements
            made = self._new(elements, call.dtype or value.dtype)
            if into is not None and call is calls[-1]:
                made = into
            value = self._op(site, stage, call.name, (value, *call.others), made)
        return value

    def _op(
        self,
        site: Site,
        stage: Stage,
        name: str,
        inputs: tuple[Tensor, ...],
        made: Tensor,
        waits: Sequence[int] = (),
        kind: OpKind | None = None,
    ) -> Tensor:
        binding = self._binding
        kind = kind or listed_kind(name) or OpKind.ELEMENTWISE
        op = Op(f"aten.{name}", kind, site.phase, site.layer, inputs, (made,))
        transfers = binding.cache.touch(whole(inputs), whole((made,)))
        work = binding.requests.operation(op, transfers, stage=stage)
        binding.append(work, site, (*storages(inputs), *waits), (made.storage,))
        return made

    def _new(self, elements: int, dtype: str) -> Tensor:
        sized = _flat(0, elements, dtype)
        return replace(sized, storage=self._binding.token(sized.bytes))


class _OpCall(NamedTuple):
    """A call of a chain: it reads what the one before made, and `others`; an amax makes one number
    of the `whole`.
    """

    name: str
    dtype: str = ""
    others: tuple[Tensor, ...] = ()
    whole: bool = False


def _flat(token: int, elements: int, dtype: str) -> Tensor:
    return Tensor(token, dtype, (elements,), (1,))


def _dtype_of(precision: str) -> str:
    """Return torch's name of an array's number format, or one that tells its bits."""
    integer = precision if precision.startswith("int") else f"bits{PRECISION_BITS[precision]}"
    return _DTYPES.get(precision, integer)
