"""Which results of a step lie in memory that the process has to fetch from the system first."""

from dataclasses import replace
from itertools import chain, islice

from simulator.lowering.allocator import Heap
from simulator.memo import Memo
from simulator.timing.index_lists import IndexLists
from simulator.trace.op import Op, OpKind
from simulator.trace.trace import PERSISTENT, Step, Storage, StorageKind

SETTLED_BYTES = 31 * 2**20
"""The largest block that the process has freed: just under DEFAULT_MMAP_THRESHOLD_MAX of glibc,
for then it no longer matters what was freed before. Calibration and timed capture see to it."""

# Blocks that a trace does not know decide what the heap can give back. Both sizes are guesses, and
# so is that two steps see the last of the first calls.
_WRAPPING = 600  # a tensor, its storage and its node of the autograd graph, beside each result
_LIBRARY_BYTES = 1024  # that the first calls leave: primitives, buffers, generated code
_FIRST_STEPS = 2
_STEPS = 9  # until the C library's caches of small blocks are full, with seven of each size
_MEMO_STEPS = 64  # a guess: more steps than the traces of a sweep have


def new_bytes(step: Step) -> tuple[int, ...]:
    """Return, per op, the bytes of its results in new memory, where the step follows itself.

    It follows from the step alone: machines that run the same one share it. A fused op allocates
    as its parts do, but never more than its own results: how the heap would fare without what lies
    between them nobody has measured.
    """
    return _NEW_BYTES.get(step.digest, lambda: _new_bytes(step))


_NEW_BYTES: Memo[tuple[int, ...]] = Memo("new bytes of steps", _MEMO_STEPS)


def remember_new_bytes(step: Step, sizes: tuple[int, ...]) -> None:
    """Let `new_bytes` return what an earlier process worked out."""
    _NEW_BYTES.get(step.digest, lambda: sizes)


def _new_bytes(step: Step) -> tuple[int, ...]:
    parts = [op.parts or (op,) for op in step.ops]
    run = _Run(replace(step, ops=tuple(chain.from_iterable(parts))))
    for count in range(_STEPS):
        sizes = iter(run.once(first=count < _FIRST_STEPS))
    by_op = [sum(islice(sizes, len(each))) for each in parts]
    return tuple(
        min(size, op.write_bytes) if op.parts else size
        for op, size in zip(step.ops, by_op, strict=True)
    )


class _Run:
    """A step that is run again and again in one process.

    Gradients live until the next step begins; what else stays is allocated once and for all.
    """

    def __init__(self, step: Step) -> None:
        self._step = step
        self._heap = Heap(SETTLED_BYTES)
        for storage in step.storages:
            if _stays(storage):
                self._heap.take(storage.bytes)
        self._made, self._ended = _lifetimes(step)
        self._blocks: dict[int, tuple[int, int]] = {}

    def once(self, *, first: bool) -> list[int]:
        """Run the step and return the new bytes of each op."""
        for token in tuple(self._blocks):
            self._release(token)
        sizes = []
        for made, ended in zip(self._made, self._ended, strict=True):
            sizes.append(sum(map(self._take, made)))
            if first and made:
                self._heap.take(_LIBRARY_BYTES)
            for token in ended:
                self._release(token)
        return sizes

    def _take(self, token: int) -> int:
        block = self._heap.take(self._step.storages[token].bytes)
        self._blocks[token] = block.place, self._heap.take(_WRAPPING).place
        return block.new

    def _release(self, token: int) -> None:
        for place in self._blocks.pop(token):
            self._heap.release(place)


def _stays(storage: Storage) -> bool:
    return storage.kind in PERSISTENT or storage.kind is StorageKind.INPUT


def _lifetimes(step: Step) -> tuple[IndexLists, IndexLists]:
    """Return the storages that each op makes, and those that it is the last to need.

    An op that is no view makes what it touches and is not there. Gradients stay until the next
    step.
    """
    last = {token: index for index, op in enumerate(step.ops) for token in _storages(op)}
    there: set[int] = set()
    made, ended = IndexLists(), IndexLists()
    for index, op in enumerate(step.ops):
        touched = [token for token in _storages(op) if not _stays(step.storages[token])]
        new = [] if op.kind is OpKind.VIEW else [token for token in touched if token not in there]
        there.update(new)
        made.append(new)
        gone = [token for token in touched if token in there and last[token] == index]
        ended.append([t for t in gone if step.storages[t].kind is not StorageKind.GRADIENT])
    return made, ended


def _storages(op: Op) -> tuple[int, ...]:
    return tuple(dict.fromkeys(tensor.storage for tensor in (*op.inputs, *op.outputs)))
