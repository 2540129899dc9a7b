"""How tensors reach an accelerator with buffers or engines of its own, and come back from it."""

from collections.abc import Callable
from functools import partial

from simulator.activity import Stage
from simulator.hardware.runtime import Driver, Handling
from simulator.lowering.backends.array.call import ArrayCall
from simulator.lowering.binding import Binding
from simulator.lowering.requests import WorkRequest
from simulator.trace.accesses import Access

Move = Callable[[int, int], WorkRequest]
"""Makes the work that moves a tensor from one token to another."""


class Handover:
    """Appends what the driver does around a call: load, refit, replicate, store, reshape."""

    def __init__(self, binding: Binding, costs: Driver) -> None:
        """Append to `binding` what a driver of such `costs` does."""
        self._binding = binding
        self._costs = costs

    def back(self, size: int) -> list[Move]:
        """Return what moves a result of `size` bytes, one after the other."""
        costs = self._costs
        moves: list[Move] = []
        if costs.copies == "in_out":
            moves.append(partial(self._handle, Stage.STORE, costs.store, size))
        if costs.reshape.takes_time:
            moves.append(partial(self._handle, Stage.RESHAPE, costs.reshape, size))
        return moves

    def replicate(self, call: ArrayCall, operands: list[Access | None]) -> list[Access | None]:
        """Write out an operand as often as the accelerator needs it in memory."""
        source, times = operands[0], call.copies
        if source is None or times <= 1:
            return operands
        size = times * source.size
        copy = Access(self._binding.token(size), size)
        handling = self._costs.reshape
        work = self._handle(Stage.REPLICATE, handling, source.size, source.token, copy.token, times)
        self._binding.append(work, call.site, (source.token,), (copy.token,))
        return [copy, *operands[1:]]

    def load(self, call: ArrayCall, operands: list[Access | None]) -> list[Access | None]:
        """Return operands a and b, and temporaries if there are any, where the array reads them."""
        return [each and self._load(call, which, each) for which, each in enumerate(operands)]

    def _load(self, call: ArrayCall, which: int, operand: Access) -> Access:
        costs, binding = self._costs, self._binding
        size, weights = operand.size, which == call.weights
        if weights and costs.weights == "refit":
            move = partial(self._handle, Stage.REFIT, costs.refit, size, operand.token)
        elif costs.copies == "in_out":
            move = partial(self._handle, Stage.LOAD, costs.load, size, operand.token)
        else:
            return operand

        def load(token: int) -> None:
            binding.append(move(token), call.site, (operand.token,), (token,))

        if weights and costs.weights == "resident":
            stays = call.op.inputs[call.gemm.a if which == 0 else call.gemm.b]
            token = binding.copy(Stage.LOAD, stays, operand.token, size, load)
        else:
            token = binding.token(size)
            load(token)
        return Access(token, size)

    def _handle(
        self, stage: Stage, handling: Handling, size: int, source: int, target: int, times: int = 1
    ) -> WorkRequest:
        """Return the pass that reads `size` bytes of a token and writes them `times`."""
        reads, writes = [Access(source, size)], [Access(target, times * size)]
        transfers = self._binding.cache.touch(reads, writes)
        return self._binding.requests.handle(stage, handling, times * size, transfers)
