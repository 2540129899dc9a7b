"""How tensors reach an accelerator with buffers or engines of its own, and come back from it."""

from collections.abc import Callable
from functools import partial

from simulator.activity import Stage
from simulator.hardware.runtime import Handling
from simulator.lowering.asked import Asked
from simulator.lowering.binding import Binding
from simulator.lowering.request import Request
from simulator.trace.accesses import Access

Move = Callable[[int, int], Asked]
"""Makes the work that moves a tensor from one token to another."""


class Handover:
    """Appends what the runtime does around a call: load, refit, replicate, store, reshape."""

    def __init__(self, binding: Binding) -> None:
        """Append to `binding`."""
        self._binding = binding
        self._runtime = binding.asking.outline.runtime

    def back(self, size: int) -> list[Move]:
        """Return what moves a result of `size` bytes, one after the other."""
        runtime = self._runtime
        moves: list[Move] = []
        if runtime.copies == "in_out":
            moves.append(partial(self._handle, Stage.STORE, runtime.store, size))
        if runtime.reshape.takes_time:
            moves.append(partial(self._handle, Stage.RESHAPE, runtime.reshape, size))
        return moves

    def replicate(self, request: Request, held: list[Access | None]) -> list[Access | None]:
        """Write out an operand as often as the accelerator needs it in memory."""
        source, times = held[0], request.copies
        if source is None or times <= 1:
            return held
        copy = Access(self._binding.token(), times * source.size)
        handling = self._runtime.reshape
        work = self._handle(Stage.REPLICATE, handling, source.size, source.token, copy.token, times)
        self._binding.append(work, request.site, (source.token,), (copy.token,))
        return [copy, *held[1:]]

    def load(self, request: Request, held: list[Access | None]) -> list[Access | None]:
        """Return operands a and b, and temporaries if there are any, where the array reads them."""
        return [each and self._load(request, which, each) for which, each in enumerate(held)]

    def _load(self, request: Request, which: int, held: Access) -> Access:
        runtime, binding = self._runtime, self._binding
        size, weights = held.size, which == request.weights
        if weights and runtime.weights == "refit":
            move = partial(self._handle, Stage.REFIT, runtime.refit, size, held.token)
        elif runtime.copies == "in_out":
            move = partial(self._handle, Stage.LOAD, runtime.load, size, held.token)
        else:
            return held

        def load(token: int) -> None:
            binding.append(move(token), request.site, (held.token,), (token,))

        if weights and runtime.weights == "resident":
            stays = request.op.inputs[request.gemm.a if which == 0 else request.gemm.b]
            token = binding.copy(Stage.LOAD, stays, held.token, load)
        else:
            token = binding.token()
            load(token)
        return Access(token, size)

    def _handle(
        self, stage: Stage, handling: Handling, size: int, source: int, target: int, times: int = 1
    ) -> Asked:
        """Return the pass that reads `size` bytes of a token and writes them `times`."""
        reads, writes = [Access(source, size)], [Access(target, times * size)]
        moved = self._binding.cache.touch(reads, writes)
        return self._binding.asking.handle(stage, handling, times * size, moved)
