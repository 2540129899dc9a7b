"""Runs a captured step again in other orders that its dependences allow, to see if they suffice.

The calls of a step are recorded with their real arguments while it is captured, so that op i of
the trace is call i of the record. Before a replay all memory is put back as the step found it, and
what the step is yet to compute is spoilt; then the calls run in the new order. Views are not run
again: they move no bytes, and the trace gives them no order.
"""

import random
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from torch.utils._pytree import tree_leaves, tree_map_only

from simulator.trace.op import OpKind
from simulator.trace.trace import Step, dependences
from tests.catalogue import Setup
from workloads.capture import capture

Waits = list[tuple[int, ...]]
_SILENT = ("profiler", "prim")


@dataclass
class Call:
    """One executed op: what it was called with and what it returned."""

    func: object
    args: tuple
    kwargs: dict
    results: list[torch.Tensor]

    def again(self):
        """Run it once more: what it returned before gets the values that it returns now."""
        held = {storage_of(tensor) for tensor in tensors((self.args, self.kwargs))}
        for old, new in zip(
            self.results, tensors(self.func(*self.args, **self.kwargs)), strict=True
        ):
            if storage_of(old) not in held:
                old.copy_(new)


class Record(TorchDispatchMode):
    """Keeps the calls of a step, and of every storage the bytes to begin a replay with."""

    def __init__(self):
        super().__init__()
        self.calls = []
        self._before = {}
        self._generator = torch.get_rng_state()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        given = self._keep((args, kwargs or {}), spoilt=False)
        result = func(*args, **(kwargs or {}))
        returned = self._keep(result, spoilt=True)
        if func.namespace not in _SILENT:
            self.calls.append(Call(func, *given, tensors(returned)))
        return result

    def _keep(self, value, spoilt):
        with _disable_current_modes():  # copying dispatches ops of its own
            for tensor in tensors(value):
                self._save(tensor, spoilt)
            # A tensor can change its shape later, its alias does not.
            return tree_map_only(torch.Tensor, torch.Tensor.detach, value)

    def _save(self, tensor, spoilt):
        storage = tensor.untyped_storage()
        if storage._cdata not in self._before:
            bytes_ = torch.UntypedStorage(storage.nbytes())
            if spoilt:
                bytes_.fill_(0xFF if tensor.is_floating_point() else 0)  # NaN, or a valid index
            else:
                bytes_.copy_(storage)
            self._before[storage._cdata] = storage, bytes_

    def restore(self):
        """Put memory and the random number generator back to where the step began."""
        for storage, bytes_ in self._before.values():
            storage.copy_(bytes_)
        torch.set_rng_state(self._generator)


@dataclass
class Recorded:
    """A captured step, the calls that it was made of, and what it left behind."""

    step: Step
    record: Record
    kept: list[torch.Tensor]

    def outcome(self) -> list[bytes]:
        """Return the bytes of losses, parameters, gradients, buffers and optimizer state."""
        return [bytes_of(tensor) for tensor in self.kept]

    def replay(self, order: Iterable[int]) -> list[bytes]:
        """Run the calls in this order and return the outcome."""
        self.record.restore()
        with torch.no_grad():
            for index in order:
                if self.step.ops[index].kind is not OpKind.VIEW:
                    self.record.calls[index].again()
        return self.outcome()


def record(run: Setup) -> Recorded:
    """Capture a steady step of `run` together with its calls."""
    with capture() as recording:
        run.train(1)
        with Record() as calls:
            run.train(1)
    trace = recording.trace
    step = trace.steps[trace.segments[-1].step]
    assert [op.name for op in step.ops] == [str(call.func) for call in calls.calls]
    kept = [t for m in run.models for t in (*m.parameters(), *m.buffers())]
    kept += [p.grad for m in run.models for p in m.parameters() if p.grad is not None]
    kept += [t for o in run.optimizers for s in o.state.values() for t in tensors(s)]
    for op, call in zip(step.ops, calls.calls, strict=True):
        if op.kind is OpKind.SYNC:
            kept += tensors(call.args)  # a loss that the program looked at
    return Recorded(step, calls, kept)


# Orders


def orders(waits: Waits, count: int) -> Iterable[list[int]]:
    """Yield the order that puts everything off as far as it can be, then `count` random ones."""
    yield _order(waits, max)
    for seed in range(count):
        yield _order(waits, random.Random(seed).choice)


def _order(waits, choose):
    missing = [len(before) for before in waits]
    after = [[] for _ in waits]
    for index, before in enumerate(waits):
        for other in before:
            after[other].append(index)
    ready = [index for index, count in enumerate(missing) if not count]
    order = []
    while ready:
        index = choose(ready)
        ready.remove(index)
        order.append(index)
        for other in after[index]:
            missing[other] -= 1
            if not missing[other]:
                ready.append(other)
    return order


def without(step: Step, kind: str) -> Waits:
    """Return the dependences of a step less those that only `kind` is the reason for."""
    return [
        tuple(b for b in before if reasons(step.ops[b], step.ops[a]) != {kind})
        for a, before in enumerate(dependences(step))
    ]


def reasons(first, then) -> set[str]:
    """Tell why `then` must follow `first`, found from the ops alone."""
    found = set()
    written = {t.storage: t for t in first.outputs}
    read = [t for t in then.inputs if t.storage in written]
    if any(t.region == written[t.storage].region for t in read):
        found.add("RAW")
    elif read:
        found.add("RAW through views")
    if {t.storage for t in first.inputs} & {t.storage for t in then.outputs}:
        found.add("WAR")
    if written.keys() & {t.storage for t in then.outputs}:
        found.add("WAW")
    if first.random and then.random:
        found.add("random")
    if first.kind is OpKind.SYNC:
        found.add("barrier")
    return found


# Tensors


def tensors(value: object) -> list[torch.Tensor]:
    """Return the tensors in a nested value."""
    return [leaf for leaf in tree_leaves(value) if isinstance(leaf, torch.Tensor)]


def storage_of(tensor: torch.Tensor) -> int:
    """Return the identity of a tensor's memory."""
    return tensor.untyped_storage()._cdata


def bytes_of(tensor: torch.Tensor) -> bytes:
    """Return a tensor's elements as bytes."""
    return tensor.detach().reshape(-1).clone().view(torch.uint8).numpy().tobytes()
