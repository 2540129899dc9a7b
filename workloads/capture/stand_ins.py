"""What a program gets when it reads a fake tensor: a number if that is harmless, else an error.

Every number is 1, every truth True; a check for infinity or NaN finds none. A branch that depends
on such a number is noted. It is refused if it decides when a `while` loop ends, which might be
never, or what a network computes.
"""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.optim import optimizer
from torch.utils import _foreach_utils

from simulator.errors import InputError
from workloads.capture.checkpoints import Checkpoints
from workloads.capture.course import TORCH, caller, in_network, program, uses
from workloads.capture.patches import replaced
from workloads.capture.swaps import exchange
from workloads.capture.truths import Truth

_REALLY = "capture for real, without --fake (fake=True)"
_SHOWN = 4  # places in a note


class NeedsContents(InputError):
    """The program asked for a value that only a real run has."""


class StandIns:
    """Answers reads of fake tensors inside a block; `refused` is the first one without an answer.

    `guessed_draws`: how many random numbers are drawn depended on an answer.
    """

    def __init__(self, is_fake: Callable[[torch.Tensor], bool]) -> None:
        """Start without any read; `is_fake` says which tensors have no contents."""
        self.refused: NeedsContents | None = None
        self.guessed_draws = False
        self._reads = 0
        self._branches: dict[tuple[str, int], None] = {}
        self._checkpoints = Checkpoints(is_fake)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Let fake tensors answer reads."""
        with ExitStack() as stack:
            for name, method in self._methods().items():
                stack.enter_context(replaced(FakeTensor, name, method))
            stack.enter_context(replaced(torch.utils, "swap_tensors", exchange))
            for module in (_foreach_utils, optimizer):  # they choose kernels by tensor type
                types = [*module._foreach_supported_types, FakeTensor]
                stack.enter_context(replaced(module, "_foreach_supported_types", types))
            stack.enter_context(self._checkpoints.in_place())
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Restore fake tensors as they were."""
        self._stack.close()

    @property
    def notes(self) -> dict[str, str]:
        """Notes on the answers, for the origin of a trace."""
        notes = {}
        if self._reads:
            notes["stand_ins"] = (
                f"{self._reads} computed values (such as loss.item()) were replaced by 1"
            )
        if self._branches:
            places = [f"{Path(name).name} line {line}" for name, line in self._branches]
            more = [f"{len(places) - _SHOWN} more"] if len(places) > _SHOWN else []
            notes["branches"] = (
                f"{', '.join(places[:_SHOWN] + more)}: a branch depends on values replaced by 1,"
                " and may go another way in a real run"
            )
        if self._checkpoints.unsaved:
            notes["not_saved"] = f"{self._checkpoints.unsaved} files with what the network computed"
        return notes

    def number(self, tensor: torch.Tensor) -> Any:
        """Return the number in a fake tensor of one element."""
        truth = getattr(tensor, "truth", None)
        if truth is not None and truth.sure:
            return torch.full((), truth.holds, dtype=tensor.dtype).item()
        self.read()
        value = truth is None or truth.holds
        return torch.full((), value, dtype=tensor.dtype).item()

    def read(self) -> None:
        """Note that the program reads a number, and where a branch depends on it."""
        self._reads += 1
        frame = program(caller())
        for user, use in uses(frame):
            if use.ends_loop:
                raise self._refuse(frame, f"when the loop at line {use.branches[0]} ends")
            if use.branches and in_network(user):
                raise self._refuse(frame, "what the network computes")
            for line in use.branches:
                self._branches[user.f_code.co_filename, line] = None

    def refuse(self, what: str) -> NeedsContents:
        """Return the error for an unknown value, with the place that asks for it."""
        return self._refuse(program(caller()), what)

    def no_fake_form(self, func: Any) -> NeedsContents:
        """Return the error for an op that cannot run without contents, with its place."""
        return self._error(
            program(caller()),
            f"the shape that {func} returns is unknown: define it by torch.library.register_fake,"
            f" or {_REALLY}",
        )

    def no_exchange(self, func: Any) -> NeedsContents:
        """Return the error for an exchange of fakes between processes, with its place."""
        return self._error(
            program(caller()),
            f"DistributedDataParallel or another collective ({func}) exchanges numbers that the"
            f" network computes, and a fake capture has none: train without it, or {_REALLY}",
        )

    def _refuse(self, frame: FrameType | None, what: str) -> NeedsContents:
        return self._error(
            frame,
            f"{what} depends on numbers that the network computes, and a fake capture has none:"
            f" {_REALLY}",
        )

    def _error(self, frame: FrameType | None, why: str) -> NeedsContents:
        place = f"{frame.f_code.co_filename} line {frame.f_lineno}" if frame else "the program"
        error = NeedsContents(f"{place}: {why}")
        self.refused = self.refused or error
        return error

    def _truth(self, tensor: Any) -> bool:
        asker = _asker()
        if asker == "torch.distributions.distribution":
            # A check of arguments: those of a working program are valid.
            tensor.truth = Truth(holds=True, sure=True)
        elif asker == "torch.nn.init":
            # Whether to redraw values outside of bounds: mostly there are none.
            tensor.truth = Truth(holds=False, sure=True)
            self.guessed_draws = True
        truth = getattr(tensor, "truth", None)
        if truth is None or (asker != "this" and not truth.sure):
            raise self.refuse(f"which way {asker} goes")
        return bool(tensor.item())

    def _methods(self) -> dict[str, Callable[..., Any]]:
        def truth(tensor: Any) -> bool:
            return self._truth(tensor)

        def index(tensor: Any) -> int:  # noqa: ARG001
            raise self.refuse("the index or count")

        def numpy(tensor: torch.Tensor, *rest: Any, **options: Any) -> Any:  # noqa: ARG001
            self.read()
            return torch.ones(tensor.shape, dtype=tensor.dtype).numpy()

        def tolist(tensor: torch.Tensor) -> Any:
            return numpy(tensor).tolist()

        def form(tensor: torch.Tensor, how: str) -> str:
            return format(str(tensor) if tensor.dim() else tensor.detach().item(), how)

        def pickle(tensor: Any, protocol: Any) -> Any:  # noqa: ARG001
            raise self.refuse("what is saved")

        return {
            "__bool__": truth, "__index__": index, "__format__": form, "__deepcopy__": _copy,
            "__reduce_ex__": pickle, "numpy": numpy, "tolist": tolist,
        }  # fmt: skip


def _copy(tensor: Any, memo: dict[int, Any]) -> Any:  # noqa: ARG001 - copy fills the memo itself
    copy = tensor.detach().clone()
    if isinstance(tensor, torch.nn.Parameter):
        copy = torch.nn.Parameter(copy, tensor.requires_grad)
    return copy


def _asker() -> str:
    """Return the part of PyTorch that asks, or "this" for the program itself."""
    frame = caller()
    inside = frame is not None and frame.f_code.co_filename.startswith(TORCH)
    return str(frame.f_globals.get("__name__", "this")) if frame and inside else "this"
