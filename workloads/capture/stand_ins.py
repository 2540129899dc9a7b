"""What a program gets that reads a fake tensor: a number where that is harmless, else a sentence.

Every number is 1, every truth True; a check for infinity or NaN finds none.
"""

import math
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from io import BytesIO
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any, Self

import torch
from torch._subclasses.fake_tensor import FakeTensor
from torch.optim import optimizer
from torch.utils import _foreach_utils

from simulator.errors import InputError
from workloads.capture.swaps import exchange

_TORCH, _CAPTURE = str(Path(torch.__file__).parent), str(Path(__file__).parent)
_REALLY = "capture for real, without --fake (fake=True)"


class NeedsContents(InputError):
    """The program asked for what only a real run can know."""


class StandIns:
    """Answers for fake tensors while a block runs; `refused` is the first question left open."""

    def __init__(self) -> None:
        """Start with nothing asked."""
        self.refused: NeedsContents | None = None
        self._asked = 0
        self._unsaved = 0
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        """Let fake tensors answer what only real ones could."""
        with ExitStack() as stack:
            for name, method in self._methods().items():
                stack.enter_context(_replaced(FakeTensor, name, method))
            stack.enter_context(_replaced(torch.utils, "swap_tensors", exchange))
            for known in (_foreach_utils, optimizer):  # which kernels they choose
                types = [*known._foreach_supported_types, FakeTensor]
                stack.enter_context(_replaced(known, "_foreach_supported_types", types))
            kept: dict[str, Any] = {}
            stack.enter_context(_replaced(torch, "save", self._save(kept)))
            stack.enter_context(_replaced(torch, "load", _load(kept)))
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Let them be as they were."""
        self._stack.close()

    @property
    def notes(self) -> dict[str, str]:
        """What was answered, for the origin of a trace."""
        notes = {}
        if self._asked:
            notes["stand_ins"] = f"{self._asked} values that the network computed were taken as 1"
        if self._unsaved:
            notes["not_saved"] = f"{self._unsaved} files with what the network computed"
        return notes

    def number(self, tensor: torch.Tensor) -> Any:
        """Return the one number of a fake tensor."""
        self._asked += 1
        return torch.ones((), dtype=tensor.dtype).item()

    def refuse(self, what: str) -> NeedsContents:
        """Return the error that says what cannot be known, and where the program asks for it."""
        return self._refuse(
            f"{what} depends on numbers that the network computes, and a fake capture has none:"
            f" {_REALLY}"
        )

    def no_fake_form(self, func: Any) -> NeedsContents:
        """Return the error that says that an op cannot be run without contents, and where it is."""
        return self._refuse(
            f"nothing says which shape {func} gives: tell it with torch.library.register_fake, or"
            f" {_REALLY}"
        )

    def _refuse(self, why: str) -> NeedsContents:
        error = NeedsContents(f"{_place()}: {why}")
        self.refused = self.refused or error
        return error

    def _methods(self) -> dict[str, Callable[..., Any]]:
        def truth(tensor: Any) -> bool:
            known = getattr(tensor, "truth", None)
            if known is None:
                raise self.refuse(f"which way {_asker()} goes")
            tensor.item()
            return bool(known)

        def index(tensor: Any) -> int:  # noqa: ARG001
            raise self.refuse("the index or count")

        def numpy(tensor: torch.Tensor, *rest: Any, **options: Any) -> Any:  # noqa: ARG001
            self._asked += 1
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

    def _save(self, kept: dict[str, Any]) -> Callable[..., None]:
        """Keep fake tensors out of files, but remember them for a program that loads them."""
        save = torch.save

        def saving(obj: Any, f: Any, *rest: Any, **options: Any) -> None:
            before = self.refused
            try:
                save(obj, BytesIO())
            except NeedsContents:
                self.refused = before
                self._unsaved += 1
                kept[str(f)] = obj
            else:
                save(obj, f, *rest, **options)

        return saving


def truth_of(func: Any, args: Any) -> bool | None:
    """Return the truth of a check for NaN or infinity, or of what is made of such checks."""
    name = getattr(func, "__name__", "").partition(".")[0]
    if name in ("isnan", "isinf"):
        return False
    if name in ("eq", "ne"):
        same = args[0] is args[1]
        infinite = isinstance(args[1], float) and math.isinf(args[1])
        return (name == "eq") is same if same or infinite else None
    known = [getattr(arg, "truth", None) for arg in args if isinstance(arg, FakeTensor)]
    combine = _COMBINED.get(name)
    return combine(known) if combine and known and None not in known else None


_COMBINED: dict[str, Callable[[list[Any]], bool]] = {
    **dict.fromkeys(("any", "all", "detach", "mul", "logical_and", "bitwise_and"), all),
    **dict.fromkeys(("logical_or", "bitwise_or"), any),
    **dict.fromkeys(("logical_not", "bitwise_not"), lambda known: not known[0]),
}


def _copy(tensor: Any, memo: dict[int, Any]) -> Any:  # noqa: ARG001 - copy keeps it itself
    copy = tensor.detach().clone()
    if isinstance(tensor, torch.nn.Parameter):
        copy = torch.nn.Parameter(copy, tensor.requires_grad)
    return copy


def _caller(*passed: str) -> FrameType | None:
    """Return the innermost frame of code that is not in the folders `passed`."""
    frame: FrameType | None = sys._getframe()
    while frame is not None and frame.f_code.co_filename.startswith((*passed, "<")):
        frame = frame.f_back
    return frame


def _place() -> str:
    """Return file and line of the program that runs."""
    frame = _caller(_TORCH, _CAPTURE)
    return f"{frame.f_code.co_filename} line {frame.f_lineno}" if frame else "the program"


def _asker() -> str:
    """Return the part of PyTorch that asks, or "this" for the program itself."""
    frame = _caller(_CAPTURE)
    inside = frame is not None and frame.f_code.co_filename.startswith(_TORCH)
    return str(frame.f_globals.get("__name__", "this")) if frame and inside else "this"


def _load(kept: dict[str, Any]) -> Callable[..., Any]:
    load = torch.load

    def loading(f: Any, *rest: Any, **options: Any) -> Any:
        return kept[str(f)] if str(f) in kept else load(f, *rest, **options)

    return loading


@contextmanager
def _replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    own = vars(owner).get(name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        if own is None:
            delattr(owner, name)
        else:
            setattr(owner, name, own)
