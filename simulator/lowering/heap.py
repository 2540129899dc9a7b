"""Which results of a step lie in memory that the process has to fetch from the system first.

After glibc's malloc with its moving thresholds (malloc/malloc.c, "dynamic mmap threshold"): blocks
of up to 32 MiB come from a heap that gives back what is free at its top once that is more than
twice the largest block freed before; larger blocks are new each time. Gaps between blocks, which
a heap has too, are taken to be used before it grows.
"""

from collections.abc import Iterable

from simulator.trace.op import Op, OpKind
from simulator.trace.trace import PERSISTENT, Step, StorageKind

_LARGEST = 32 * 2**20  # DEFAULT_MMAP_THRESHOLD_MAX on 64 bits
_LEAST = 2 * 2**20  # guess: 0.9 MiB were seen after importing torch, 2 to 4 MiB after a step


def new_bytes(step: Step) -> tuple[int, ...]:
    """Return, per op, the bytes of its results in new memory, where the step follows itself.

    Gradients live until the next step begins; what else stays is allocated once and for all.
    """
    heap = _Heap()
    blocks = _transient(step)
    for _ in range(2):
        heap.release(blocks[s] for s in blocks if step.storages[s].kind is StorageKind.GRADIENT)
        found = _one_step(step, blocks, heap)
    return tuple(found)


def _transient(step: Step) -> dict[int, int]:
    kept = {*PERSISTENT, StorageKind.INPUT}
    return {i: s.bytes for i, s in enumerate(step.storages) if s.kind not in kept}


def _one_step(step: Step, blocks: dict[int, int], heap: "_Heap") -> list[int]:
    last = {storage: index for index, op in enumerate(step.ops) for storage in _storages(op)}
    held: set[int] = set()
    found = []
    for index, op in enumerate(step.ops):
        used = [storage for storage in _storages(op) if storage in blocks]
        made = [] if op.kind is OpKind.VIEW else [s for s in used if s not in held]
        found.append(sum(heap.take(blocks[storage]) for storage in made))
        held.update(made)
        done = [storage for storage in used if last[storage] == index and storage in held]
        stays = {s for s in done if step.storages[s].kind is StorageKind.GRADIENT}
        heap.release(blocks[storage] for storage in done if storage not in stays)
    return found


def _storages(op: Op) -> tuple[int, ...]:
    return tuple(dict.fromkeys(tensor.storage for tensor in (*op.inputs, *op.outputs)))


class _Heap:
    """Bytes in use, and those that the process holds."""

    def __init__(self) -> None:
        self._used = 0
        self._held = 0
        self._threshold = _LEAST

    def take(self, size: int) -> int:
        """Allocate a block and return how much of it is new."""
        if size > _LARGEST:
            return size
        self._used += size
        new = max(0, self._used - self._held)
        self._held += new
        return new

    def release(self, sizes: Iterable[int]) -> None:
        """Free blocks, and give back what is more than the heap keeps."""
        for size in sizes:
            if size <= _LARGEST:
                self._used = max(0, self._used - size)
                self._threshold = max(self._threshold, size)
        if self._held - self._used > 2 * self._threshold:
            self._held = self._used
